"""The instance level: perplexity ranked within a step, and questions told apart before and after."""

import pytest
from made_up import line, report, value, write_run


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
