"""Several runs: settings are told apart, and compared seed by seed."""

import pytest
from made_up import CONFIG, line, report, value, verdicts, write_run

from options import InputError

SETTINGS = {
    "plain": ({}, 0.80, 0.05, 20),
    "low": ({"ppl_alpha": 0.1}, 0.85, 0.04, 20),
    "high": ({"ppl_alpha": -0.1}, 0.75, 0.09, 20),
    "late": ({"position_gamma": 0.1, "position_steepness": 15.0}, 0.82, 0.05, 24),
    "early": ({"position_gamma": 0.1, "position_steepness": -15.0}, 0.78, 0.05, 20),
    "other": ({"clip_high": 0.2}, 0.79, 0.05, 20),
}


def several(folder, seeds=3):
    base = CONFIG | {"ppl_alpha": 0.0, "position_gamma": 0.0, "position_steepness": 15.0}
    base |= {"clip_high": None, "objective": "clip"}
    for name, (options, accuracy, entropy, length) in SETTINGS.items():
        for seed in range(seeds):
            off = 0.01 * seed
            tail = {
                "accuracy": accuracy + off,
                "entropy": entropy + off / 10,
                "response_length": length + off,
            }
            summary = {"after": {"acc": {"mean": accuracy + off}}, "before": None, "steps": 30}
            lines = [line(s) | tail for s in range(1, 31)]
            write_run(
                folder / f"{name}-{seed}",
                lines,
                summary=summary,
                config=base | options | {"seed": seed},
            )
    return sorted(folder.iterdir())


def test_several_runs_are_compared_seed_by_seed(tmp_path):
    folders = several(tmp_path / "runs")
    out = tmp_path / "out"
    found = report(None, ("runs", folders), ("report", out))
    assert verdicts(found) == {"I3": "holds here", "T3": "holds here"}
    low = value(found["I3"], "accuracy, low")
    assert (low["value"], low["low"], low["high"]) == pytest.approx((0.05, 0.05, 0.05))
    text = (out / "report.md").read_text()
    assert "| ppl_alpha -0.1 | 3 |" in text and "| clip_high 0.2 | 3 |" in text
    cut = tmp_path / "runs" / "low-1" / "metrics.jsonl"  # a run that is still under way is left out
    lines = cut.read_text().replace('"accuracy": 0.86', '"accuracy": 0.1').splitlines(keepends=True)
    cut.write_text("".join(lines[:9]))
    (tmp_path / "runs" / "low-1" / "summary.json").unlink()
    again = report(None, ("runs", folders), ("report", out))
    assert value(again["I3"], "accuracy, low")["value"] == pytest.approx(0.05)
    assert "| GRPO | 3 |" in text and (out / "I3.png").exists()


def test_several_runs_without_what_a_claim_needs(tmp_path):
    folders = [f for f in several(tmp_path / "runs") if "low" in f.name or "high" in f.name]
    found = report(None, ("runs", folders), ("report", tmp_path / "out"))
    assert verdicts(found) == dict.fromkeys(("I3", "T3"), "not enough data")
    with pytest.raises(InputError, match="another run"):
        report(None, ("runs", folders + folders[:1]), ("report", tmp_path / "out"))
