"""Effects and verdicts: intervals cover, and the verdict follows from them by its rule."""

import math

import pytest
import torch

from analysis.effects import Effect, Finding
from eval import bootstrap, ratio


def test_the_bootstrap_covers():
    covered = 0
    for seed in range(100):
        numbers = torch.randn(40, generator=torch.Generator().manual_seed(seed))
        _, low, high = bootstrap(ratio, numbers, torch.ones(40), draws=400)
        covered += low < 0 < high
    assert 87 <= covered <= 99


@pytest.mark.parametrize(
    "effects, verdict, why",
    [
        ([], "not enough data", ""),
        ([(1, 0.5, 1.5, 0)], "holds here", ""),
        ([(1, 0.5, 1.5, 0), (-1, -1.5, -0.5, None)], "holds here", ""),
        ([(1, 0.5, 1.5, 0), (-1, -1.5, -0.5, 0)], "does not hold here", "against it: 1"),
        ([(0, 0, 0, 0)], "does not hold here", "against it: 0"),
        ([(1, -1, 3, 0)], "not enough data", "4 times as many questions"),
        ([(0.01, -1, 1, 0)], "not enough data", "over 100 times as many questions"),
        ([(1, math.nan, math.nan, 0)], "not enough data", "no interval for: 0"),
    ],
)
def test_verdicts(effects, verdict, why):
    named = [Effect(str(i), *effect) for i, effect in enumerate(effects)]
    found = Finding("S0", "", effects=named).verdict()
    assert found[0] == verdict and found[1].endswith(why)
