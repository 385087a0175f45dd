"""Questions and their gold answers, from hub sets and local files, and every way these can be wrong.

Training with verifiable rewards asks little of a data set: the text of a question and its gold
answer, which a checker compares a final answer with. This file finds both in data sets of the
Hugging Face hub and in local files, holds questions out by a hash of their text, and draws an endless
shuffled stream of the others. Whatever a person can get wrong on the way ends as an InputError: one
sentence with the culprit and the remedy.

The columns of the known sets are those their authors published; all else here is ours.
"""

import csv
import hashlib
import json
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from options import InputError, did_you_mean, one_line
from reward import extract_answer


class Question(NamedTuple):
    """What a rollout answers, and what its final answer is compared with."""

    text: str
    gold: str


# name: (hub id:config:split, column of the question, column of the gold answer)
HUB_SETS = {
    "gsm8k": ("openai/gsm8k:main", "question", "answer"),
    "math500": ("HuggingFaceH4/MATH-500::test", "problem", "answer"),
    "aime24": ("HuggingFaceH4/aime_2024::train", "problem", "answer"),
    "aime25": ("math-ai/aime25::test", "problem", "answer"),
    "amc23": ("math-ai/amc23::test", "question", "answer"),
    "minerva": ("math-ai/minervamath::test", "question", "answer"),
    "olympiad": ("Hothan/OlympiadBench:OE_TO_maths_en_COMP:train", "question", "final_answer"),
    "still3": ("RUC-AIBOX/STILL-3-Preview-RL-Data::train", "question", "answer"),
    "dapo": ("BytedTsinghua-SIA/DAPO-Math-17k::train", "prompt", "reward_model.ground_truth"),
}
QUESTION_COLUMNS = ["problem", "question", "prompt"]
ANSWER_COLUMNS = ["answer", "final_answer", "ground_truth", "solution"]
A_LOCAL_FILE = "a local .jsonl, .json, .csv or .parquet file"


def load_questions(
    source: str,
    training: bool = False,
    question_column: str | None = None,
    answer_column: str | None = None,
) -> list[Question]:
    """All questions of a set that have a gold answer, in the order of the set.

    source: a name in HUB_SETS; a local .jsonl, .json, .csv or .parquet file; or a hub id,
        written `id`, `id:config`, `id:config:split`, or `id::split` for the default config.
    training: where a hub set has several splits and none is named, take train and not test.
    question_column, answer_column: where to look, if not under the usual names. A dot leads into a
        cell that is itself an object, as in `reward_model.ground_truth`.

    Rows without a gold answer are left out and counted on stderr. Raises InputError.
    """
    usual_text, usual_gold = QUESTION_COLUMNS, ANSWER_COLUMNS
    if source in HUB_SETS:
        address, *known = HUB_SETS[source]
        usual_text, usual_gold = known[:1], known[1:]
        rows = hub_rows(address, training)
    elif is_path(source):
        rows = file_rows(Path(source).expanduser())
    elif "/" in source:
        rows = hub_rows(source, training)
    else:
        names = ["toy", *HUB_SETS]  # the toy's are found by who calls this
        remedy = did_you_mean(source, names) or (
            f": name one of {', '.join(names)}, a hub id such as openai/gsm8k, or {A_LOCAL_FILE}"
        )
        raise InputError(f"no question set is called {source!r}{remedy}")

    if isinstance(rows, list):
        columns = list(dict.fromkeys(name for row in rows for name in row))
    else:
        columns = rows.column_names
    text_at = pick_column(source, columns, question_column, usual_text, "--question_column")
    gold_at = pick_column(source, columns, answer_column, usual_gold, "--answer_column")
    if not isinstance(rows, list):  # a row becomes Python objects: let those be few
        wanted = {name if name in columns else name.split(".")[0] for name in (text_at, gold_at)}
        rows = rows.select_columns(sorted(wanted))

    found = [
        Question(text_of(cell_of(row, text_at)), gold_of(cell_of(row, gold_at))) for row in rows
    ]
    questions = [question for question in found if question.text and question.gold]
    if not questions:
        raise InputError(
            f"{source} has no row with both a question in {text_at!r} and a gold answer in "
            f"{gold_at!r}: name others of its columns ({', '.join(columns)}) with "
            "--question_column and --answer_column"
        )
    if skipped := len(found) - len(questions):
        reason = "no gold answer" if all(q.text for q in found) else "no text or no gold answer"
        print(f"skipped {skipped} of {len(found)} questions of {source}: {reason}", file=sys.stderr)
    return questions


def is_path(source: str) -> bool:
    """A hub id has one slash, begins with neither dot nor slash, and does not end as our files."""
    return (
        source.startswith((".", "/", "~"))
        or Path(source).suffix.lower() in READERS
        or Path(source).exists()
        or source.count("/") > 1
    )


def hub_rows(address: str, training: bool):
    """A `datasets.Dataset`, from the hub or from the library's cache of it."""
    import datasets  # here, because it is slow to import

    hub_id, config, split = [*address.split(":", 2), "", ""][:3]
    try:
        rows = datasets.load_dataset(hub_id, config or None, split=split or None)
    except Exception as error:  # noqa: BLE001 - library, network and hub each raise their own kinds
        raise InputError(
            f"cannot load {address} from the Hugging Face hub ({one_line(error)}): check the "
            f"network and the id:config:split, or pass {A_LOCAL_FILE} instead"
        ) from None
    if not isinstance(rows, dict):
        return rows
    # No split was named, so these are all of them.
    split = "train" if training else "test"
    if split not in rows and len(rows) > 1:
        raise InputError(f"{address} has no split {split}: write id:config:split with {list(rows)}")
    return rows[split] if split in rows else next(iter(rows.values()))


def file_rows(path: Path) -> list[dict]:
    """The rows of a local file, every cell as the file has it."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: give one of the files in it")
    if not path.exists():
        raise InputError(f"there is no file {path}: check its name and the folder you are in")
    if path.suffix.lower() not in READERS:
        raise InputError(f"{path} is not a file of questions by its name: pass {A_LOCAL_FILE}")
    try:
        rows = READERS[path.suffix.lower()](path)
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # JSON's and Arrow's among them
        raise InputError(
            f"{path} cannot be read as {path.suffix[1:]} ({one_line(error)}): mend it, "
            "or pass another file"
        ) from None
    if not rows:
        raise InputError(f"{path} is empty: give a file with at least one question in it")
    return rows


# Text files are read with the standard library and not with `datasets`, whose readers give a whole
# column one type: they turn "007" into 7, shift the cells of a CSV row that has a comma too many,
# and may refuse JSON lines that differ only in a column nobody asked for.


def json_rows(path: Path) -> list[dict]:
    """One object a line, or one array of objects, or objects over several lines."""
    text = path.read_text(encoding="utf-8-sig")
    # Decoded value by value from the whole text, so that an error tells the line in the file.
    rows, at, blank, decoder = [], 0, re.compile(r"\s*"), json.JSONDecoder()
    while (at := blank.match(text, at).end()) < len(text):
        value, at = decoder.raw_decode(text, at)
        rows += value if isinstance(value, list) else [value]
    for row in rows:
        if not isinstance(row, dict):
            raise TypeError(f'{json.dumps(row)[:30]} is no {{"problem": ..., "answer": ...}}')
    return rows


def csv_rows(path: Path) -> list[dict]:
    """Cells between commas, below a line that names the columns."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader, rows = csv.DictReader(file, strict=True), []
        try:
            for row in reader:
                if None in row:  # where DictReader puts the cells beyond the last column
                    raise csv.Error("more cells than columns; is a comma not in double quotes?")
                rows.append(row)
        except csv.Error as error:
            raise ValueError(f"line {reader.reader.line_num}: {error}") from None
    return rows


def parquet_rows(path: Path) -> list[dict]:
    """What `datasets` itself writes, and most sets on the hub."""
    import datasets

    verbosity = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # it logs what it raises
    try:
        # Streaming makes no copy of the file and shows no progress bar, but leaves a lock behind.
        with tempfile.TemporaryDirectory() as cache:
            return list(datasets.Dataset.from_parquet(str(path), cache_dir=cache, streaming=True))
    finally:
        datasets.logging.set_verbosity(verbosity)


READERS = {".jsonl": json_rows, ".json": json_rows, ".csv": csv_rows, ".parquet": parquet_rows}


def pick_column(
    source: str, columns: list[str], named: str | None, usual: list[str], option: str
) -> str:
    """The column a person named, else the first of the usual ones that is there."""
    for name in [named] if named else usual:
        if name in columns or name.split(".")[0] in columns:
            return name
    raise InputError(
        f"{source} has no column {named or ' or '.join(usual)}: "
        f"name one of its columns ({', '.join(columns)}) with {option}"
    )


def cell_of(row: dict, name: str):
    """What stands under a name, or under a path of names, or None.

    >>> cell_of({"reward_model": {"ground_truth": "42"}}, "reward_model.ground_truth")
    '42'
    """
    if name in row:
        return row[name]
    for part in name.split("."):
        row = row.get(part) if isinstance(row, dict) else None
    return row


def text_of(cell) -> str:
    """The question in a cell; of a chat, what the user said last; "" if there is none.

    >>> text_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}])
    '1+1?'
    """
    if isinstance(cell, list):
        said = [m.get("content") for m in cell if isinstance(m, dict) and m.get("role") == "user"]
        cell = said[-1] if said else None
    return "" if cell is None else str(cell).strip()


def gold_of(cell) -> str:
    r"""The gold answer in a cell, or "" if there is none.

    >>> gold_of("3 + 4 = 7, so she has 7 apples.\n#### 7"), gold_of(7.0), gold_of(["$-1$", "$x^2$"])
    ('7', '7', '-1, x^2')
    """
    if isinstance(cell, list):
        return ", ".join(filter(None, map(gold_of, cell)))
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = "" if cell is None or isinstance(cell, dict) or str(cell) == "nan" else str(cell)
    if "####" in text:
        text = text.rpartition("####")[2]
    elif "\\boxed" in text:
        text = extract_answer(text) or ""
    # One pair of dollars around the whole, not those of "$x$ and $y$" or of a price such as 5\$.
    enclosed = re.fullmatch(r"(\$\$?)((?:[^$\\]|\\.)+)\1", text.strip(), re.DOTALL)
    return (enclosed[2] if enclosed else text).strip()


def position_of(question: str) -> float:
    """A number in [0, 1) that depends on nothing but the words of the question."""
    digest = hashlib.sha256(" ".join(question.split()).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48  # 6 bytes: 8 could round up to 1


def is_held_out(question: str, fraction: float = 0.1) -> bool:
    """Whether a question belongs to the `fraction` of all texts that training never sees.

    A question is on the same side in every run and every file, however its spaces are set, and
    what is held out at one fraction is held out at every larger one.

    >>> is_held_out("7+8", 0.5), is_held_out(" 7+8 ", 0.5), is_held_out("7+8", 0.0)
    (True, True, False)
    """
    return position_of(question) < fraction


def split_held_out(
    questions: Sequence[Question], fraction: float
) -> tuple[list[Question], list[Question]]:
    """(training, held out), both in the given order, with no text on both sides.

    At least one is held out: where the hash picks none, the one with the smallest hash. Raises
    InputError where nothing is left to train on.
    """
    first = min((position_of(question.text) for question in questions), default=0.0)
    training, held_out = sides = [], []
    for question in questions:
        # Whenever the hash holds any out, the first is among them, so it may be named always.
        held = is_held_out(question.text, fraction) or position_of(question.text) == first
        sides[held].append(question)
    if not training:
        raise InputError(
            f"holding out {fraction:.0%} of {len(questions)} questions leaves none to train on: "
            "give more questions, or hold out a smaller fraction"
        )
    return training, held_out


def draw(questions: Sequence, seed: int, start: int, count: int) -> list:
    """Questions number start .. start + count - 1 of an endless stream.

    The stream is one shuffle of all questions after another, and epoch e's shuffle depends on
    (seed, e) only. So the whole state of the sampler is the integer `start`: a resumed run that
    knows how many questions it drew goes on exactly where it stopped.

    >>> stream = draw("abc", seed=0, start=0, count=9)
    >>> stream[2:7] == draw("abc", seed=0, start=2, count=5)
    True
    >>> sorted(stream[3:6])
    ['a', 'b', 'c']
    """
    drawn = []
    while len(drawn) < count:
        epoch, offset = divmod(start + len(drawn), len(questions))
        order = list(range(len(questions)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        drawn += [questions[i] for i in order[offset : offset + count - len(drawn)]]
    return drawn
