"""Does this tree still do what an earlier commit did? Runs both, compares what they wrote, byte for byte.

    python tests/compare_versions.py COMMIT              all cases, some 10 minutes on 2 cores
    python tests/compare_versions.py COMMIT default      one of them

Each case is a short run of train.py with the same options in both versions. metrics.jsonl must be the same
text but for times and memory; the rollouts the same cells; findings.json, summary.json and what the
programs print the same, summary.json to 12 digits. The run of the earlier commit is then resumed and analysed by this tree. What the
earlier commit wrote is kept in runs/compare and made once. Exits with 1 where something differs.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet

ROOT = Path(__file__).parents[1]
CASES = {
    "default": "--steps 30 --seed 0",
    "law": "--steps 40 --seed 3 --eval_every 2 --eval_questions 40",
    "clip_cov": "--steps 12 --seed 1 --objective clip_cov --probe_every 3 --save_rollouts_every 3",
    "kl_cov": "--steps 12 --seed 2 --objective kl_cov --ppl_alpha 0.1 --position_gamma 0.1 "
    "--polarity_contract 0.5 --shaping_start 4",
    "dynamic": "--steps 8 --dynamic_sampling --overlong_buffer 30 --save_rollouts_every 1",
    "memory": "--steps 6 --precision bfloat16 --gradient_checkpointing --micro_batch_tokens 700 "
    "--chunk_tokens 50",
}
CHANGING = r'"\w+_(seconds|per_second|memory)": [^,}]+'  # from one run to the next


def run(root: Path, *words) -> str:
    """What `python words` prints in that tree; progress bars are not in it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(
        command, cwd=root, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} in {root}:\n{done.stderr}")
    return done.stdout


def metrics(folder: Path) -> str:
    return re.sub(CHANGING, "", (folder / "metrics.jsonl").read_text(encoding="utf-8"))


def cells(folder: Path) -> dict:
    """{file: its columns as bytes and texts} of the saved rollouts."""
    files = sorted((folder / "rollouts").glob("*.parquet"))
    return {
        file.name: {n: str(c) for n, c in pyarrow.parquet.read_table(file).to_pydict().items()}
        for file in files
    }


def rounded(value):
    """Numbers to 12 digits: one bootstrap sums in another order than two did."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


def compare(name: str, before, after) -> bool:
    """Say whether the two are the same, and if not where they begin to differ."""
    same = before == after
    print(f"{name:44} {'the same' if same else 'DIFFERENT'}", flush=True)
    if not same:
        texts = [x if isinstance(x, str) else json.dumps(x, indent=1) for x in (before, after)]
        for one, other in zip(*(text.splitlines() for text in texts), strict=False):
            if one != other:
                at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), 0)
                print(f"    before  {one[max(0, at - 60) : at + 60]}")
                print(f"    now     {other[max(0, at - 60) : at + 60]}")
                break
    return same


def analysis(root: Path, folder: Path, *options) -> list[dict]:
    """findings.json of a run, by that version's analyze.py."""
    run(root, "analyze.py", folder, *options)
    return json.loads((folder / "report" / "findings.json").read_text(encoding="utf-8"))


def law(root: Path, folder: Path) -> str:
    """What the law says of a run, the path of its figure left out."""
    old = "law_report" in (root / "entropy.py").read_text(encoding="utf-8")
    words = ("entropy.py", folder) if old else ("analyze.py", folder, "--law")
    return run(root, *words).replace(str(folder), "RUN")


def compare_case(name: str, old: Path, kept: Path, new: Path) -> bool:
    """One case: train, and look at everything a run leaves behind."""
    kept, new = kept / name, new / name
    if not (kept / "summary.json").exists():
        shutil.rmtree(kept, ignore_errors=True)
        run(old, "train.py", "--run", kept, *CASES[name].split())
    run(ROOT, "train.py", "--run", new, *CASES[name].split())
    summaries = (json.loads((f / "summary.json").read_text(encoding="utf-8")) for f in (kept, new))
    good = [
        compare(f"{name}: metrics.jsonl", metrics(kept), metrics(new)),
        compare(f"{name}: rollouts", cells(kept), cells(new)),
        compare(f"{name}: summary.json to 12 digits", *map(rounded, summaries)),
    ]
    if name == "law":
        good.append(compare("law: what is printed", law(old, kept), law(ROOT, new)))
    if name == "default":
        copies = [new.with_name(name) for name in ("analysed-before", "analysed-now")]
        for folder in copies:
            shutil.copytree(kept, folder)
        before = analysis(old, copies[0])
        good.append(compare("default: findings.json", before, analysis(ROOT, new)))
        good.append(compare("an old run analysed", before, analysis(ROOT, copies[1])))
        options = ("--intervene", "--questions", "10", "--continuations", "4")
        found = [analysis(root, folder, *options) for root, folder in zip((old, ROOT), copies)]
        good.append(compare("an old run, tokens replaced", *found))
        resumed = {root: new.with_name(f"resumed-{i}") for i, root in enumerate((old, ROOT))}
        for root, folder in resumed.items():
            shutil.copytree(kept, folder)
            run(root, "train.py", "--resume", folder, "--steps", "34")
        good.append(compare("an old run resumed", *map(metrics, resumed.values())))
        words = ("eval.py", "--data", "toy", "--limit", "30", "--n", "4", "--model")
        words = (*words, kept / "checkpoints" / "step_30", "--output", new.with_name("records"))
        said = []
        for root in (old, ROOT):
            text = run(root, *words)
            said.append(text + new.with_name("records").read_text(encoding="utf-8"))
        good.append(compare("eval.py: output and records", *said))
    return all(good)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commit", help="the earlier version")
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; default: all")
    options = parser.parse_args()
    git = ["git", "-C", str(ROOT)]
    named = [*git, "rev-parse", "--short", options.commit]
    commit = subprocess.run(named, capture_output=True, text=True, check=True).stdout.strip()
    kept = ROOT / "runs" / "compare" / commit
    old = kept / "tree"
    if not old.exists():
        archive = subprocess.run([*git, "archive", commit], capture_output=True, check=True).stdout
        old.mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", str(old)], input=archive, check=True)
    with tempfile.TemporaryDirectory() as folder:
        good = [
            compare_case(name, old, kept, Path(folder)) for name in options.cases or list(CASES)
        ]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
