"""Worlds for S2 to S4: made-up rising stages of 56 steps, at the noise of the default run.

    python tests/worlds_stage_level.py    how often the intervals cover the truth

S2 draws a share of wrong rollouts and two entropies a step, errors independent, as they are on real
runs; S3 and S4 draw rollouts, 16 questions by 8 in two saved steps at each end. Levels and noise are
those of runs of other seeds than the reported ones.
"""

import math
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from made_up import World, sampled

from analysis.effects import markdown_table
from analysis.stage_level import s2_right_and_wrong, s3_which_tokens, s4_defects
from analysis.stages import Stages
from analysis.words import FORMAL, REST

KNEE, LAST = 56, 300
STEPS = [step for step in (1, 10, 40, 50) for _ in range(128)]  # of 512 rollouts, 8 a question
GROUPS = [rollout // 8 for rollout in range(len(STEPS))]


# ------------------------------------------------- S2: entropies of right and wrong rollouts


def s2(seed, wrong, right, gap=None, knee=KNEE):
    """wrong, right: entropies at the first and the last step of the rise, in nats; then level.

    gap: what wrong rollouts have more in the plateau, if that is another than at the end of the rise.
    """
    generator = torch.Generator().manual_seed(seed)
    last = knee + LAST - KNEE
    z = torch.randn(3, last, generator=generator, dtype=torch.double)
    risen = (torch.arange(last) / (knee - 1)).clamp(max=1)
    share = (0.46 - 0.18 * risen + 0.06 * z[0]).clamp(0.05, 0.95)
    means = [first + (end - first) * risen for first, end in (wrong, right)]
    if gap is not None:
        means[0][knee:] = means[1][knee:] + gap
    in_wrong, in_right = (
        mean * (noise * x - noise**2 / 2).exp()
        for mean, noise, x in zip(means, (0.25, 0.17), z[1:], strict=True)
    )
    curves = {"": share * in_wrong + (1 - share) * in_right}
    curves |= {"_correct": in_right, "_wrong": in_wrong}
    lines = [{"step": i + 1} for i in range(last)]
    for name, values in curves.items():
        for line, value in zip(lines, values.tolist(), strict=True):
            line[f"entropy_rollout_mean{name}"] = value
    return s2_right_and_wrong(SimpleNamespace(lines=lines), Stages(knee, last))


# ------------------------------------------------------------------ S3: entropies of tokens


def s3(seed, beside, share, formal):
    """All at the first end and at the last: the entropies of tokens beside the task, the shares of
    formal tokens, their entropies.

    Words beside the task are in 8.5, then in 3.5 % of rollouts: 1 to 13 tokens in a row.
    """
    generator = torch.Generator().manual_seed(seed)
    rand, randn = (
        partial(torch.rand, generator=generator),
        partial(torch.randn, generator=generator),
    )
    last = torch.tensor(STEPS) > KNEE / 2
    question = randn(len(STEPS) // 8).repeat_interleave(8)
    rate = torch.where(last, 0.035, 0.085) * (0.5 * question - 0.125).exp()
    strange = (rand(len(STEPS)) < rate) * (1 + 13 * rand(len(STEPS)) ** 0.7).long()
    lengths = strange + (28 + 9 * randn(len(STEPS) // 8)).clamp(min=10).repeat_interleave(8).long()
    row = torch.arange(len(STEPS)).repeat_interleave(lengths)
    position = torch.arange(len(row)) - (lengths.cumsum(0) - lengths)[row]
    is_beside = position < strange[row]
    habit = 0.1 * randn(len(STEPS))[row]  # of a rollout, to write more or less formally
    is_formal = ~is_beside & (rand(len(row)) < torch.tensor(share)[last.long()][row] + habit)

    level = torch.tensor(beside)[last.long()][row] + 0.1 * randn(len(STEPS))[row]
    entropy = (level + 0.95 * randn(len(row))).clamp(min=0)
    spread = (0.25 * question + 0.25 * randn(len(STEPS)) - 0.0625).exp()[row]
    calm = torch.tensor(formal)[last.long()][row] * spread * -rand(len(row)).clamp(min=1e-6).log()
    found = sampled(
        STEPS,
        group=GROUPS,
        lengths=lengths.tolist(),
        entropy=torch.where(is_beside, entropy, calm),
        kind=torch.where(is_formal, FORMAL, REST),
        beside=is_beside,
        word=torch.where(is_beside, 0, torch.where(is_formal, 1, 2)),
        vocabulary=["xqzt", "7", "the"],
    )
    return s3_which_tokens(Stages(KNEE, LAST), found)


# ---------------------------------------------------------------------- S4: defective rollouts


def s4(seed, rates):
    """rates: of each of the three defects, % of rollouts, at the first end and at the last."""
    generator = torch.Generator().manual_seed(seed)
    last = torch.tensor(STEPS) > KNEE / 2
    bad = torch.zeros(len(STEPS), 4).bool()
    for i, ends in enumerate(rates):
        rate = torch.tensor(ends)[last.long()] / 100
        question = torch.randn(len(STEPS) // 8, generator=generator).repeat_interleave(8)
        uneven = rate * (0.6 * question - 0.18).exp()
        bad[:, i] = torch.rand(len(STEPS), generator=generator) < uneven
    return s4_defects(Stages(KNEE, LAST), sampled(STEPS, group=GROUPS, defects=bad))


# --------------------------------------------------------------------------------- the worlds

NULL, TRUE = "holds here", "does not hold here"  # the verdict that is wrong if so
RARER = {"share": (0.80, 0.87), "formal": (0.12, 0.08)}  # as in the default run
MADE_UP = [
    (
        "S2",
        "a wrong and a right rollout lose 0.06 nats each",
        NULL,
        partial(s2, wrong=(0.18, 0.12), right=(0.135, 0.075)),
    ),
    (
        "S2",
        "of the fall as much is within wrong rollouts as within right ones",
        NULL,
        partial(s2, wrong=(0.22, 0.1206), right=(0.135, 0.075)),
    ),
    (
        "S2",
        "most of the fall is within right rollouts",
        NULL,
        partial(s2, wrong=(0.18, 0.16), right=(0.135, 0.055)),
    ),
    (
        "S2",
        "entropy falls in wrong rollouts alone, which have no more in the plateau",
        NULL,
        partial(s2, wrong=(0.20, 0.07), right=(0.07, 0.07), gap=0.0),
    ),
    (
        "S2",
        "entropy falls in wrong rollouts alone, as much as in the default run",
        TRUE,
        partial(s2, wrong=(0.25, 0.12), right=(0.075, 0.075)),
    ),
    (
        "S2",
        "three times as much of the fall is within wrong rollouts as within right ones",
        TRUE,
        partial(s2, wrong=(0.24, 0.12), right=(0.105, 0.08)),
    ),
    (
        "S3",
        "words beside the task become rarer and keep their entropy",
        NULL,
        partial(s3, beside=(2.85, 2.85), **RARER),
    ),
    (
        "S3",
        "every token loses 0.5 nats",
        NULL,
        partial(s3, beside=(2.85, 2.35), share=(0.80, 0.87), formal=(1.2, 0.7)),
    ),
    (
        "S3",
        "words beside the task lose a third; formal reasoning gains nothing",
        NULL,
        partial(s3, beside=(2.85, 1.9), share=(0.82, 0.80), formal=(0.12, 0.08)),
    ),
    (
        "S3",
        "words beside the task gain entropy",
        NULL,
        partial(s3, beside=(2.3, 2.9), **RARER),
    ),
    (
        "S3",
        "words beside the task lose a third of their entropy",
        TRUE,
        partial(s3, beside=(2.85, 1.9), **RARER),
    ),
    (
        "S3",
        "words beside the task lose a sixth of their entropy",
        TRUE,
        partial(s3, beside=(2.85, 2.375), **RARER),
    ),
    ("S4", "nothing changes", NULL, partial(s4, rates=[(8.0, 8.0)] * 3)),
    (
        "S4",
        "two defects fall from 12 to 2 %, one stays at 7 %",
        NULL,
        partial(s4, rates=[(12.0, 2.0), (7.0, 7.0), (12.0, 2.0)]),
    ),
    (
        "S4",
        "two defects fall from 12 to 2 %, one stays at 3 %",
        NULL,
        partial(s4, rates=[(12.0, 2.0), (3.0, 3.0), (12.0, 2.0)]),
    ),
    (
        "S4",
        "one comes up, from 1 to 6 %",
        NULL,
        partial(s4, rates=[(12.0, 2.0), (7.0, 2.0), (1.0, 6.0)]),
    ),
    (
        "S4",
        "they fall as in the default run",
        TRUE,
        partial(s4, rates=[(15.0, 3.0), (7.0, 2.5), (7.5, 1.0)]),
    ),
    (
        "S4",
        "they fall to a sixth, from 15, 12 and 9 %",
        TRUE,
        partial(s4, rates=[(15.0, 2.5), (12.0, 2.0), (9.0, 1.5)]),
    ),
    (
        "S4",
        "two fall from 12 to 2 %, one from 0.8 to 0.1 %, too rare to be judged",
        TRUE,
        partial(s4, rates=[(12.0, 2.0), (0.8, 0.1), (12.0, 2.0)]),
    ),
]


def world(finding, about, error, make):
    """A world of made-up findings, whose verdict alone is drawn."""
    return World(finding, about, lambda seed: make(seed).verdict()[0], error)


WORLDS = [world(*made_up) for made_up in MADE_UP]


def coverage(make, runs: int) -> dict[str, float]:
    """{judged effect: share of runs whose interval holds the mean of all runs}."""
    drawn = {}
    for seed in range(runs):
        for effect in make(seed).effects:
            if effect.above is not None and not math.isnan(effect.low):
                drawn.setdefault(effect.label, []).append(effect)
    rates = {}
    for label, effects in drawn.items():
        truth = sum(effect.value for effect in effects) / len(effects)
        rates[label] = sum(e.low <= truth <= e.high for e in effects) / len(effects)
    return rates


def main() -> None:
    found = {}
    for finding, _, _, make in MADE_UP:
        for label, rate in coverage(make, 1000).items():
            found.setdefault((finding, label), []).append(100 * rate)
    rows = [[*key, f"{min(rates):.1f} to {max(rates):.1f}"] for key, rates in found.items()]
    print("\n".join(markdown_table(["", "judged", "% covered, by world"], rows)))


if __name__ == "__main__":
    main()
