"""X1: questions told apart before and after training."""

import math

import pytest
import torch
from made_up import line, report, value, values, write_run
from torch.nn.functional import one_hot
from worlds_instances import ends_of

from analysis.exploration import draw_exploration, equal_rise, exact_share, splits, x1_exploration
from analysis.stages import Stages
from record import Run


def test_exploration_tells_the_questions_apart(tmp_path):
    interval = {"mean": 0.5, "low": 0.4, "high": 0.6}
    ends = {
        name: {"samples": 2, "questions": 40, "unsolved": u, "right": right, "acc": interval}
        | {"pass": {"1": interval, "2": interval}}
        for name, u, right in (
            ("before", 10, [0] * 10 + [1] * 30),
            ("after", 9, [0] * 9 + [2] * 31),
        )
    }
    run = write_run(tmp_path / "run", [line(1)], summary=ends | {"steps": 1})
    found = report(run)["X1"]
    assert value(found, "... before and after")["value"] == 9
    assert value(found, "gain of Pass@1")["value"] == pytest.approx((1 * 2 + 30 * 1) / 2 / 40)
    assert found["verdict"] == "not enough data"  # nobody can say what a rise would have solved


JUDGED = ["gain of Pass@1", "gain of Pass@4 by an equal rise less that measured"]


def judged(before, after):
    finding = x1_exploration(Run(None, {}, [], ends_of(4, before, after)), Stages(None, 0))
    assert [effect.label for effect in finding.effects if effect.above == 0] == JUDGED
    return finding


def test_solving_more_often_is_not_solving_more():
    finding = judged([0, 0, 1, 2, 4], [0, 4, 4, 4, 0])
    found = values(finding)
    assert (found["Pass@1 before"], found["Pass@1 after"]) == (7 / 20, 12 / 20)
    assert list(found) == [
        *("Pass@1 before", "Pass@1 after", "Pass@4 before", "Pass@4 after"),
        *("unsolved in 4 rollouts before", "unsolved in 4 rollouts after", "... before and after"),
        *(JUDGED[0], "gain of Pass@4", "equal rise (log-odds)"),
        *("gain of Pass@4 by an equal rise", JUDGED[1]),
    ]
    assert [found[f"unsolved in 4 rollouts {when}"] for when in ("before", "after")] == [2, 2]
    assert found["... before and after"] == 1  # the first; the last was unlearnt
    assert found["gain of Pass@1"] == pytest.approx((4 + 3 + 2 - 4) / 4 / 5)
    assert found["gain of Pass@4"] == pytest.approx((1 - 1) / 5)
    # Two questions can tell, with 4 right of 8: one was newly solved and the other lost.
    table = splits(4, torch.tensor(found["equal rise (log-odds)"]))[4]
    equal = 2 * (table[4] - table[0]).item() / 5
    assert found["gain of Pass@4 by an equal rise"] == pytest.approx(equal, abs=1e-4)
    assert found[JUDGED[1]] == pytest.approx(equal, abs=1e-4)
    assert finding.notes[1].startswith("2 questions have 1 to 4 right rollouts")
    assert "1 were newly solved and 1 lost" in finding.notes[1]


def test_the_verdict_is_on_what_an_equal_rise_would_have_solved():
    hard, easy = [1] * 30, [2] * 30
    assert judged(hard + easy, [0] * 30 + [4] * 30).verdict()[0] == "holds here"
    chances = torch.tensor([[0.2] * 60, [0.4] * 60])  # an equal rise
    alike = torch.binomial(torch.full((2, 60), 4.0), chances, generator=torch.manual_seed(0)).int()
    assert judged(*alike.tolist()).verdict()[0] == "not enough data"
    # Less is right: sharpening or not, the claim is wrong.
    assert judged(hard + easy, [1] * 30 + [0] * 30).verdict()[0] == "does not hold here"
    # The hard ones rise most: all of them are newly solved.
    more = judged([0] * 60 + [2] * 60, [3] * 60 + [3] * 60)
    assert more.verdict()[0] == "does not hold here"
    assert JUDGED[1] in more.verdict()[1] and JUDGED[0] not in more.verdict()[1].split("; ")


def test_at_the_ceiling_nothing_is_decided_and_the_note_says_why():
    finding = judged([3, 4] * 20, [4] * 40)
    assert finding.verdict()[0] == "not enough data"
    assert finding.notes[1].startswith("0 questions have 1 to 4 right")
    assert finding.notes[1].endswith("harder questions would tell more.")
    assert "no interval" in finding.verdict()[1]


def sums_of(right, n):
    return [x[None].double() for x in (*one_hot(right.sum(0), 2 * n + 1).T.sum(1), right[1].sum())]


@pytest.mark.parametrize("shape", ["hard", "in a U"])
def test_an_equal_rise_is_found_again_whatever_the_questions_are(shape):
    generator = torch.Generator().manual_seed(0)
    at = torch.rand(40000, generator=generator).double()
    log_odds = 2 * at - 4 if shape == "hard" else (at * torch.pi / 2).sin().square().logit()
    chances = torch.stack([log_odds, log_odds + 1.3]).sigmoid()
    right = torch.binomial(torch.full_like(chances, 4), chances, generator=generator).long()
    rise, gain = equal_rise(*sums_of(right, 4))
    assert rise.item() == pytest.approx(1.3, abs=0.05)
    before, after = (1 - (1 - chances) ** 4).mean(1).tolist()
    assert gain.item() == pytest.approx(after - before, abs=0.01)


def test_a_rise_beyond_all_that_are_tried_is_the_last_of_them():
    rise, gain = equal_rise(*sums_of(torch.tensor([[0, 0], [3, 3]]), 3))
    assert (rise.item(), gain.item()) == (12, pytest.approx(1, abs=1e-3))
    rise, gain = equal_rise(*sums_of(torch.tensor([[3, 0], [3, 0]]), 3))
    assert rise.isnan() and gain.isnan()


def test_splits_are_those_of_binomials_of_one_sum():
    rise, log_odds = 0.7, -0.4
    for n in (1, 3):
        found = splits(n, torch.tensor(rise))
        before, after = (
            torch.distributions.Binomial(n, torch.tensor(x).sigmoid()).log_prob(
                torch.arange(n + 1.0)
            )
            for x in (log_odds, log_odds + rise)
        )
        for both in range(2 * n + 1):
            each = [
                (before[both - j] + after[j]).exp().item() if 0 <= both - j <= n else 0.0
                for j in range(n + 1)
            ]
            wanted = [x / sum(each) for x in each]
            assert found[both].tolist() == pytest.approx(wanted, abs=1e-6)


def test_the_exact_interval_of_a_share():
    assert exact_share(0, 20, 20) == pytest.approx((0, 0.1684), abs=1e-4)
    assert exact_share(20, 20, 20) == pytest.approx((1 - 0.1684, 1), abs=1e-4)
    assert exact_share(7, 50, 100) == pytest.approx((0.0291, 0.1337), abs=1e-4)
    assert exact_share(7, 50, 50) == pytest.approx((0.0582, 0.2674), abs=1e-4)
    assert all(map(math.isnan, exact_share(0, 0, 0)))


def test_exploration_needs_an_evaluation_that_tells_questions_apart():
    one = Run(None, {}, [line(1)], ends_of(1, [0, 1], [1, 1]))
    finding = x1_exploration(one, Stages(None, 1))
    assert list(values(finding))[:3] == [
        "Pass@1 before",
        "Pass@1 after",
        "unsolved in 1 rollouts before",
    ]
    assert "--eval_samples" in finding.missing
    for name in ("before", "after"):
        del one.summary[name]["right"]
    finding = x1_exploration(one, Stages(None, 1))
    assert "tell the questions apart" in finding.missing and len(finding.effects) == 4
    assert "not ended" in x1_exploration(one._replace(summary={}), Stages(None, 1)).missing


def test_pass_at_k_is_drawn_over_k():
    from matplotlib.figure import Figure

    run = Run(None, {}, [line(s) for s in range(1, 5)], ends_of(3, [0, 3], [3, 3]))
    draw_exploration(figure := Figure(), run, Stages(None, 4))
    before, after = figure.axes[0].lines
    assert list(before.get_xdata()) == [1, 2, 3] and list(before.get_ydata()) == [0.5] * 3
    assert list(after.get_ydata()) == [1] * 3
    each = [x["branching_factor"] for x in run.lines]
    assert figure.axes[1].lines[0].get_ydata().tolist() == pytest.approx(each)
