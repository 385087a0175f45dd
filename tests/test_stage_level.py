"""S2 to S4 on numbers that can be worked out by hand; whole runs are in test_analyze.py."""

import math

import pytest
import torch
from made_up import line, sampled, values, write_run

from analysis.figures import OTHERS
from analysis.stage_level import (
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
from record import read_run

ENDS = Stages(40, 60)  # of steps 10 to 40 the first two are one end, the last two the other


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
    assert parts.tolist() == pytest.approx([0.4 * 0.2, 0.6 * 0.1, 0.24 - 0.08 - 0.06, 0.38 - 0.14])


def test_entropies_of_right_and_wrong_rollouts_are_compared(tmp_path):
    lines = []
    for step in range(
        1, 61
    ):  # the shares and entropies above at both ends of the rise, and between
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
    assert "from steps 1 to 8 to steps 33 to 40" in finding.notes[0]
    few = s2_right_and_wrong(read_run(write_run(tmp_path / "few", lines[:8])), Stages(None, 8))
    assert few.missing == "7 steps with both right and wrong rollouts; needed: 10 in the rise"


def two_ends():
    """A rollout in each of steps 10 to 40 and 60: of 4 tokens, in steps 30 and 40 of 8."""
    first = [
        (2.0, REST, True, 0),
        (1.0, FORMAL, False, 1),
        (0, META, False, 2),
        (0, REST, False, 3),
    ]
    last = [(2.0, REST, True, 0), *[(0.3, FORMAL, False, 1)] * 4, *[(0, REST, False, 3)] * 3]
    tokens = [*first * 2, *last * 2, *first]
    entropy, kind, beside, word = zip(*tokens, strict=True)
    columns = {"entropy": entropy, "kind": kind, "beside": beside, "word": word}
    words = ["castle", "12", "wait", " "]
    return sampled([10, 20, 30, 40, 60], lengths=[4, 4, 8, 8, 4], vocabulary=words, **columns)


def test_entropy_is_lost_and_words_gained_per_thousand_tokens():
    found = two_ends()
    finding = s3_which_tokens(ENDS, found)
    beside, formal, less, gain = values(finding).values()
    assert beside == pytest.approx(1000 * (2 / 4 - 2 / 8))
    assert formal == pytest.approx(1000 * (1 / 4 - 1.2 / 8))
    assert less == pytest.approx(beside - formal)
    assert gain == pytest.approx(1000 * (4 / 8 - 1 / 4))
    assert finding.notes[0] == "From the rollouts of steps 10, 20 to those of steps 30, 40."
    assert finding.notes[4] == "| `castle` | 250.00 | `12` | 250.00 |"
    changes = changes_of_words(found, ENDS.ends_of_rise(found.step, least=2))
    assert changes["entropy lost (nats)"].tolist() == pytest.approx([250, 100, 0, 0])
    assert changes["frequency gained"].tolist() == pytest.approx([-125, 250, -250, 125])


def test_rates_of_defects_at_both_ends():
    bad = torch.zeros(10, 4).bool()  # two rollouts in each of five steps, of one question
    bad[[0, 1, 2, 4], 0] = True  # format violation: three of four, then one of four
    bad[[6, 7], 2] = True  # language mixing comes up
    bad[[0, 8], 3] = True
    step, group = [10, 10, 20, 20, 30, 30, 40, 40, 60, 60], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    found = sampled(step, group=group, defects=bad)
    finding = s4_defects(ENDS, found)
    assert list(values(finding).values()) == [75, 25, 50, 0, 0, 0, 0, 50, -50, 25, 0, 25]
    judged = [effect.label for effect in finding.effects if effect.above is not None]
    assert judged == ["fall of format violation", "fall of language mixing"]
    assert not finding.missing
    bad[:, :3] = False
    assert (
        "none of the defects" in s4_defects(ENDS, sampled(step, group=group, defects=bad)).missing
    )


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
