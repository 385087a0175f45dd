"""S1 of arXiv 2508.02260: does a run have two stages, one that rises and a plateau?

Each curve, accuracy and entropy, is judged twice. Two lines that meet must describe it TIMES better
than a smooth decay of as many parameters, which has no stages; and SHARE of its change must have
come where they meet, so that the second stage is a plateau. A refutal counts only where a knee
would have been found: `power` plants one into the noise of the run.
"""

import math
from functools import partial
from typing import NamedTuple

import torch

from analysis.effects import POWER, Effect, Finding
from analysis.figures import OTHERS, mark_plateau
from analysis.stages import (
    SEEN,
    TIMES,
    Knee,
    Stages,
    ThreeLines,
    TwoLines,
    knee_interval,
    off_line,
    smooth_decay,
    squares,
    three_stages,
    two_lines,
    worth,
)
from eval import middle_95
from record import Run

CURVES = {"accuracy": 1, "entropy": -1}  # the sign of the change that the claim is about
SHARE = 80.0  # % of a curve's change that has come by its knee
MARGIN = math.sqrt(2 * math.log(TIMES))  # of the signed root of the evidence
REPETITIONS = 200  # of the fits, with errors redrawn
LEAST = 0.25  # of a curve's mean: a planted change is no smaller


def s1_two_stages(run: Run, knee: Knee | None, stages: Stages) -> Finding:
    """Evidence for two lines, and how level the second is, in accuracy and in entropy.

    knee: the one common to both curves, by which the other findings cut the run (`stages_of`). The
    signed root of the evidence (`against`) has a standard error near 1 and grows as the root of the
    number of steps does; its interval is MARGIN to either side, at which one description makes the
    curve TIMES as likely as the other. What errors this makes is drawn by simulate_verdicts.py.
    """
    finding = Finding(
        "S1",
        "Training has two stages: first accuracy rises and entropy falls fast, then both level "
        f"off, at a knee and not little by little, with {SHARE:.0f} % of the change before it.",
        "steps",
        height=4.2,
    )
    steps = [line["step"] for line in run.lines]
    curves = torch.tensor([[x[name] for x in run.lines] for name in CURVES], dtype=torch.double)
    if knee:
        ends = (float(steps[at - 1]) for at in knee)
        finding.effects.append(Effect("last step of the rising stage, both curves", *ends))
    bends = []
    if len(steps) < 5 * SEEN:
        finding.missing = f"only {len(steps)} steps; needed: {5 * SEEN} or more"
    else:
        bends = [
            bend_of(name, curve[None], steps) for name, curve in zip(CURVES, curves, strict=True)
        ]
        judge(finding, bends)
    if steps:
        finding.draw = partial(
            draw_stages, steps=steps, curves=curves.tolist(), bends=bends, stages=stages
        )
    return finding


class Bend(NamedTuple):
    """How one curve bends. knee: its step of the run, and the ends of its interval.

    rivals: {description: the evidence for two lines against it}. again: the fit with errors
    redrawn. found: `power`. lines, decay: the fitted curves, a value a step.
    """

    name: str
    knee: tuple[int, int, int]
    rivals: dict[str, float]
    three: ThreeLines | None
    fit: TwoLines
    again: TwoLines
    found: dict[str, float]
    lines: list[float]
    decay: list[float]


def bend_of(name: str, curve, steps: list[int]) -> Bend:
    """All that S1 says of one curve (1, n)."""
    fit, three = two_lines(curve), three_stages(curve[0])
    count = worth(fit.left)
    low, high = knee_interval(fit.places, -(count / 2 * fit.errors.log())[:, 0])
    at = [steps[int(place) - 1] for place in (fit.step()[0], low, high)]
    lines = curve - fit.left
    rivals = {label: value.item() for label, value in against(curve, fit).items()}
    if three:
        ratio = math.log(three.error / fit.errors.min().item())
        rivals["three lines"] = count.item() * ratio + 2 * math.log(count.item())
        three = three._replace(first=steps[three.first - 1], last=steps[three.last - 1])
    generator = torch.Generator().manual_seed(0)
    again = two_lines(lines + redrawn(fit.left, generator), most=100)
    found = power(lines, fit, CURVES[name], generator)
    decay = (curve - smooth_decay(curve))[0].tolist()
    return Bend(name, tuple(at), rivals, three, fit, again, found, lines[0].tolist(), decay)


def against(curves, fit: TwoLines) -> dict:
    """{rival: (m,) by how much two lines are preferred to it}, in units of 2 log likelihood ratio.

    The difference of Bayesian information criteria: a smooth decay has as many parameters as two
    lines, 4, and a straight line two fewer.
    """
    count, errors = worth(fit.left), fit.errors.amin(0)
    straight = count * (squares(off_line(curves)[0]) / errors).log() - 2 * count.log()
    return {
        "a straight line": straight,
        "a smooth decay": count * (squares(smooth_decay(curves)) / errors).log(),
    }


def redrawn(left, generator):
    """(REPETITIONS, n): what is left of a fit (1, n), in blocks drawn with replacement.

    Blocks of n ** (1/3) steps, as neighbouring steps may be alike; 4 parameters were fitted.
    """
    total = left.shape[1]
    length = round(total ** (1 / 3))
    size = (REPETITIONS, math.ceil(total / length), 1)
    starts = torch.randint(total, size, generator=generator)
    index = (starts + torch.arange(length)).flatten(1)[:, :total] % total
    return left[0, index] * math.sqrt(total / (total - 4))


def changes(fit: TwoLines):
    """The changes (m,) of fitted curves before and after their knees."""
    return fit.rising * (fit.step() - 1), fit.plateau * (fit.left.shape[1] - fit.step())


def share(fit: TwoLines, sign: int):
    """(m,): % of each curve's whole way that it went before its knee, in the claim's direction."""
    before, after = changes(fit)
    return 100 * sign * before / (before.abs() + after.abs()).clamp(min=1e-12)


def power(lines, fit: TwoLines, sign: int, generator) -> dict[str, float]:
    """{what a planted knee is told from: in which share of draws}.

    Planted is the claim at its plainest, in the noise of the run: up to the knee the curve makes the
    change that the whole run shows, or LEAST of its mean, and is level from there on. It is told
    from a rival by MARGIN, and is level where the interval of its share is above SHARE. Of a knee
    after a quarter of the run, one at the run's own and one after three quarters, which is found
    least often, the least is told.
    """
    total = lines.shape[1]
    size = max((lines[0, -1] - lines[0, 0]).abs(), LEAST * lines.mean().abs())
    found = []
    for place in (total / 4, fit.step().item(), 3 * total / 4):
        risen = (torch.arange(total) / place).clamp(max=1)
        curves = lines[0, 0] + sign * size * risen + redrawn(fit.left, generator)
        planted = two_lines(curves, most=100)
        known = {label: values > MARGIN**2 for label, values in against(curves, planted).items()}
        shares = share(planted, sign)
        known["a plateau that is not level"] = shares - 1.96 * shares.std() > SHARE
        found.append({label: hits.double().mean().item() for label, hits in known.items()})
    return {label: min(each[label] for each in found) for label in found[0]}


def judge(finding: Finding, bends: list[Bend]) -> None:
    """Effects and notes of a finding, and why a refutal does not count where it does not."""
    powers = []
    for bend in bends:
        sign, name = CURVES[bend.name], bend.name
        rival = min(bend.rivals, key=bend.rivals.get)
        root = math.copysign(abs(bend.rivals[rival]) ** 0.5, bend.rivals[rival])
        label = f"{name}: two lines against {rival}, signed root of the evidence"
        finding.effects.append(Effect(label, root, root - MARGIN, root + MARGIN, above=0))
        interval = middle_95(share(bend.again, sign))
        label = f"{name}: % of its change by its knee"
        finding.effects.append(Effect(label, share(bend.fit, sign).item(), *interval, above=SHARE))
        powers += [
            bend.found.get(rival, bend.found["a smooth decay"]),
            bend.found["a plateau that is not level"],
        ]
    judged = [e for e in finding.effects if e.above is not None]
    against_it = [p for e, p in zip(judged, powers, strict=True) if e.is_refuted(len(judged))]
    if against_it and max(against_it) < POWER:
        finding.missing = (
            f"a knee of the size of this run's change would be found in {max(against_it):.0%} of "
            "runs with its noise alone, so that its absence says nothing; more steps, or more "
            "questions a step, would help"
        )
    for bend in bends:
        tell(finding, bend)
    (_, *first), (_, *second) = (bend.knee for bend in bends)
    apart = bends[0].knee[0] - bends[1].knee[0]
    ends = (first[0] - second[1], first[1] - second[0])
    finding.effects.append(
        Effect("steps from the knee of entropy to that of accuracy", apart, *ends)
    )


def tell(finding: Finding, bend: Bend) -> None:
    """What is told of a curve and judges nothing: its knee, its speeds, other stages, the power."""
    name, notes = bend.name, finding.notes
    finding.effects.append(Effect(f"{name}: its knee, a step", *map(float, bend.knee)))
    for part, when in (("rising", "before"), ("plateau", "after")):
        speed, again = 100 * getattr(bend.fit, part), 100 * getattr(bend.again, part)
        label = f"{name} per 100 steps, {when} it"
        finding.effects.append(Effect(label, speed.item(), *middle_95(again)))
    later = finding.effects[-1]
    if bend.three:
        pieces = [f"{100 * slope:+.2g} per 100 steps" for slope in bend.three.slopes]
        ends = (f" up to step {bend.three.first}", f" up to step {bend.three.last}", " after it")
        said = ", ".join(piece + end for piece, end in zip(pieces, ends, strict=True))
        notes.append(f"Three stages: {name} changes by {said}.")
    elif max(CURVES[name] * later.low, CURVES[name] * later.high) < 0:
        notes.append(f"No plateau: {name} turns back, by {later.value:+.2g} per 100 steps.")
    if bend.rivals["a smooth decay"] < -(MARGIN**2):
        notes.append(
            f"A smooth decay describes {name} better, and it has no knee: where two lines meet "
            "moves on as the run does, and the interval holds for curves that are two lines."
        )
    found = ", ".join(f"{label} in {rate:.0%}" for label, rate in bend.found.items())
    notes.append(
        f"A knee planted into the noise of {name}, where it is found least often, is told from {found} "
        "of draws."
    )


def draw_stages(figure, steps, curves, bends: list[Bend], stages: Stages) -> None:
    """Both curves (2, n), two lines and a smooth decay fitted to them, intervals of the knees."""
    panels = figure.subplots(2, 1, sharex=True)
    for axes, curve in zip(panels, curves, strict=True):
        axes.plot(steps, curve, color="silver", linewidth=0.8, label="each step")
        mark_plateau(axes, stages)
    for axes, bend in zip(panels, bends, strict=False):
        axes.plot(steps, bend.lines, color="black", label="two lines that meet")
        axes.plot(steps, bend.decay, color=OTHERS[0], linewidth=1, label="smooth decay")
        axes.axvspan(*bend.knee[1:], color="black", alpha=0.12, linewidth=0, label="its knee, 95 %")
    panels[0].set_ylabel("accuracy of\ntraining rollouts")
    panels[1].set_ylabel("token entropy\n(nats)")
    panels[0].legend(loc="lower right")
    panels[1].set_xlabel("training step")
