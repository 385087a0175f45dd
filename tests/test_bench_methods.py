"""The script that compares methods: what it reads from finished runs."""

import math

import bench_methods
import pytest
from made_up import line, write_run

from record import Run


def summary(accuracy):
    after = {name: {"mean": accuracy + up} for name, up in (("acc", 0.0), ("maj", 0.1))}
    return {"steps": 60, "before": None, "after": after | {"pass": {"8": {"mean": 0.99}}}}


def lines(rises_at, steps=60):
    """Accuracy is 0.5 up to a step, 0.8 after it."""
    curve = [0.5 if step <= rises_at else 0.8 for step in range(1, steps + 1)]
    return [line(i + 1) | {"accuracy": x, "entropy": 0.1 - i / 1000} for i, x in enumerate(curve)]


def test_what_is_measured_of_a_run():
    found = bench_methods.measured(Run("run", {}, lines(20), summary(0.7)))
    # 17 of 20 steps at 0.8 and 3 at 0.5 are 0.755 on average, the first window above 0.75.
    assert found["steps to 75 %"] == 37
    entropies = [0.1 - i / 1000 for i in range(40, 60)]
    assert found["entropy"] == pytest.approx(sum(entropies) / 20)
    assert (found["Acc@8"], found["Pass@8"]) == (0.7, 0.99)
    assert found["Maj@8"] == pytest.approx(0.8)
    for rises_at in (44, 60):  # 16 of 20, and none
        run = Run("run", {}, lines(rises_at), summary(0.7))
        assert bench_methods.measured(run)["steps to 75 %"] == math.inf


def test_the_report_counts_runs_that_never_arrive_and_leaves_out_unfinished_ones(tmp_path):
    runs = {}
    for method, rises, accuracy in (("kl_cov", 50, 0.60), ("clip-higher", 10, 0.70)):
        for seed in range(4):
            runs[method, seed] = tmp_path / f"{method}-{seed}"
            finished = summary(accuracy + (seed % 2) / 100) if seed < 3 else None
            write_run(runs[method, seed], lines(rises + seed), summary=finished)
    runs["clip", 0] = tmp_path / "not there"
    text = bench_methods.report(runs)
    order = [line.split(" | ")[0] for line in text if line.startswith("| ")]
    assert order == ["| setting", "| ---", "| clip-higher", "| kl_cov"] + [
        *["| setting", "| ---", "| kl_cov"] * 2
    ]
    usual, ours, less, power = (row for row in text if row.startswith(("| clip-h", "| kl_cov")))
    assert usual.startswith("| clip-higher | 3 | 0.703 ±") and usual.endswith("| 28 ± 2 |")
    assert ours.startswith("| kl_cov | 3 |") and ours.endswith("| never |")
    assert less.startswith("| kl_cov | 3 | -0.100 ±") and less.endswith(
        "| ≥ 32 (3 of 3 never) ** |"
    )
    assert power.endswith("|  |")
