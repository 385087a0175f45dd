"""Question sets: what is read is what was written, and every fault gets one sentence."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import datasets
import pytest
from conftest import refusal

import data
import toy
from data import HUB_SETS, Question, draw, is_held_out, load_questions, split_held_out

ROWS = [
    {"problem": "What is 1,000 + 1?", "answer": "1001", "level": "5"},
    {"problem": 'Say "x^2"\nin LaTeX.', "answer": "x^2", "level": "5"},
    {"problem": "How many spies?", "answer": "007", "level": ""},
    {"problem": "Is there none?", "answer": "None", "level": "NA"},
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


@pytest.mark.parametrize(
    ("cell", "gold"),
    [
        ("She has 3 + 4 = 7.\n#### 7", "7"),
        ("#### 1 #### 1,234", "1,234"),
        (r"Thus $x = 2$, that is \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        ("$x^2$", "x^2"),
        (" $$ x^2 $$ ", "x^2"),
        ("$x$ and $y$", "$x$ and $y$"),
        (r"5\$", r"5\$"),
        (r"$\$5$", r"\$5"),
        (["$1$", None, 2.0], "1, 2"),
        (12, "12"),
        (12.0, "12"),
        (0, "0"),
        (0.125, "0.125"),
    ],
)
def test_gold_cells(tmp_path, cell, gold):
    source = write_rows(tmp_path / "one.jsonl", [{"problem": "a", "answer": cell}])
    assert load_questions(source) == [("a", gold)]


def test_rows_without_gold_are_skipped_and_counted(tmp_path, capsys):
    golds = ["1", None, "", "  ", [], float("nan"), "7"]
    rows = [{"problem": f"q{i}", "answer": gold} for i, gold in enumerate(golds)] + [{"problem": 1}]
    source = write_rows(tmp_path / "gaps.jsonl", rows)
    assert load_questions(source) == [("q0", "1"), ("q6", "7")]
    assert capsys.readouterr().err == f"skipped 6 of 8 questions of {source}: no gold answer\n"


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
