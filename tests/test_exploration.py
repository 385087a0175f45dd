"""X1: questions told apart before and after training."""

import pytest
from made_up import line, report, value, values, write_run

from analysis.exploration import draw_exploration, x1_exploration
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
    assert value(found, "gain of Pass@2")["value"] == pytest.approx(1 / 40)
    assert found["verdict"] == "holds here"


def ends_of(n, before, after):
    """A summary by the number of right rollouts, of n, of each question."""
    summary = {"steps": 1}
    for name, right in (("before", before), ("after", after)):
        interval = {"mean": sum(right) / n / len(right), "low": 0.1, "high": 0.9}
        found = {"samples": n, "questions": len(right), "unsolved": right.count(0), "right": right}
        summary[name] = found | {
            "acc": interval,
            "pass": {str(k): interval for k in range(1, n + 1)},
        }
    return summary


def test_solving_more_often_is_not_solving_more():
    summary = ends_of(4, [0, 0, 1, 2, 4], [0, 4, 4, 4, 0])
    finding = x1_exploration(Run(None, {}, [], summary), Stages(None, 0))
    found = values(finding)
    assert (found["Pass@1 before"], found["Pass@1 after"]) == (7 / 20, 12 / 20)
    judged = [effect.label for effect in finding.effects if effect.above == 0]
    assert judged == ["gain of Pass@1", "gain of Pass@1 less that of Pass@4"]
    assert list(found) == [
        *("Pass@1 before", "Pass@1 after", "Pass@4 before", "Pass@4 after"),
        *("unsolved in 4 rollouts before", "unsolved in 4 rollouts after", "... before and after"),
        *("gain of Pass@1", "gain of Pass@4", "gain of Pass@1 less that of Pass@4"),
    ]
    assert [found[f"unsolved in 4 rollouts {when}"] for when in ("before", "after")] == [2, 2]
    assert found["... before and after"] == 1  # the first; the last was unlearnt
    assert found["gain of Pass@1"] == pytest.approx((4 + 3 + 2 - 4) / 4 / 5)
    assert found["gain of Pass@4"] == pytest.approx((1 - 1) / 5)
    assert found["gain of Pass@1 less that of Pass@4"] == pytest.approx(1 / 4)


def test_exploration_needs_an_evaluation_that_tells_questions_apart():
    one = Run(None, {}, [line(1)], ends_of(1, [0, 1], [1, 1]))
    finding = x1_exploration(one, Stages(None, 1))
    assert list(values(finding))[:3] == [
        "Pass@1 before",
        "Pass@1 after",
        "unsolved in 1 rollouts before",
    ]
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
