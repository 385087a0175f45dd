"""Made-up runs for the law of entropy: in some R follows from H, in others from something else.

    python tests/worlds_law.py RUN RUN ...    how large noise and swings are in those runs

What is made up is what the law is fitted to: of each step the H and the accuracy of its batch, of
each tenth R. Noise and swings are as that command finds them in runs of the default with
--eval_every 10 (seeds 11 to 14). H falls from 0.16 to 0.04 nats, R rises from 0.48 to 0.79, as there.
"""

import math
import sys
from functools import partial
from pathlib import Path

import torch

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
from made_up import World

from analysis.law import judge_first, judge_whole, parts_of
from analysis.law_fits import Curve, curves_of, fit_curve, fit_line, law_points
from record import Run, read_run

H_NOISE = (0.008, 0.07)  # of one batch: a constant and a share of H
ACCURACY_NOISE = 0.057  # of one batch
R_NOISE = 0.85 / 1600  # its variance as a share of R (1 - R): 200 questions, 8 answers
LASTS = 20  # steps of a swing


def swings(steps, generator):
    """Correlated errors of standard deviation 1, one a step."""
    keep = math.exp(-1 / LASTS)
    values = torch.randn(len(steps), generator=generator, dtype=torch.double)
    for i in range(1, len(values)):
        values[i] = keep * values[i - 1] + math.sqrt(1 - keep**2) * values[i]
    return values


def rise(shape, scale, steps):
    """From 0 to 1 in time; the last three are none of the curves that the law is compared with."""
    if shape == "two speeds":
        return 0.6 * (1 - (-steps / scale).exp()) + 0.4 * steps / steps[-1]
    if shape == "two steps":
        end = steps[-1]
        return (steps / scale).clamp(max=0.5) + ((steps - 0.6 * end) / scale).clamp(0, 0.5)
    if shape == "a logistic":
        return torch.sigmoid((steps - 2 * scale) / (0.4 * scale))
    return (f := Curve(shape, scale).at(steps)) / f[-1]


def made_up(seed, r, h, scales, law=False, swing=0.05, r_swing=0.0, times=1, a=2.4) -> Run:
    """A run of 300 steps, or `times` as many. r, h: shapes in time of R and H, on one of the scales.

    law: R is of the law with H and not of time. swing: of H, as a share of it; r_swing: of R.
    Training accuracy is 0.04 above R.
    """
    generator = torch.Generator().manual_seed(seed)
    steps, scale = torch.arange(300 * times + 1, dtype=torch.double), scales[seed % len(scales)]
    entropies = 0.16 - 0.12 * rise(h, scale, steps)
    entropies = entropies * (1 + swing * swings(steps, generator))
    accuracies = 0.48 + 0.31 * rise(r, scale, steps) if r else torch.full_like(steps, 0.48)
    accuracies = accuracies + r_swing * swings(steps, generator)
    if law:
        accuracies = 0.48 + a * (math.exp(0.16) - entropies.exp())

    def noisy(values, size):
        return values + size * torch.randn(len(steps), generator=generator, dtype=torch.double)

    batch_h = noisy(entropies, H_NOISE[0] + H_NOISE[1] * entropies).tolist()
    batch_accuracy = noisy(accuracies + 0.04, ACCURACY_NOISE).tolist()
    found = noisy(accuracies, (R_NOISE * accuracies * (1 - accuracies)).sqrt()).tolist()
    lines = [
        {
            "step": step,
            "entropy_law": batch_h[step - 1],  # the policy of the step before samples
            "accuracy": batch_accuracy[step - 1],
            "eval_accuracy": None if step % 10 else found[step],
        }
        for step in range(1, len(steps))
    ]
    before, after = ({"acc": {"mean": found[i]}} for i in (0, -1))
    summary = {"steps": len(lines), "before": before, "after": after}
    return Run(Path("made-up"), {}, lines, summary)


def drawn(seed, early=False, **how) -> str:
    """The verdict on the whole run, or on its early share."""
    whole, first, cut = parts_of(made_up(seed, **how))
    curve = fit_curve(whole.steps, whole.accuracies)
    if early:
        return judge_first(first, whole.after(cut), curve)[0].verdict()[0]
    return judge_whole(whole, curve)[0].verdict()[0]


SLOWS, LEVELS, KNEE, TAKES_OFF = "log(1 + x)", "1 - exp(-x)", "min(x, 1)", "x^2 / (1 + x^2)"
ALIKE = [  # R and H go the same way, each of time alone
    ("R and H level off in 40, 80 or 150 steps", LEVELS, (40, 80, 150)),
    ("R and H have a knee at 30, 60 or 120", KNEE, (30, 60, 120)),
    ("R and H slow down", SLOWS, (5, 10, 20)),
    ("R and H take off at 40, 60 or 100", TAKES_OFF, (40, 60, 100)),
    ("R and H have two speeds", "two speeds", (20, 40)),
    ("R and H move in two steps", "two steps", (40, 80)),
    ("R and H are a logistic", "a logistic", (40, 80)),
]
LEVEL = {"r": LEVELS, "h": LEVELS, "scales": (60,)}
FALSE = [(f"time alone: {a}", {"r": s, "h": s, "scales": scales}) for a, s, scales in ALIKE] + [
    ("time alone: R slows down, H levels off", {"r": SLOWS, "h": LEVELS, "scales": (15, 30)}),
    ("time alone: H swings by 20 %", LEVEL | {"swing": 0.2}),
    ("R stays, H levels off", LEVEL | {"r": None}),
    ("R is training accuracy, with its swings", LEVEL | {"r_swing": 0.01}),
]
LAW = LEVEL | {"law": True}
TRUE = [
    ("the law: H levels off", LAW),
    ("the law: H has a knee", LAW | {"h": KNEE}),
    ("the law: H slows down", LAW | {"h": SLOWS, "scales": (15,)}),
    ("the law: H does not swing", LAW | {"swing": 0}),
    ("the law: H swings by 20 %", LAW | {"swing": 0.2}),
    ("the law: H swings by 20 %, 1200 steps", LAW | {"swing": 0.2, "times": 4}),
]
WORLDS = [
    World(name, about, partial(drawn, early=name == "law early", **how), error)
    for name in ("law", "law early")
    for error, worlds in (("holds here", FALSE), ("does not hold here", TRUE))
    for about, how in worlds
]


def sizes(run: Run) -> dict:
    """{what: how large} the noise and the swings of a run are."""
    h = torch.tensor([line["entropy_law"] for line in run.lines], dtype=torch.double)
    accuracy = torch.tensor([line["accuracy"] for line in run.lines], dtype=torch.double)
    third, found = len(h) // 3, {}
    for part, of in (("first third", h[:third]), ("last third", h[-third:])):
        found[f"H, {part}"] = of.mean()
        found[f"its noise in a batch, {part}"] = (of.diff().square().mean() / 2).sqrt()
    found["noise of accuracy in a batch"] = (accuracy.diff().square().mean() / 2).sqrt()
    points = law_points(*curves_of(run))
    x = fit_curve(points.steps, points.entropies).at(points.steps)
    a, b = fit_line(x, points.entropies)
    scatter = (points.entropies - b - a * x).square().sum() / (len(x) - 3)
    swing = (scatter - points.errors.square().mean()).clamp(min=0).sqrt()
    found["swing of H, as a share"] = swing / points.entropies.mean()
    for name in ("before", "after"):
        right = torch.tensor(run.summary[name]["right"], dtype=torch.double)
        n, r = run.summary[name]["samples"], run.summary[name]["acc"]["mean"]
        variance = (right * (n - right)).mean() / n**2 / (n - 1) / len(right)
        found[f"R's variance {name} by R (1 - R)"] = variance * n * len(right) / (r * (1 - r))
    return {what: round(value.item(), 4) for what, value in found.items()}


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        print(
            folder,
            *(f"{value:8.4f}  {what}" for what, value in sizes(read_run(Path(folder))).items()),
            sep="\n",
        )
