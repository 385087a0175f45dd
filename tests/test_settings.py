"""Several runs: settings are told apart, and compared seed by seed."""

import pytest
from made_up import CONFIG, line, report, value, verdicts, write_run

from analysis.settings import (
    by_setting,
    came_to,
    draw_curves,
    f_final_methods,
    i3_perplexity,
    less,
    table_of_settings,
    with_signs,
)
from options import InputError
from record import Run

SETTINGS = {
    "plain": ({}, 0.80, 0.05, 20),
    "low": ({"ppl_alpha": 0.1}, 0.85, 0.06, 22),
    "high": ({"ppl_alpha": -0.1}, 0.75, 0.09, 20),
    "late": ({"position_gamma": 0.1, "position_steepness": 15.0}, 0.82, 0.07, 24),
    "early": ({"position_gamma": 0.1, "position_steepness": -15.0}, 0.78, 0.06, 20),
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
    assert verdicts(found) == dict.fromkeys(("I3", "T3", "F"), "holds here")
    low = value(found["I3"], "accuracy, low")
    assert (low["value"], low["low"], low["high"]) == pytest.approx((0.05, 0.05, 0.05))
    text = (out / "report.md").read_text()
    bands = "lines are means over seeds, bands go from the lowest seed to the highest."
    assert f"\nlow perplexity: ppl_alpha 0.1; high perplexity: ppl_alpha -0.1; {bands}\n" in text
    late, early = "position_gamma 0.1", "position_gamma 0.1, position_steepness -15.0"
    assert f"\nlate tokens: {late}; early tokens: {early}; {bands}\n" in text
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
    assert verdicts(found) == dict.fromkeys(("I3", "T3", "F"), "not enough data")
    with pytest.raises(InputError, match="another run"):
        report(None, ("runs", folders + folders[:1]), ("report", tmp_path / "out"))


# ------------------------------------------------------------------------ on numbers made by hand


def made(seed=0, accuracies=(0.5,), after=None, **options):
    """A Run of so many steps that exists nowhere."""
    lines = [line(s) | {"accuracy": x} for s, x in enumerate(accuracies, 1)]
    summary = {} if after is None else {"after": {"acc": {"mean": after}}}
    return Run(f"run-{seed}", {"seed": seed} | options, lines, summary)


def test_settings_are_named_by_what_they_change():
    plain, high = {"objective": "clip", "rate": 1}, {"objective": "clip", "rate": 2}
    found = by_setting(
        [made(0, **high), made(0, **plain), made(1, **plain), made(0, **plain, ppl_alpha=0.1)]
        + [made(0, **(plain | {"objective": "kl_cov"}), cov=2)]
    )
    # Two of them are plain GRPO; the one that is nearer to all others is meant.
    names = ["rate 2", "GRPO", "ppl_alpha 0.1", "cov 2, objective kl_cov"]
    assert {name: list(seeds) for name, seeds in found.items()} == dict(
        zip(names, ([0], [0, 1], [0], [0]), strict=True)
    )
    found = by_setting([made(0, ppl_alpha=0.1), made(0, ppl_alpha=0.2)])
    assert list(found) == ["the first", "ppl_alpha 0.2"]
    with pytest.raises(InputError, match="run-0 has the options and the seed of another run"):
        by_setting([made(0, ppl_alpha=0.1), made(0, ppl_alpha=0.1)])


def test_the_setting_a_claim_is_about_is_found_by_its_signs():
    def runs(*seeds, **options):
        return {seed: made(seed, **options) for seed in seeds}

    late = {"position_gamma": 0.1, "position_steepness": 15.0}
    settings = {
        "GRPO": runs(0, 1, 2, 3, position_gamma=0.0, position_steepness=15.0),
        "weak": runs(0, ppl_alpha=0.01),
        "strong": runs(0, 1, ppl_alpha=0.1),
        "late": runs(0, **late),
        "early": runs(0, **late | {"position_steepness": -15.0}),
        "both": runs(0, 1, 2, 3, ppl_alpha=0.1, **late),
    }
    signs = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (0, 0))
    found = [with_signs(settings, *pair) for pair in signs]
    assert found == ["strong", None, "late", "early", "both", "GRPO"]


def test_what_a_run_came_to():
    accuracies = [0.1] * 18 + [0.4, 0.6]
    assert came_to(made(accuracies=accuracies), "accuracy") == pytest.approx(0.5)
    assert came_to(made(accuracies=accuracies, after=0.9), "accuracy") == 0.9
    assert came_to(made(accuracies=[0.1, 0.2, 0.3], after=0.9), "branching_factor") != 0.9
    assert came_to(made(accuracies=[0.1, 0.2, 0.3]), "accuracy") == 0.3


def test_differences_are_of_the_seeds_that_both_have():
    ours = {0: made(after=0.5), 1: made(after=0.7), 2: made(after=0.9), 3: made(after=0.0)}
    theirs = {0: made(after=0.4), 1: made(after=0.4), 3: made(after=1.0, accuracies=[0.1] * 2)}
    assert less(ours, theirs, "accuracy") == pytest.approx([0.1, 0.3])
    assert less(ours, {}, "accuracy") == [] == less(ours, {2: theirs[3]}, "accuracy")


def test_a_finding_of_few_seeds_refutes_by_students_tails():
    """Of five seeds, at a third of 2.5 %: t = 3.96, where the normal distribution has 2.39."""

    def found(high):  # it beats GRPO by so much, with a standard error of 0.01 over seeds
        off = [0.05**0.5 / 10 * x for x in (-1.2649, -0.6325, 0, 0.6325, 1.2649)]
        runs = {
            "GRPO": {s: made(s, after=0.5, ppl_alpha=0.0) for s in range(5)},
            "high": {s: made(s, after=0.5 + high + off[s], ppl_alpha=-0.1) for s in range(5)},
            "low": {s: made(s, after=0.6 + off[s], ppl_alpha=0.1) for s in range(5)},
        }
        for run in runs["high"].values():
            run.lines[-1]["entropy"] += 0.1
        return i3_perplexity(runs).verdict()

    assert found(0.036)[0] == "not enough data"  # 3.6 standard errors
    assert found(0.043) == ("does not hold here", "against it: accuracy, GRPO less high perplexity")


def test_one_seed_decides_nothing():
    runs = {"GRPO": {0: made(0, after=0.5)}, "low": {0: made(0, after=0.9, ppl_alpha=0.1)}}
    verdict, why = f_final_methods(runs).verdict()
    assert verdict == "not enough data" and "no seed has both" in why
    runs["late"] = {0: made(0, after=0.9, position_gamma=0.1, position_steepness=15.0)}
    verdict, why = f_final_methods(runs).verdict()
    assert verdict == "not enough data" and why.startswith("no interval for: entropy, low")


def test_the_table_is_of_what_settings_came_to():
    runs = {"GRPO": (0.50, 0.52, 0.54), "better": (0.60, 0.62, 0.65)}
    settings = {
        name: {seed: made(seed, after=x) for seed, x in enumerate(values)}
        for name, values in runs.items()
    }
    settings["better"][1] = made(1, [0.5, 0.5], after=0.62)  # longer than that of GRPO
    table = table_of_settings(settings)
    assert "| setting | seeds | accuracy | entropy (nats) | length (tokens) |" in table
    # Of three values the half width is 4.303 times their standard deviation over the root of 3.
    assert next(x for x in table if "GRPO" in x).startswith("| GRPO | 3 | 0.520 ± 0.050 |")
    rows = [x for x in table if x.startswith("| better")]
    # 0.10 and 0.11: a standard error of 0.005, and of two values the half width is 12.706 times it.
    assert rows[1].startswith("| better | 2 | 0.105 ± 0.064 ** |")


def test_curves_are_drawn_as_far_as_all_seeds_have_come():
    from matplotlib.figure import Figure

    runs = {0: made(0, [0.1, 0.1, 0.1]), 1: made(1, [0.3, 0.3, 0.3, 0.9])}
    draw_curves(figure := Figure(), {"GRPO": runs, "x": runs}, {"GRPO": "GRPO", "x": "other"})
    curve, other = figure.axes[0].lines
    assert list(curve.get_xdata()) == [1, 2, 3]
    assert curve.get_ydata().tolist() == pytest.approx([0.2] * 3)
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.1, 0.3))
    assert curve.get_color() != other.get_color()
