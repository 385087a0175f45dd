"""S1 of arXiv 2508.02260: does a run have two stages, one that rises and a plateau?"""

import math
from functools import partial

import torch

from analysis.effects import Effect, Finding
from analysis.figures import mark_plateau
from analysis.stages import SEEN, Knee, Stages, find_knee
from eval import middle_95
from record import Run

REPETITIONS = 200  # of the fit of the knee


def s1_two_stages(run: Run, knee: Knee | None, stages: Stages) -> Finding:
    """The speed of both curves before and after the knee; intervals over redrawn errors."""
    finding = Finding(
        "S1",
        "Training has two stages: first accuracy rises and entropy falls fast, then both level "
        "off.",
        "steps",
        height=4.2,
    )
    steps = [line["step"] for line in run.lines]
    curves = {name: [line[name] for line in run.lines] for name in ("accuracy", "entropy")}
    if knee:
        again = [speeds(found, steps) for found in refitted(knee, **curves)]
        for label, value in speeds(knee, steps).items():
            interval = middle_95([found[label] for found in again] or [math.nan])
            above = 0 if label.endswith("rising less plateau") else None
            finding.effects.append(Effect(label, value, *interval, above))
        finding.notes = [
            f"A knee was found in {len(again)} of {REPETITIONS} repetitions with errors redrawn."
        ]
    else:
        finding.effects = [Effect("knees found", 0, 0, 0, above=0)]
        if len(steps) < 5 * SEEN:
            finding.missing = f"no knee in {len(steps)} steps; needed: {5 * SEEN} or more"
    if steps:
        finding.draw = partial(draw_stages, steps=steps, curves=curves, knee=knee, stages=stages)
    return finding


def speeds(knee: Knee, steps: list[int]) -> dict[str, float]:
    """What S1 measures of a knee, per 100 steps."""
    (falls, rises), (falls_later, rises_later) = knee.rising, knee.plateau
    return {
        "last step of the rising stage": float(steps[knee.step - 1]),
        "accuracy per 100 steps, rising stage": 100 * rises,
        "accuracy per 100 steps, plateau": 100 * rises_later,
        "accuracy per 100 steps, rising less plateau": 100 * (rises - rises_later),
        "entropy per 100 steps, rising stage (nats)": 100 * falls,
        "entropy per 100 steps, plateau (nats)": 100 * falls_later,
        "fall of entropy per 100 steps, rising less plateau": 100 * (falls_later - falls),
    }


def refitted(knee: Knee, accuracy: list[float], entropy: list[float]) -> list[Knee]:
    """The knees found in the fit plus its own errors, drawn with replacement, again and again.

    Not `eval.bootstrap`: steps drawn with replacement would be no curve any more.
    """
    fitted = torch.tensor([knee.entropies, knee.accuracies])
    errors = torch.tensor([entropy, accuracy]) - fitted
    generator, found = torch.Generator().manual_seed(0), []
    for _ in range(REPETITIONS):
        drawn = torch.randint(errors.shape[1], (errors.shape[1],), generator=generator)
        found.append(find_knee(*(fitted + errors[:, drawn]).tolist()))
    return [knee for knee in found if knee]


def draw_stages(figure, steps, curves, knee: Knee | None, stages: Stages) -> None:
    """Both curves, {name: a value a step}, and the lines fitted to them."""
    panels = figure.subplots(2, 1, sharex=True)
    fits = (knee.accuracies, knee.entropies) if knee else (None, None)
    for axes, name, fit in zip(panels, curves, fits, strict=True):
        axes.plot(steps, curves[name], color="silver", linewidth=0.8, label="each step")
        if fit:
            axes.plot(steps, fit, color="black", label="two lines that meet")
        mark_plateau(axes, stages)
    panels[0].set_ylabel("accuracy of\ntraining rollouts")
    panels[1].set_ylabel("token entropy\n(nats)")
    panels[0].legend(loc="lower right")
    panels[1].set_xlabel("training step")
