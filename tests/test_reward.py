"""The verifier: what it takes for an answer, how it grades, what it survives; the tool."""

import ast
import inspect
import json
import subprocess
import sys
import threading

import pytest
from test_answers import BOMBS, DIFFERENT, EQUAL

import answers
import extraction
import notation
import precise
import reward
from answers import is_equivalent
from options import InputError
from reward import (
    Grade,
    explain,
    grade,
    load_reward,
    overlong_penalty,
)


def test_a_grade_has_one_of_four_outcomes_and_the_extracted_text():
    assert grade(r"\boxed{2/4}", "0.5") == (True, "correct", "2/4", None)
    assert grade(r"\boxed{2/3}", "0.5") == (False, "wrong", "2/3", None)
    assert grade("", "0") == (False, "no answer", None, None)
    assert grade(r"\boxed{9^{9^{9}}}", "0")[:2] == (False, "no answer")  # beyond a limit
    assert grade(r"\boxed{" + "8" * 401 + "}", "0")[:2] == (False, "no answer")
    assert grade(r"\boxed{" + "8" * 3000 + "}", "0")[:3] == (False, "too long", "8" * 2000)
    assert grade(r"\boxed{" + "8" * 3000 + "}", "8" * 3000).correct  # the same text


@pytest.mark.parametrize(
    "response, gold, correct",
    [
        (r"$\boxed{(3, 3)} \text{ for part (a) and } \boxed{(1, 1)}$", "(1, 1), (3, 3)", True),
        (r"(a) \boxed{3} (b) \boxed{7}", "7, 3", True),
        (r"(a) \boxed{3} (b) \boxed{7}", "3", False),  # the last box is the answer to one question
        (r"(a) \boxed{3} (b) \boxed{7}", "3, 8", False),
        (r"\boxed{1}, then \boxed{3}, then \boxed{7}", "1, 7", False),  # the last two, not any two
        (r"\boxed{1}, then \boxed{3}, then \boxed{7}", "7, 3", True),
        (r"\boxed{3}, then \boxed{7}, then again \boxed{7}", "3, 7", True),
        (r"\boxed{3, 4}, then \boxed{5}", "3, 4, 5", False),  # three parts, and two boxes
        (r"\boxed{7} and \boxed{8}", "8", False),  # a guess too many
        (r"\boxed{8} and again \boxed{8}", "8", True),
    ],
)
def test_boxes_make_up_a_list_only_where_the_gold_answer_is_one(response, gold, correct):
    assert grade(response, gold).correct is correct


def test_explanations_say_what_was_read_and_why():
    said = explain(r"So it is \boxed{\frac12}.", "0.5")
    assert r"'\\frac12': the last box" in said and "gold       1/2" in said
    assert said.endswith("correct: the same value")
    assert explain(r"\boxed{3 cm}", "3 m").endswith("different numbers")
    assert "read as    3 cm\ngold       3 mm\nwrong" in explain(r"\boxed{3 cm}", "3 mm")
    assert explain(r"\boxed{3 cm}", "3 cm").endswith("correct: the same tokens")
    assert explain(r"\boxed{(0,1)}", "1").endswith("a tuple is not a number")
    assert "limits" in explain(r"\boxed{9^{9^9}}", "1")
    assert "limits" in explain(r"\boxed{1}", "9^{9^9}")
    long = "8" * 3000
    assert explain(rf"\boxed{{{long}}}", long).endswith("unreadable\ncorrect: the same tokens")
    assert explain("Hm.", "1").startswith("no answer")
    for one, other in EQUAL + DIFFERENT:
        assert explain(rf"\boxed{{{one}}}", other)


def test_the_tool_grades_a_file_and_refuses_what_is_none(tmp_path):
    def run(*arguments):
        command = [sys.executable, reward.__file__, *arguments]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, encoding="utf-8"
        )

    cases = [
        {"gold": "7", "response": r"\boxed{7}", "expected": True, "kind": "integer"},
        {"gold": "7", "response": r"\boxed{8}", "expected": False, "kind": "integer"},
        {"gold": "7", "response": "seven", "expected": True, "kind": "words"},
        {"gold": "7", "response": r"\boxed{7.0}", "expected": False, "kind": "words"},
        {"gold": "7", "response": r"\boxed{x}", "expected": "ambiguous"},
        {"gold": "7", "response": r"\boxed{6}"},
    ]
    file = tmp_path / "cases.jsonl"
    file.write_text("\n".join(map(json.dumps, cases)) + "\n", encoding="utf-8")
    result = run("--file", str(file), "--show", "wrong")
    assert result.returncode == 0 and "6/6" in result.stderr  # the progress bar
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line}
    assert " ".join(rows["all"]) == "4 50.00% 1 of 2 1 of 2"
    assert " ".join(rows["integer"]) == "2 100.00% 0 of 1 0 of 1"
    assert " ".join(rows["words"]) == "2 0.00% 1 of 1 1 of 1"
    assert result.stdout.count("expected ") == 2 and "extracted  '7.0'" in result.stdout
    assert "ms  gold '7'" in result.stdout
    assert "3 wrong, 2 correct, 1 no answer" in result.stdout

    slow = "+".join(["(x+1)^{300}"] * 20)  # after three that are not
    cases = [*cases[:3], {"gold": slow, "response": r"\boxed{2x}", "expected": True}]
    file.write_text("\n\n".join(map(json.dumps, cases)), encoding="utf-8")
    result = run("--file", str(file), "seven")
    assert result.returncode == 0 and "extracted" not in result.stdout  # unless they are asked for
    assert result.stdout.rpartition("slowest\n")[2].split()[3].startswith("'(x+1)^")

    one = run(r"I get \boxed{\frac12}", "0.5")
    assert one.returncode == 0 and "correct: the same value" in one.stdout
    file.write_text('{"gold": "7"}\n', encoding="utf-8")
    for arguments in (["--file", str(file)], ["--file", str(tmp_path / "none")], ["7"], []):
        refused = run(*arguments)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr, arguments
        said = "it needs a JSON" if "cases" in str(arguments) else "cannot be read"
        assert (said if "--file" in arguments else 'give "RESPONSE" "GOLD"') in refused.stderr


def test_a_closed_pipe_and_a_question_in_a_case(tmp_path):
    file = tmp_path / "cases.jsonl"
    case = {"gold": "7", "response": "3+4=7\n答案是7", "question": "三加四", "expected": True}
    file.write_text(json.dumps(case) + "\n", encoding="utf-8")
    graded = f"{sys.executable} {reward.__file__} --file {file}"
    for end in ("", " | true"):
        command = ["bash", "-c", f"set -o pipefail; {graded}{end}"]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        assert result.returncode == 0 and "cannot be read" not in result.stderr
        assert end or "1 correct" in result.stdout


OWN = """import neighbour
from reward import Grade, grade

def own(response, gold, question):
    if gold == "fails":
        return neighbour.divide(0)
    if gold == "grade":
        return grade(response, question, question)
    return {"half": 0.5, "one": 1, "true": True, "none": None, "nan": float("nan"),
            "inf": 1e999, "text": "1", "list": Grade(1, "correct", "7"), "two": 2.0}[gold]

class Callable:
    def __call__(self, *texts):
        return float(texts == ("r", "g", "q"))

instance, number = Callable(), 3
"""


def test_a_reward_of_ones_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(OWN, encoding="utf-8")
    (tmp_path / "neighbour.py").write_text("def divide(n):\n    return 1 / n\n", encoding="utf-8")
    own = load_reward(f"{file}:own")
    assert load_reward("") is grade
    assert own(r"\boxed{7}", "half") == Grade(False, "wrong", "7", 0.5)
    assert own("Hm.", "half") == Grade(False, "no answer", None, 0.5)
    assert own("Hm.", "one") == own("Hm.", "true") == Grade(True, "correct", None, 1.0)
    assert own(r"\boxed{7}", "two", "?").reward == 2.0
    assert own(r"\boxed{7}", "grade", "7") == Grade(True, "correct", "7", None)
    assert load_reward(f"{file}:instance")("r", "g", "q").correct

    def refused(name, *texts):
        with pytest.raises(InputError) as told:
            load_reward(name)(*texts)
        assert "\n" not in str(told.value)
        return str(told.value).removeprefix(f"--reward {name}: ")

    assert refused(f"{file}:own", "", "fails") == (
        "mine.py, line 6: ZeroDivisionError: division by zero"
    )
    assert refused(f"{file}:own", "", "unknown") == "mine.py, line 9: KeyError: 'unknown'"
    for gold in ("none", "nan", "inf", "text", "list"):
        said = refused(f"{file}:own", "", gold)
        assert said.startswith("mine.py, line 4: TypeError: it returned "), said
    assert "no function 'others'" in refused(f"{file}:others")
    assert "no function 'number'" in refused(f"{file}:number")
    assert "no file" in refused(f"{tmp_path}/none.py:own")
    assert "file.py:function" in refused("mine.py") and "file.py:function" in refused(":own")
    for text, said in [
        ("x = 1\ndef f(:\n", "broken.py, line 2"),
        ("import not_there_at_all\n", "broken.py, line 1: ModuleNotFoundError"),
        ("x = 1\n\nraise SystemExit(3)\n", "broken.py, line 3: SystemExit: 3"),
    ]:
        (tmp_path / "broken.py").write_text(text, encoding="utf-8")
        assert said in refused(f"{tmp_path}/broken.py:f")


def test_overlong_penalty_grows_over_the_buffer_and_never_rewards():
    penalties = [overlong_penalty(n, limit=100, buffer=20, penalty=2.0) for n in range(130)]
    assert penalties[:81] == [0.0] * 81
    assert penalties[90] == 1.0 and penalties[100] == 2.0 and penalties == sorted(penalties)
    assert overlong_penalty(1000, limit=100, buffer=0, penalty=1.0) == 0.0


def test_fault_12_verifier_never_evaluates_never_hangs():
    for module in (answers, extraction, notation, precise, reward):
        nodes = list(ast.walk(ast.parse(inspect.getsource(module))))
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        called = {function.id for function in calls if isinstance(function, ast.Name)}
        imports = [name.name for n in nodes if isinstance(n, ast.Import) for name in n.names]
        imports += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
        assert not called & {"eval", "exec", "compile", "__import__"}
        ours = {"answers", "extraction", "notation", "options", "precise"}
        assert {name.split(".")[0] for name in imports} <= {*sys.stdlib_module_names, "tqdm", *ours}
        for library in ("signal", "threading", "multiprocessing", "subprocess", "ast"):
            assert library not in imports

    long = [
        "a",
        "{",
        "\n",
        " ",
        "\\",
        "$",
        "</think>",
        "<think>",
        "answer is ",
        "\n####",
        "1,",
        "<|",
    ]
    long += [
        "put your ",
        "答案是",
        "<|channel|>",
        "\\boxed{",
        "The n is ",
        "[/INST]",
        "42, or ",
        "✅",
        "?",
    ]
    long = [part * (1_000_000 // len(part)) for part in long]
    graded = []

    def grade_all():
        for bomb in BOMBS:
            for response in (bomb, rf"\boxed{{{bomb}}}", f"The answer is {bomb}"):
                graded.append((grade(response, "7"), bomb))
            graded.append((grade(r"\boxed{7}", bomb), bomb))
            graded.append((grade("no", "7")._replace(correct=not is_equivalent(bomb, bomb)), bomb))
        for text in long:
            graded.append((grade(text, "7"), text[:9]))

    thread = threading.Thread(target=grade_all)  # a rollout is graded wherever the trainer likes
    thread.start()
    thread.join()
    assert len(graded) == 5 * len(BOMBS) + len(long)  # nothing raised
    assert [bomb for result, bomb in graded if result.correct] == []
    assert grade("a" * 1_000_000 + r"\boxed{7}", "7").correct
    assert grade(r"\boxed{2^{1009}}", "2^{1009}").correct


@pytest.mark.parametrize(
    "response, gold, correct",
    [
        (r"\boxed{-7}", "7", False),  # the sign counts
        (r"\boxed{−7}", "-7", True),  # however it is typed
        (r"\boxed{\frac{-1}{2}}", r"-\frac{1}{2}", True),
        ("The answer is 1,234.", "1234", True),  # one number
        (r"\boxed{1,234}", "234", False),
        (r"\boxed{1, 234}", "1234", False),
        ("The answer is 18.", "18", True),  # a full stop is no decimal point
        (r"\boxed{18.}", "18", True),
        ("The answer is 1.8.", "18", False),
        ("Let x = 7. The answer is 8.", "7", False),  # the gold answer is not searched for
        (r"It is \boxed{17}", "7", False),
        (r"\boxed{7} or \boxed{8}", "7", False),
        (r"\boxed{7\text{ or }8}", "7", False),
        ("The answer is 52 or 54.", "52", False),  # a hedge
        (r"The answer is \(52\) or \(54\).", "52", False),
        ("The answer is not 7.", "7", False),
        ("The answer is definitely not 7", "7", False),
        ("I considered 5, 6, and finally 7", "7", False),  # nor is the last number taken
    ],
)
def test_fault_13_verifier_reads_signs_separators_full_stops_and_does_not_search_for_the_answer(
    response, gold, correct
):
    assert grade(response, gold).correct is correct
