"""The command and whole reports: what is planted is found, its opposite not, odd runs too."""

import json
import math
import subprocess
import sys

import pytest
from conftest import ROOT
from made_up import CONFIG, line, planted, report, value, verdicts, write_run

import analyze
from options import InputError
from record import read_run


def test_what_is_planted_holds_and_its_opposite_does_not(tmp_path):
    steps = range(3, 121, 3)
    holds = write_run(
        tmp_path / "a", [line(s) for s in range(1, 121)], {s: planted(s) for s in steps}
    )
    found = report(holds)
    assert value(found["S1"], "last step")["value"] == pytest.approx(50, abs=6)
    judged = ("S1", "S2", "S3", "S4", "S5", "S6", "I1", "T1")
    assert {name: verdicts(found)[name] for name in judged} == dict.fromkeys(judged, "holds here")
    fall = [
        value(found["S2"], f"share of it {part}")["value"]
        for part in ("within wrong", "within right", "by")
    ]
    assert sum(fall) == pytest.approx(100)
    assert {path.name for path in (holds / "report").glob("*.png")} == {f"{n}.png" for n in judged}
    text = (holds / "report" / "report.md").read_text()
    assert all(f"![{name}]({name}.png)" in text for name in judged)
    assert "steps 3, 6, 9" in text and "xqzt" in text

    lines = [line(s, right=5.0, wrong=0.1) for s in range(1, 121)]
    found = report(write_run(tmp_path / "b", lines, {s: planted(s, sign=-1) for s in steps}))
    judged = ("S2", "S3", "S4", "S5", "S6", "I1", "T1")
    expected = dict.fromkeys(judged, "does not hold here")
    assert {name: verdicts(found)[name] for name in judged} == expected


def one_kind(rows, outcome):
    return [row | {"outcome": outcome} for row in rows]


def without(found, name):
    return found | {f"entropy_rollout_mean_{name}": None, "entropy_rollout_mean": 0.1}


def test_odd_runs_are_reported_too(tmp_path):
    lines = [line(s) for s in range(1, 61)]
    files = {s: planted(s) for s in (10, 20, 30, 40)}
    cases = {
        "no step": ([], None),
        "one step": (lines[:1], {1: planted(1)}),
        "two steps": (lines[:2], {1: planted(1), 2: planted(2)}),
        "none right": (
            [without(x, "correct") for x in lines],
            {s: one_kind(r, "wrong") for s, r in files.items()},
        ),
        "none wrong": (
            [without(x, "wrong") for x in lines],
            {s: one_kind(r, "correct") for s, r in files.items()},
        ),
        "not probed": (
            lines,
            {
                s: [r | {"logp_change": [math.nan] * len(r["tokens"])} for r in rows]
                for s, rows in files.items()
            },
        ),
        "no rollouts": (lines, None),
    }
    reports = {}
    for name, (some, rollouts) in cases.items():
        found = reports[name] = report(write_run(tmp_path / name, some, rollouts))
        assert len(found) == 11, name
        assert all(f["why"] for f in found.values() if f["verdict"] == "not enough data"), name
    assert "--probe_every" in reports["not probed"]["S5"]["why"]
    assert "--save_rollouts_every" in reports["no rollouts"]["T1"]["why"]
    assert reports["one step"]["S1"]["verdict"] == "not enough data"
    flat = [line(1) | {"step": s} for s in range(1, 121)]
    found = report(write_run(tmp_path / "flat", flat, files))
    assert found["S1"]["verdict"] == "does not hold here"
    assert "plateau" in found["S5"]["why"] and "plateau" in found["S6"]["why"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    folder = write_run(tmp_path / "run", [line(1)], {1: planted(1)})
    file = folder / "rollouts" / "step_1.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="step_1.parquet cannot be read"):
        report(folder)


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    folder = write_run(tmp_path / "run", [line(s) for s in range(1, 10)])
    with (folder / "metrics.jsonl").open("a") as log:
        log.write('{"step": 10, "accur')
    assert len(read_run(folder).lines) == 9
    with (folder / "metrics.jsonl").open("a") as log:
        log.write("1}\n")
    with pytest.raises(InputError, match="not as this train.py writes a run"):
        read_run(folder)
    (folder / "metrics.jsonl").write_text(json.dumps(line(1) | {"entropy": math.nan}) + "\n")
    assert read_run(folder).lines == []
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(InputError, match="lines without accuracy"):
        read_run(folder)


@pytest.mark.parametrize(
    "arguments", [["nowhere"], ["."], ["RUN", "--questions", "0"], ["RUN", "--intervene"]]
)
def test_bad_input_ends_in_one_sentence(arguments, tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path / "run", [line(1)])
    given = [
        str(run) if a == "RUN" else str(tmp_path / a) if a in ("nowhere", ".") else a
        for a in arguments
    ]
    monkeypatch.setattr(sys, "argv", ["analyze.py", *given])
    with pytest.raises(SystemExit) as end:
        analyze.main()
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("analyze.py: ") and err.count("\n") == 1


def test_where_the_report_goes_and_how_much_is_asked(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(analyze, "intervene", lambda run, *how: asked.append((run.folder, *how)))

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["analyze.py", *map(str, arguments)])
        analyze.main()
        return capsys.readouterr().out.splitlines()[-1]

    run, out = write_run(tmp_path / "run", [line(1)]), tmp_path / "out"
    assert command(run, "--intervene") == f"report: {run / 'report' / 'report.md'}"
    few = ("--questions", 5, "--continuations", 2, "--report", out)
    assert command(run, "--intervene", *few) == f"report: {out / 'report.md'}"
    assert asked == [(run, run / "report", 300, 8), (run, out, 5, 2)]
    assert (out / "findings.json").exists()
    other = write_run(tmp_path / "other", [line(1)], config=CONFIG | {"seed": 1})
    assert command(run, other) == f"report: {tmp_path / 'report' / 'report.md'}"
    title = (tmp_path / "report" / "report.md").read_text().splitlines()[0]
    assert title == "# What holds on 2 runs"
    text = (run / "report" / "report.md").read_text()
    assert text.startswith("# What holds on run\n") and "\n1 steps. I3, T3 and F take" in text
    with pytest.raises(SystemExit):
        command(run, other, "--intervene")
    assert "--intervene: the experiment is on one run" in capsys.readouterr().err


def test_an_interrupt_is_no_traceback(tmp_path, monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(analyze, "report_on", interrupted)
    monkeypatch.setattr(sys, "argv", ["analyze.py", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        analyze.main()
    assert end.value.code == 130 and capsys.readouterr() == ("", "")


def test_without_matplotlib_all_but_the_figures_is_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run = write_run(tmp_path / "run", [line(s) for s in range(1, 121)])
    assert verdicts(report(run))["S1"] == "holds here"
    text = (run / "report" / "report.md").read_text()
    assert "matplotlib is not installed" in text and "![" not in text


def test_the_command_line(tmp_path):
    run = write_run(tmp_path / "run", [line(s) for s in range(1, 121)])
    command = [sys.executable, "-W", "error::UserWarning", "analyze.py", str(run)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "S1  holds here" in done.stdout
    assert str(run / "report" / "report.md") in done.stdout
