"""S2 to S4 on numbers that can be worked out by hand; whole runs are in test_analyze.py."""

import math
from functools import partial
from statistics import fmean

import pytest
import torch
from made_up import line, sampled, values, write_run
from worlds_stage_level import MADE_UP, coverage, s2

from analysis.effects import Finding, difference
from analysis.figures import OTHERS
from analysis.stage_level import (
    OFTEN,
    add_jackknifed,
    changes_of_words,
    draw_defects,
    draw_right_and_wrong,
    draw_words,
    parts_of_fall,
    s2_right_and_wrong,
    s3_which_tokens,
    s4_defects,
    share_of_wrong,
)
from analysis.stages import Stages
from analysis.words import FORMAL, META, REST
from eval import ratio
from record import read_run

ENDS = Stages(40, 60)  # of steps 10 to 40 the first two are one end, the last two the other


def interval(statistic, *samples):
    return add_jackknifed(Finding("", ""), "", statistic, *samples)


def test_the_jackknife_of_a_mean_is_the_t_interval():
    values = torch.tensor([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    ones = torch.ones(8)
    found = interval(ratio, [values, ones])
    error = values.std().item() / 8**0.5
    assert found.error() == pytest.approx(error)
    assert (found.value, found.free) == (pytest.approx(3.875), 7)
    # Twice as much: another sample as wide, so the standard error grows by sqrt(2).
    two = interval(difference, [values, ones], [values.flip(0), ones])
    assert (two.value, two.error()) == (pytest.approx(0), pytest.approx(2**0.5 * error))
    assert two.free == 14


def test_few_units_that_count_give_few_degrees_of_freedom():
    rare = torch.zeros(32)
    rare[:3] = torch.tensor([1.0, 1.0, 9.0])
    ones = torch.ones(32)
    assert interval(ratio, [rare, ones]).free == 4
    assert math.isnan(interval(ratio, [rare[:5], ones[:5]]).low)  # too few units
    one = torch.cat([torch.ones(1), torch.zeros(31)])  # all in one unit: nothing is left without it
    assert interval(ratio, [one, one]).value == 1 and math.isnan(interval(ratio, [one, one]).low)
    assert interval(ratio, [ones, ones])[1:4] == (1, 1, 1)


def test_intervals_cover_what_they_should():
    """At a true coverage of 95 % less than 90 % of 200 cover once in 860 times."""
    for finding in ("S2", "S3", "S4"):
        make = next(make for name, *_, make in MADE_UP if name == finding)
        rates = coverage(make, 200)
        assert rates and all(rate >= 0.9 for rate in rates.values()), rates


def test_three_times_as_long_a_rise_narrows_the_parts_of_the_fall():
    make = partial(s2, wrong=(0.18, 0.12), right=(0.135, 0.075))
    short, long = (
        fmean(make(seed, knee=knee).effects[-1].error() for seed in range(20)) for knee in (56, 168)
    )
    assert short / long == pytest.approx(3**0.5, rel=0.15)


def test_the_share_of_wrong_rollouts_is_read_off_the_means():
    nan = math.nan
    every, right, wrong = torch.tensor(
        [
            [0.20, 0.30, 0.1, 0.5, 0.60, 0.3],
            [0.10, 0.10, 0.1, nan, 0.10, 0.3],
            [0.50, 0.30, nan, 0.5, 0.50, 0.3],
        ]
    )
    # A quarter, all, none are wrong, none are right, more than there are, and it cannot be told.
    assert share_of_wrong(every, right, wrong).tolist() == pytest.approx([0.25, 1, 0, 1, 1, 0.5])


def test_the_fall_has_three_parts():
    # First end, of two steps: 60 % wrong at 0.5 nats, 40 % right at 0.2.
    # Last end, of one: 20 % at 0.3, 80 % at 0.1.
    parts = parts_of_fall(*torch.tensor([2, 1.2, 0.8, 0.6, 0.16, 1, 0.2, 0.8, 0.06, 0.08]))
    expected = [0.4 * 0.2, 0.6 * 0.1, 0.24 - 0.08 - 0.06, 0.38 - 0.14, 0.2, 0.1]
    assert parts.tolist() == pytest.approx(expected)


def test_entropies_of_right_and_wrong_rollouts_are_compared(tmp_path):
    lines = []
    for step in range(1, 61):  # those above at both ends of the rise, and between
        first = step <= 20
        wrong, right, share = (0.5, 0.2, 0.6) if first else (0.3, 0.1, 0.2)
        found = {"entropy_rollout_mean_wrong": wrong, "entropy_rollout_mean_correct": right}
        found["entropy_rollout_mean"] = share * wrong + (1 - share) * right
        lines.append(line(step) | found | ({} if step != 3 else dict.fromkeys(found)))
    run = read_run(write_run(tmp_path / "run", lines))
    finding = s2_right_and_wrong(run, Stages(40, 60))
    assert values(finding) == {
        "wrong less right, rising stage (nats)": pytest.approx((19 * 0.3 + 20 * 0.2) / 39),
        "wrong less right, plateau (nats)": pytest.approx(0.2),
        "fall in a wrong rollout (nats)": pytest.approx(0.2),
        "fall in a right rollout (nats)": pytest.approx(0.1),
        "fall of all rollouts (nats)": pytest.approx(0.24),
        "share of it within wrong rollouts (%)": pytest.approx(100 * 0.08 / 0.24),
        "share of it within right ones (%)": pytest.approx(25),
        "share of it by fewer wrong ones (%)": pytest.approx(100 * 0.10 / 0.24),
        "fall within wrong rollouts less that within right ones (nats)": pytest.approx(0.02),
    }
    assert finding.verdict()[0] == "holds here"
    assert "from the mean of steps 1 to 8 to that of steps 33 to 40" in finding.notes[0]
    few = s2_right_and_wrong(read_run(write_run(tmp_path / "few", lines[:8])), Stages(None, 8))
    assert few.missing == "7 steps with right and wrong ones; needed: 10 in the rise"


def two_ends():
    """A rollout in each of steps 10 to 40 and 60: of 4 tokens, in steps 30 and 40 of 8."""
    first = [
        (2.0, REST, True, 0),
        (1.0, FORMAL, False, 1),
        (0, META, False, 2),
        (0, REST, False, 3),
    ]
    last = [(1.5, REST, True, 0), *[(0.3, FORMAL, False, 1)] * 4, *[(0, REST, False, 3)] * 3]
    tokens = [*first * 2, *last * 2, *first]
    entropy, kind, beside, word = zip(*tokens, strict=True)
    columns = {"entropy": entropy, "kind": kind, "beside": beside, "word": word}
    words = ["castle", "12", "wait", " "]
    return sampled([10, 20, 30, 40, 60], lengths=[4, 4, 8, 8, 4], vocabulary=words, **columns)


def test_entropy_a_token_and_frequency_are_told_apart():
    found = two_ends()
    finding = s3_which_tokens(ENDS, found)
    each = values(finding)
    per_token, gain, whole, by_entropy, by_number = list(each.values())[:5]  # beside the task
    assert (per_token, gain) == (pytest.approx(2 - 1.5), pytest.approx(1000 * (1 / 8 - 1 / 4)))
    assert whole == pytest.approx(1000 * (2 / 4 - 1.5 / 8)) == pytest.approx(by_entropy + by_number)
    assert by_entropy == pytest.approx(1000 * (1 / 4 + 1 / 8) / 2 * 0.5)
    per_token, gain, whole, by_entropy, by_number, less = list(each.values())[5:]  # formal ones
    assert (per_token, gain) == (pytest.approx(0.7), pytest.approx(1000 * (4 / 8 - 1 / 4)))
    assert whole == pytest.approx(1000 * (1 / 4 - 1.2 / 8)) == pytest.approx(by_entropy + by_number)
    assert by_number == pytest.approx(-1000 * (1 / 2 - 1 / 4) * (1 + 0.3) / 2)
    assert less == pytest.approx(0.5 - 0.7)
    judged = [effect.label.partition(" (")[0] for effect in finding.effects if effect.above == 0]
    assert judged == [
        "beside the task: fall of entropy",
        "formal reasoning: gain",
        "fall of entropy beside the task less that on formal reasoning",
    ]
    assert finding.notes[0] == "From the rollouts of steps 10, 20 to those of steps 30, 40."
    assert finding.notes[4] == "| `castle` | 312.50 | `12` | 250.00 |"
    changes = changes_of_words(found, ENDS.ends_of_rise(found.step, least=2))
    assert changes["entropy lost (nats)"].tolist() == pytest.approx([312.5, 100, 0, 0])
    assert changes["frequency gained"].tolist() == pytest.approx([-125, 250, -250, 125])


def test_words_beside_the_task_that_are_gone_have_no_entropy():
    found = two_ends()
    found.beside[8:] = False
    finding = s3_which_tokens(ENDS, found)
    whole = next(
        e for e in finding.effects if "beside the task: fall of entropy (nats per" in e.label
    )
    assert whole.value == pytest.approx(1000 * 2 / 4)
    assert finding.verdict()[0] == "not enough data"
    assert (
        "no interval for: beside the task: fall of entropy (nats a token)" in finding.verdict()[1]
    )


def test_rates_of_defects_at_both_ends():
    step = [
        s for s in (10, 20, 30, 40, 60) for _ in range(16)
    ]  # eight questions, two rollouts each
    group = [i // 2 for i in range(80)]
    bad = torch.zeros(80, 4).bool()
    bad[0:32, 0] = bad[32:40, 0] = True  # format violation: all, then a quarter
    bad[52:64, 2] = True  # language mixing comes up, in six questions
    bad[0:32, 3] = True
    found = sampled(step, group=group, defects=bad)
    finding = s4_defects(ENDS, found)
    assert list(values(finding).values()) == [75, 0, -37.5, 100]
    judged = [effect.label for effect in finding.effects if effect.above is not None]
    assert judged == ["fall of format violation (points)", "fall of language mixing (points)"]
    assert finding.verdict()[0] == "does not hold here"
    assert finding.notes[4] == "| format violation | 32 of 32 | 8 of 32 | yes |"
    assert finding.notes[-1] == "| truncation | 32 of 32 | 0 of 32 | no |"
    bad[52:54, 2] = False  # in five
    finding = s4_defects(ENDS, sampled(step, group=group, defects=bad))
    assert finding.effects[2].above is None and finding.verdict()[0] == "holds here"
    bad[:, 0] = False
    finding = s4_defects(ENDS, sampled(step, group=group, defects=bad))
    assert finding.missing.startswith(f"no defect is in {OFTEN} or more")


def test_what_is_drawn_is_what_was_measured():
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    found = two_ends()
    changes = {
        "lost": torch.tensor([3.0, 1.0, 2.0, 0.0]),
        "gained": torch.tensor([0.0, 1.0, 2.0, 3.0]),
    }
    draw_words(figure := Figure(), found, changes, {"lost": [0, 2], "gained": [3, 2]})
    for axes, words, widths in zip(
        figure.axes, (["wait", "castle"], ["wait", "_"]), ([2, 3], [2, 3])
    ):
        assert [label.get_text() for label in axes.get_yticklabels()] == words
        assert [bar.get_width() for bar in axes.patches[:2]] == widths
    colours = [to_hex(bar.get_facecolor()).upper() for bar in figure.axes[0].patches[:2]]
    assert colours == [OTHERS[META], OTHERS[REST]]

    bad = torch.tensor([[True, False, False, False], [False] * 4, [True] * 4, [True] * 4])
    draw_defects(figure := Figure(), sampled([1, 1, 2, 3], defects=bad), Stages(2, 3))
    lines = figure.axes[0].lines
    assert [list(each.get_ydata()) for each in lines[:4]] == [[50, 100, 100]] + [[0, 100, 100]] * 3
    assert list(lines[4].get_xdata()) == [2, 2]  # the plateau

    step, right, wrong = (
        torch.arange(1, 5),
        torch.full((4,), 0.1),
        torch.tensor([0.5, 0.4, 0.3, 0.2]),
    )
    finding = s4_defects(ENDS, sampled([10, 20, 30, 40]))
    draw_right_and_wrong(
        figure := Figure(), step, right, wrong, finding.effects[:3], Stages(None, 4)
    )
    drawn = {each.get_label(): each for each in figure.axes[0].lines}
    assert drawn["wrong rollouts"].get_ydata().tolist() == pytest.approx([0.45, 0.4, 0.3, 0.25])
    assert drawn["right rollouts"].get_ydata().tolist() == pytest.approx([0.1] * 4)
