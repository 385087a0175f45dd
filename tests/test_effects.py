"""Effects and verdicts: intervals cover, and the verdict follows from them by its rule."""

import math

import pytest
import torch

from analysis.effects import (
    Effect,
    Finding,
    difference,
    markdown_table,
    t_interval,
    t_quantile,
)
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
        ([(1, -1, 3, 0), (0.5, -1.5, 2.5, 0)], "not enough data", "16 times as many questions"),
        ([(0.01, -1, 1, 0)], "not enough data", "over 100 times as many questions"),
        ([(1, math.nan, math.nan, 0)], "not enough data", "no interval for: 0"),
    ],
)
def test_verdicts(effects, verdict, why):
    named = [Effect(str(i), *effect) for i, effect in enumerate(effects)]
    found = Finding("S0", "", effects=named).verdict()
    assert found[0] == verdict and found[1].endswith(why)


def test_an_effect_is_the_bootstrap_of_its_sums():
    sums = torch.arange(40.0) ** 2, torch.arange(40.0)
    finding = Finding("S0", "")
    effect = finding.add("a label", ratio, *sums, above=3)
    assert finding.effects == [effect] == [Effect("a label", *bootstrap(ratio, *sums), above=3)]
    assert effect.value == pytest.approx(79 / 3)  # (2 n + 1) / 3 of the first n = 39


def test_students_intervals():
    assert difference(*torch.tensor([6.0, 2.0, 4.0, 4.0])) == 2
    # Tables of Student's t: 95 % two-sided for 1 to 3, then 4, 10 and 30 degrees of freedom.
    for free, quantile in (
        (1, 12.706),
        (2, 4.303),
        (3, 3.182),
        (4, 2.776),
        (10, 2.228),
        (30, 2.042),
    ):
        count = free + 1
        mean, low, high = t_interval([1.0] + [0.0] * free)  # its standard error is 1 / count
        assert mean == pytest.approx(1 / count)
        assert (high - mean) * count == pytest.approx(quantile, abs=0.008)
        assert mean - low == pytest.approx(high - mean)
    mean, *bounds = t_interval([2.0])
    assert mean == 2 and all(math.isnan(bound) for bound in bounds)
    assert t_quantile(0.841621, 8) == pytest.approx(0.889, abs=0.001)  # 80 %, one-sided


def test_a_table_in_markdown():
    lines = markdown_table(["a", ""], [["1", "2"], ["3", "4"]])
    assert lines == ["| a |  |", "| --- | --- |", "| 1 | 2 |", "| 3 | 4 |"]
