"""Question sets: what is read is what was written, and every fault gets one sentence."""

import json
import os
import subprocess
import sys
import time
import tracemalloc
import types
from pathlib import Path

import datasets
import pyarrow
import pytest
from conftest import refusal
from pyarrow import parquet

import data
import toy
from data import HUB_SETS, Question, draw, is_held_out, load_questions, split_held_out

ROWS = [
    {"problem": "What is 1,000 + 1?", "answer": "1001", "level": "5"},
    {"problem": 'Say "x^2"\nin LaTeX.', "answer": "x^2", "level": "5"},
    {"problem": "How many spies?", "answer": "007", "level": ""},
    {"problem": "Is there none?", "answer": "none", "level": "NA"},
]
WRITTEN = [Question(row["problem"], row["answer"]) for row in ROWS]


def write_rows(path: Path, rows: list[dict]) -> str:
    """Writes rows the way other programs would."""
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    elif path.suffix == ".csv":
        datasets.Dataset.from_list(rows).to_csv(path)
    else:
        datasets.Dataset.from_list(rows).to_parquet(path)
    return str(path)


# --------------------------------------------------------------------------------------------------
# Local files


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet", ".CSV"])
def test_every_format_gives_back_the_text_that_was_written(tmp_path, capfd, suffix):
    rows = write_rows(tmp_path / f"questions{suffix.lower()}", ROWS)
    source = Path(rows).rename(tmp_path / f"questions{suffix}")
    capfd.readouterr()
    assert load_questions(str(source)) == WRITTEN
    assert [file.name for file in tmp_path.iterdir()] == [source.name]  # nothing left behind
    assert capfd.readouterr() == ("", "")  # and no progress bars


def test_the_library_writes_nothing_into_its_cache_and_says_nothing(tmp_path):
    source = write_rows(tmp_path / "questions.parquet", ROWS)
    cache = tmp_path / "cache"
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1" + b"x" * 100 + b"PAR1")
    command = f"""if True:
        import data
        print(len(data.load_questions({source!r})))
        try:
            data.load_questions({str(broken)!r})
        except data.InputError:
            print("refused")"""
    done = subprocess.run(
        [sys.executable, "-c", command],
        env=os.environ | {"HF_HOME": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("4\nrefused\n", "")
    assert not [file for file in cache.rglob("*") if file.is_file()]


def test_lines_may_differ_in_their_columns_and_types(tmp_path):
    path = tmp_path / "mixed.jsonl"
    rows = [
        {"problem": "a", "answer": 1, "level": 5.0},
        {"problem": "b", "answer": "2.50", "level": "5"},
        {"problem": "c", "answer": 3.0, "level": {"of": 5}},
        {"answer": ["4", 5.0], "problem": "d"},
        {"problem": "e", "answer": -0.5, "level": None},
    ]
    assert load_questions(write_rows(path, rows)) == [
        ("a", "1"),
        ("b", "2.50"),
        ("c", "3"),
        ("d", "4, 5"),
        ("e", "-0.5"),
    ]


def test_json_lines_in_a_json_file_and_separators_inside_strings(tmp_path):
    path = tmp_path / "lines.json"
    path.write_text('\ufeff{"problem": "a\u2028b", "answer": 1}\r\n{"problem": "c", "answer": 2}')
    assert load_questions(str(path)) == [("a\u2028b", "1"), ("c", "2")]


def test_csv_with_line_ends_of_either_kind_and_rows_cut_short(tmp_path, capsys):
    path = tmp_path / "windows.csv"
    path.write_bytes(b'problem,answer\r\n"a\r\nb",1\r\n\r\nc\r\nd,1.50\r\n')
    assert load_questions(str(path)) == [("a\r\nb", "1"), ("d", "1.50")]
    assert "skipped 1 of 3" in capsys.readouterr().err


GOLDS = [
    ("She has 3 + 4 = 7.\n#### 7", "7"),
    ("#### 1 #### 1,234", "1,234"),
    ("So it is.\n#### 3 dollars and 50 cents", "3 dollars and 50 cents"),
    ("#### Step 1\nAdd them.\n#### Step 2\nThat is \\boxed{7}", "7"),  # headings
    ("#### So that is \\boxed{7}", "7"),
    ("We add them. It works.\n#### Final Answer\n7", "7"),
    (r"Thus $x = 2$, that is \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
    ("She earns 9 * 2 dollars. The answer is 18.", "18"),
    ("The answer is 18.", "18"),
    ("$x^2$", "x^2"),
    (" $$ x^2 $$ ", "x^2"),
    ("$x$ and $y$", "$x$ and $y$"),
    (r"5\$", r"5\$"),
    (r"$\$5$", r"\$5"),
    (12, "12"),
    (12.0, "12"),
    (0, "0"),
    (0.125, "0.125"),
    (1e-7, "1e-07"),
    (True, "True"),
    # lists, as cells and as texts
    (["$1$", None, 2.0], "1, 2"),
    ([["1", "2"], ["3"]], "1, 2, 3"),
    (r'["\\frac{1}{2}"]', r"\frac{1}{2}"),
    (r"['\\frac{1}{2}', '$-1$']", r"\frac{1}{2}, -1"),
    (r"['\sqrt{2}']", r"\sqrt{2}"),
    (r'["\frac{1}{2}"]', r"\frac{1}{2}"),
    ("1\ud800", "1?"),
    ("['12']", "12"),
    ('["1","2"]', "1, 2"),
    ("['1' '2'\n '3']", "1, 2, 3"),  # an array of NumPy's
    ("""["it's", 'say "b"', None, 'no \\xb0']""", 'it\'s, say "b", no \xb0'),
    (r'"\\frac{1}{2}"', r"\frac{1}{2}"),
    ('["[0, 1]"]', "[0, 1]"),
    ("[12]", "12"),
    ("[12.0]", "12"),
]
AS_THEY_ARE = [
    *("[0, 1]", "[1,2]", "[0, 1)", "[[1, 2], [3, 4]]", "[[1, 2]]", "{}", "{1, 2}", "{1: 2}"),
    *("Thursday", r"\text{even}", "(A)", "6 apples", "x = 3 or x = -2", "> ", "1e-5", "none"),
    *(r"6.02 \times 10^{23}", r"\text{no real solutions}", "Infinitely many solutions"),
    *("The function is increasing on (0, 1)", "The function is increasing.", "No answer"),
    *("Dr. Li and Dr. Lee won", "8 a.m. Monday", "U.S. dollars and U.K. pounds", "A: 5, B: 7"),
    *("Yes. It is prime.", "(1) Al is a knave\n(2) Bo is a knight", '"a" and "b"', "Since 1990"),
    r"\begin{cases} x & \text{if } x > 0 \\ 1 & \text{otherwise.} \end{cases}",
]


@pytest.mark.parametrize(("cell", "gold"), GOLDS + [(gold, gold.strip()) for gold in AS_THEY_ARE])
def test_gold_cells(tmp_path, cell, gold):
    source = write_rows(tmp_path / "one.jsonl", [{"problem": "a", "answer": cell}])
    assert load_questions(source) == [("a", gold)]


@pytest.mark.parametrize(
    "cell",
    [
        "Al sold 48/2 = 24 clips in May.\nAl sold 48 + 24 = 72 clips in both.",
        "We get $x = 5$. Then $y = 6$.",
        "Since 3 + 4 = 7, she has 7 apples.",
        "first " * 31,
        "小明有3个苹果。他又买了4个。",
        r"We find $x = 5$ and \boxed{x",
        r"\boxed{}",
        "#### Step 1\nWe add them. Then it is done.",
        "1" * 2001,
        ["The sum is even. The product is odd.", "2"],
    ],
)
def test_prose_is_no_gold_answer(tmp_path, capsys, cell):
    rows = [{"problem": "a", "answer": cell}, {"problem": "b", "answer": "1"}]
    source = write_rows(tmp_path / "prose.jsonl", rows)
    assert load_questions(source) == [("b", "1")]
    assert "skipped 1 of 2" in (said := capsys.readouterr().err)
    assert "a text without an answer for a gold answer (1)" in said


def test_rows_that_cannot_be_used_are_skipped_and_counted(tmp_path, capsys):
    golds = ["1", None, "", "  ", [], float("nan"), "7", "None", "N/A", "[]", '["nan"]', {"a": 1}]
    rows = [{"problem": f"q{i}", "answer": gold} for i, gold in enumerate(golds)]
    rows += [{"problem": 1}, {"problem": " ", "answer": 1}, {"problem": "a", "answer": ["1"] * 999}]
    source = write_rows(tmp_path / "gaps.jsonl", rows)
    assert load_questions(source) == [("q0", "1"), ("q6", "7")]
    assert capsys.readouterr().err == (
        f"skipped 13 of 15 questions of {source}: no gold answer (11), no question (1), "
        "a gold answer too long to be compared (1)\n"
    )
    source = write_rows(tmp_path / "none.jsonl", rows[1:4])
    assert "no gold answer (3)" in refusal(load_questions, source)


USER = {"role": "user", "content": "1+1?"}
PARTS = [{"type": "text", "text": "What is"}, {"type": "text", "text": "1+1?"}]
CHATS = [
    ([{"role": "system", "content": "Be brief."}, USER], "1+1?"),
    ([USER | {"content": PARTS}], "What is\n1+1?"),
    ([USER | {"content": [{"type": "text", "text": "1+1?", "image": None}]}], "1+1?"),
    (PARTS, "What is\n1+1?"),
    (USER, "1+1?"),
    ({"messages": [USER]}, "1+1?"),
    ([{"from": "human", "value": "1+1?"}, {"from": "gpt", "value": "2"}], "1+1?"),
]
NO_CHATS = [
    "[0, 1] is what?",
    "[1, 2, 3]",
    "[0, 1)",
    '{"a": 1}',
    '[{"a": [1, "b"]}]',
    "['a']",
    "[]",
]


@pytest.mark.parametrize("spell", [lambda cell: cell, json.dumps, repr])
@pytest.mark.parametrize(("cell", "text"), CHATS)
def test_chats_as_cells_as_json_and_as_python_prints_them(tmp_path, cell, text, spell):
    rows = [{"prompt": spell(cell), "answer": "1"}]
    assert load_questions(write_rows(tmp_path / "chat.jsonl", rows)) == [(text, "1")]


def test_a_chat_that_numpy_printed_and_what_python_escapes(tmp_path):
    said = 'it\'s "x",\nnamely $\\frac{1}{2}$ \xad\u200b'
    chat = [{"content": "Be brief.", "role": "system"}, {"content": said, "role": "user"}]
    rows = [{"prompt": repr(chat).replace("}, {", "}\n {"), "answer": "1"}]
    assert load_questions(write_rows(tmp_path / "chat.csv", rows)) == [(said, "1")]


@pytest.mark.parametrize("text", NO_CHATS)
def test_a_question_that_begins_like_a_chat_stays_as_it_is(tmp_path, text):
    rows = [{"prompt": text, "answer": "1"}, {"prompt": [USER | {"content": text}], "answer": "1"}]
    assert load_questions(write_rows(tmp_path / "text.jsonl", rows)) == [(text, "1")] * 2


def test_a_question_with_an_image_is_skipped(tmp_path, capsys):
    image = {"type": "image_url", "image_url": {"url": "data:..."}}
    cells = [[USER | {"content": [image, *PARTS]}], [image, *PARTS], "<image>Find x."]
    cells += [json.dumps(cell) for cell in cells[:2]]
    rows = [{"prompt": cell, "answer": "1"} for cell in [*cells, "1+1?"]]
    assert load_questions(write_rows(tmp_path / "seen.jsonl", rows)) == [("1+1?", "1")]
    said = capsys.readouterr().err
    assert "skipped 5 of 6" in said
    assert "image or the like (5)" in said


DEEP = "[" * 900 + "]" * 900
HOSTILE = [
    *("[" * 99_999 + "]", "[" * 50_000 + "]" * 50_000, DEEP, "[" + "-" * 9000 + "1]"),
    *("[" + "'" * 99_998 + "]", "['" + r"\'" * 49_990 + "]", "[" + "' " * 49_999 + "]"),
    *("['a'" + " " * 99_990 + "]", "[" + "9" * 99_990 + "]", "[" + "{'a':" * 19_000 + "]"),
    *("$" * 99_999, r"\(" * 999, r"\boxed{" * 14_000, "#### " * 20_000, "a b. " * 20_000),
    "[__import__('os').abort()]",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:9])
def test_no_text_hangs_or_is_run(tmp_path, text):
    rows = [{"problem": text, "answer": "1"}, {"problem": "a", "answer": text}]
    source = write_rows(tmp_path / "hostile.jsonl", rows)
    began = time.perf_counter()
    assert load_questions(source)[0] == (text.strip(), "1")
    assert time.perf_counter() - began < 3


def test_cells_nested_too_deeply_are_skipped(tmp_path, capsys):
    path = tmp_path / "deep.jsonl"
    path.write_text(f'{{"problem": "a", "answer": {DEEP}}}\n{{"problem": "b", "answer": 1}}')
    assert load_questions(str(path)) == [("b", "1")]
    assert "(1)" in capsys.readouterr().err


def test_usual_columns_named_columns_paths_and_chats(tmp_path):
    chat = [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "And 2+2?"},
    ]
    row = {"prompt": chat, "solution": "4!", "reward_model": {"ground_truth": "4"}, "id": "five"}
    for suffix in ("jsonl", "parquet"):
        source = write_rows(tmp_path / f"chat.{suffix}", [row])
        assert load_questions(source) == [("And 2+2?", "4!")]
        named = load_questions(source, answer_column="reward_model.ground_truth")
        assert named == [("And 2+2?", "4")]
        assert load_questions(source, question_column="id") == [("five", "4!")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jsonl", b"", "is empty"),
        ("blank.json", b" \n\n", "is empty"),
        ("list.json", b"[]", "is empty"),
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"problem,answer\n", "is empty"),
        ("empty.parquet", b"", "as parquet"),
        ("text.txt", b"1+1", ".jsonl"),
        ("packed.jsonl.gz", b"1+1", ".jsonl"),
        ("broken.jsonl", b'{"problem": "a", "answer": 1}\n{"problem": "b", "ans\n', "line 2"),
        ("broken.json", b'[\n{"problem": "a",\n "answer": 1},\n{"problem" "b"}]', "line 4"),
        ("numbers.jsonl", b"1\n2\n", "problem"),
        ("long.csv", b"problem,answer\na,1\nWhat is 1,000 + 1?,1001\n", "line 3"),
        ("open.csv", b'problem,answer\n"a,1\n', "line 2"),
        ("latin.jsonl", '{"problem": "caf\xe9"}'.encode("latin-1"), "utf-8"),
        ("latin.csv", "problem,answer\ncaf\xe9,1".encode("latin-1"), "utf-8"),
        ("broken.parquet", b"PAR1" + b"x" * 100 + b"PAR1", "as parquet"),
        ("cut.parquet", b"PAR1", "as parquet"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, capfd, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    sentence = refusal(load_questions, str(path))
    assert str(path) in sentence
    assert words in sentence
    assert capfd.readouterr() == ("", "")


def test_only_the_columns_in_use_are_read(tmp_path):
    """What is broken in another column does no harm."""
    rows = [
        {"prompt": [USER], "reward_model": {"ground_truth": "2", "style": "r" * 99}, "trace": "t"}
    ] * 3
    path = tmp_path / "wide.parquet"
    for broken, is_read in (("trace", False), ("style", False), ("ground_truth", True)):
        write_rows(path, rows)
        group = parquet.ParquetFile(path).metadata.row_group(0)
        every = [group.column(i) for i in range(group.num_columns)]
        column = next(column for column in every if column.path_in_schema.endswith(broken))
        start = column.dictionary_page_offset or column.data_page_offset
        content = bytearray(path.read_bytes())
        content[start : start + column.total_compressed_size] = (
            b"\xff" * column.total_compressed_size
        )
        path.write_bytes(content)
        named = {"answer_column": "reward_model.ground_truth"}
        if is_read:
            assert "as parquet" in refusal(load_questions, str(path), **named)
        else:
            assert load_questions(str(path), **named) == [("1+1?", "2")] * 3


def test_memory_grows_with_the_different_questions(tmp_path, hub):
    different = [(chr(65 + i) * 5000, str(i)) for i in range(10)]
    columns = zip(*(different * 1000), strict=True)
    table = pyarrow.table(dict(zip(["problem", "answer"], columns, strict=True)))
    parquet.write_table(table, tmp_path / "many.parquet")
    hub.reply = datasets.Dataset(table)
    for source in (str(tmp_path / "many.parquet"), "someone/many"):
        tracemalloc.start()
        questions = load_questions(source)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert questions == different * 1000
        assert len(set(map(id, questions))) == 10
        assert peak < 10e6  # of 50 MB of text


def test_cells_of_several_types_as_the_library_writes_them(tmp_path, hub):
    rows = [{"prompt": [USER], "answer": "1"}, {"prompt": [USER | {"content": PARTS}], "answer": 2}]
    hub.reply = datasets.Dataset.from_list(rows, on_mixed_types="use_json")
    hub.reply.to_parquet(tmp_path / "mixed.parquet")
    for source in (str(tmp_path / "mixed.parquet"), "someone/mixed"):
        assert load_questions(source) == [("1+1?", "1"), ("What is\n1+1?", "2")]


def test_text_in_a_binary_column(tmp_path):
    table = pyarrow.table({"problem": [b"caf\xc3\xa9?"], "answer": [b"12"]})
    parquet.write_table(table, tmp_path / "binary.parquet")
    assert load_questions(str(tmp_path / "binary.parquet")) == [("caf\xe9?", "12")]


def test_files_that_are_not_there(tmp_path):
    assert "no file" in refusal(load_questions, str(tmp_path / "none.jsonl"))
    assert "no file" in refusal(load_questions, "none.csv")
    assert "no file" in refusal(load_questions, "./none")
    assert "no file" in refusal(load_questions, "some/other/none")
    assert "folder" in refusal(load_questions, str(tmp_path))


def test_columns_that_are_not_there(tmp_path):
    source = write_rows(tmp_path / "odd.jsonl", [{"text": "a", "answer": "1"}, {"label": "2"}])
    sentence = refusal(load_questions, source)
    assert "text, answer, label" in sentence
    assert "--question_column" in sentence
    sentence = refusal(load_questions, source, question_column="text", answer_column="gold")
    assert "gold" in sentence
    assert "--answer_column" in sentence
    sentence = refusal(load_questions, source, question_column="text", answer_column="answer.gold")
    assert "'answer.gold'" in sentence
    source = write_rows(tmp_path / "odd.parquet", ROWS)
    for wrong in ("gold", "answer.gold"):
        sentence = refusal(load_questions, source, answer_column=wrong)
        assert "problem, answer, level" in sentence


# --------------------------------------------------------------------------------------------------
# The hub, played by a stub


@pytest.fixture
def hub(monkeypatch):
    """Says what was asked of the hub; answers with what `hub.reply` is."""
    asked = types.SimpleNamespace(reply=None)

    def load_dataset(path, name=None, split=None):
        asked.id, asked.config, asked.split = path, name, split
        if isinstance(asked.reply, Exception):
            raise asked.reply
        if isinstance(asked.reply, dict) and split is not None:
            return asked.reply[split]
        return asked.reply

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def splits(**golds) -> datasets.DatasetDict:
    one = {name: [{"question": "q", "answer": gold}] for name, gold in golds.items()}
    return datasets.DatasetDict({k: datasets.Dataset.from_list(rows) for k, rows in one.items()})


def test_known_sets_are_asked_for_under_their_own_columns(hub):
    known = {
        "math500": ("HuggingFaceH4/MATH-500", None, "test"),
        "aime24": ("HuggingFaceH4/aime_2024", None, "train"),
        "aime25": ("math-ai/aime25", None, "test"),
        "amc23": ("math-ai/amc23", None, "test"),
        "minerva": ("math-ai/minervamath", None, "test"),
        "olympiad": ("Hothan/OlympiadBench", "OE_TO_maths_en_COMP", "train"),
        "still3": ("RUC-AIBOX/STILL-3-Preview-RL-Data", None, "train"),
        "dapo": ("BytedTsinghua-SIA/DAPO-Math-17k", None, "train"),
    }
    assert set(HUB_SETS) == {*known, "gsm8k"}
    row = {
        "problem": "p",
        "question": "p",
        "prompt": [{"role": "user", "content": "p"}],
        "answer": "1",
        "final_answer": ["1"],
        "reward_model": {"ground_truth": "1"},
    }
    for name, address in known.items():
        used = {column.split(".")[0] for column in HUB_SETS[name][1:]}
        wanted = {column: cell for column, cell in row.items() if column in used}
        hub.reply = datasets.Dataset.from_list([wanted | {"solution": "2", "text": "t"}])
        assert load_questions(name) == [("p", "1")]
        assert (hub.id, hub.config, hub.split) == address


def test_gsm8k_has_a_split_for_training_and_one_for_evaluation(hub):
    hub.reply = splits(train="#### 1", test="#### 2")
    assert load_questions("gsm8k", training=True) == [("q", "1")]
    assert load_questions("gsm8k") == [("q", "2")]
    assert (hub.id, hub.config) == ("openai/gsm8k", "main")


def test_other_hub_sets(hub):
    hub.reply = splits(train="1", test="2", extra="3")
    assert load_questions("someone/some-set-v1.5") == [("q", "2")]
    assert (hub.id, hub.config) == ("someone/some-set-v1.5", None)
    assert load_questions("someone/set:hard:extra", training=True) == [("q", "3")]
    assert (hub.id, hub.config) == ("someone/set", "hard")
    assert load_questions("someone/set::extra") == [("q", "3")]
    assert hub.config is None
    hub.reply = splits(validation="4")
    assert load_questions("someone/set", training=True) == [("q", "4")]
    hub.reply = splits(test="5")["test"]
    assert load_questions("someone/set:hard:test[:100]") == [("q", "5")]
    assert hub.split == "test[:100]"
    hub.reply = splits(easy="1", hard="2")
    sentence = refusal(load_questions, "someone/set")
    assert "easy" in sentence
    assert "hard" in sentence
    hub.reply = splits(test="1")
    assert "question, answer" in refusal(load_questions, "someone/set", answer_column="gold")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach 'someone/set' on the Hub (LocalEntryNotFoundError)"),
        ValueError("Config name is missing.\nPlease pick one: ['a', 'b']\nExample:\n\t`...`"),
        type("HttpError", (Exception,), {})(),
    ],
)
def test_a_hub_that_fails(hub, error):
    hub.reply = error
    sentence = refusal(load_questions, "someone/set:main")
    assert "someone/set:main" in sentence
    assert ".jsonl" in sentence
    assert (str(error).split("\n")[0].rstrip(".") or "HttpError") in sentence


def test_a_hub_out_of_reach(tmp_path):
    """The real library, told in its own process that there is no network."""
    command = """if True:
        import data
        try:
            data.load_questions("gsm8k")
        except data.InputError as error:
            print(error)"""
    done = subprocess.run(
        [sys.executable, "-c", command],
        env=os.environ
        | {
            "HF_HOME": str(tmp_path),
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "openai/gsm8k" in done.stdout


def test_names_of_no_set():
    assert "did you mean math500?" in refusal(load_questions, "math-500")
    sentence = refusal(load_questions, "zzz")
    assert "gsm8k" in sentence
    assert ".jsonl" in sentence


def test_toy_is_found_by_its_own_file():
    assert toy.find_questions("toy", True)[:50] == toy.training_questions(50)
    assert toy.find_questions("toy", False) == toy.held_out_questions()
    assert refusal(load_questions, "toyy").startswith(
        "no question set is called 'toyy', did you mean toy?"
    )


# --------------------------------------------------------------------------------------------------
# Splitting and drawing

MANY = [Question(f"What is {i} + {i}?", str(2 * i)) for i in range(2000)]


def test_the_hash_split_is_stable_disjoint_and_of_the_right_size():
    # Written down once: a change of these would leak held-out questions into resumed training.
    assert [i for i in range(100) if is_held_out(MANY[i].text)] == [36, 50, 69, 81, 82, 84]
    training, held_out = split_held_out(MANY, 0.1)
    assert sorted(training + held_out) == sorted(MANY)
    assert all(is_held_out(question.text) for question in held_out)
    assert not any(is_held_out(question.text) for question in training)
    assert 150 < len(held_out) < 250
    # Neither the order nor the company of a question matters, nor does its white space.
    assert set(split_held_out(MANY[::-3], 0.1)[1]) == set(MANY[::-3]) & set(held_out)
    assert all(is_held_out(f" {q.text} ".replace(" ", "\n ")) for q in held_out)
    assert set(held_out) < set(split_held_out(MANY, 0.3)[1])


def test_at_least_one_question_is_held_out_with_all_its_copies():
    few = [question for question in MANY[:50] if not is_held_out(question.text)]
    training, held_out = split_held_out(few * 2, 0.1)
    assert len(held_out) == 2
    assert held_out[0] == held_out[1]
    assert not set(training) & set(held_out)
    assert min(few, key=lambda q: data.position_of(q.text)) == held_out[0]


def test_a_split_that_leaves_nothing_to_train_on():
    assert "2000" in refusal(split_held_out, MANY, 1.0)
    assert "1 question" in refusal(split_held_out, MANY[:1], 0.1)
    refusal(split_held_out, [], 0.1)


def test_each_epoch_is_a_permutation_of_its_own():
    stream = draw(range(10), seed=1, start=0, count=100)
    epochs = [stream[i : i + 10] for i in range(0, 100, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 10
    assert draw(range(10), seed=2, start=0, count=100) != stream


def test_a_stream_goes_on_where_it_stopped():
    whole = draw(MANY[:7], seed=3, start=0, count=50)
    assert whole == draw(MANY[:7], 3, 0, 20) + draw(MANY[:7], 3, 20, 30)
    assert [draw(MANY[:7], 3, i, 1)[0] for i in range(50)] == whole
    assert draw(MANY[:7], 3, 5, 0) == []
