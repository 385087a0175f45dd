"""The verifier: what it takes for an answer, which answers are the same to it, what it survives."""

import ast
import inspect
import random
import threading
from fractions import Fraction

import pytest

import reward
from reward import extract_answer, grade, is_equivalent, overlong_penalty

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
    # thoughts and other turns
    (r"<think>\boxed{1}</think>\boxed{2}", "2"),
    (r"<think>\boxed{1}</think> Hm.", None),
    (r"<think>\boxed{1}", None),
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
    # the whole response is the answer
    ("$x^2$", "x^2"),
    ("1,000", "1,000"),
    # nothing is stated
    ("There are 7 apples left.", None),
    ("", None),
]


@pytest.mark.parametrize("response, expected", EXTRACTED)
def test_extraction_follows_the_written_rules(response, expected):
    assert extract_answer(response) == expected


EQUAL = [
    # integers, decimals, separators, scientific notation
    ("42.", "42"),
    ("7.0", "7"),
    (".5", "1/2"),
    ("1,234", "1234"),
    (r"1{,}234{,}567", "1234567"),
    (r"10,\!080", "10080"),
    (r"1\,600", "1600"),
    ("3e8", r"3 \times 10^{8}"),
    ("10^{-3}", "0.001"),
    (r"0.1\overline{6}", "1/6"),
    # fractions and mixed numbers
    (r"\frac12", r"\dfrac{1}{2}"),
    (r"\frac{1}2", "2/4"),
    (r"\frac{24}{-25}", r"-\frac{24}{25}"),
    ("1 4/5", "9/5"),
    (r"-1\frac{4}{5}", "-1.8"),
    # units and clutter
    (r"50\%", "50"),
    ("50%", "0.5"),
    (r"\$18.90", "18.9"),
    (r"30^\circ", "30 degrees"),
    (r"15\text{ cm}^2", "15 square centimeters"),
    ("6 apples", "6"),
    (r"\left(\tfrac{1}{2},\,3\right)", "(0.5, 3)"),
    (r"\textbf{93}", "93"),
    (r"$\mathrm{odd}$", "odd"),
    # roots, pi, powers, functions, symbols
    (r"\sqrt{12}", r"2\sqrt3"),
    (r"\frac{1}{\sqrt 3}", r"\frac{\sqrt{3}}{3}"),
    (r"\sqrt{2}\sqrt{2}", "2"),
    (r"\sqrt[3]{-8}", "-2"),
    ("12*pi", r"12\pi"),
    ("2^{1009}", r"2 \cdot 2^{1008}"),
    ("5!", "120"),
    (r"\log_2 8", "3"),
    ("(x+1)^2", "x^2 + 2x + 1"),
    (r"\sec^2 t - 1", r"\tan^2 t"),
    ("-6i - 3", "-3-6i"),
    ("6 - 5i", r"6 - 5\mathrm{i}"),
    # tuples, lists, sets, intervals, matrices, relations
    ("(100,200)", "(100, 200)"),
    ("2, 1", "1,2"),
    (r"\{3, 1\}", "1 and 3"),
    (r"1 \pm \sqrt 2", r"1+\sqrt2, 1-\sqrt2"),
    ("x = 3", "3"),
    ("3 = x", "x = 3"),
    ("2x = 6", "x - 3 = 0"),
    ("x = 1 or x = 2", "1, 2"),
    (r"x \in [0, 1)", r"0 \le x < 1"),
    (r"(-\infty, 3)", "x < 3"),
    ("x > 3", "3 < x"),
    (r"(0,1) \cup (2,3)", r"(2,3)\cup(0,1)"),
    (
        r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
        r"\begin{bmatrix}1&2\\3&\frac82\end{bmatrix}",
    ),
    # words and choices
    (r"\text{Yes}", "yes"),
    (r"\text{an ellipse}", r"\text{ellipse}"),
    (r"\text{(B)}", "b"),
]

DIFFERENT = [
    ("-7", "7"),
    ("7", "8"),
    ("1, 234", "1234"),  # a list
    ("1,234", "234"),
    ("123,45", "12345"),  # no well-formed separator
    ("1.2", "1,2"),
    ("0.333333", "1/3"),  # exact things have no tolerance
    ("3.14159265358979", r"\pi"),
    ("22/7", r"\pi"),
    ("12345678901234567891", "12345678901234567890"),
    ("1000000000000 + x", "1000000000001 + x"),
    ("2 7", "14"),  # no product is meant
    ("7 2", "7"),
    (r"7\text{8}", "7"),
    ("1/0", "1"),
    ("50%", "5"),
    ("5 million", "5"),
    ("3 cm", "3 m"),
    ("5 cm^3", "5 cm^2"),
    ("3 am", "3 pm"),
    ("(1, 2)", "(2, 1)"),
    ("(1, 2)", "[1, 2]"),
    ("(1, 2)", "1, 2"),
    ("1, 1, 2", "1, 2, 2"),
    ("7, 8", "7"),
    (r"\pm 2", "2"),
    ("x < 3", r"x \le 3"),
    ("x = 3", "y = 3"),
    ("y = 2x + 3", "x = 2y + 3"),
    ("204_5", "204_6"),
    ("204_5", "204"),
    ("6 + 5i", "6 - 5i"),
    ("x_1", "x_2"),
    ("|x|", "x"),
    ("I(0)e^{-t}", "I(0)e^{t}"),  # a value of a function is no product with 0
    ("e^{-10^9}", "e^{-10^8}"),  # both round to 0
    ("3:4", "4:3"),
    ("(A)", "B"),
    ("not even", "even"),
    ("even", "neve"),  # a word is no product of letters
    ("not 7", "7"),
    ("7 is wrong", "7"),
    (r"\infty", "8"),
    (r"\infty - \infty", "0"),
    ("", "0"),
]


@pytest.mark.parametrize("one, other", EQUAL)
def test_two_spellings_of_one_answer_are_equivalent_both_ways(one, other):
    assert is_equivalent(one, other)
    assert is_equivalent(other, one)


@pytest.mark.parametrize("one, other", DIFFERENT)
def test_different_answers_are_not_equivalent_either_way(one, other):
    assert not is_equivalent(one, other)
    assert not is_equivalent(other, one)
    assert is_equivalent(one, one)


def test_a_grade_has_one_of_three_outcomes_and_the_extracted_text():
    assert grade(r"\boxed{0.5}", r"\frac12") == (True, "correct", "0.5")
    assert grade(r"\boxed{0.4}", r"\frac12") == (False, "wrong", "0.4")
    assert grade("I do not know.", r"\frac12") == (False, "no answer", None)


def test_overlong_penalty_grows_over_the_buffer_and_never_rewards():
    values = [overlong_penalty(n, limit=100, buffer=20, penalty=0.5) for n in (0, 80, 85, 100)]
    assert values == [0.0, 0.0, 0.125, 0.5]
    assert overlong_penalty(1000, limit=100, buffer=0, penalty=0.5) == 0.0


def test_random_rational_expressions_have_the_value_of_exact_arithmetic():
    """Random trees written down next to their Fraction; then one unit in the last place off."""
    rng = random.Random(0)

    def tree(depth):
        if depth == 0:
            n = rng.randint(1, 99)
            return rng.choice([(str(n), Fraction(n)), (f"{n / 10}", Fraction(n, 10))])
        (a, x), (b, y) = tree(depth - 1), tree(rng.randint(0, depth - 1))
        if y and rng.random() < 0.3:
            return rf"\frac{{{a}}}{{{b}}}", x / y
        return rng.choice(
            [
                (f"({a}+{b})", x + y),
                (f"({a}-{b})", x - y),
                (f"({a})({b})", x * y),
                (rf"{{{a}}} \cdot {b}", x * y),
                (f"-({a})^2", -x * x),
            ]
        )

    for _ in range(200):
        text, value = tree(rng.randint(1, 4))
        assert is_equivalent(text, f"{value.numerator}/{value.denominator}"), text
        assert not is_equivalent(text, f"{value.numerator + 1}/{value.denominator}"), text


def test_random_token_soup_is_answered_symmetrically_and_reflexively():
    rng = random.Random(0)
    soup = (
        r"\frac \sqrt { } ( ) [ ] 1 2 12 x e ^ _ + - * / ! , . = < | : \pm \cup \text{cm} % \circ"
    )
    soup = [*soup.split(), r"\infty", r"\sin", "or", r"\{", r"\}", r"\begin{pmatrix}", " ", "\\"]
    for _ in range(3000):
        one, other = ("".join(rng.choices(soup, k=rng.randint(1, 9))) for _ in range(2))
        assert is_equivalent(one, one), one
        assert is_equivalent(one, other) == is_equivalent(other, one), (one, other)


def test_simple_answers_are_judged_as_math_verify_judges_them():
    oracle = pytest.importorskip("math_verify")
    rng = random.Random(0)
    forms = [
        lambda n, d: rf"\frac{{{n}}}{{{d}}}",
        lambda n, d: rf"-\frac{{{n}}}{{{d}}}",
        lambda n, d: f"{n}/{d}",
        lambda n, d: str(n),
        lambda n, d: rf"{d}\sqrt{{{n}}}",
        lambda n, d: rf"\frac{{{n}\pi}}{{{d}}}",
    ]
    for _ in range(60):
        one, other = (rng.choice(forms)(rng.randint(1, 6), rng.randint(1, 3)) for _ in range(2))
        parsed = [oracle.parse(f"${text}$", parsing_timeout=None) for text in (one, other)]
        expected = oracle.verify(*parsed, timeout_seconds=None)
        assert is_equivalent(one, other) == expected, (one, other)


BOMBS = [
    "9**9**9",
    "10^{10^{10}}",
    r"10^{10^{10}} \bmod 11",
    r"\frac{10^{1000000}!}{7}",
    r"\binom{10^9}{5 \cdot 10^8}",
    "1e999999999",
    "9" * 5000,  # over the limit of int()
    "9" * 1900,
    "1000!" * 90,
    "(300!)^" * 60 + "2",
    "2^" * 240 + "2",
    r"\frac" * 499,
    r"\sqrt" * 499 + "2",
    "(" * 400,
    "-" * 1900 + "8",
    "{" * 100_000 + "}" * 100_000,
    r"\boxed{" * 100_000,
    r"\pm" * 400,
    ",".join("8" * 400),
    "*".join(["(2^{4000}+1)"] * 38),
    "__import__('os').system('exit')",
    "\x00",
    "\ud800",
    "x_\ud800",
    "²³",
    "٧",
    "\\",
    "0^{-1}",
    r"\sqrt[0]{2}",
    r"\log_1 2",
]


def test_fault_12_verifier_never_evaluates_never_hangs():
    tree = ast.parse(inspect.getsource(reward))
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and hasattr(node.func, "id")
    }
    modules = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    assert not called & {"eval", "exec", "compile", "__import__"}
    assert not modules & {"signal", "threading", "multiprocessing", "subprocess", "sympy", "ast"}

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
