"""How often the verdicts of analyze.py are wrong, and how often they find what is there.

    python tests/simulate_verdicts.py                      200 made-up runs of every world, two tables
    python tests/simulate_verdicts.py --only S1 plateau    those findings alone
    python tests/simulate_verdicts.py --runs 1000 --jobs 2

A world (`made_up.World`) is a way to make up runs in which the truth about a finding is known: none of
what it claims, all of it, or something else that looks like it. The worlds of a finding are in
tests/worlds_*.py, at the noise of the default run. The first table, a row a finding, is that of
docs/results.md; the second, a row a world, that of docs/verdicts.md.
"""

import argparse
import collections
import importlib
import multiprocessing
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process a core

import torch
from tqdm import tqdm

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from analysis.effects import markdown_table

VERDICTS = ("holds here", "does not hold here", "not enough data")


def all_worlds() -> list:
    """The WORLDS of every tests/worlds_*.py, in the order of the files' names."""
    files = sorted(HERE.glob("worlds_*.py"))
    return [world for file in files for world in importlib.import_module(file.stem).WORLDS]


def drawn(world, runs: int) -> collections.Counter:
    """{verdict: in how many of the runs}."""
    return collections.Counter(world.draw(seed) for seed in range(runs))


def verdict_of(job) -> tuple[int, str]:
    """(number of the world, the verdict on one of its runs); job: (number of the world, seed)."""
    torch.set_num_threads(1)
    number, seed = job
    return number, all_worlds()[number].draw(seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=200, help="of every world (default 200)")
    parser.add_argument("--only", nargs="+", help="findings, such as S1 (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    options = parser.parse_args()
    worlds = all_worlds()
    asked = [i for i, w in enumerate(worlds) if not options.only or w.finding in options.only]
    jobs = [(i, seed) for i in asked for seed in range(options.runs)]
    counts = collections.defaultdict(collections.Counter)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        found = pool.imap_unordered(verdict_of, jobs, chunksize=4)
        for number, verdict in tqdm(found, total=len(jobs), unit="run", disable=None):
            counts[number][verdict] += 1
    print(f"% of {options.runs} made-up runs of a world; a range is over worlds\n")
    print("\n".join(summary([(worlds[i], counts[i]) for i in asked], options.runs)))
    rows = []
    for i in asked:
        rates = [f"{100 * counts[i][verdict] / options.runs:.1f}" for verdict in VERDICTS]
        wrong = VERDICTS.index(worlds[i].error)
        rates[wrong] = f"**{rates[wrong]}**"
        rows.append([worlds[i].finding, worlds[i].about, *rates])
    print(f"\n% of {options.runs} made-up runs; in bold the verdict that is wrong there\n")
    print("\n".join(markdown_table(["", "world", "holds", "does not hold", "undecided"], rows)))


def summary(drawn_worlds: list[tuple], runs: int) -> list[str]:
    """A row a finding: how often it is wrong, and how often right, in [(world, {verdict: runs})]."""

    def rates(counted, verdict):
        found = [100 * counts[verdict] / runs for _, counts in counted]
        ends = dict.fromkeys(f"{x:.1f}" for x in (min(found), max(found))) if found else ["-"]
        return " to ".join(ends)

    rows = []
    for name in dict.fromkeys(world.finding for world, _ in drawn_worlds):
        those = [(world, counts) for world, counts in drawn_worlds if world.finding == name]
        row = [rates([x for x in those if x[0].error == v], v) for v in VERDICTS[:2]]
        rows.append([name, *row, rates([x for x in those if x[0].is_true()], VERDICTS[0])])
    head = [
        "",
        "holds where that is wrong",
        "refuted where that is wrong",
        "holds where it is true",
    ]
    return markdown_table(head, rows)


if __name__ == "__main__":
    main()
