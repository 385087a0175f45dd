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
import reward
from answers import is_equivalent
from reward import explain, extract_answer, grade, overlong_penalty

EXTRACTED = [
    # boxes
    (r"So it is $\boxed{42}$.", "42"),
    (r"\boxed{\frac{a}{\sqrt{b}}} as claimed", r"\frac{a}{\sqrt{b}}"),
    (r"\boxed {7} or so", "7"),
    (r"\boxed 7 and that is all", "7"),
    (r"$\fbox{-3}$", "-3"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),  # escaped braces are no braces
    (r"First \boxed{3}, but in fact \boxed{4}.", "4"),
    (r"The answer is 3, so \boxed{4}", "4"),  # a box outranks a sentence
    (r"\boxed{3} and now \boxed{4", "3"),  # an unclosed box is no box
    (r"\boxed{3}. Write it as \boxed{}.", "3"),  # nor is an empty one
    (r"}}}\boxed{{{5}", None),
    (r"\boxedminus{5}", None),  # another command
    (r"\\boxed{5}", "5"),  # escaped twice by whoever wrote the file
    (r"\boxed{\boxed{5}}", r"\boxed{5}"),
    (r"Either \boxed{3}, \boxed{4} or $\boxed{5}$.", "3, 4, 5"),  # one answer, and so a hedge
    (r"So \boxed{3}. Then \boxed{4}", "4"),
    (r"So $\boxed{3}$, that is, $\boxed{3}$", "3"),
    (r"\boxed{255} is the interest. The final answer is $10,455$.", "10,455"),
    (r"\boxed{4}. This confirms the final answer is correct.", "4"),
    (r"\boxed{4}. The answer is 5.", "4"),  # only a *final* answer outranks a box
    (r"\boxed{3} and \boxed{3}", "3"),
    (r"\boxed{3}\text{ or }\boxed{4}", "3, 4"),
    (r"\boxed{3}. Or not \boxed{ }", "3"),
    (r"\boxed 50% of them", "50%"),
    (r"The final answer is 5? No: \boxed{4}", "4"),
    (r"The final answer is 5. No: \boxed{4}", "4"),
    (r"\boxed{255}. Final answer: $10$.", "10"),
    # thoughts and other turns
    (r"<think>\boxed{1}</think>\boxed{2}", "2"),
    (r"<think>\boxed{1}</think> Hm.", None),
    (r"<think>\boxed{1}", None),
    (r"<think>\boxed{1}</think><answer>2</answer>", "2"),
    (r"<reasoning>\boxed{1}</reasoning>\boxed{2}<|eot_id|>\boxed{3}", "2"),
    (r"\boxed{1}<|im_end|><|im_start|>user \boxed{2}", "1"),
    ("\\boxed{1}\nHuman: and then?\n\\boxed{2}", "1"),
    # stated answers
    ("She pays 3 * 6 dollars.\n#### 18", "18"),
    ("The final answer is $(0, 1)$. I hope it is correct.", "(0, 1)"),
    ("**Answer:** 3.5 meters.", "3.5 meters"),  # the full stop goes, the point stays
    ("The answer is 18, because 9 * 2 is 18.", "18"),
    ("Answer\n$$\n9\n$$", "9"),
    ("Some work.\nA: 11", "11"),
    ("A: 11\nB: 12", None),  # choices, not an answer
    ("Is the answer 7? The answer is 7?", None),
    ("The answer isn't 7", None),
    ("The correct option is (B).", "(B)"),
    ("The answer to this question is clearly 7.", "7"),
    ("The answer is $x^2$ for all $x$ and we are done.", "x^2"),
    ("We compute.\nWe find that $x \\neq 3$.", r"x \neq 3"),
    ("I think it's (D).", "(D)"),
    ("Work.\nTherefore, the area of it is $12\\sqrt{3}$.", r"12\sqrt{3}"),
    ("Therefore, the area of it is $12\\sqrt{3}$, and so we", None),  # cut off
    ("<answer>\n18\n</answer>", "18"),
    ("The answer is 18; or 20.", "18; or 20"),
    (r"\boxed{9}<|user|>\boxed{8}", "9"),
    ("We find that $x = 3$.\nBut this is no solution", None),  # not at the end
    ("The answer is 3. No, the answer is 4.", "4"),
    ("The answer is 7, so we stop here.", "7"),
    (r"The answer is \(7\).", "7"),
    # the whole response is the answer
    ("**an ellipse**", "an ellipse"),
    ("**7** or **8**", None),
    ("$x^2$", "x^2"),
    ("1,000", "1,000"),
    (r"\frac{1}{2}", r"\frac{1}{2}"),
    ("x = 5", "x = 5"),
    ("7+8=15", None),  # work, not an answer
    ("(B)", "(B)"),
    ("**7**", "7"),
    ("7 apples", None),  # a sentence may begin so
    ("Hm.", None),
    # nothing is stated
    ("There are 7 apples left.", None),
    ("", None),
]


@pytest.mark.parametrize("response, expected", EXTRACTED)
def test_extraction_follows_the_written_rules(response, expected):
    assert extract_answer(response) == expected


def test_what_follows_a_turn_or_stands_in_a_thought_is_not_the_answer():
    turns = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "</s>"]
    turns += ["<start_of_turn>", "<end_of_turn>", "<|start_header_id|>", "<|user|>", "[INST]"]
    turns += ["<｜end▁of▁sentence｜>", "<｜User｜>", "### Instruction", "\nUser:", "\nHuman:"]
    assert sorted(turns) == sorted(reward.TURNS)
    for turn in turns:
        assert extract_answer(rf"\boxed{{1}}{turn}\boxed{{2}}") == "1"
        assert extract_answer(rf"{turn.strip()}The answer is 1.") == "1"  # of the prompt
    for tag in ("think", "thinking", "thought", "reasoning"):
        assert extract_answer(rf"<{tag}>\boxed{{1}}</{tag}>\boxed{{2}}") == "2"
        assert extract_answer(rf"\boxed{{2}}<{tag}>\boxed{{1}}") == "2"
    text = r"\boxed{1}" + " " * 99_995 + r"\boxed{}."
    assert extract_answer(text) is None  # beyond the last 100,000 characters


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


def test_overlong_penalty_grows_over_the_buffer_and_never_rewards():
    penalties = [overlong_penalty(n, limit=100, buffer=20, penalty=2.0) for n in range(130)]
    assert penalties[:81] == [0.0] * 81
    assert penalties[90] == 1.0 and penalties[100] == 2.0 and penalties == sorted(penalties)
    assert overlong_penalty(1000, limit=100, buffer=0, penalty=1.0) == 0.0


def test_fault_12_verifier_never_evaluates_never_hangs():
    for module in (answers, reward):
        nodes = list(ast.walk(ast.parse(inspect.getsource(module))))
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        called = {function.id for function in calls if isinstance(function, ast.Name)}
        imports = [name.name for n in nodes if isinstance(n, ast.Import) for name in n.names]
        imports += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
        assert not called & {"eval", "exec", "compile", "__import__"}
        assert {name.split(".")[0] for name in imports} <= {
            *sys.stdlib_module_names,
            "answers",
            "options",
            "tqdm",
        }
        for library in ("signal", "threading", "multiprocessing", "subprocess", "ast"):
            assert library not in imports

    long = ["a", "{", "\n", " ", "\\", "$", "</think>", "<think>", "answer is ", "\n####", "1,"]
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
