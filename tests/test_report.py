"""report.md, findings.json, and what is said and drawn at the end of a run."""

import json
import math
import sys

import pytest
from made_up import line, write_run

from analysis.effects import Effect, Finding
from analysis.report import HOW_TO_READ, as_json, end_of_run, section, write_report
from record import ENTROPY_CHANGES, Progress

FINDING = Finding(
    "S0",
    "It rises.",
    "steps",
    [Effect("a rise", 1.23456, 0.5, 2.0, above=0), Effect("a number", 7, math.nan, math.nan)],
    notes=["A note."],
)


def test_a_finding_in_markdown():
    assert section(FINDING, with_figure=True) == [
        *("## S0", "", "It rises.", "", "**holds here**", "", "![S0](S0.png)", ""),
        "|  | measured | 95 % interval over steps | claimed | found in 80% |",
        "| --- | --- | --- | --- | --- |",
        "| a rise | 1.23 | [0.5, 2] | above 0 | 1.07 |",
        "| a number | 7 |  |  |  |",
        *("", "A note.", ""),
    ]
    bare = section(Finding("S9", "Nothing.", missing="needed: more"), with_figure=False)
    assert bare == ["## S9", "", "Nothing.", "", "**not enough data** (needed: more)", ""]


def test_a_finding_in_json():
    found = as_json(FINDING)
    rise = {"label": "a rise", "value": 1.23456, "low": 0.5, "high": 2.0, "above": 0, "free": None}
    number = {"label": "a number", "value": 7} | dict.fromkeys(("low", "high", "above", "free"))
    found_at = pytest.approx(2.8016 * 1.5 / 3.92, abs=1e-4)
    assert found["effects"] == [rise | {"found": found_at}, number | {"found": None}]
    del found["effects"]
    said = {"name": "S0", "claim": "It rises.", "verdict": "holds here", "why": ""}
    assert found == said | {"intervals_over": "steps"}


def test_a_figure_of_an_earlier_report_does_not_stay(tmp_path):
    sizes = []
    drawn = Finding("S8", "", draw=lambda figure: sizes.append(tuple(figure.get_size_inches())))
    drawn.height = 4.2
    write_report([drawn], tmp_path, "A title", ["", "A note."])
    assert sizes == [(7, 4.2)] and (tmp_path / "S8.png").exists()
    drawn.draw = None
    write_report([drawn], tmp_path, "A title", ["", "A note."])
    assert not (tmp_path / "S8.png").exists()
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert lines[:9] == [
        *("# A title", "", "|  | claim | verdict |", "| --- | --- | --- |"),
        *("| [S8](#s8) |  | not enough data |", "", HOW_TO_READ, "", "A note."),
    ]
    assert "![" not in "".join(lines)


# ---------------------------------------------------------------------------- the end of a run


def evaluation(right):
    """A summary of 3 questions of 2 rollouts each, of which so many are right."""
    interval = {"mean": right / 6, "low": right / 6 - 0.1, "high": right / 6 + 0.1}
    names = ("acc", "maj", "entropy", "length", "no_answer_rate", "truncated_rate")
    found = {"samples": 2, "questions": 3, "pass": {"2": interval}}
    return found | {name: interval for name in names}


def ended(folder, probes):
    """A run of 6 steps that has ended but for `end_of_run`; and its progress."""
    lines = []
    for step in range(1, 7):
        found = line(step) | {"reward": 0.5, "entropy_correct": 0.1, "entropy_wrong": 0.2}
        if step <= probes:
            found |= dict(zip(ENTROPY_CHANGES, (-2.0 * step, -1.0 * step, 0.5 - step), strict=True))
        lines.append(found)
    write_run(folder, lines)
    before, after = (evaluation(right) for right in (2, 3))
    return Progress(step=6, before=before, latest=after)


def test_the_end_of_a_run_is_told_drawn_and_kept(tmp_path):
    folder = tmp_path / "run"
    progress = ended(folder, probes=4)
    said = end_of_run(folder, progress)
    assert said.startswith(
        "\nheld-out questions, before and after 6 steps, mean [95 % interval]:\n\n"
    )
    assert "0.333 [0.23, 0.43]  0.500 [0.40, 0.60]" in said
    assert (
        "\n\nentropy change in 4 steps, measured against predicted:\n"
        "  from logits: correlation 1.000, slope 2, same sign in 4 of 4\n"
        "  from advantages: correlation 1.000, slope 2, same sign in 4 of 4\n"
    ) in said
    training, change = (
        folder / "report" / f"{name}.png" for name in ("training", "entropy_change")
    )
    assert said.endswith(f"\n\nfigures:    {training}, {change}\nrun folder: {folder}")
    assert training.stat().st_size > 10_000 and change.stat().st_size > 10_000
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["steps"], summary["before"]) == (6, progress.before)
    assert summary["after"] == progress.latest and summary["entropy_change"]["probes"] == 4


def test_the_end_of_a_run_without_probes_or_matplotlib(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    progress = ended(folder, probes=2)
    said = end_of_run(folder, progress)
    assert "entropy change" not in said and f"figures:    {folder}/report/training.png\n" in said
    assert not (folder / "report" / "entropy_change.png").exists()
    assert "entropy_change" not in json.loads((folder / "summary.json").read_text())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    missing = "none, since matplotlib is not installed (pip install matplotlib)"
    assert f"\n\nfigures:    {missing}\nrun folder" in end_of_run(folder, progress)


def test_accuracy_before_training_begins_the_curve(tmp_path, monkeypatch):
    import analysis.report

    drawn = []
    monkeypatch.setattr(
        analysis.report, "save", lambda path, draw, size: drawn.append(draw.keywords)
    )
    progress = ended(tmp_path / "run", probes=0)
    end_of_run(tmp_path / "run", progress)
    assert len(drawn) == 1 and drawn[0]["before"] == pytest.approx(1 / 3)
