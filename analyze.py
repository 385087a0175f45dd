"""What of arXiv 2508.02260 holds on a run of train.py: figures, intervals and verdicts.

    python analyze.py RUN                  RUN/report/report.md, findings.json, a figure a finding
    python analyze.py RUN --intervene      and the experiment in which tokens are replaced: I2, T2
    python analyze.py RUN RUN RUN ...      I3, T3 and F, from runs with several settings and seeds
    python analyze.py RUN --law            does accuracy follow from entropy? and RUN/report/law.png

This is the command alone. What it does is in analysis/, a file a level of the paper.
"""

import argparse
import sys
from pathlib import Path

from analysis.law import law_report
from analysis.replacement import intervene
from analysis.report import findings_of, write_report
from analysis.settings import compare_runs
from options import InputError, quiet_libraries
from record import read_run


def report_on(options) -> None:
    """What main does. Raises InputError and OSError."""
    given = [name for name, value in vars(options).items() if value is not None]
    for name in ("questions", "continuations"):
        if name in given and getattr(options, name) < 1:
            raise InputError(f"--{name} {getattr(options, name)}: it must be at least 1")
    if "law" in given and given != ["runs", "law"]:
        (other, *_) = (name for name in given if name not in ("runs", "law"))
        raise InputError(f"--law: it prints and makes no report; leave out --{other}")
    runs = [read_run(folder) for folder in options.runs]
    if "law" in given:
        if len(runs) > 1:
            raise InputError("--law: a law is fitted to one run; name only one")
        law_report(runs[0])
        return
    if len(runs) > 1:
        if "intervene" in given:
            raise InputError("--intervene: the experiment is on one run; name only one")
        folder = options.report or runs[0].folder.resolve().parent / "report"
        findings, notes = compare_runs(runs)
        title = f"What holds on {len(runs)} runs"
    else:
        (run,) = runs
        folder = options.report or run.folder / "report"
        folder.mkdir(parents=True, exist_ok=True)
        if "intervene" in given:
            intervene(run, folder, options.questions or 300, options.continuations or 8)
        findings = findings_of(run, folder)
        title = f"What holds on {run.folder.resolve().name}"
        several = "I3, T3 and F take several runs: `python analyze.py RUN RUN ...`"
        notes = ["", f"{len(run.lines)} steps. {several}"]
    write_report(findings, folder, title, notes)
    for finding in findings:
        verdict, why = finding.verdict()
        print(f"{finding.name}  {verdict:19} {why}".rstrip())
    print(f"\nreport: {folder / 'report.md'}")


def main() -> None:
    """Report; every foreseeable failure ends in one sentence and status 2."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument  # every option is None where it is not given
    flag = {"action": "store_true", "default": None}
    add("runs", nargs="+", metavar="RUN", type=Path, help="folder of a run of train.py")
    folder = "its folder; default: RUN/report, of several runs report beside them"
    add("--report", type=Path, help=folder)
    add("--intervene", help="first replace tokens and let the policy go on: I2, T2", **flag)
    add("--questions", type=int, help="of that experiment (default 300)")
    add("--continuations", type=int, help="of each token and its replacement (default 8)")
    add("--law", help="print what the law of entropy says of the run, and nothing else", **flag)
    options = parser.parse_args()
    quiet_libraries()
    try:
        report_on(options)
    except (InputError, OSError) as error:
        print(f"analyze.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
