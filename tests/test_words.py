"""Facts about text: kinds of words, whose word a token is part of, defects of a response."""

import pytest
from made_up import bpe

import toy
from analysis.words import DEFECTS, FORMAL, LOGIC, META, REST, defects, token_words, words_of


@pytest.mark.parametrize(
    "text, kinds",
    [
        (r"\frac{1}{2} + 3,000.5 = x", [FORMAL] * 10 + [REST]),
        ("x=2 sin(y)", [FORMAL, FORMAL, FORMAL, FORMAL, REST, FORMAL, REST]),
        ("Because A, so therefore if", [LOGIC, REST, REST, LOGIC, LOGIC, LOGIC]),
        ("Wait, let me double-check", [META, REST, META, META]),
        ("因为三等等", [LOGIC, REST, META]),
        ("hold on, let us see", [META, REST, META, REST]),
        ("sold résumé don't", [REST, REST, REST]),
    ],
)
def test_kinds_of_words(text, kinds):
    words = [(kind, word) for _, _, kind, word in words_of(text) if not word.isspace()]
    assert [kind for kind, _ in words] == kinds, words
    assert "".join(text[a:b] for a, b, _, _ in words_of(text)) == text


@pytest.mark.parametrize("make", [toy.tokenizer, bpe])
def test_pieces_of_words_count_for_the_word(make):
    tokenizer = make()
    text = "wait, because 123 ≤ \\frac{1}{2}, 所以 le café 🙂 is 7"
    ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    tokens = [tokenizer.decode([i]) for i in ids]
    assert any("\ufffd" in token for token in tokens)
    found = token_words(tokens, text)
    assert len(found) == len(tokens) and found[-1] == (REST, "")
    joined = [word for i, word in enumerate(found) if i == 0 or word != found[i - 1]]
    expected = [
        (META, "wait"),
        (LOGIC, "because"),
        (FORMAL, "123"),
        (FORMAL, "≤"),
        (FORMAL, "\\frac"),
    ]
    expected += [(LOGIC, "所以"), (REST, "café"), (REST, "🙂"), (FORMAL, "7")]
    order = [joined.index(word) for word in expected]
    assert order == sorted(order)


def test_tokens_without_their_leading_space_are_found():
    assert [w for _, w in token_words(["be", "cause", "of", "<s>", "12"], "because of 12")] == [
        *["because"] * 2,
        *["of", "", "12"],
    ]


def test_what_cannot_be_decoded_is_before_the_next_token():
    # Of the two alike the first is the token that cannot be decoded alone, the other begins a word.
    found = token_words(["\ufffd", "所", "以"], "所所以")
    assert found == [(REST, "所"), (LOGIC, "所以"), (LOGIC, "所以")]


@pytest.mark.parametrize(
    "question, text, expected",
    [
        ("7+8", "7+8=15\n\\boxed{15}", ""),
        ("7+8", "<|im_start|>7+8=15\n\\boxed{15}", ""),  # the template may open the response
        ("7+8", "this is it\n7+8=15", ""),  # common words alone
        (
            "7+8",
            "\\boxed{15} " + " ".join("abcdefghijklmnopqrstuvwxyzABCD"),
            "",
        ),  # 30 words after it
        ("求和", "answer then \\boxed{2}", ""),
        ("7+8", "\\boxed{15} " + " ".join("abcdefghijklmnopqrstuvwxyzABCDE"), "irrelevant content"),
        ("求和", "answer then give \\boxed{2}", "language mixing"),
        ("求x", "answer then give \\boxed{2}", "language mixing"),  # a letter is no word
        ("What is the sum of two and three?", "The sum of two and three is \\boxed{5}.", ""),
        ("Find x.", "$$\n\\frac{a}{b}\n$$\nHence **x**\n\\[ \\boxed{\\text{miles}} \\]", ""),
        ("求和", "因为一加一，所以 \\boxed{2}", ""),
        ("7+8", "7+8=15\nkq xwzv\n\\boxed{15}", "irrelevant content"),
        ("7+8", "\\boxed{15}\nUser: next?", "irrelevant content"),
        ("7+8", "\\boxed{15}<|im_end|>", "irrelevant content"),
        ("7+8", "7+8=15<|end_of_thought|>\\boxed{15}", ""),  # no other turn
        ("7+8", "\\boxed{15} " + "and then more of it " * 8, "irrelevant content"),
        ("7+8", "so we go on " * 20, "irrelevant content"),
        ("7+8", "所以答案是 \\boxed{15}", "language mixing"),
        ("What is 7+8?", "Это \\boxed{15}", "language mixing"),
        ("求和", "The answer is then \\boxed{2} because that works", "language mixing"),
    ],
)
def test_defects(question, text, expected):
    found = defects(question, text, "wrong", False)
    assert [name for name, bad in zip(DEFECTS, found, strict=True) if bad] == [
        name for name in [expected] if name
    ]


def test_defects_of_the_outcome():
    assert defects("1+1", "1+1=2", "no answer", False) == [True, False, False, False]
    assert defects("1+1", "1+1=2", "truncated", True) == [False, False, False, True]


def test_the_toys_own_gibberish_and_chinese_are_found():
    import random

    rng, right, wrong = random.Random(0), 0, 0
    for _ in range(300):
        question = toy.chain(rng)
        text = toy.worked_solution(question, rng)
        found = dict(zip(DEFECTS, defects(question, text, "", False), strict=True))
        lines = text.splitlines()
        noise = any(
            sum(c.isalpha() for c in x) >= 4 and x.replace(" ", "").isalpha() for x in lines
        )
        assert found["language mixing"] == ("所" in text)
        right += found["irrelevant content"] == noise
        wrong += found["irrelevant content"] and not noise
    assert right >= 294 and not wrong  # a short line may hold a real word by chance
