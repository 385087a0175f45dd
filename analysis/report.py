"""All findings in one report, and the end of a run: the rooms of this folder put together.

`findings_of` makes the findings of one run, in the order of the paper, and `write_report` writes
findings of one run or of several as report.md, findings.json and a PNG each. `end_of_run` is what
train.py says last: how the evaluations before and after differ, and the figures that need no
analysis.
"""

import json
import math
from functools import partial
from pathlib import Path

from analysis.effects import POWER, Finding, markdown_table
from analysis.exploration import x1_exploration
from analysis.figures import draw_training, no_matplotlib, save
from analysis.instance_level import i1_perplexity
from analysis.mechanism import PREDICTED, agreement, describe, draw_entropy_change
from analysis.replacement import replacement_findings
from analysis.sampled import read_sampled
from analysis.stage_level import s2_right_and_wrong, s3_which_tokens, s4_defects
from analysis.stages import stages_of
from analysis.token_level import s5_what_updates_change, s6_kinds_of_tokens, t1_position
from analysis.two_stages import s1_two_stages
from eval import table
from record import Progress, Run, read_run, write_summary

FOUND = f"found in {POWER:.0%}"
HOW_TO_READ = (
    "A claim holds where each quantity with a bound, under *claimed*, has its interval above it; one that "
    f"is below refutes it, at a level that the quantities share. *{FOUND}* is the size at which the "
    "interval would lie above the bound in so many repetitions. A verdict on one run says nothing of others."
)


def findings_of(run: Run, report: Path) -> list[Finding]:
    """All findings of one run, in the order of the paper. Raises InputError for broken rollouts.

    report: the folder in which the replacement experiment has left its lines, if it was made.
    """
    knee, stages = stages_of(run.lines)
    sampled = read_sampled(run.folder)
    i2, t2 = replacement_findings(report)
    return [
        s1_two_stages(run, knee, stages),
        s2_right_and_wrong(run, stages),
        s3_which_tokens(stages, sampled),
        s4_defects(stages, sampled),
        s5_what_updates_change(stages, sampled),
        s6_kinds_of_tokens(stages, sampled),
        i1_perplexity(stages, sampled),
        i2,
        t1_position(stages, sampled),
        t2,
        x1_exploration(run, stages),
    ]


def write_report(findings: list[Finding], folder: Path, title: str, notes: list[str]) -> None:
    """report.md, findings.json and the figures. notes: Markdown below the table of verdicts."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = no_matplotlib()
    for finding in findings:
        figure = folder / f"{finding.name}.png"
        figure.unlink(missing_ok=True)  # that of an earlier report
        if finding.draw and not missing:
            save(figure, finding.draw, (7, finding.height))
    rows = [[f"[{f.name}](#{f.name.lower()})", f.claim, f.verdict()[0]] for f in findings]
    lines = [
        f"# {title}",
        "",
        *markdown_table(["", "claim", "verdict"], rows),
        "",
        HOW_TO_READ,
        *notes,
        "",
        f"There are no figures: {missing}." if missing else "",
    ]
    for finding in findings:
        lines += section(finding, with_figure=finding.draw and not missing)
    (folder / "report.md").write_text("\n".join(lines), encoding="utf-8")
    text = json.dumps([as_json(finding) for finding in findings], indent=2, ensure_ascii=False)
    (folder / "findings.json").write_text(text + "\n", encoding="utf-8")


def section(finding: Finding, with_figure: bool) -> list[str]:
    """What report.md says of a finding: lines of Markdown."""
    verdict, why = finding.verdict()
    why = f" ({why})" if why else ""
    lines = [f"## {finding.name}", "", finding.claim, "", f"**{verdict}**{why}", ""]
    if with_figure:
        lines += [f"![{finding.name}]({finding.name}.png)", ""]
    rows = []
    for effect in finding.effects:
        interval = claimed = found = ""
        if not math.isnan(effect.low):
            interval = f"[{effect.low:.3g}, {effect.high:.3g}]"
        if effect.above is not None:
            claimed = f"above {effect.above:.3g}"
            found = "" if math.isnan(effect.low) else f"{effect.found():.3g}"
        rows.append([effect.label, f"{effect.value:.3g}", interval, claimed, found])
    if rows:
        head = ["", "measured", f"95 % interval over {finding.over}", "claimed", FOUND]
        lines += [*markdown_table(head, rows), ""]
    return lines + ([*finding.notes, ""] if finding.notes else [])


def as_json(finding: Finding) -> dict:
    """An entry of findings.json."""
    verdict, why = finding.verdict()
    effects = [effect._asdict() for effect in finding.effects]
    for effect, entry in zip(finding.effects, effects, strict=True):
        entry["found"] = math.nan if effect.above is None else effect.found()
        entry |= {
            k: None for k, x in entry.items() if isinstance(x, float) and not math.isfinite(x)
        }
    said = {"name": finding.name, "claim": finding.claim, "verdict": verdict, "why": why}
    return said | {"intervals_over": finding.over, "effects": effects}


# ---------------------------------------------------------------------------- the end of a run


def end_of_run(folder: Path, progress: Progress) -> str:
    """Write summary.json, draw report/training.png and entropy_change.png; what there is to say.

    The latter figure and its lines are there where enough steps were probed
    (`mechanism.agreement`).
    """
    lines = read_run(folder).lines
    predictions = agreement(lines)
    write_summary(folder, progress, predictions)
    said = [
        f"\nheld-out questions, before and after {progress.step} steps, mean [95 % interval]:\n",
        table({"before": progress.before, "after": progress.latest}),
    ]
    if predictions:
        said.append(
            f"\nentropy change in {predictions['probes']} steps, measured against predicted:"
        )
        said += [f"  {describe(predictions, name)}" for name in PREDICTED]
    said += [f"\nfigures:    {draw_run(folder, progress, lines, predictions)}"]
    return "\n".join([*said, f"run folder: {folder}"])


def draw_run(folder: Path, progress: Progress, lines: list[dict], predictions: dict | None) -> str:
    """The figures of `end_of_run`. Returns their paths, or why there are none."""
    if missing := no_matplotlib():
        return f"none, since {missing}"
    before = progress.before["acc"]["mean"]
    training, change = (
        folder / "report" / f"{name}.png" for name in ("training", "entropy_change")
    )
    save(training, partial(draw_training, lines=lines, before=before), (7, 6))
    if not predictions:
        return str(training)
    draw = partial(draw_entropy_change, lines=lines, predictions=predictions)
    save(change, draw, (9, 4.4))
    return f"{training}, {change}"
