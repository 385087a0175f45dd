"""README.md and docs/: their links lead somewhere, their commands are commands, their names are names.

What the pages say in words is not tested; what a reader would type, follow or look up is.
"""

import importlib
import json
import re
import runpy
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pyarrow.parquet
import pytest
import torch
from conftest import ROOT

from loss import group_advantages, policy_loss
from options import InputError, parse_eval, parse_train
from reward import load_reward

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = ("train", "eval", "analyze", "reward")


def text_of(page) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page, language) -> list[str]:
    """The fenced blocks of a page in that language."""
    return [block for found, block in FENCE.findall(text_of(page)) if found == language]


def prose(page) -> str:
    """A page without its fenced blocks and what stands in backticks."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text_of(page)))


def commands(page) -> list[list[str]]:
    """The words behind `python` of each command: a line of a bash block, or a span such as `python x.py`."""
    lines = "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    lines += re.findall(r"`(python [^`\n]+)`", FENCE.sub("", text_of(page)))
    words = (shlex.split(line, comments=True) for line in lines)
    return [line[1:] for line in words if line and line[0] == "python"]


ALL = [(page.name, *words) for page in PAGES for words in commands(page)]


def anchors(page) -> set[str]:
    """The #anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_pages_are_there():
    names = {page.name for page in PAGES}
    assert names >= {"README.md", "results.md", "recipes.md", "reading-a-run.md", "departures.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_images_lead_somewhere(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


def test_every_page_is_reached_from_the_readme():
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)", prose(ROOT / "README.md")))
    assert linked == {f"docs/{page.name}" for page in PAGES[1:]}


def test_the_readme_is_short_and_keeps_its_two_commands():
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= 200
    made = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"
    assert f"{made} && .venv/bin/python train.py" in lines
    found = next(line for line in lines if line.endswith("python -m pytest"))  # as .ci/run does
    assert found == f"{made} && .venv/bin/python -m pytest"


# ------------------------------------------------------------------------------------ commands


def test_there_are_commands_of_every_program():
    assert {f"{name}.py" for name in PROGRAMS} <= {script for _, script, *_ in ALL}


def of(*scripts):
    found = [command for command in ALL if command[1] in scripts]
    return pytest.mark.parametrize("command", found, ids=" ".join)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The options file of a run, for commands that go on with one or start it again."""
    folder = tmp_path_factory.mktemp("run")
    options = {"model": "toy", "data": "toy", "seed": 0}
    (folder / "config.json").write_text(json.dumps(options), encoding="utf-8")
    return folder / "config.json"


@of("train.py", "eval.py")
def test_commands_are_accepted(command, config):
    _, script, *words = command
    words = [str(config) if word == "runs/NAME/config.json" else word for word in words]
    if "--resume" in words:
        words[words.index("--resume") + 1] = str(config.parent)
    if "--length_strength" in words:  # the README's own example of a method that is not there
        with pytest.raises(InputError, match="unknown option --length_strength"):
            parse_train(words)
    elif words == ["--help"]:
        with pytest.raises(SystemExit):
            parse_train(words)
    else:
        (parse_train if script == "train.py" else parse_eval)(words)


@pytest.fixture(scope="module")
def help_of():
    """{program: what its --help prints}, each asked once."""
    asked = {}

    def ask(script):
        if script not in asked:
            words = [sys.executable, str(ROOT / script), "--help"]
            done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
            asked[script] = done.stdout
        return asked[script]

    return ask


@of("analyze.py", "reward.py")
def test_options_of_argparse_programs_exist(command, help_of):
    _, script, *words = command
    known = set(re.findall(r"--\w+", help_of(script)))
    assert {word for word in words if word.startswith("--")} <= known


def test_other_scripts_and_their_options_exist():
    known = {"-m", *(f"{name}.py" for name in PROGRAMS)}
    others = [command for command in ALL if command[1] not in known]
    assert others
    for page, script, *words in others:
        assert script.startswith("tests/") and (ROOT / script).is_file(), (page, script)
        source = (ROOT / script).read_text(encoding="utf-8")
        for word in words:
            assert not word.startswith("--") or f'"{word}"' in source, (page, script, word)


# --------------------------------------------------------------------------- the README's own code


@pytest.fixture
def readme_code(tmp_path):
    """(a text, names) -> the names after running the README's Python block with that text in it."""

    def run_it(text, names):
        block = next(b for b in blocks(ROOT / "README.md", "python") if text in b)
        lines = [line for line in block.splitlines() if not line.startswith("length_strength:")]
        (tmp_path / "code.py").write_text("\n".join(lines), encoding="utf-8")
        return runpy.run_path(str(tmp_path / "code.py"), names)

    return run_it


@pytest.fixture
def tokens():
    """(logp, old_logp, rewards, mask) of 2 groups of 4 rollouts of different lengths."""
    torch.manual_seed(0)
    old_logp = -torch.rand(8, 9)
    mask = torch.arange(9) < torch.randint(2, 10, (8, 1))
    rewards = torch.tensor([1.0, 0, 0, 1, 0, 1, 1, 1])
    return (old_logp + 0.4 * torch.randn(8, 9), old_logp, rewards, mask)


def test_grpo_of_the_readme_is_the_one_of_loss(tokens, readme_code):
    logp, old_logp, rewards, mask = tokens
    advantages = group_advantages(rewards, 4)[:, None].expand(mask.shape)
    expected, clipped = policy_loss(logp, old_logp, advantages, mask)
    assert clipped.any()
    grpo_loss = readme_code("def grpo_loss(", {"torch": torch})["grpo_loss"]
    torch.testing.assert_close(grpo_loss(*tokens, G=4), expected)


def test_the_method_of_the_readme(tokens, readme_code):
    *_, rewards, mask = tokens
    length_shaping = readme_code("def length_shaping(", {})["length_shaping"]
    advantages = group_advantages(rewards, 4)[:, None].expand(mask.shape)
    batch, loss = SimpleNamespace(mask=mask), SimpleNamespace(length_shaping=length_shaping)

    def weighed(strength):
        options = SimpleNamespace(length_strength=strength)
        names = {"shaped": advantages, "batch": batch, "options": options, "loss": loss}
        return readme_code("shaped = loss.length_shaping(", names)["shaped"]

    assert torch.equal(weighed(0.0), advantages)
    factor, lengths = (weighed(0.5) / advantages)[:, 0], mask.sum(1)
    assert factor[lengths.argmin()] > 1 > factor[lengths.argmax()]


def test_the_reward_of_the_page_on_the_verifier(tmp_path):
    (block,) = blocks(ROOT / "docs" / "verifier.md", "python")
    assert len([line for line in block.splitlines() if line]) <= 12
    (tmp_path / "mine.py").write_text(block, encoding="utf-8")
    half = load_reward(f"{tmp_path / 'mine.py'}:half_for_the_box")
    graded = [half(text, "7") for text in (r"\boxed{7}", r"\boxed{8}", "seven or so")]
    assert [(g.correct, g.reward) for g in graded] == [(True, None), (False, 0.5), (False, 0.0)]


# -------------------------------------------------------------------------------- the glossary


@pytest.fixture(scope="module")
def run(rotary_folder, tmp_path_factory):
    """The folder of a run of one step of the untrained toy."""
    folder = tmp_path_factory.mktemp("docs") / "run"
    sizes = "--data toy --steps 1 --questions_per_step 2 --group_size 2 --updates_per_step 1 "
    sizes += "--max_response_length 6 --eval_questions 2 --eval_samples 2 --device cpu"
    words = ["--model", rotary_folder, "--run", str(folder), *sizes.split()]
    command = [sys.executable, str(ROOT / "train.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def first_column(heading) -> set[str]:
    """The names in backticks in the first column of the table below a heading of reading-a-run.md."""
    _, _, section = text_of(ROOT / "docs" / "reading-a-run.md").partition(f"\n## {heading}\n")
    cells = re.findall(r"^\| ([^|]+) \|", section.partition("\n## ")[0], re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_glossary_has_every_metric_and_no_other(run):
    (line,) = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert first_column("Metrics of a step") == json.loads(line).keys()


def test_glossary_has_every_column_and_no_other(run):
    schema = pyarrow.parquet.read_schema(run / "rollouts" / "step_1.parquet")
    assert first_column("Columns of the rollouts") == set(schema.names)


def test_glossary_has_what_a_run_leaves_behind(run):
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert first_column("summary.json") == summary.keys() | {"entropy_change"}
    _, _, section = text_of(ROOT / "docs" / "reading-a-run.md").partition("\n## summary.json\n")
    told = set(re.findall(r"`([^`]+)`", section.partition("\n## ")[0]))
    assert summary["before"].keys() <= told
    listed = {name.partition("/")[0] for name in first_column("The folder of a run")}
    assert listed == {path.name for path in run.iterdir()}


def test_ladder_names_functions_and_metrics_that_are_there():
    _, _, section = text_of(ROOT / "docs" / "reading-a-run.md").partition("\n## The ladder\n")
    rows = re.findall(r"^\| .+ \| .+ \| (`.+) \| (`.+) \|$", section, re.MULTILINE)
    assert len(rows) > 15
    for functions, metrics in rows:
        for name in re.findall(r"`([^`]+)`", functions):
            module, _, function = name.rpartition(".")
            assert callable(getattr(importlib.import_module(module), function, None)), name
        assert set(re.findall(r"`([^`]+)`", metrics)) <= first_column("Metrics of a step")


def test_every_alarm_is_explained():
    source = (ROOT / "record.py").read_text(encoding="utf-8")
    alarms = set(re.findall(r'found\["(\w+)"\] = ', source))
    assert alarms and first_column("Alarms") == alarms
