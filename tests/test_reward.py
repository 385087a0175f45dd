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
from options import InputError
from reward import (
    Grade,
    explain,
    extract_answer,
    grade,
    load_reward,
    opened_thought,
    overlong_penalty,
)

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
    (r"\boxed{3} and now \boxed{4", None),  # what was meant at last is cut off
    (r"\boxed{3} and now \boxed{", None),
    (r"\boxed{3}, and \boxed{4 is it", None),
    (r"The answer is 3, in a box: \boxed{3", None),
    (r"\boxed{ \boxed{5}", "5"),
    (r"\boxed{\text{Answer: C}}", r"\text{ C}"),  # a label is not part of it
    (r"\boxed{Final answer: 5}", " 5"),
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


REMARKS = [
    ("The answer is 42, in total.", "42"),
    ("The answer is 42 (checked).", "42"),
    ("The answer is 42 — as required.", "42"),
    ("The answer is 42 - the same as before.", "42"),
    ("The answer is 42; this is what was asked.", "42"),
    ("The answer is 42: every pen counts.", "42"),
    ("The answer is $42$, obtained by adding both.", "42"),
    ("The answer is 42, meaning that Ann has 42.", "42"),
    ("The answer is 42, hence option B.", "42"),
    ("The answer is 42 when rounded to one place.", "42"),
    ("The answer is 42 pens, all of them blue.", "42 pens"),
    ("The answer is 42! Great work.", "42"),
    ("The answer is 5!.", "5!"),
    ("The answer is 1,234, in all.", "1,234"),
    ("The answer is 24, not 42.", "24"),
    # these words offer another answer, or a condition, or belong to it
    ("The answer is 42, or maybe 43.", "42, or maybe 43"),
    ("The answer is 42, or so.", "42, or so"),
    ("The answer is 42, but possibly less.", "42, but possibly less"),
    ("The answer is 42, three.", "42, three"),
    ("The answer is 42, other values fail.", "42, other values fail"),
    ("The answer is 42, others fit too.", "42, others fit too"),
    ("The answer is 7 and possibly 8.", "7 and possibly 8"),
    ("The answer is 7, if n is odd.", "7, if n is odd"),
    ("The answer is 7, assuming enough is left.", "7, assuming enough is left"),
    ("The answer is 7 (mod 11).", "7 (mod 11)"),
    ("The answer is 7 - pi.", "7 - pi"),
    ("The answer is 3 (x + 1).", "3 (x + 1)"),
    ("The answer is 7, 8 and 9.", "7, 8 and 9"),
    ("The answer is red, blue.", "red, blue"),
    # what is asked or taken back is not stated
    ("The answer is 7, right?", None),
    ("The answer is 7, because is it not?", None),
    ("The answer is 7. Or 8.", None),
    ("The answer is 7. No, wait.", None),
    ("The answer is 7\nActually, it is 8.", None),
    # decoration
    ("**Final Answer: 58** ✅", "58"),
    ("Final answer: `58` ✓", "58"),
    ("**58** ✅", "58"),
    ("Answer: 58 🎉🎉", "58"),
    ("Answer: 58.✅", "58"),
    ("**Answer: 58** (checked)", "58"),
    ("**Answer: 58** apples", "58 apples"),
    ("Answer: **58** or **60**", "58 or 60"),  # a hedge stays one
    ("The answer is x ** 2.", "x ** 2"),
    # labels
    (r"\textbf{Answer:} 5", "5"),
    (r"\text{Final answer: } 7", "7"),
    (r"\textbf{Answer: 31}", "31"),
    (r"$\text{Answer} = 31$", "31"),
    ("[Answer] 31", "31"),
    ("**Answer** 31", "31"),
    ("Answer：31", "31"),
    ("Answer﹕ 31", "31"),
    ("Answer∶31", "31"),
    (r"Answer: 31 \\", "31"),
    ("Answer: 31。", "31"),
    ("| Answer | 31 |", None),  # no rule names a table
    # sentences
    ("Final Answer: The largest n is 34.", "34"),
    ("Final Answer: There are 34 ways.", "34 ways"),
    ("Answer: The value of $x$ is $34$.", "34"),
    ("Answer: Ann has 34 apples left.", "34 apples left"),
    ("Final answer: The largest n is not 34.", "The largest n is not 34"),
    ("Final answer: If n is odd, it is 34", "If n is odd, it is 34"),
    ("Final answer: It is either 34 or 35.", "It is either 34 or 35"),
    ("Final answer: The least is 3, the largest is 34.", "3, the largest is 34"),
    ("The answer is pi plus 5.", "pi plus 5"),
    # stated after a box
    ("\\boxed{3}\n\nFinal answer: B", "B"),
    ("\\boxed{3}\n\nThe final answer is (B).", "(B)"),
    ("\\boxed{n}\n**Final Answer:** even", "even"),
    ("\\boxed{9}\n**Final Answer**\n8", "8"),
    ("\\boxed{9}\n\n**Answer: D**", "D"),
    ("\\boxed{9}\nThe final answer is clearly 8.", "8"),
    ("\\boxed{9}\nFinal Answer: The largest n is 34.", "34"),
    ("\\boxed{9}\n\nThe final answer is an integer.", "9"),
    ("\\boxed{9}\nThe final answer is correct.", "9"),
    ("\\boxed{9}\nFinal answer: see above", "9"),
    ("\\boxed{9}\n\nAnswer: D\nThat is all.", "9"),  # not the last line
    ("\\boxed{9}\nThe final answer is 8?", "9"),
    ("\\boxed{9}\nThe final answer is:", "9"),
    # what stands before an instruction is the echo of a prompt
    ("What is 3+4? The correct answer is 7. Put your final answer in \\boxed{}.", None),
    ("The answer is 7.\nWrite the answer in \\boxed{}.", None),
    ("The answer is 7. Let's think, and output the final answer within \\boxed{}.", None),
    ("The answer is 7. Express your answer as a decimal.", None),
    ("Answer: 7\n\nProvide your final answer.", None),
    ("正确答案是7。请把最终答案放在\\boxed{}里。", None),
    ("Put it in \\boxed{}: The answer is 34.", "34"),
    ("Mark your solution with \\boxed\nThe answer is 34.", "34"),
    ("Give your answer as a fraction. The answer is 1/2.", "1/2"),
    ("The answer is 34. I have put it into no \\boxed{}.", "34"),
    ("My answer is \\boxed{34}. I have put it within \\boxed{} as asked.", "34"),
]


@pytest.mark.parametrize("response, expected", REMARKS)
def test_what_is_stated_ends_before_remarks_and_no_guess_is_cut_to_one_answer(response, expected):
    assert extract_answer(response) == expected


def test_what_follows_a_turn_is_not_the_answer():
    for turn in reward.TURNS:
        assert extract_answer(rf"\boxed{{1}}{turn}\boxed{{2}}") == "1"
        if turn not in ("<|assistant|>", "[/INST]"):
            assert extract_answer(rf"{turn}\boxed{{2}}") is None
    for turn in ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<｜end▁of▁sentence｜>"]:
        assert extract_answer(rf"\boxed{{1}}{turn}\boxed{{2}}") == "1"
    for opening in [
        *("<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>\n\n"),
        *(
            "<start_of_turn>model\n",
            "<｜Assistant｜>",
            "<|assistant|>",
            "[/INST] ",
            "<|turn>model\n",
        ),
        "<|begin_of_text|><|start_header_id|>assistant<|end_header_id|>",
    ]:
        assert extract_answer(rf"{opening}\boxed{{1}}") == "1", opening
    assert extract_answer(r"<|im_start|>user \boxed{1}") is None
    text = r"\boxed{1}" + " " * 99_995 + r"\boxed{}."
    assert extract_answer(text) is None  # beyond the last 100,000 characters


THOUGHTS = [
    *(("<think>", "</think>"), ("<|think|>", "<|/think|>"), ("<thinking>", "</thinking>")),
    *(("<seed:think>", "</seed:think>"), ("<think_fast>", "</think_fast>")),
    *(("<reasoning>", "</reasoning>"), ("<thought>", "</thought>"), ("[THINK]", "[/THINK]")),
    *(("<|begin_of_thought|>", "<|end_of_thought|>"), ("◁think▷", "◁/think▷")),
    *(("<|START_THINKING|>", "<|END_THINKING|>"), ("<|channel>thought\n", "<channel|>")),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
]


@pytest.mark.parametrize("opening, closing", THOUGHTS)
def test_a_thought_is_not_the_answer_however_its_tags_are_spelled(opening, closing):
    assert extract_answer(rf"{opening}\boxed{{1}}{closing}\boxed{{2}}") == "2"
    assert extract_answer(rf"\boxed{{1}}{closing}\boxed{{2}}") == "2"  # opened by the prompt
    assert extract_answer(rf"\boxed{{2}}{opening}\boxed{{1}}") == "2"
    assert extract_answer(rf"{opening}\boxed{{1}}") is None
    assert opened_thought(f"1+1?<|im_end|>\n{opening}\n") == f"{opening}\n"
    assert opened_thought(f"1+1? {opening} \n\n{closing}\n\n") == ""
    assert opened_thought(f"Begin with {opening}. 1+1?") == opened_thought("1+1?") == ""


def test_of_channels_the_last_final_one_speaks():
    thought = r"<|channel|>analysis<|message|>\boxed{1}<|end|>"
    final = r"<|start|>assistant<|channel|>final<|message|>\boxed{2}"
    assert extract_answer(thought) is None
    assert extract_answer(thought + final + "<|return|>") == "2"
    assert extract_answer(final) == "2"
    assert extract_answer(final.replace("2", "3") + "<|end|>" + final) == "2"
    turn = "<|return|><|start|>user<|message|>And now?<|end|>"
    assert extract_answer(thought + final + turn + final.replace("2", "3")) == "2"
    call = '<|channel|>commentary to=f <|constrain|>json<|message|>{"a": "\\boxed{1}"}<|call|>'
    assert extract_answer(call) is None


def test_other_special_tokens_say_nothing():
    for token in ("<pad>", "<unk>", "<s>", "<|reserved_special_token_5|>", "<｜place▁holder｜>"):
        assert extract_answer(rf"\boxed{{4{token}}}") == "4"
        assert extract_answer(rf"{token}The answer is 4{token}{token}") == "4"
        assert extract_answer(rf"\boxed{{{token}}}") is None
    assert extract_answer(r"\boxed{1<|x|>3}") == "1<|x|>3"  # mathematics


@pytest.mark.parametrize(
    "response, question, expected",
    [
        ("我们算。\n答案：31", "", "31"),
        ("我们算。答案是31。", "", "31"),
        ("我们算。所以答案为**31**", "", "31"),
        ("我们算。【答案】31", "", "31"),
        ("由题意得，\\frac{1}{2}x=3。正确答案是B。", "", "B"),
        ("答案：31", "", "31"),
        ("3+4=7\n答案是7", "三加四等于几？", "7"),
        ("我们算，3+4=7。答案是7。", "What is three and four?", "7"),
        ("我算出\\boxed{3}。最终答案：9", "", "9"),
        ("我算出\\boxed{3}。答案：9", "", "3"),
        ("我们算。答案是31或32。", "", "31或32"),
        ("我们算。答案是31，不是32。", "", "31"),
        ("我们算。答案是31，也许32。", "", "31，也许32"),
        # an English solution that ends in Chinese, or signs alone
        ("7+8=15\n15-3=12\n所以答案是：12。", "7+8-3", None),
        ("7+8=15\n15-3=12\n所以答案是：12。", "", None),
        ("7+8=15\n所以答案是：12。\n所以答案是：12。", "7+8-3", None),
        ("所以答案是：12。", "7+8-3", None),
        ("kqw xwz\n所以答案是：12。", "7+8-3", None),
        ("We add the two and so on.\n答案：31", "", None),
        ("我们算。答案是31吗？", "", None),
        ("我们算。答案不是31。", "", None),
    ],
)
def test_chinese_statements_count_where_the_question_or_the_response_is(
    response, question, expected
):
    assert extract_answer(response, question) == expected
    assert grade(response, "9", question).answer == expected


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
    for module in (answers, reward):
        nodes = list(ast.walk(ast.parse(inspect.getsource(module))))
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        called = {function.id for function in calls if isinstance(function, ast.Name)}
        imports = [name.name for n in nodes if isinstance(n, ast.Import) for name in n.names]
        imports += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
        assert not called & {"eval", "exec", "compile", "__import__"}
        ours = {"answers", "notation", "options", "precise"}
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
