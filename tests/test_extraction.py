"""Where a response states its answer: boxes, statements, turns, thoughts, remarks, hedges."""

import time

import pytest

from extraction import TURNS, extract_answer, find_boxes, opened_thought
from reward import grade

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
    for turn in TURNS:
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


NOT_PAID = [  # a hedge, a denial, another answer: 7 is not what any of these states
    "The answer is 7, so 8",
    "The answer is 7, i.e. 8",
    "The answer is 7, meaning eight",
    "The answer is 7, which is wrong.",
    "The answer is 7 (millions)",
    "The answer is 7; thirteen",
    "The answer is 7 - ab",
    "The answer is 7 (π)",
    "The answer is 7. Alternatively, 8.",
    "The answer is 7. That is wrong.",
    "The wrong answer is 7",
    "I don't think the answer is 7",
    "None of the answers is 7",
    "Suppose the answer is 7",
    "错误的答案是7",
    "答案是7。不对，是8。",
    "Answer: it cannot be 7",
    "Answer: Nothing equals 7",
    "Answer: maybe it is 7",
    "Answer: Half of it is 7",
    r"< think >The answer is \boxed{7}",
    "I see.\nuser: and?\nThe answer is 7",
    # it is denied before it, or another one is offered
    "I do not believe that the answer is 7.",
    "Maybe the answer is 7.",
    "The **wrong** answer is 7.",
    "One possible answer is 7.",
    "It is unlikely that the answer is 7.",
    "Another answer is 7.",
    "若答案是7。",
    "One more than the answer is 7.",
    "The opposite of the answer is 7.",
    "Do not answer: 7",
    "Don't answer: 7",
    "The answer is 8, the answer is 7.",
    "The answer is 8 or the answer is 7.",
    "我不认为答案是7。",
    # it is taken back behind it
    "The answer is 7. But actually it's 8.",
    "The answer is 7. However, it is 8.",
    "The answer is 7. Sorry, 8.",
    "The answer is 7. It may also be 8.",
    "The answer is 7. And 8.",
    "The answer is 7. Is that right?",
    "The answer is 7, for all we know, 8",
    "The answer is 7, so not 7",
    "The answer is 7, that is, 8",
    "The answer is 7, which is the same as eight",
    "The answer is 7, which might be wrong",
    "The answer is 7, as a first guess",
    "The answer is 7, in all but 1 case",
    "The answer is 7.\nEdit: 8",
    "The answer is 7. Scratch that, 8.",
    "The answer is 7. That's wrong.",
    "The answer is 7.\n\nI was wrong, 8",
    "#### 7\n8",
    "答案是7。或者8。",
    "答案是7，所以是8。",
    "答案是7错误",
    # an instruction, or an example
    "The answer is 7. Now put the answer in a box.",
    "Example: #### 7\n\nSolve the following.",
    "Your response should end with: The answer is 7.",
    r"Put your final answer in \boxed{7}.",
    r"\boxed{8} is written as follows, e.g. \boxed{7}",
    # struck out, crossed, or a comment
    "Answer: 7 ❌",
    "**7** ✗",
    "Answer: ~~7~~",
    r"<del>\boxed{7}</del>",
    "% \\boxed{7}",
    r"<!-- \boxed{7} -->",
    # a thought, and another turn
    "<analysis>The answer is 7",
    "<｜think｜>The answer is 7",
    "[thinking]The answer is 7",
    "User: The answer is 7",
    "Hm.\n Human: The answer is 7",
    "Hm.\n[USER]The answer is 7",
    "Hm.\n用户：The answer is 7",
    # boxes that are joined, and a box that holds a part of a formula
    r"\boxed{8} vs. \boxed{7}",
    r"\boxed{8}. Or \boxed{7}",
    r"\boxed{8} or else \boxed{7}",
    r"\boxed{8} $\vee$ \boxed{7}",
    r"\boxed{8}\text{ or}\\ \boxed{7}",
    r"\boxed{8} & \boxed{7}",
    r"\boxed{8} \textrm{or} \boxed{7}",
    r"(\boxed{8}) or (\boxed{7})",
    r"It is not \boxed{7}",
    r"\boxed 7x",
    r"\boxed7\times10^5",
    r"\boxed 7, 8",
    r"\boxed 7 million",
    r"\boxed{7}^2",
    r"x=-\boxed{7}",
    r"\boxed{7}\times10^5",
    r"\boxed{7}.5",
    r"\boxed{7} is not the answer.",
    r"\boxed{7}? No, 8.",
    r"\boxed{8} Or \boxed{7}",
    r"\boxed{8} 或 \boxed{7}",
    r"\boxed{8} \mbox{ or } \boxed{7}",
    r"\boxed{8} and/or \boxed{7}",
]


@pytest.mark.parametrize("response", NOT_PAID)
def test_a_hedge_a_denial_and_another_answer_are_not_paid(response):
    assert not grade(response, "7").correct


@pytest.mark.parametrize(
    "response",
    [
        "The answer is 7, since 3 + 4 = 7.",
        "The answer is 7, so she has 7 apples.",
        "Therefore, the answer is 7. I hope it is correct.",
        "The answer is 7 because nothing else fits.",
        "Answer: The area of the square is 7.",
        "Answer: The least such number is 7.",
        "If n = 3, all is well. Thus the answer is 7.",
        r"\boxed{8} is what I had first. Then \boxed{7}.",
        "In this example, the answer is 7.",
        "The largest possible answer is 7.",
        "No, the answer is 7.",
        "We claim that the answer is 7.",
        "The answer is 7. That is not surprising.",
        r"It is \boxed{7}, not \boxed{8}.",
        "As she says, the answer is 7.",
        "The answer is 7. The answer is 7.",
        "The answer is 7. And 3 + 4 = 7 confirms it.",
        "The answer is 7. But 7 it is.",
        "The answer is 7. It could be verified again.",
        "The answer is 7. I put it in a box.",
        "The answer is 7. We place 3 and 4 pens in the box.",
        "The answer is 7, since half of 14 is 7.",
        "The answer is 7, which is the sum of 3 and 4 and what was asked.",
        "The answer is 7, which is 9 - 2.",
        "The answer is 7. Is there anything else?",
        "Answer: 7 ✅",
        "Put your answer in \\boxed{8}. The answer is 7.",
        "Put your answer in \\boxed{8}. It is \\boxed{7}.",
        "~~8~~ Answer: 7",
        "We keep 50% of it.\n% a remark\nThe answer is 7.",
        r"**\boxed 7**",
        r"$\boxed7$.",
        r"\[\boxed7\]",
        r"\boxed 7 and no more.",
        r"\boxed{7}^{\circ}",
        "- \\boxed{7}",
        "我们算。答案是7，因为3+4=7。",
    ],
)
def test_ordinary_sentences_are_paid(response):
    assert grade(response, "7").correct


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" * 12_000 + "7" + "}" * 12_000,
        "\\boxed{7} " * 10_000,
        "not \\boxed{7} " * 7_000,
        "\\boxed 7x" * 9_000,
        "The answer is 1" + "- " * 40 + " a" * 1900,
        "The answer is 7, as" + " as" * 1_000,
        "~~a " * 24_000 + "<!-- " * 20_000,
    ],
)
def test_no_text_takes_long(text):
    for gold in ("7", "3,7"):
        began = time.process_time()
        grade(text, gold)
        assert time.process_time() - began < 0.5  # ten times what is promised, for slow machines


def test_a_nest_of_boxes_is_one_box():
    nest = "\\boxed{" * 3000 + "7" + "}" * 3000
    (box,) = find_boxes(nest)
    assert (box.start, box.end) == (0, len(nest))
    assert find_boxes(r"\boxed{\boxed{5}}, \boxed{6}")[0].content == r"\boxed{5}"
