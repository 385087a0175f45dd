"""Throw mutated answers and random bytes at the verifier: python tests/fuzz_reward.py --minutes 30

The seeds are the texts of test_answers.py and test_reward.py and those of any .jsonl files named (their
texts gold, answer and response). Every case is graded as a box, as a sentence, or as it is, against
another mutation. Told are exceptions, an answer that is not equal to itself, asymmetry, and calls over
50 ms + 1 ms per 10 kB.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

from tqdm import tqdm

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]
from test_answers import BOMBS, DIFFERENT, EQUAL
from test_extraction import EXTRACTED, REMARKS, THOUGHTS

from answers import is_equivalent, parse, tokenize
from reward import grade


def mutate(rng: random.Random, text: str, seeds: list[str]) -> str:
    """A few edits: cut, doubled, spliced with another seed, or with random characters."""
    for _ in range(rng.randint(1, 4)):
        i, j = sorted(rng.randint(0, len(text)) for _ in range(2))
        other = rng.choice(seeds)
        k = rng.randint(0, len(other))
        text = rng.choice(
            [
                text[:i] + text[j:],
                text[:j] + text[i:],
                text[:i] + other[k : k + 20] + text[i:],
                text[:i]
                + chr(rng.choice([rng.randint(0, 127), rng.randint(0, 0x10FFFF)]))
                + text[i:],
                text[:i] + rng.choice(r"\{}()[]^_$,.;:=<>|!&%'+-*/ 0123456789") + text[j:],
                text[:i] + text[i:j] * rng.randint(2, 30) + text[j:],
            ]
        )[:20_000]
    return text


def timed(rng, response: str, gold: str) -> float:
    """Seconds for one grade, the better of two, with nothing remembered."""
    seconds = []
    for _ in range(2):
        parse.cache_clear()
        tokenize.cache_clear()
        began = time.process_time()
        grade(response, gold, rng.choice(["", "3+4", "三加四等于几？"]))
        seconds.append(time.process_time() - began)
        if seconds[0] < 0.02:
            break
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("files", nargs="*", help=".jsonl files whose answers are seeds as well")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    seeds = [text for pair in EQUAL + DIFFERENT for text in pair] + BOMBS[:20]
    seeds += [response for response, _ in EXTRACTED + REMARKS] + [
        tag for pair in THOUGHTS for tag in pair
    ]
    for file in options.files:
        for line in Path(file).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            seeds += [row[name] for name in ("gold", "answer", "response") if name in row]
    cases, faults, slowest = 0, 0, (0.0, "")
    ends = time.monotonic() + 60 * options.minutes
    with tqdm(desc="fuzzing", unit="case") as bar:
        while time.monotonic() < ends:
            one, other = (mutate(rng, rng.choice(seeds), seeds) for _ in range(2))
            if rng.random() < 0.1:
                one = rng.randbytes(rng.randint(1, 300)).decode("latin-1")
            response = rng.choice([one, rf"\boxed{{{one}}}", f"The answer is {one}."])
            try:
                seconds = timed(rng, response, other)
                said = is_equivalent(one, other)
                if said != is_equivalent(other, one) or not is_equivalent(one, one):
                    raise AssertionError("asymmetric, or not equal to itself")
            except Exception as error:  # noqa: BLE001 - the one thing that must not happen
                faults += 1
                tqdm.write(f"{error!r}\n  {response!r}\n  {other!r}")
                seconds = 0.0
            if seconds > 0.05 + len(response + other) * 1e-7:
                faults += 1
                tqdm.write(f"{seconds * 1e3:.0f} ms\n  {response!r}\n  {other!r}")
            slowest = max(slowest, (seconds, response[:100]))
            cases += 1
            bar.update()
    print(f"{cases} cases, {faults} faults, slowest {slowest[0] * 1e3:.1f} ms: {slowest[1]!r}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
