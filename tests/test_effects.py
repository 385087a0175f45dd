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
        # (1.96 + 0.84) standard errors of 2 / 1.96 are to be 1: 2.86 ** 2 = 8.2 times as many.
        (
            [(1, -1, 3, 0)],
            "not enough data",
            "undecided: 0; needed for a power of 80%: 9 times as many questions",
        ),
        # Two that must both be found, each in 0.8 ** 0.5 of cases: ((1.96 + 1.25) 1.02 / 0.5) ** 2.
        ([(1, -1, 3, 0), (0.5, -1.5, 2.5, 0)], "not enough data", "43 times as many questions"),
        ([(0.01, -1, 1, 0)], "not enough data", "undecided: 0"),
        # One of two that is below refutes at 1.25 %: (2.24 + 0.84) 1.02 = 3.14 times as far.
        ([(1, -1, 3, 0), (-1, -3, 1, 0)], "not enough data", "10 times as many questions"),
        # Below 0 at 2.5 %, not at 2.5 % / 2: of two effects one is by chance.
        ([(-1, -1.9, -0.1, 0)], "does not hold here", "against it: 0"),
        ([(-1, -1.9, -0.1, 0), (1, 0.5, 1.5, 0)], "not enough data", "3 times as many questions"),
        ([(1, math.nan, math.nan, 0)], "not enough data", "no interval for: 0"),
    ],
)
def test_verdicts(effects, verdict, why):
    named = [Effect(str(i), *effect) for i, effect in enumerate(effects)]
    found = Finding("S0", "", effects=named).verdict()
    assert found[0] == verdict and found[1].endswith(why)


def test_false_verdicts_are_rare_whatever_the_number_of_effects():
    """Three effects: all 0, one false verdict either way in 2.5 %; all above 0, refuted in less."""
    generator = torch.Generator().manual_seed(0)
    counts = dict.fromkeys(("holds here", "does not hold here", "not enough data"), 0)
    for errors in torch.randn(4000, 3, generator=generator).tolist():
        effects = [Effect("", e, e - 1.96, e + 1.96, above=0) for e in errors]
        counts[Finding("S0", "", effects=effects).verdict()[0]] += 1
    assert counts["holds here"] < 0.005 * 4000
    assert 0.015 * 4000 < counts["does not hold here"] < 0.035 * 4000


def test_intervals_of_few_units_cover():
    """95 of 100, in repetitions, from 8 units on; without the correction it is 89."""
    covered = 0
    for seed in range(400):
        numbers = torch.randn(8, generator=torch.Generator().manual_seed(seed)) + 1
        effect = Finding("S0", "").add("", ratio, numbers, torch.ones(8))
        covered += effect.low < 1 < effect.high
    assert 0.92 * 400 <= covered <= 0.98 * 400


def test_a_statistic_beside_that_of_the_control():
    finding, ones = Finding("S0", ""), torch.ones(10)
    ours, control = torch.arange(10.0), torch.arange(10.0) / 2
    effects = finding.add_beside_control("a mean", ratio, [ours, ones], [control, ones], above=0)
    assert finding.effects == effects
    assert [e.label for e in effects] == ["a mean", "a mean, control", "a mean, less the control's"]
    assert [e.value for e in effects] == [4.5, 2.25, 2.25]
    assert [e.above for e in effects] == [None, None, 0]
    # The same units are drawn for both, so their difference varies as half of the first does.
    assert effects[2].high - effects[2].low == pytest.approx((effects[0].high - effects[0].low) / 2)


def test_students_tails_are_wider():
    effect = Effect("", -1.0, -1.95, -0.05, above=0)
    assert effect.is_refuted(1) and not effect._replace(free=4).is_refuted(2)
    assert effect._replace(free=4).error() == pytest.approx(0.95 / 2.776, abs=0.001)
    assert effect._replace(free=4).found() == pytest.approx((2.776 + 0.941) * 0.3422, abs=0.003)


def test_an_effect_is_the_bootstrap_of_its_sums():
    sums = torch.arange(40.0) ** 2, torch.arange(40.0)
    finding = Finding("S0", "")
    effect = finding.add("a label", ratio, *sums, above=3)
    value, low, high = bootstrap(ratio, *sums)
    wider = math.sqrt(39 / 38) * 2.0244 / 1.95996  # one of the 40 units is empty; Student's of 38
    expected = (value, value - wider * (value - low), value + wider * (high - value))
    assert effect[1:4] == pytest.approx(expected, rel=1e-5)
    assert finding.effects == [effect] and effect.label == "a label" and effect.above == 3
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
