"""Made-up curves with known stages, for S1 and for `plateau_has_begun`, at the default's noise."""

import itertools
import math
from functools import partial
from typing import NamedTuple

import torch
from made_up import World

from analysis.stages import plateau_has_begun, stages_of
from analysis.two_stages import s1_two_stages
from record import Run

STEPS = torch.arange(1, 301, dtype=torch.double)
FROM, TO = (0.56, 0.165), (0.78, 0.06)  # accuracy, entropy in nats: the start, and where it levels
ACCURACY_NOISE = 0.06  # standard deviation about a smooth curve, in runs of seeds 11 to 14
ENTROPY_NOISE = 0.048  # times the root of the entropy, which makes 0.019 nats early, 0.010 late


class Shape(NamedTuple):
    """The true curves of a run: one value a step; AR(1) noise with this correlation."""

    accuracy: torch.Tensor
    entropy: torch.Tensor
    correlation: float = 0.0


def through(*points):
    """Lines through (step, value): one value a step."""
    value = torch.full_like(STEPS, points[0][1])
    for (a, low), (b, high) in itertools.pairwise(points):
        value += (high - low) * ((STEPS - a) / (b - a)).clamp(0, 1)
    return value


def moving(risen, start=FROM, end=TO, correlation=0.0) -> Shape:
    """Both curves go from start to end as `risen` goes from 0 to 1."""
    return Shape(*(a + (b - a) * risen for a, b in zip(start, end, strict=True)), correlation)


def rise(time):
    """Smooth, from 0 towards 1, with a time constant in steps."""
    return 1 - torch.exp(-STEPS / time)


def knee(at, later):
    """From 0 to 1 at a step, then on to 1 + later at the end."""
    return through((0, 0), (at, 1), (300, 1 + later))


END = (0.83, 0.04)  # of curves that move all the time
LINE = through((0, 0), (300, 1))
SHAPES = {
    "constant": Shape(0.7 + 0 * STEPS, 0.1 + 0 * STEPS),
    "straight lines": moving(LINE, end=END),
    "straight lines, noise AR(1) 0.3": moving(LINE, end=END, correlation=0.3),
    "entropy decays, T = 60, accuracy a line": Shape(
        moving(LINE, end=END).accuracy, moving(rise(60), end=END).entropy
    ),
    "a rise of 0.05 in 30 steps, take-off at 200": Shape(
        through((0, 0.56), (30, 0.61), (200, 0.61), (270, 0.81)),
        through((0, 0.165), (30, 0.145), (200, 0.145), (270, 0.06)),
    ),
    "entropy level from 60, accuracy on at 60 % speed": Shape(
        through((0, 0.45), (60, 0.597), (300, 0.95)), through((0, 0.165), (60, 0.06))
    ),
    "two time scales, 25 and 300": moving(0.5 * (rise(25) + rise(300)), end=(0.91, 0.005)),
    "an S: flat, 150 to 230, level": moving(through((150, 0), (230, 1))),
    "a knee at 60, then level": moving(knee(60, 0)),
    "a knee at 60, then a tenth of the speed": moving(knee(60, 0.4)),
    "entropy has a knee at 60, accuracy a smooth decay, T = 20": Shape(
        moving(rise(20)).accuracy, moving(knee(60, 0)).entropy
    ),
    **{f"a knee at {at}, then level": moving(knee(at, 0)) for at in (30, 75, 150, 240)},
    "a knee at 75, then level, noise AR(1) 0.3": moving(knee(75, 0), correlation=0.3),
    "a knee at 75, 40 % of the change after it": moving(knee(75, 2 / 3), end=(0.73, 0.085)),
    "a rise of entropy after its fall, 0.41, 0.18, 0.45": Shape(
        through((0, 0.56), (300, 0.78)), through((0, 0.41), (35, 0.18), (300, 0.45))
    ),
} | {f"smooth decay, T = {time}": moving(rise(time)) for time in (20, 40, 80, 150)}


def noisy(shape: Shape, seed, noise=1.0):
    """(entropies, accuracies) of a run of a shape, with so many times the default's noise."""
    size = (2, len(shape.accuracy))
    errors = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    r = shape.correlation
    for step in range(1, size[1] if r else 0):
        errors[:, step] = r * errors[:, step - 1] + math.sqrt(1 - r * r) * errors[:, step]
    accuracy = shape.accuracy + noise * ACCURACY_NOISE * errors[0]
    entropy = shape.entropy + noise * ENTROPY_NOISE * shape.entropy.clamp(min=0).sqrt() * errors[1]
    return entropy.tolist(), accuracy.tolist()


def lines(shape: Shape, seed, noise=1.0):
    """What S1 reads of metrics.jsonl."""
    each = zip(*noisy(shape, seed, noise), strict=True)
    return [{"step": s, "entropy": h, "accuracy": a} for s, (h, a) in enumerate(each, 1)]


def s1(seed, name, noise=1.0):
    """S1's verdict."""
    run = Run(None, {}, lines(SHAPES[name], seed, noise), {})
    return s1_two_stages(run, *stages_of(run.lines)).verdict()[0]


def begins(entropies, accuracies):
    """The step after which a run that asks after every step would be told yes; None: never."""
    asked = range(1, len(entropies) + 1)
    return next((s for s in asked if plateau_has_begun(entropies[:s], accuracies[:s])), None)


def too_early(seed, name, over=math.inf):
    """Said that a plateau had begun before it is over, "holds here", or not, "does not hold here"."""
    begun = begins(*noisy(SHAPES[name], seed))
    return "holds here" if begun and begun < over else "does not hold here"


def in_time(seed, name, knee, within, noise=1.0):
    """A yes so soon after the knee is "holds here", one before it "does not hold here"."""
    begun = begins(*noisy(SHAPES[name], seed, noise))
    if begun and begun < knee:
        return "does not hold here"
    return "holds here" if begun and begun <= knee + within else "not enough data"


NULLS = (
    "constant",
    "straight lines",
    "straight lines, noise AR(1) 0.3",
    "entropy decays, T = 60, accuracy a line",
    "two time scales, 25 and 300",
    *(f"smooth decay, T = {time}" for time in (20, 40, 80, 150)),
    "a rise of entropy after its fall, 0.41, 0.18, 0.45",
    "a knee at 75, 40 % of the change after it",
    "an S: flat, 150 to 230, level",
)
KNEES = ("a knee at 75, then level", "a knee at 75, then level, noise AR(1) 0.3")
ONE_KNEE = "entropy has a knee at 60, accuracy a smooth decay, T = 20"
UNENDED = dict.fromkeys(NULLS[:5], math.inf) | {
    "entropy level from 60, accuracy on at 60 % speed": math.inf,
    "a rise of 0.05 in 30 steps, take-off at 200": 270,
    "an S: flat, 150 to 230, level": 230,
}
IN_TIME = (  # shape, yes within so many steps of 60, times the noise
    ("a knee at 60, then level", 30, 1.0),
    ("a knee at 60, then level", 90, 1.0),
    ("a knee at 60, then a tenth of the speed", 90, 1.0),
    ("a knee at 60, then level", 30, 0.5),
)
WORLDS = [World("S1", name, partial(s1, name=name), "holds here") for name in (*NULLS, ONE_KNEE)]
PLANTED = [(KNEES[0], 1.0), (KNEES[1], 1.0), (KNEES[0], 0.7), (KNEES[0], 3.0)]
PLANTED += [(f"a knee at {at}, then level", 1.0) for at in (30, 150, 240)]
for name, noise in PLANTED:
    about = f"{name}, {noise:g} times the noise"
    WORLDS.append(World("S1", about, partial(s1, name=name, noise=noise), "does not hold here"))
for name, over in UNENDED.items():
    WORLDS.append(World("plateau", name, partial(too_early, name=name, over=over), "holds here"))
for name, within, noise in IN_TIME:
    about = f"{name}, {noise:g} times the noise: yes within {within} steps"
    draw = partial(in_time, name=name, knee=60, within=within, noise=noise)
    WORLDS.append(World("plateau", about, draw, "does not hold here"))
