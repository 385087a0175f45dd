"""The house: who may import whom, how long a file and a function may be, and which packages are used."""

import ast
import re
import sys

import pytest
from conftest import ROOT

FLOORS = (  # from the ground; a file imports only from floors below its own
    {"loss", "entropy", "options", "notation", "precise"},
    {"answers"},
    {"extraction"},
    {"reward"},
    {"cells"},
    {"data"},
    {"policy"},
    {"rollout"},
    {"toy", "record"},
    {"eval", "probe"},
    {"analysis"},
    {"train", "analyze"},
)
METHOD = ("train", "rollout", "reward", "loss", "entropy", "eval")
FILES = sorted([*ROOT.glob("*.py"), *ROOT.glob("analysis/*.py")])


def name_of(file):
    """train of train.py, analysis.law of analysis/law.py."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def imported(file):
    """Every module a file imports, inside its functions too, as a full name."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: write the full name instead of dots"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def arrows():
    """{file: which of ours it imports}."""
    names = {name_of(file) for file in FILES}
    return {name_of(file): imported(file) & names for file in FILES}


def floor_of(name):
    return next(i for i, floor in enumerate(FLOORS) if name.split(".")[0] in floor)


def test_arrows_point_down():
    up = [
        (name, other)
        for name, others in arrows().items()
        for other in others - {"analysis.__init__"}
        if floor_of(other) >= floor_of(name) and not name.startswith("analysis.")
    ]
    up += [
        (name, other)
        for name, others in arrows().items()
        if name.startswith("analysis.")
        for other in others
        if floor_of(other) > floor_of(name)
    ]
    assert not up


def test_there_is_no_circle():
    """Whoever imports nothing that is left is taken away, until nobody is left."""
    left = arrows()
    while left:
        ground = {name for name, others in left.items() if not others & left.keys()}
        assert ground, f"a circle among {sorted(left)}"
        left = {name: others for name, others in left.items() if name not in ground}


def test_only_the_named_packages_are_imported():
    # pyarrow is what datasets reads and writes parquet with
    allowed = {"torch", "transformers", "datasets", "pyarrow", "tqdm", "matplotlib"}
    allowed |= set(sys.stdlib_module_names) | {name_of(file).split(".")[0] for file in FILES}
    for file in FILES:
        assert {name.split(".")[0] for name in imported(file)} <= allowed, file


def test_the_method_is_read_in_an_afternoon():
    lines = {name: (ROOT / f"{name}.py").read_text().count("\n") for name in METHOD}
    assert sum(lines.values()) <= 2300 and max(lines.values()) <= 470, lines
    wing = {file.name: file.read_text().count("\n") for file in ROOT.glob("analysis/*.py")}
    assert max(wing.values()) < 350, wing


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_function_is_longer_than_60_lines(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{file}: {node.name}"


def test_every_fault_that_is_listed_has_its_test():
    listed = re.findall(r"^\| (\d\d) \|", (ROOT / "docs" / "faults.md").read_text(), re.MULTILINE)
    tests = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("tests/test_*.py"))
    assert len(listed) >= 18 and set(listed) == set(re.findall(r"def test_fault_(\d\d)_", tests))
