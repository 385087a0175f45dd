"""Options: from text to a dataclass, bounds, rules across options, and one sentence for every fault."""

import dataclasses
import json
import sys
from dataclasses import dataclass, field
from typing import Literal, Optional

import pytest
import torch
from conftest import refusal

from options import (
    HEADINGS,
    EvalOptions,
    InputError,
    TrainOptions,
    choose_autocast,
    choose_device,
    option,
    parse_eval,
    parse_options,
    parse_train,
)


@dataclass
class Options:
    "50% off."

    steps: int = field(default=100, metadata={"help": "optimizer steps"})
    learning_rate: float = field(default=1e-6, metadata={"help": "constant after 99 % warm-up"})
    alpha: float = field(default=0.0, metadata={"help": "strength, %(default)s or 100%"})
    model: str = field(default="toy", metadata={"help": "a folder or an id"})
    question_column: str | None = field(default=None, metadata={"help": "where questions are"})
    limit: Optional[int] = field(default=None, metadata={"help": "rows"})  # noqa: UP045
    resume: bool = field(default=False, metadata={"help": "go on"})
    dynamic_sampling: bool = field(default=True, metadata={"help": "drop useless groups"})
    shaping: Literal["none", "ppl", "position"] = field(default="none", metadata={"help": "how"})


def test_options_of_every_type():
    assert parse_options(Options, []) == Options()
    line = "--steps 3 --learning_rate=2e-4 --model a/b --question-column q --limit 5 --shaping ppl"
    assert parse_options(Options, line.split()) == Options(
        steps=3, learning_rate=2e-4, model="a/b", question_column="q", limit=5, shaping="ppl"
    )
    assert parse_options(Options, ["--steps", "3", "--steps", "4"]).steps == 4


@pytest.mark.parametrize("number", ["-1", "-0.01", "-.5", "-1e-2", "-1E-3"])
def test_negative_numbers_are_values(number):
    assert parse_options(Options, ["--alpha", number]).alpha == float(number)
    assert parse_options(Options, [f"--alpha={number}"]).alpha == float(number)


@pytest.mark.parametrize(
    ("line", "resume", "dynamic_sampling"),
    [
        ("", False, True),
        ("--resume", True, True),
        ("--resume False --dynamic_sampling False", False, False),
        ("--no_dynamic_sampling", False, False),
        ("--resume --dynamic_sampling --steps 1", True, True),
    ],
)
def test_flags(line, resume, dynamic_sampling):
    options = parse_options(Options, line.split())
    assert (options.resume, options.dynamic_sampling) == (resume, dynamic_sampling)


def test_defaults_then_the_file_then_the_command_line(tmp_path):
    path = tmp_path / "run.json"
    wanted = {"steps": 2, "learning_rate": 1e-05, "resume": True, "model": None, "limit": -3}
    path.write_text(json.dumps(wanted))
    defaults = {"steps": 1, "model": "small model", "alpha": 0.5, "dynamic_sampling": False}
    assert parse_options(Options, [str(path), "--learning_rate", "3"], defaults) == Options(
        steps=2,
        learning_rate=3.0,
        alpha=0.5,
        model="small model",
        limit=-3,
        resume=True,
        dynamic_sampling=False,
    )
    # What a run wrote down about itself is such a file.
    options = Options(steps=7, question_column="q", dynamic_sampling=False, shaping="position")
    path.write_text(json.dumps(dataclasses.asdict(options)))
    assert parse_options(Options, [str(path)]) == options


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--step 3", "unknown option --step, did you mean --steps?"),
        ("--steps 1 --shapping=ppl", "unknown option --shapping, did you mean --shaping?"),
        ("--zzz", "unknown option --zzz: --help lists all there are"),
        ("-steps 3", "unknown option -steps, did you mean --steps?"),
        ("--steps", "--steps: a value must follow"),
        ("--learning_rate --steps 3", "--learning_rate: a value must follow"),
        ("--steps abc", "--steps: 'abc' is not an integer"),
        ("--steps 3.5", "--steps: '3.5' is not an integer"),
        ("--steps -3x", "--steps: '-3x' is not an integer"),
        ("--limit all", "--limit: 'all' is not an integer"),
        ("--learning_rate fast", "--learning_rate: 'fast' is not a number"),
        ("--resume maybe", "--resume: 'maybe' is neither true nor false"),
        ("--no_dynamic_sampling=1", "--no_dynamic_sampling: takes no value, but was given '1'"),
        ("gsm8k --steps 3", "'gsm8k' is the value of no option: write --name value"),
        ("--steps 3 4", "'4' is the value of no option: write --name value"),
    ],
)
def test_options_that_are_refused(line, sentence):
    assert refusal(parse_options, Options, line.split()) == sentence


def test_choices_that_are_refused():
    sentence = refusal(parse_options, Options, ["--shaping", "perplexity"])
    assert sentence.startswith("--shaping: 'perplexity' is not one of ")
    assert "position" in sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"stepz": 3}', "unknown option --stepz, did you mean --steps?"),
        ('{"steps": "many"}', "--steps: 'many' is not an integer"),
        ('{"steps": 2.5}', "--steps: '2.5' is not an integer"),
        ('{"steps": true}', "--steps: 'True' is not an integer"),
        ('{"steps": [1]}', "--steps: '[1]' is not an integer"),
        ('{"steps": 1,\n "resume" true}', "line 2"),
        ("[1]", "not an object"),
        ("", "run.json"),
    ],
)
def test_option_files_that_are_refused(tmp_path, content, words):
    (tmp_path / "run.json").write_text(content)
    assert words in refusal(parse_options, Options, [str(tmp_path / "run.json")])


def test_option_files_that_are_not_there(tmp_path):
    assert "none.json" in refusal(parse_options, Options, [str(tmp_path / "none.json")])
    (tmp_path / "folder.json").mkdir()
    assert "folder.json" in refusal(parse_options, Options, [str(tmp_path / "folder.json")])


def test_required_options():
    required = dataclasses.make_dataclass("Required", [("steps", int)])
    assert "--steps" in refusal(parse_options, required, [])
    assert parse_options(required, [], {"steps": 3}).steps == 3


def test_help_shows_the_defaults_in_force(capsys):
    with pytest.raises(SystemExit) as exit_:
        parse_options(Options, ["--help"], {"steps": 12345, "dynamic_sampling": False})
    assert exit_.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "50% off" in shown
    assert "optimizer steps (default: 12345)" in shown
    assert "constant after 99 % warm-up (default: 1e-06)" in shown
    assert "strength, %(default)s or 100% (default: 0.0)" in shown
    assert "drop useless groups (default: False)" in shown
    assert "where questions are" in shown
    assert "None" not in shown


def test_options_declared_in_another_file_with_postponed_annotations(tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from typing import Literal\n"
        "@dataclass\n"
        "class Options:\n"
        "    steps: int | None = None\n"
        "    kind: Literal['a', 'b'] = 'a'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "elsewhere", raising=False)
    import elsewhere

    options = parse_options(elsewhere.Options, ["--steps", "3", "--kind", "b"])
    assert options == elsewhere.Options(3, "b")
    assert "--steps" in refusal(parse_options, elsewhere.Options, ["--steps", "x"])


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as end:
        parse_train(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0
    for each in dataclasses.fields(TrainOptions):
        assert f"--{each.name}" in text
        assert len(each.metadata["help"]) > 10


@pytest.mark.parametrize(
    ("parse", "declared"), [(parse_train, TrainOptions), (parse_eval, EvalOptions)]
)
def test_help_is_a_menu(parse, declared, capsys):
    """A usage of one line, every option once under its heading, three commands that can be given."""
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = capsys.readouterr().out
    usage, description, *parts = text.split("\n\n")
    assert usage.count("\n") == 0 and usage.startswith("usage: python ")
    assert description == declared.__doc__.partition("\n\n")[0]
    sections = {part.partition(":\n")[0]: part for part in parts}
    known = [heading for heading in HEADINGS if heading in sections]
    assert list(sections) == ["options", *known, "examples"]
    heading = None
    for each in dataclasses.fields(declared):
        heading = each.metadata.get("heading", heading)
        assert f"\n  --{each.name}" in "\n" + sections[heading].replace(":\n", "\n", 1)
        assert text.count(f"\n  --{each.name} ") + text.count(f"\n  --{each.name}\n") == 1
        assert "_" not in each.name or f"--{each.name.replace('_', '-')}" not in text
    examples = sections["examples"].strip().splitlines()[1:]
    assert len(examples) == 3 and all(line.strip().startswith("python ") for line in examples)


@dataclass
class Bounded:
    "Bounds."

    count: int = option(3, "how many", least=1, most=5)
    rate: float = option(0.5, "how fast", above=0)
    bound: float | None = option(None, "how far", infinite=True)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--count 0", "--count 0: it must be at least 1"),
        ("--count 6", "--count 6: it must be at most 5"),
        ("--rate 0", "--rate 0.0: it must be above 0"),
        ("--rate inf", "--rate inf: it must be a finite number"),
        ("--rate nan", "--rate nan: it must be a finite number"),
        ("--bound nan", "--bound nan: it must be a finite number"),
    ],
)
def test_a_number_beyond_its_bounds_is_refused(line, sentence):
    assert refusal(parse_options, Bounded, line.split()) == sentence


def test_a_number_at_its_bounds_is_taken():
    assert parse_options(Bounded, ["--count", "1", "--rate", "1e-9", "--bound", "inf"]).count == 1
    assert parse_options(Bounded, ["--count", "5"]).count == 5
    assert refusal(parse_train, ["--seed", str(2**63)]).endswith("below 2^63")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--overlong_buffer 65", "--overlong_buffer"),
        ("--shaping_start soon", "give a step, or plateau"),
        ("--shaping_start -1", "give a step, or plateau"),
        ("--objective clip_cov --cov_lower 2 --cov_upper 2", "below --cov_upper 2"),
    ],
)
def test_options_that_do_not_go_together_are_refused(line, words):
    assert words in refusal(parse_train, line.split())


def test_a_quantile_beside_an_absolute_bound_is_that_of_the_other_side():
    line = "--objective clip_cov --cov_lower 3 --cov_upper_quantile 0.5"
    options = parse_train(line.split())  # though the toy's lower quantile is 0.95
    assert (options.cov_lower, options.cov_upper_quantile) == (3, 0.5)


def test_the_clip_range_is_that_of_the_objective_unless_given():
    ranges = {"clip": (0.2, 0.28), "clip_cov": (1.0, 1.0)}
    for objective, expected in ranges.items():
        assert parse_train(["--objective", objective]).clip_range == expected
        given = ["--objective", objective, "--clip_low", "0", "--clip_high", "3"]
        assert parse_train(given).clip_range == (0.0, 3.0)


def test_autocast_is_bfloat16_where_asked_for_and_by_itself_on_a_gpu():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    asked = [("auto", cpu), ("float32", cpu), ("bfloat16", cpu), ("float32", gpu)]
    found = [choose_autocast(precision, device)._enabled for precision, device in asked]
    assert found == [False, False, True, False]


def test_a_json_file_of_options_and_the_command_line_over_it(tmp_path):
    file = tmp_path / "options.json"
    file.write_text(
        json.dumps({"steps": 7, "learning_rate": 0.5, "dry_run": True, "template": None})
    )
    options = parse_train([str(file), "--steps", "8"])
    assert (options.steps, options.learning_rate, options.dry_run) == (8, 0.5, True)
    assert options.group_size == 8 and options.max_response_length == 64


def test_greedy_means_one_rollout(capsys):
    assert parse_eval(["--model", "x", "--temperature", "0"]).n == 1
    assert "temperature 0" in capsys.readouterr().err
    parse_eval(["--model", "x", "--temperature", "0", "--n", "1"])
    assert capsys.readouterr().err == ""


def test_the_toy_has_short_responses():
    assert parse_eval(["--model", "x"]).max_response_length == 2048
    assert parse_eval(["--model", "toy"]).max_response_length == 64
    given = ["--model", "toy", "--max_response_length", "9"]
    assert parse_eval(given).max_response_length == 9


def test_choose_device_takes_the_best_there_is(monkeypatch):
    for cuda, mps, best in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: there)
        assert choose_device("auto") == torch.device(best)
        assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="--device cuda"):
        choose_device("cuda")
