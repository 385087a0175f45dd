"""What the methods do on the embedded default: every method with every seed, and their tables.

    python tests/bench_methods.py                  trains what is missing, then prints the tables
    python tests/bench_methods.py --table_only     the tables of what is there

All runs have the same budget and start from the same warmed-up policy; a seed decides the questions and
the sampling. As many run at a time as there are cores, with one thread each. What was interrupted goes on
at the next call. A run is a folder of train.py under runs/bench, for `analyze.py` as well.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean

from tqdm import tqdm

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from analysis.differences import tables
from record import Run, read_run

BASELINE = "clip-higher"
# The perplexity method at ten times the paper's strength: 0.01 changes an advantage by about 1 %.
METHODS = {
    "clip": ["--clip_high", "0.2"],
    BASELINE: [],
    "clip_cov": ["--objective", "clip_cov"],
    "kl_cov": ["--objective", "kl_cov"],
    "ppl low": ["--ppl_alpha", "0.1"],
    "ppl high": ["--ppl_alpha", "-0.1"],
    "position late": ["--position_gamma", "0.1"],
    "position early": ["--position_gamma", "0.1", "--position_steepness", "-15"],
}
ACCURACY = 0.75  # of training rollouts, smoothed over WINDOW steps: how soon is it reached?
WINDOW = 20
COLUMNS = {"Acc@8": 3, "Maj@8": 3, "Pass@8": 3, "entropy": 3, "steps to 75 %": 0}  # digits shown


def command(method: str, seed: int, folder: Path, steps: int) -> list[str]:
    """The command that makes a run, or goes on with it."""
    options = [*METHODS[method], "--seed", str(seed), "--steps", str(steps)]
    options += ["--eval_every", "0", "--checkpoint_every", "25", "--keep_checkpoints", "1"]
    options += ["--probe_every", "0", "--save_rollouts_every", "0"]
    if any((folder / "checkpoints").glob("step_*")):
        return [sys.executable, "train.py", "--resume", str(folder), *options]
    shutil.rmtree(folder, ignore_errors=True)
    return [sys.executable, "train.py", "--run", str(folder), *options]


def train_all(runs: dict, steps: int, jobs: int) -> None:
    """Train what has no summary yet, `jobs` at a time. Exits with 2 where a run fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    missing = [key for key, folder in runs.items() if not (folder / "summary.json").exists()]
    if missing:  # warmed up once, before several runs would do it at the same time
        warm_up = "from toy import model_folder; model_folder()"
        subprocess.run([sys.executable, "-c", warm_up], cwd=ROOT, env=environment, check=True)
    running = {}
    with tqdm(total=len(runs), initial=len(runs) - len(missing), desc="runs", unit="run") as bar:
        try:
            while missing or running:
                while missing and len(running) < jobs:
                    key = missing.pop(0)
                    runs[key].parent.mkdir(parents=True, exist_ok=True)
                    log = runs[key].with_suffix(".log").open("w", encoding="utf-8")
                    arguments = command(*key, runs[key], steps)
                    running[key] = subprocess.Popen(
                        arguments, cwd=ROOT, env=environment, stdout=log, stderr=log
                    )
                time.sleep(0.5)
                for key, process in list(running.items()):
                    if process.poll() is not None:
                        del running[key]
                        if process.returncode:
                            print(f"{runs[key]} failed; see {runs[key].with_suffix('.log')}")
                            sys.exit(2)
                        bar.update()
        finally:  # after Ctrl-C or a failure the others save their step; the next call goes on
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait()


def measured(run: Run) -> dict[str, float]:
    """The columns of a finished run; steps are infinite where the accuracy was not reached."""
    after, accuracies = run.summary["after"], [line["accuracy"] for line in run.lines]
    reached = (
        step
        for step in range(WINDOW, len(accuracies) + 1)
        if fmean(accuracies[step - WINDOW : step]) >= ACCURACY
    )
    values = [after["acc"]["mean"], after["maj"]["mean"], after["pass"]["8"]["mean"]]
    values += [fmean(line["entropy"] for line in run.lines[-WINDOW:]), next(reached, math.inf)]
    return dict(zip(COLUMNS, values, strict=True))


def report(runs: dict) -> list[str]:
    """The tables of the finished ones; runs: {(method, seed): folder}. See `differences.tables`."""
    found = {}
    for (method, seed), folder in runs.items():
        if (folder / "summary.json").exists():
            run = read_run(folder)
            found.setdefault(method, {})[seed, len(run.lines)] = measured(run)
    found = {method: found[method] for method in METHODS if method in found}
    return tables(found, BASELINE, COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="seeds of every method (default 5)")
    parser.add_argument("--steps", type=int, default=150, help="training steps (default 150)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="M")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "bench", help="of the runs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--table_only", action="store_true", help="train nothing")
    options = parser.parse_args()
    runs = {
        (name, seed): options.folder.resolve() / f"{name.replace(' ', '_')}-{seed}"
        for seed in range(options.seeds)
        for name in options.methods
    }
    if not options.table_only:
        train_all(runs, options.steps, options.jobs)
    print("\n".join(report(runs)))


if __name__ == "__main__":
    main()
