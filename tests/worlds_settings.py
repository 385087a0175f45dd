"""Made-up runs of GRPO and of the methods over five seeds, for I3, T3 and F.

What a run comes to is its seed's level, what its setting adds, and its own noise. The noise is about
that of the 40 runs of tests/bench_methods.py, of 150 steps: differences from GRPO vary over seeds with
standard deviations of 0.015 in accuracy, 0.0045 nats in entropy and 0.05 tokens in length.
"""

from functools import partial

import torch
from made_up import World

from analysis.settings import f_final_methods, i3_perplexity, t3_position
from record import Run

MEASURES = ("accuracy", "entropy", "response_length")
LEVEL = torch.tensor([0.75, 0.060, 30.0], dtype=torch.double)
BETWEEN = torch.tensor([0.015, 0.005, 0.5], dtype=torch.double)  # seeds, whatever the setting
WITHIN = torch.tensor([0.015, 0.0045, 0.05], dtype=torch.double) / 2**0.5
OPTIONS = {
    "GRPO": {},
    "low": {"ppl_alpha": 0.1},
    "high": {"ppl_alpha": -0.1},
    "late": {"position_gamma": 0.1, "position_steepness": 15.0},
    "early": {"position_gamma": 0.1, "position_steepness": -15.0},
}


def runs_of(added: dict, seed: int, collapse: float = 0.0, count: int = 5) -> dict:
    """{setting: {seed: Run}}. added: {setting: what it adds to (accuracy, entropy, length)}.

    collapse: the share of runs, of any setting, that lose 0.1 of accuracy and half of the entropy.
    count: seeds.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = partial(torch.randn, generator=generator, dtype=torch.double)
    seeds = LEVEL + BETWEEN * noise(count, 3)
    settings = {}
    for name, options in OPTIONS.items():
        own = WITHIN * noise(count, 3) + torch.tensor(added.get(name, (0, 0, 0)))
        lost = torch.rand(count, generator=generator) < collapse
        own -= lost[:, None] * torch.tensor([0.1, 0.03, 0.0], dtype=torch.double)
        lines = [dict(zip(MEASURES, row, strict=True)) for row in (seeds + own).tolist()]
        settings[name] = {
            number: Run(f"{name}-{number}", options | {"seed": number}, [line], {})
            for number, line in enumerate(lines)
        }
    return settings


def verdict(finding, collapse=0.0, count=5, **added):
    """seed -> the verdict of a finding of analysis/settings.py on a made-up set of runs."""
    return lambda seed: finding(runs_of(added, seed, collapse, count)).verdict()[0]


HOLDS, NOT = "holds here", "does not hold here"
I3, T3, F = i3_perplexity, t3_position, f_final_methods
NATS, TOKENS = 0.009, 0.1  # two standard deviations of the differences


def claimed(finding, times=1) -> dict:
    """What the paper says that settings add, at a realistic size, so many times: below 0 its opposite."""
    accuracy, nats, tokens = 0.02 * times, NATS * times, TOKENS * times
    return {
        I3: {"low": (accuracy, 0, 0), "high": (-accuracy, nats, 0)},
        T3: {"late": (accuracy, nats, tokens), "early": (0, nats, 0)},
        F: {"low": (0, nats, tokens), "late": (0, nats, tokens)},
    }[finding]


WORLDS = [
    World("I3", "no setting differs", verdict(I3), HOLDS),
    World("I3", "no setting differs: refuted?", verdict(I3), NOT, true=False),
    World("I3", "one run in ten collapses: refuted?", verdict(I3, collapse=0.1), NOT, true=False),
    World("I3", "high only more entropy", verdict(I3, low=(0.08, 0, 0), high=(0, 0.04, 0)), HOLDS),
    World("I3", "true: 2 points, 0.009 nats", verdict(I3, **claimed(I3)), NOT),
    World("I3", "the same with ten seeds", verdict(I3, count=10, **claimed(I3)), NOT),
    World("I3", "twice that", verdict(I3, **claimed(I3, 2)), NOT),
    World("I3", "the opposite, as large as the first", verdict(I3, **claimed(I3, -1)), HOLDS),
    World("T3", "no setting differs", verdict(T3), HOLDS),
    World("T3", "no setting differs: refuted?", verdict(T3), NOT, true=False),
    World("T3", "all but the entropy of early", verdict(T3, late=(0.08, 0.04, 0.4)), HOLDS),
    World("T3", "true: 2 points, 0.009 nats, 0.1 tokens", verdict(T3, **claimed(T3)), NOT),
    World("T3", "the same with ten seeds", verdict(T3, count=10, **claimed(T3)), NOT),
    World("T3", "twice that", verdict(T3, **claimed(T3, 2)), NOT),
    World("T3", "the opposite, as large as the first", verdict(T3, **claimed(T3, -1)), HOLDS),
    World("F", "no setting differs", verdict(F), HOLDS),
    World("F", "no setting differs: refuted?", verdict(F), NOT, true=False),
    World("F", "all but a longer low", verdict(F, low=(0, 0.04, 0), late=(0, 0.04, 0.4)), HOLDS),
    World("F", "true: 0.009 nats, 0.1 tokens", verdict(F, **claimed(F)), NOT),
    World("F", "the same with ten seeds", verdict(F, count=10, **claimed(F)), NOT),
    World("F", "twice that", verdict(F, **claimed(F, 2)), NOT),
    World("F", "the opposite, as large as the first", verdict(F, **claimed(F, -1)), HOLDS),
]
