"""Questions and their gold answers, from hub sets and local files, and every way these can be wrong.

Training with verifiable rewards asks little of a data set: the text of a question and its gold
answer, which a checker compares a final answer with. This file finds both in data sets of the
Hugging Face hub and in local files, holds questions out by a hash of their text, and draws an endless
shuffled stream of the others. Whatever a person can get wrong on the way ends as an InputError: one
sentence with the culprit and the remedy.

The columns of the known sets are those their authors published; all else here is ours.
"""

import contextlib
import csv
import hashlib
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cells import WITH_IMAGE, Skip, gold_of, text_of
from notation import MAX_ANSWER
from options import InputError, did_you_mean, one_line


class Question(NamedTuple):
    """What a rollout answers, and what its final answer is compared with."""

    text: str
    gold: str


class Table(NamedTuple):
    """The columns of a set, and how to walk through its rows with the cells of some of them."""

    columns: list[str]
    rows: Callable[[list[str]], Iterable[dict]]


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
BATCH = 256  # rows that are Python's objects at a time
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

    Rows without a question that can be asked or a gold answer that can be one are left out, and
    counted on stderr with the reason. Equal questions are one object, so memory grows with the
    different ones. Raises InputError.
    """
    usual_text, usual_gold = QUESTION_COLUMNS, ANSWER_COLUMNS
    if source in HUB_SETS:
        address, *known = HUB_SETS[source]
        usual_text, usual_gold = known[:1], known[1:]
        table = hub_table(address, training)
    elif is_path(source):
        table = file_table(Path(source).expanduser())
    elif "/" in source:
        table = hub_table(source, training)
    else:
        names = ["toy", *HUB_SETS]  # the toy's are found by who calls this
        remedy = did_you_mean(source, names) or (
            f": name one of {', '.join(names)}, a hub id such as openai/gsm8k, or {A_LOCAL_FILE}"
        )
        raise InputError(f"no question set is called {source!r}{remedy}")

    text_at = pick_column(source, table.columns, question_column, usual_text, "--question_column")
    gold_at = pick_column(source, table.columns, answer_column, usual_gold, "--answer_column")
    questions, different, skipped = [], {}, Counter()
    for row in table.rows([text_at, gold_at]):
        try:
            question = question_of(cell_of(row, text_at), cell_of(row, gold_at))
        except Skip as reason:
            skipped[str(reason)] += 1
        else:
            questions.append(different.setdefault(question, question))
    reasons = ", ".join(f"{reason} ({count})" for reason, count in skipped.most_common())
    if not questions:
        raise InputError(
            f"{source} has no row with both a question in {text_at!r} and a gold answer in "
            f"{gold_at!r}, but {reasons}: name others of its columns ({', '.join(table.columns)}) "
            "with --question_column and --answer_column"
        )
    if skipped:
        every = len(questions) + skipped.total()
        print(
            f"skipped {every - len(questions)} of {every} questions of {source}: {reasons}",
            file=sys.stderr,
        )
    return questions


def is_path(source: str) -> bool:
    """A hub id has one slash, begins with neither dot nor slash, and does not end as our files."""
    return (
        source.startswith((".", "/", "~"))
        or Path(source).suffix.lower() in READERS
        or Path(source).exists()
        or source.count("/") > 1
    )


def hub_table(address: str, training: bool) -> Table:
    """A split of a set of the hub, or of the library's cache of it."""
    split = hub_split(address, training)

    def rows(wanted: list[str]) -> Iterator[dict]:
        names = {name if name in split.column_names else name.split(".")[0] for name in wanted}
        for batch in split.select_columns(sorted(names)).with_format("arrow").iter(BATCH):
            yield from rows_of(batch)

    return Table(split.column_names, rows)


def hub_split(address: str, training: bool):
    """The `datasets.Dataset` that an address names."""
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


def file_table(path: Path) -> Table:
    """A local file, every cell as the file has it."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: give one of the files in it")
    if not path.exists():
        raise InputError(f"there is no file {path}: check its name and the folder you are in")
    if path.suffix.lower() not in READERS:
        raise InputError(f"{path} is not a file of questions by its name: pass {A_LOCAL_FILE}")
    with refusing(path):
        table = READERS[path.suffix.lower()](path)
    if not table.columns:
        raise InputError(f"{path} is empty: give a file with at least one question in it")
    return table


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """What a file's content raises becomes an InputError."""
    try:
        yield
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # JSON's and Arrow's among them
        raise InputError(
            f"{path} cannot be read as {path.suffix[1:]} ({one_line(error)}): mend it, "
            "or pass another file"
        ) from None


# Text files are read with the standard library and not with `datasets`, whose readers give a whole
# column one type: they turn "007" into 7, shift the cells of a CSV row that has a comma too many,
# and may refuse JSON lines that differ only in a column nobody asked for.


def json_table(path: Path) -> Table:
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
    return text_table(rows)


def csv_table(path: Path) -> Table:
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
    return text_table(rows)


def text_table(rows: list[dict]) -> Table:
    """All rows of a text file, which may differ in their columns."""
    return Table(list(dict.fromkeys(name for row in rows for name in row)), lambda wanted: rows)


def parquet_table(path: Path) -> Table:
    """What most sets on the hub are. Only the wanted columns are read, some rows at a time."""
    from pyarrow import parquet  # here, because it is slow to import

    def rows(wanted: list[str]) -> Iterator[dict]:
        # Read by small buffers, not by row groups. Of reward_model.ground_truth that alone is read.
        frugal = {"pre_buffer": False, "buffer_size": 2**16}
        with refusing(path), parquet.ParquetFile(path, **frugal) as file:
            for batch in file.iter_batches(BATCH, columns=wanted, use_threads=False):
                yield from rows_of(batch)

    with parquet.ParquetFile(path) as file:
        return Table(file.schema_arrow.names if file.metadata.num_rows else [], rows)


def rows_of(batch) -> list[dict]:
    """The rows of an Arrow table or batch as Python's objects."""
    rows = batch.to_pylist()
    # The type that datasets has for a column of several types is stored as JSON texts.
    if "arrow.json" not in str(batch.schema.types):
        return rows
    import datasets

    features = datasets.Features.from_arrow_schema(batch.schema.remove_metadata())
    return [features.decode_example(row) for row in rows]


READERS = {".jsonl": json_table, ".json": json_table, ".csv": csv_table, ".parquet": parquet_table}


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
    cell = row
    for part in [name] if name in row else name.split("."):
        cell = cell.get(part) if isinstance(cell, dict) else None
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell


def question_of(text_cell, gold_cell) -> Question:
    """The question and the gold answer in two cells. Raises Skip."""
    try:
        cells = text_of(text_cell), gold_of(gold_cell)
    except RecursionError:
        raise Skip("nested too deeply") from None
    # JSON may spell halves of characters, which no file of a run could hold.
    text, gold = (cell.encode("utf-8", "replace").decode() for cell in cells)
    if "<image>" in text:  # in place of a part that stands in another column
        raise Skip(WITH_IMAGE)
    if not text or not gold:
        raise Skip("no gold answer" if text else "no question")
    if len(gold) > MAX_ANSWER:
        raise Skip("a gold answer too long to be compared")
    return Question(text, gold)


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
