r"""Is this answer right? The verifiable reward.

A rollout earns 1 if its final answer is the gold answer, however either is spelled, else 0. Both are
text and never run: the answer is extracted, cut into tokens, read into a small value, and compared.

    response -> extract_answer -> tokenize -> read -> is_equivalent -> Grade

Extraction. What follows the first sign of another dialogue turn is not the model's answer, nor is
what stands before the last `</think>` or in a thought left open. In the rest the first rule that
finds something decides:
  1. the last closed, non-empty \boxed{...} or \fbox{...}, unless "the final answer is ..." follows it;
     boxes joined by a comma, "and" or "or" are one answer, so that guessing earns nothing; where the
     gold answer has k parts, so may the last k boxes together;
  2. the last stated answer: "the answer is ...", "Answer: ...", "#### ...", or in the last line
     "A: ...", "we find that ...";
  3. a response that as a whole is one line of mathematics without words, or one **bold** text.
Otherwise there is no answer. The gold answer is never searched for in the response.

Comparison. A number is exact while it is rational: 0.5 equals 1/2, 0.33 does not equal 1/3, unless
the 0.33 is written as rounded: \approx 0.33 equals what rounds to it. Roots, pi, e, i and functions
are complex floats and must agree to TOLERANCE, relative. An expression with variables is sampled at
POINTS pseudo-random points, the same for the same name, some of them negative; where a root or a
logarithm leaves the real line or a denominator is 0, another point decides, and one disagreement at a
good point is a disagreement. An operator it does not know (\sum, \int, \gcd, \vec) is a pseudo-random
function of what it is applied to. Lists and sets have no order; tuples and intervals do, and their
brackets matter. Equations may differ by a constant factor.

Conventions. 1,234 is one number; "1, 234", "123,45" and (100,200) are not. 1\frac{4}{5} is a mixed
number, 1/2x is (1/2)x, \log without a base is natural, 204_5 equals only itself. A unit, a currency
or a % may be left out but not contradicted: 3 cm equals 3, not 3 m; 50% equals 50, and also 1/2, which
it is. (D) 24 equals D and 24. `x = 3`, `m+n = 3` and `\angle A = 3` equal `3`, and `x < 3` its
interval, but not `y < 3`. "1/2 or 0.5" is one answer, "1 or 2" a list. What cannot be read is equal
only to the same tokens.

    python reward.py "RESPONSE" "GOLD"         explains one case in words
    python reward.py --file cases.jsonl        grades {"gold", "response", "expected"?} a line
"""

import argparse
import cmath
import collections
import contextvars
import functools
import itertools
import json
import math
import operator
import re
import string
import time
import zlib
from fractions import Fraction
from typing import NamedTuple

# All work is bounded here, so that no text, however hostile, can hang or crash a training run.
MAX_RESPONSE = 100_000  # characters read, from the end of the response
MAX_ANSWER = 2_000  # characters of an answer; a longer one is "too long"
MAX_TOKENS = 500  # whoever is beyond this limit or one of the following gave no answer
MAX_DEPTH = 30  # of brackets in brackets
MAX_ITEMS = 64  # of one list, compared pair by pair
MAX_DIGITS = 400  # of one number; Python itself refuses to convert more than 4300
MAX_BITS = 2**15  # of a numerator or a denominator: 2004! is exact, 9^{9^9} is beyond
MAX_FACTORIAL = 2_500
MAX_WORK = 2**30  # products of the two lengths of all that one call computes: some 15 ms
MAX_DENOMINATOR = 10**6  # of a rational that may equal a float: no decimal passes for pi
POINTS = 12  # tried for a pair of expressions with variables; four good ones are enough
TOLERANCE = 1e-11


class Limit(Exception):
    """Something is beyond one of the limits above."""


WORK = contextvars.ContextVar(
    "what one call of is_equivalent or parse has computed so far", default=0
)


class Grade(NamedTuple):
    """What became of a response; outcome is "correct", "wrong", "no answer" or "too long"."""

    correct: bool
    outcome: str
    answer: str | None


def grade(response: str, gold: str) -> Grade:
    r"""Grade one response against the gold answer.

    >>> grade(r"Half of it, so \boxed{\frac12}.", "0.5")
    Grade(correct=True, outcome='correct', answer='\\frac12')
    >>> grade("It might be 7, 8 or 9.", "7").outcome
    'no answer'
    """
    answer = extract_answer(response)
    if answer is None:
        return Grade(False, "no answer", None)
    if is_equivalent(answer, gold):
        return Grade(True, "correct", answer)
    together = boxes_together(response, gold)
    if together and is_equivalent(together, gold):
        return Grade(True, "correct", together)
    if len(answer) > MAX_ANSWER:
        return Grade(False, "too long", answer[:MAX_ANSWER])
    return Grade(False, "wrong" if parse(answer) else "no answer", answer)


def overlong_penalty(length: int, limit: int, buffer: int, penalty: float) -> float:
    """What a response of `length` tokens loses for running into the last `buffer` before `limit`.

    DAPO's soft overlong punishment, `penalty * (length - (limit - buffer)) / buffer` and never
    below 0; a buffer of 0 turns it off. A positive number, to be subtracted from the reward.

    >>> [overlong_penalty(n, limit=100, buffer=20, penalty=1.0) for n in (80, 90, 100)]
    [0.0, 0.5, 1.0]
    """
    if buffer <= 0:
        return 0.0
    return penalty * max(0, length - (limit - buffer)) / buffer


# ---- Extraction: response -> text ----------------------------------------------------------------

TURNS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<end_of_turn>")
TURNS += (
    "<start_of_turn>",
    "<|start_header_id|>",
    "<|user|>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
)
TURNS += ("</s>", "[INST]", "### Instruction", "\nUser:", "\nHuman:")
THOUGHTS = ("think", "thinking", "thought", "reasoning")
BRACE = re.compile(r"\\{1,3}(?:boxed|fbox)(?![A-Za-z])\s{0,3}\{?|\\.|[{}]", re.DOTALL)
DIGITS = re.compile(r"[+-]?[0-9][0-9.,/]{0,50}%?")
BARE = re.compile(  # mathematics with no word in it
    r"\(?[A-J]\)?|(?=.{0,80}[0-9\\])(?!.{0,80}[0-9]\s?=)"  # nor the sum 1+1=2
    r"(?:[^\nA-Za-z\\]|\\(?!f?box)(?:[A-Za-z]+|[^A-Za-z\n])|\b[A-Za-z](?![A-Za-z])){1,80}"
)
SPACING = re.compile(r"[\s${}]|\\(?:[()\[\] ,;]|text|q?quad)")  # around the "and" of two boxes
FINAL = re.compile(r"final answer\W{0,6}(?:is\b|:)", re.IGNORECASE)
STATED = re.compile(
    r"####(?! *final)|<answer>|\b(?:answers?|ans|option|choice|final result)\b[*_]{0,3}(?: to (?:the|this) [a-z]{1,20})?\s{0,3}"
    r"(?:is\b|are\b|equals\b|(?:should|would|must) be\b|=|:)"
    r"|^A: (?=[^\n]*\Z)|^[^\w<]{0,4}(?:final )?answer(?:\W{0,3}$|\s{1,3}(?=\$|\\[(\[]))",
    re.IGNORECASE | re.MULTILINE,
)
CONCLUDED = re.compile(  # in the last line
    r"\b(?:we (?:find|get|obtain|conclude) that|I think it's|therefore,? there (?:is|are)"
    r"|(?:so|thus|hence|therefore)\b[^.$]{0,80} (?:is|are)) ",
    re.IGNORECASE,
)
STATED_START = re.compile(
    r"(?:[\s*_:$`]|\\[(\[]|(?:clearly|simply|indeed|therefore|thus|that|just|exactly|approximately|about"
    r"|equal to|option|choice)\b){0,20}"
)
STATED_END = re.compile(
    r"""\n|</answer>|[.?](?=[\s$*"')]|\\[)\]]|$)|(?<=[$*])!"""
    r"|,?\s(?:because|since|which|where|that|as|for all)\b|,\sso\b|\sand (?=[a-z]{2})"
)


class Box(NamedTuple):
    start: int
    end: int
    content: str


def extract_answer(response: str) -> str | None:
    r"""The final answer of a response as text, or None, by the rules of the header.

    >>> extract_answer(r"<think>\boxed{12}?</think> So \boxed{\frac{1}{2}}.<|im_end|> \boxed{3}")
    '\\frac{1}{2}'
    >>> extract_answer("She earns 9 * 2 dollars. The answer is 18. I hope it is correct.")
    '18'
    >>> extract_answer("There are 7 apples left.") is None
    True
    """
    return find_answer(response)[1]


def find_answer(response: str) -> tuple[str, str | None]:
    """Where the final answer stands, in words, and the answer."""
    text = last_words(response)
    if boxes := find_boxes(text):
        answer = last_stated(text[boxes[-1].end :], FINAL)
        if answer and re.search(r"[0-9\\]", answer):
            return "a final answer stated after the last box", answer
        return "the last box", join_boxes(text, boxes)
    if answer := last_stated(text, STATED):
        return "the last stated answer", answer
    last_line = text.rpartition("\n")[2][-300:]
    if last_line[-1:] in tuple(".!$*)]") and (answer := last_stated(last_line, CONCLUDED)):
        return "the conclusion", answer
    return "the whole response", whole_answer(text)


def last_words(response: str) -> str:
    """What the model said at last: no other turn, no thought, at most MAX_RESPONSE characters."""
    text = response.strip()
    for turn in TURNS:
        cut = text.find(turn, 1)  # a template may open the response itself, at 0
        text = text if cut < 0 else text[:cut]
    for tag in THOUGHTS:
        text = text.rpartition(f"</{tag}>")[2].partition(f"<{tag}>")[0]
    return text[-MAX_RESPONSE:].strip()


def find_boxes(text: str) -> list[Box]:
    """All closed boxes that hold something. One pass with a stack: linear in any nest of braces."""
    boxes, stack = [], []
    for match in BRACE.finditer(text):
        token = match[0]
        if token == "}":
            start = stack.pop() if stack else None
            if start is not None and (content := text[start.end() : match.start()].strip()):
                boxes.append(Box(start.start(), match.end(), content))
        elif token.endswith("{") and token != r"\{":
            stack.append(match if "box" in token else None)
        elif "box" in token and (bare := DIGITS.match(text, match.end())):
            boxes.append(Box(match.start(), bare.end(), bare[0]))
    return boxes


def join_boxes(text: str, boxes: list[Box]) -> str:
    """The last box, with those before it that a comma, "and" or "or" joins to it."""
    contents = [boxes[-1].content]
    for box, after in itertools.pairwise(boxes[-MAX_ITEMS:]):
        between = SPACING.sub("", text[box.end : after.start][:60])
        joined = between in (",", ";", "and", "or", ",and", ",or")
        contents = [*contents, box.content] if joined else contents[:1]
    return ", ".join(dict.fromkeys(contents[1:] + contents[:1]))


def boxes_together(response: str, gold: str) -> str:
    """The last k different boxes as one list, where the gold answer is a list of k; else ""."""
    value = parse(gold)
    parts = len(value[1]) if value and value[0] == "list" else 0
    if parts < 2:
        return ""
    contents = list(dict.fromkeys(box.content for box in find_boxes(last_words(response))))
    return ", ".join(contents[-parts:]) if parts <= len(contents) else ""


def last_stated(text: str, pattern: re.Pattern) -> str | None:
    """What follows the last match of "the answer is", up to the end of its sentence."""
    start = max((match.end() for match in pattern.finditer(text)), default=None)
    if start is None:
        return None
    start = STATED_START.match(text, start).end()
    end = STATED_END.search(text, start)
    if end and end[0] == "?":  # a question states nothing
        return None
    return text[start : end.start() if end else None].strip("*_$` \t").removesuffix(r"\)") or None


def whole_answer(text: str) -> str | None:
    """The text itself, if it is nothing but one formula, one bold text or one choice."""
    inner = text.strip("$* ")
    framed = text[:1] in ("$", "*") and text[-1:] in ("$", "*") and not re.search(r"[$\n]", inner)
    return inner if inner and (framed or BARE.fullmatch(inner)) and "**" not in inner else None


# ---- Tokens: text -> list of tokens --------------------------------------------------------------
# A token is a number (3.5), a letter, a command (\frac), a sign, or a word with a quote before it
# ("cm), so that "even" is not read as the product e v e n. All spellings of a sign become one.


def pairs(text: str) -> dict[str, str]:
    """{first: second, third: fourth, ...} of the words of a text."""
    return dict(zip(text.split()[::2], text.split()[1::2]))


SIGNS = pairs(
    r"− - – - × * · * ⋅ * ÷ / ’ ' ² ^2 ³ ^3 π \pi ∞ \infty √ \sqrt ° ^\circ ≤ \le ≥ \ge ≠ \ne "
    r"∪ \cup ∈ \in ± \pm ≈ \approx ℝ \reals ∅ \emptyset ⌊ \lfloor ⌋ \rfloor α \alpha β \beta θ \theta λ \lambda"
)
SIGNS = {sign: command + " " for sign, command in SIGNS.items()} | dict.fromkeys('€£¥₹"', " ")
FULL_WIDTH = {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}
SIGNS = str.maketrans(FULL_WIDTH | SIGNS)
ALIASES = pairs(
    r"\dfrac \frac \tfrac \frac \cfrac \frac \dbinom \binom \tbinom \binom \cdot * \times * \div / "
    r"\% % ; , \lt < \leq \le \leqslant \le \geq \ge \geqslant \ge \gt > \neq \ne \simeq \approx "
    r"\colon : \prime ' \langle ( \rangle ) \lbrace \{ \rbrace \} \vert | \lvert | \rvert | \mid | "
    r"\varnothing \emptyset \R \reals \backslash \setminus \lbrack [ \rbrack ] \bigcup \cup \cr \\ "
    r"\sfrac \frac \nicefrac \frac \textdollar \$ \mathdollar \$ \pounds \$ \imath i \dots \ldots "
    r"\cdots \ldots \pmod \mod \bmod \mod \bar \overline \rightarrow \to \land \wedge \overrightarrow \vec"
)
CLUTTER = (
    r"\, \; \: \! \/ \( \) \[ \] \quad \qquad \left \right ~ $ . "
    r"\middle \displaystyle \textstyle \limits \boxed \fbox \bf \rm \it \text \textbf \mathbf \mathrm "
    r"\mathit \mathcal \mbox \boldsymbol \bm \operatorname"
)
CLUTTER = {*CLUTTER.split(), r"\ "}
WRAPPED = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|[mh]box|emph|math(?:rm|bf|it|sf)|operatorname)"
    r"\s?\{([^{}]*)\}"
)
MIXED = re.compile(
    r"(?<![A-Za-z0-9.^_])([0-9]+)(?:\s+([0-9]+)/([0-9]+)"
    r"|(?:\s|\\[,;: ]|~)*\\[dtc]?frac\s?(?:\{([0-9]+)\}|([0-9]))\s?(?:\{([0-9]+)\}|([0-9])))"
)
TOKEN = re.compile(
    r"(?P<grouped>[1-9][0-9]{0,2}(?:(?:(?:\\!)?,(?:\\!\s?)?|\{,\}|\\!\s?|\\,)[0-9]{3})+(?![0-9])(?:\.[0-9]+)?"
    r"|[1-9][0-9]{0,2}(?: [0-9]{3})+(?![ 0-9]))"
    r"|(?P<european>[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+,[0-9]+|(?:\.[0-9]{3}){2,})(?![0-9.,]))"
    r"|(?P<number>[0-9]*\.[0-9]*\\(?:overline|bar|dot)\s?\{?[0-9]+\}?"
    r"|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r'|"(?P<quoted>[^"]*)"|(?P<letters>[A-Za-z]+)|(?P<sign>\\[A-Za-z]+|\\?.)',
    re.DOTALL,
)


REWRITINGS = (  # a pattern is tried where its first word occurs
    ("**", r"\*\*", "^"),
    ("...", r"\.\.\.", r"\\ldots "),
    ("<=", "<=", r"\\le "),
    (">=", ">=", r"\\ge "),
    ("!=", "!=", r"\\ne "),
    ("x", r"(?<=[0-9])\s?x\s?(?=10\s?\^)", "*"),
    ("m/", r"(?<=[0-9}\s])(k?m/(?:s|h|hr))\b", r' "\1" '),
    (".m", r"(?i)\b([ap])\.m\b\.?", r"\1m"),
    ("all real", r"\ball real numbers\b", r"\\reals "),
    ("_", r"[({]([0-9A-Z]+)[)}]_", r"\1_"),  # (204)_5
    ("}", r"\{\s?([-+:=<>])\s?\}", r"\1"),
    ("^", r"\^\s?\{?\s?(?:\\(?:text|mathrm|rm)\s?\{?\s?)?(st|nd|rd|th)\b\s?\}{0,2}", r' "\1" '),
    ("", r"^\s*(?:\\text\s?\{\s?)?([A-J])[.):]\s", r"(\1) "),  # B. 24
    ("\\", r"\\\s*$", ""),
    (r"\not", r"\\not\s?=", r"\\ne "),
    ("color", r"\\(?:text)?color\s?\{[^{}]*\}", ""),
    (r"\left", r"\\(?:left|right)\s?\.", ""),
    ("ig", r"\\[bB]igg?[lrm]?(?![a-z])", ""),
    ("arge", r"\\[lL]arge", ""),
    ("prime", r"\^\s?\{?\s?\\prime\s?\}?", "'"),
    ("degree", r"\\degree\b", r"^\\circ "),
    ("mathbb", r"\\mathbb\s?\{?\s?R\s?\}?", r"\\reals "),
    ("over", r"\{([^{}]*)\\over\b([^{}]*)\}", r"\\frac{\1}{\2}"),
    ("choose", r"\{([^{}]*)\\choose\b([^{}]*)\}", r"\\binom{\1}{\2}"),
    ("to", r"(?<=[0-9])\s{0,3}\\text\s?\{\s?to\s?\}\s{0,3}(?=[0-9])", ":"),
    (r"\begin", r"\\begin\s?\{(?:cases|(?:align|gather)(?:ed)?)\*?\}", r"\\begin \\lines "),
    (r"\end", r"\\(begin|end)\s?\{(?!v)[a-z]{1,20}\*?\}(?:\{[lcr|]*\})?", r"\\\1 "),
    (r"\\[", r"(?<=\\\\)\[[0-9.a-z]{1,9}\]", ""),
)
REWRITINGS = [(word, re.compile(pattern), new) for word, pattern, new in REWRITINGS]


@functools.lru_cache(maxsize=1024)
def tokenize(text: str) -> tuple[str, ...]:
    r"""Cut an answer into tokens with all clutter gone. Raises Limit where there are too many.

    >>> tokenize(r"$\left(\dfrac{1}{2},\, 1{,}000\text{ cm}\right)$.")
    ('(', '\\frac', '{', '1', '}', '{', '2', '}', ',', '1000', '"cm', ')')
    """
    if len(text) > MAX_ANSWER:
        raise Limit
    text = text.replace('"', " ") if text.isascii() else text.translate(SIGNS)
    for word, pattern, new in REWRITINGS:
        text = pattern.sub(new, text) if word in text else text
    text = MIXED.sub(add_mixed, WRAPPED.sub(quote_words, text))
    tokens, depth = [], 0
    for match in TOKEN.finditer(text):
        kind, token = match.lastgroup, match[match.lastgroup]
        if kind in ("grouped", "european") and depth > 0 and not re.search(r"[{\\]", token):
            tokens += re.split("(,)", token)  # (100,200) is a point
        elif kind == "grouped":
            tokens.append(re.sub(r"[^0-9.]", "", token))
        elif kind == "european":
            tokens.append(token.replace(".", "").replace(",", "."))
        elif kind == "letters":
            tokens += spell(token)
        elif kind == "quoted":
            words = re.findall(r"[A-Za-z-]+|[0-9]+|\S", token)
            tokens += [SEPARATORS.get(w, '"' + w if w[0].isalpha() else w) for w in words]
        elif not (token.isspace() or token in CLUTTER):
            tokens.append(ALIASES.get(token, token))
            depth += (tokens[-1] in ("(", "[", r"\{")) - (tokens[-1] in (")", "]", r"\}"))
    deepest = max((level for _, level in levels(tokens)), default=0)
    if len(tokens) > MAX_TOKENS or deepest > MAX_DEPTH:
        raise Limit
    while tokens[-1:] == [","]:
        tokens.pop()
    if tokens == [r"\{", r"\}"]:
        tokens = [r"\emptyset"]
    # "5, and 7" has one separator
    return tuple(t for t, after in zip(tokens, [*tokens[1:], ""]) if (t, after) != (",", ","))


SEPARATORS = {"and": ",", "or": ",", "/": '"per'}


def quote_words(match: re.Match) -> str:
    r"""\text{ cm} is a word; \textbf{93000} and \mathrm{i} are mathematics in another font."""
    text = match[1].replace("~", " ").strip()
    is_word = re.fullmatch(r"[A-Za-z][A-Za-z\s.,/^0-9-]*", text) and text not in MATHEMATICAL
    return f' "{text.replace(".", "")}" ' if is_word else f" {text} "


def add_mixed(match: re.Match) -> str:
    whole, top, bottom = (group for group in match.groups() if group)
    proper = len(top) < len(bottom) or (len(top) == len(bottom) and top < bottom)
    return f"({whole}+{top}/{bottom})" if proper else match[0]


def spell(letters: str) -> list[str]:
    """A run of letters is a function, a separator, a word, or a product of variables."""
    if letters in MATHEMATICAL and len(letters) > 1:
        return [r"\infty" if letters == "infinity" else "\\" + letters]
    if letters[:-1] in FUNCTIONS:  # sinx
        return ["\\" + letters[:-1], letters[-1]]
    if letters in ("and", "or"):
        return [","]
    known = letters in SHORT_WORDS or letters.lower() in SHORT_WORDS
    is_word = len(letters) > 3 or (len(letters) > 1 and known)
    return ['"' + letters] if is_word else list(letters)


UNITS = (
    r"dollar \$|% percent pct percentage|degree \circ|m meter metre|cm centimeter|mm millimeter"
    "|km kilometer|in inch inches|ft foot feet|yd yard|mi mile|g gram|kg kilogram|lb pound"
    "|oz ounce|L liter|ml mL|s sec second|min minute|hr hour h|day|week|month|year|cent|mph|am|pm"
    "|rad radian|euro|decade|acre|gallon|quart|ton|J joule|N newton|W watt|V volt|square sq|cubic|per /|th st nd rd"
)
UNITS = {name: names.split()[0] for names in UNITS.split("|") for name in names.split()}
# Any other word after a number is what was counted (6 apples), unless it changes or denies it.
NO_UNITS = (
    "dozen hundred thousand million billion trillion lakh crore half halves third thirds quarter tens "
    "no not less more least most below than plus minus negative times squared cubed doubled halved root "
    "divided factorial mod over base if when but perhaps maybe otherwise alternatively yes odd wrong "
    "incorrect false zero one two twos three four five six seven eight nine ten eleven twelve twenty"
)
SHORT_WORDS = {*UNITS, *NO_UNITS.split(), "an", "the"}
NO_COUNT = re.compile(
    rf"(?i)(?:{'|'.join(NO_UNITS.split())}|\w+(?:teen|[a-z]ths?|fifths?)|.*[^a-z-].*)"
)
SI = re.compile(r"[kMGTmnpc]?(?:[gsJWNVAKTFCl]|m|Hz|eV|Pa|mol)")


def unit_of(word: str) -> str | None:
    """The canonical name of a unit of measure, or None for any other word."""
    name = UNITS.get(word) or UNITS.get(word.lower()) or UNITS.get(word.lower().removesuffix("s"))
    return name or (word if SI.fullmatch(word) else None)


# ---- Reading: tokens -> value --------------------------------------------------------------------
# A value is ("number", term, unit, slack), ("infinity", is negative), ("list", items) where order
# is nothing, ("tuple", brackets, items) where it is something, ("relation", signs, sides, which
# sides are names), or ("text", text) for what could not be read. A term is a Fraction, a complex,
# ("symbol", name), or an operator with terms, such as ("+", 1, ("sin", x)).

OPENING, CLOSING = ("(", "[", "{", r"\{", r"\begin"), (")", "]", "}", r"\}", r"\end")
RELATIONS = ("=", "<", ">", r"\le", r"\ge", r"\ne", r"\in", r"\approx", r"\equiv", r"\to")
FLIPPED = {">": "<", r"\ge": r"\le"}
NAME = r"(?:m?\\angle)?(?:\\[A-Za-z]+(?:\{[A-Za-z]{1,4}\})?|[A-Za-z]|[A-Z]{2,4}|\"\w+)(?:_(?:\w|\{[\w,\"]*\}))?'*(?:\(-?[\w\\,.=<>]*\))?"
NAME = re.compile(rf"{NAME}(?::{NAME})?|\({NAME}(?:,{NAME}){{1,5}}\)")  # x, f(x), AB, a_1, (x,y)
LINE = (("infinity", True), ("infinity", False))  # the ends of the real line


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> tuple | None:
    """The value of an answer, or None if it is beyond a limit."""
    WORK.set(0)
    try:
        return read(list(tokenize(text)))
    except (Limit, RecursionError):  # the latter of \sqrt\sqrt\sqrt...
        return None


def read(tokens: list[str]) -> tuple:
    """Read the tokens of an answer, or of a part of one, into a value. Raises Limit."""
    text = " ".join(token.lower() if token[0] == '"' else token for token in tokens)
    text = ("text", re.sub(r"\{ (\S+) \}", r"\1", text))
    brackets, inside = brackets_around(tokens), tokens[1:-1]
    if brackets in ("{}", r"\{\}") and inside != [r"\emptyset"]:
        name, *rule = split(inside, "|", ":")  # {x : x > 2} is x > 2
        is_rule = brackets == r"\{\}" and len(rule) == 1 and is_name(split(name, r"\in")[0])
        return read(rule[0] if is_rule else inside)
    items = [item for part in split(tokens, ",") for item in both_signs(part)]
    if len(items) > MAX_ITEMS:
        raise Limit
    if [] in items:
        return text
    told = [item for item in items if r"\in" not in item or r"\mathbb" not in item]
    if len(told) == 1 < len(items):  # k \pi, k \in \mathbb{Z}
        return read(told[0])
    if len(items) > 1:
        name, *first = split(items[0], "=")
        if len(first) == 1 and is_name(name) and not any("=" in item for item in items[1:]):
            values = ("list", tuple(map(read, [first[0], *items[1:]])))  # n = 2, 3, 4
            return ("relation", ("=",), (read(name), values), (True, False))
        values = tuple(map(read, items))
        return between(*values) if len(values) == 2 else ("list", values)
    if len(sides := split(tokens, *RELATIONS)) > 1:
        signs = [token for token, level in levels(tokens) if level == 0 and token in RELATIONS]
        return read_relation(signs, sides) if any(sides) else text
    if len(parts := split(tokens, r"\cup")) > 1:
        return ("list", tuple(map(read, parts)))
    if len(parts := split(tokens, ":")) > 1:
        return ("tuple", ":", tuple(map(read, parts)))
    if inside[:1] == [r"\lines"]:
        lines = split([token for token in inside[1:] if token != "&"], r"\\")
        return ("list", tuple(read(line) for line in lines if line))
    if brackets == r"\begin\end":  # a column is a vector, a matrix a tuple of its rows
        rows = [split(row, "&") for row in split(inside, r"\\") if row]
        rows = [("tuple", "()", tuple(map(read, row))) for row in rows]
        return ("tuple", "()", tuple(row[2][0] if len(row[2]) == 1 else row for row in rows))
    if brackets and len(parts := split(inside, ",")) > 1:
        return ("tuple", brackets, tuple(map(read, parts)))
    if tokens[0].isupper() and "," in tokens and brackets_around(tokens[1:]) == "()":
        return read(tokens[1:])  # P(3,-4)
    if brackets in ("()", "[]"):
        return read(inside)
    if tokens[0] == r"\reals":
        excluded = reals_without(read(tokens[2:])) if tokens[1:2] == [r"\setminus"] else None
        return ("tuple", "()", LINE) if len(tokens) == 1 else excluded or text
    if tokens[-1] == r"\infty" and tokens[:-1] in ([], ["+"], ["-"]):
        return ("infinity", tokens[0] == "-")
    try:
        return read_quantity(tokens)
    except OverflowError as error:
        raise Limit from error
    except (ValueError, ArithmeticError):
        return text


DENIALS = {'"is', '"not', '"wrong', '"false', '"incorrect', '"no'}
DESCRIBED = {"^", "-", "*", "/", r"\sqrt", "!"}  # signs that x^2 = 7 is no description of 7


def read_relation(signs: list[str], sides: list[list[str]]) -> tuple:
    if signs[0] == r"\approx" and sides[0] and not is_name(sides[0]):
        return read(sides[0])  # \sqrt2 \approx 1.41 is exact
    if all(sign in FLIPPED for sign in signs):  # a > b is b < a
        sides, signs = sides[::-1], [FLIPPED[sign] for sign in signs[::-1]]
    names = [is_name(side) for side in sides]
    if signs == ["="] and not any(names):  # a+b = 7, \cos A = 1/2
        plain = (DESCRIBED | DENIALS).isdisjoint(sides[0]) and not re.search(
            r"[0-9]", "".join(sides[0])
        )
        names = [plain, False]
    heads = [
        side[:1] if name and side[1:2] == ["("] and side[0] in "suvwxyz" else side
        for name, side in zip(names, sides)
    ]
    values = [read(side) for side in heads]  # y(x) = 2x is y = 2x
    if signs == [r"\approx"]:
        places = [len(token.partition(".")[2]) for token in sides[1] if token[-1].isdigit()]
        if values[1][0] == "number" and len(places) == 1:  # it stands for all that rounds to it
            values[1] = (*values[1][:3], 0.5 * 10.0 ** -places[0])
        if not sides[0]:
            return values[1]
        signs = ["="]
    return ("relation", tuple(signs), tuple(values), tuple(names))


def between(a: tuple, b: tuple) -> tuple:
    """Two bounds as one relation: x > 1 and x < 3 is 1 < x < 3. Else the list of the two."""
    for low, high in ((a, b), (b, a)):
        if not low[0] == high[0] == "relation" or not {*low[1], *high[1]} <= {"<", r"\le"}:
            continue
        ends, names = (low[2][0], high[2][-1]), (low[3], high[3], low[2][1])
        in_order = rational(*ends) and ends[0][1] < ends[1][1]
        if in_order and names == ((False, True), (True, False), high[2][0]):
            return ("relation", low[1] + high[1], (*low[2], ends[1]), (False, True, False))
    return ("list", (a, b))


def rational(*values: tuple) -> bool:
    return all(value[0] == "number" and isinstance(value[1], Fraction) for value in values)


def reals_without(points: tuple) -> tuple | None:
    """The open intervals between excluded numbers: all but 3 is (-oo,3) u (3,oo)."""
    points = points[1] if points[0] == "list" else (points,)
    if not rational(*points):
        return None
    ends = (LINE[0], *sorted(points, key=lambda point: point[1]), LINE[1])
    return ("list", tuple(("tuple", "()", pair) for pair in itertools.pairwise(ends)))


def levels(tokens: list[str]):
    """Each token with the number of brackets around it; a bracket stands outside itself."""
    level = 0
    for token in tokens:
        level -= token in CLOSING
        yield token, level
        level += token in OPENING


def split(tokens: list[str], *separators: str) -> list[list[str]]:
    """Split at the separators that stand in no bracket."""
    parts = [[]]
    for token, level in levels(tokens):
        if level == 0 and token in separators:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def brackets_around(tokens: list[str]) -> str:
    """The pair of brackets around all of the tokens, such as "[)"; "" if there is none."""
    if len(tokens) < 3 or tokens[0] not in OPENING or tokens[-1] not in CLOSING:
        return ""
    inside = all(level > 0 for _, level in list(levels(tokens))[1:-1])
    return tokens[0] + tokens[-1] if inside else ""


def both_signs(tokens: list[str]) -> list[list[str]]:
    if r"\pm" not in tokens:
        return [tokens]
    signs = ({r"\pm": "+", r"\mp": "-"}, {r"\pm": "-", r"\mp": "+"})
    return [[sign.get(token, token) for token in tokens] for sign in signs]


def is_name(tokens: list[str]) -> bool:
    """Whether the tokens only name what is asked for."""
    return DENIALS.isdisjoint(tokens) and bool(NAME.fullmatch("".join(tokens)[:100]))


POWERS = {"^ 2": "square", "^ 3": "cubic", "^ - 1": "per", "^ - 2": "per square"}
SPELLINGS = {**POWERS, r"^ \circ": "degree", "mph": "mi per hr", "* ": ""}


def read_quantity(tokens: list[str]) -> tuple:
    """A number, perhaps with a unit; ValueError or ArithmeticError if it is something else."""
    reader = Reader([token for token in tokens if token != r"\$"])
    term = reader.term()
    rest = [token for token in reader.tokens[reader.at :] if token not in ("{", "}")]
    rest = " ".join(rest).replace('"', "")
    for spelling, name in SPELLINGS.items():
        rest = rest.replace(spelling, name)
    units = [unit_of(word) for word in rest.split()]
    counted = [word for word, unit in zip(rest.split(), units) if unit is None]
    if len(counted) > 3 or any(map(NO_COUNT.fullmatch, counted)):
        raise ValueError("neither a number nor a quantity")
    if counted and has_symbols(term) and not counted[0].startswith("unit"):
        raise ValueError("a remark about a variable")
    units += ["dollar"] * (r"\$" in tokens[:2])
    term = term if has_symbols(term) else Evaluation().value(term)
    return ("number", term, "" if counted else " ".join(sorted(units)), 0)


CONSTANTS = {r"\pi": complex(math.pi), "e": complex(math.e), "i": 1j}
PARTNER = {"(": ")", "[": "]", "{": "}", "|": "|", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
BOUNDED = (r"\sum", r"\prod", r"\int", r"\iint", r"\oint", r"\lim", r"\max", r"\min")
ACCENTS = (r"\hat", r"\vec", r"\dot", r"\ddot", r"\tilde", r"\overline")
NO_VALUE = (
    r"\begin \end \\ \{ \} \cup \cap \setminus \circ \pm \mp \% \$ \| \infty \emptyset \reals \rfloor "
    r"\rceil \pmod \bmod \mod \ldots \dots \cdots"
)
NO_VALUE = {*NO_VALUE.split(), *RELATIONS}
SUM, PRODUCT, IMPLICIT, FACTOR = range(4)  # how tightly an operator binds


class Reader:
    """A recursive-descent reader of arithmetic, by the precedence of its operators."""

    def __init__(self, tokens: list[str]):
        self.tokens, self.at = tokens, 0
        self.in_bars = self.in_function = False  # inside |...|, inside the argument of \sin

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        if self.at == len(self.tokens):
            raise ValueError("something is missing")
        self.at += 1
        return self.tokens[self.at - 1]

    def term(self, binding: int = SUM):
        """All that follows and is held together by operators that bind at least this tightly."""
        if self.peek() in ("+", "-"):
            negative = self.take() == "-"
            left = self.term(max(binding, PRODUCT))
            left = ("*", Fraction(-1), left) if negative else left
        else:
            left = self.powers()
        while token := self.peek():
            if token in ("+", "-") and binding == SUM:
                self.take()
                right = self.term(PRODUCT)
                left = ("+", left, right if token == "+" else ("*", Fraction(-1), right))
            elif token in ("*", "/") and binding <= PRODUCT:
                left = (self.take(), left, self.term(FACTOR))
            elif binding <= IMPLICIT and self.at_factor(binding):
                left = ("*", left, self.powers())
            else:
                break
        return left

    def at_factor(self, binding: int) -> bool:
        """Whether the next token begins a factor that multiplies what was read: 2x, but not 2 7."""
        token = self.peek()
        if token == "|":
            return not self.in_bars
        if token[0].isdigit():
            before = self.tokens[self.at - 1]
            return before in (")", "!", "}") or (len(before) == 1 and before.isalpha())
        if binding == IMPLICIT and token[1:] in FUNCTIONS:  # \sin x \cos x
            return False
        return begins_value(token)

    def powers(self):
        base = self.atom()
        while self.peek() in ("!", "^"):
            if r"\circ" in self.tokens[self.at + 1 : self.at + 3]:
                if not self.in_function:
                    break  # a unit
                self.at += 1
                self.name()
                base = ("*", base, complex(math.pi / 180))
            elif self.take() == "!":
                base = ("!", base)
            else:
                base = ("^", base, self.term(FACTOR))
        return base

    def atom(self):
        token = self.take()
        if token in PARTNER:
            outside, self.in_bars = self.in_bars, token == "|"
            inside = self.term()
            if self.take() != PARTNER[token]:
                raise ValueError("brackets do not match")
            self.in_bars = outside
            return inside if token in ("(", "[", "{") else (token, inside)
        if token[0] in ".0123456789":
            return number(token) if self.peek() != "_" else self.symbol(token)
        if token in (r"\frac", r"\binom"):
            return ("/" if token == r"\frac" else token, self.argument(), self.argument())
        if token == r"\sqrt":
            degree = self.atom() if self.peek() == "[" else Fraction(2)
            return ("^", self.atom(), ("/", Fraction(1), degree))
        if token[0] == "\\" and token[1:] in FUNCTIONS:
            return self.function(token[1:])
        if token in CONSTANTS and self.peek() != "_":
            return CONSTANTS[token]
        if token in BOUNDED:  # its bounds become a part of its name
            while self.peek() in ("_", "^"):
                token += self.take() + self.name()
            return (token, self.term(IMPLICIT))
        if begins_value(token) or (token[0] == '"' and len(token) == 2):
            return self.symbol(token.removeprefix('"'))
        raise ValueError("no value begins here")

    def argument(self):
        r"""What \frac takes: a group or, as in \frac12, one digit."""
        if self.peek().isdigit():
            self.tokens = [*self.tokens[: self.at], *self.peek(), *self.tokens[self.at + 1 :]]
        return self.atom()

    def function(self, name: str):
        base = exponent = None
        while self.peek() in ("_", "^"):
            if self.take() == "_":
                base = self.atom()
            else:
                exponent = self.term(FACTOR) if self.peek() == "-" else self.argument()
        outside, self.in_function = self.in_function, True
        argument = self.atom() if self.peek() in PARTNER else self.term(IMPLICIT)
        self.in_function = outside
        if exponent == ("*", Fraction(-1), Fraction(1)) and "arc" + name in FUNCTIONS:
            return ("arc" + name, argument)
        term = (name, argument) if base is None else ("/", ("log", argument), ("log", base))
        return term if exponent is None else ("^", term, exponent)

    def symbol(self, name: str):
        """A variable, or an accent or an operator that is not known with what it is applied to."""
        applied = name in ACCENTS or (name[0] == "\\" and self.peek() == "{")
        if name == r"\overline":
            name, applied = name + self.name(), False  # abc, the digits of a number
        argument = [self.argument()] if applied else []
        while self.peek() in ("_", "'"):
            name += self.take()
            name += self.name() if name[-1] == "_" else ""
        following = self.tokens[self.at : self.at + 3]
        if following[::2] == ["(", ")"] and following[1].isdigit():
            name += self.name()  # I(0) is no product with 0
        return (name, *argument) if argument else ("symbol", name)

    def name(self) -> str:
        """The next token or group of tokens, as the text that names something."""
        text, depth = "", 0
        while True:
            token = self.take()
            depth += (token in ("{", "(")) - (token in ("}", ")"))
            text += "" if token in ("{", "}", "(", ")") else token
            if depth <= 0:
                return text


def begins_value(token: str) -> bool:
    if len(token) == 1:
        return token in string.ascii_letters or token in ("(", "[", "{")
    return token[0] == "\\" and token[1:].isalpha() and token not in NO_VALUE


def number(token: str) -> Fraction:
    """The exact value of a decimal, in scientific notation or with a repeating part."""
    digits, _, period = re.sub(r"\\[a-z]+", "|", token).rstrip("}").partition("|")
    mantissa, _, exponent = digits.lower().partition("e")
    if len(token) > MAX_DIGITS or len(exponent) > 4:
        raise Limit
    whole, _, decimals = mantissa.partition(".")
    value = Fraction(int(whole + decimals or "0"), 10 ** len(decimals))
    if period := period.strip(" {"):
        value += Fraction(int(period), 10 ** len(decimals) * (10 ** len(period) - 1))
    return value * Fraction(10) ** int(exponent or 0)


# ---- Evaluating: term -> number ------------------------------------------------------------------


class Evaluation:
    """The value of a term: a Fraction while rational, else a complex.

    At a point a symbol stands for a pseudo-random Fraction that its name and the point decide,
    between 0.3 and 2.3, ten times that or a tenth, at every other point perhaps negative. `bent` tells that a
    root or a logarithm has left the real line, where two spellings may be on different branches.
    """

    def __init__(self, point: int = 0):
        self.point, self.bent = point, False

    def value(self, term):
        """Raises Limit, or ArithmeticError or ValueError where there is no value."""
        if not isinstance(term, tuple):
            return term
        name, *parts = term
        if name == "symbol":
            return pseudo_random(parts[0], self.point)
        numbers = [self.value(part) for part in parts]
        if name not in OPERATORS:
            return pseudo_random(" ".join([name, *map(canonical, numbers)]))
        value = OPERATORS[name](*numbers)
        above = below = 0
        if isinstance(value, Fraction):
            above, below = value.numerator.bit_length(), value.denominator.bit_length()
        elif value and not 1e-150 < abs(value) < 1e150:  # infinite, or rounded to nothing
            raise OverflowError
        WORK.set(WORK.get() + max(above, 350) * max(below, 350))
        if WORK.get() > MAX_WORK:
            raise Limit
        if max(above, below) > MAX_BITS:
            raise OverflowError
        self.bent |= not is_real(value) and all(map(is_real, numbers))
        return value


def is_real(value) -> bool:
    return isinstance(value, Fraction) or abs(value.imag) <= TOLERANCE * abs(value)


def has_symbols(term) -> bool:
    return isinstance(term, tuple) and (term[0] == "symbol" or any(map(has_symbols, term[1:])))


def pseudo_random(name: str, point: int = 0) -> Fraction:
    code = zlib.crc32(f"{point} {name}".encode("utf-8", "replace"))
    sign = -1 if point % 2 and code >> 20 & 1 else 1
    return Fraction(sign * (300 + code % 2000), (1009, 1009, 101, 10007)[point % 4])


def canonical(value) -> str:
    """A number as text, the same however it was computed."""
    if isinstance(value, Fraction):
        return f"{value.numerator:x}/{value.denominator:x}"
    parts = (value.real, value.imag)
    return " ".join(f"{part if abs(part) > 1e-12 else 0.0:.9g}" for part in parts)


def power(a, b):
    """a^b, exact for integer b; real for a negative a where b has an odd denominator."""
    if isinstance(a, Fraction) and isinstance(b, Fraction) and b.denominator == 1:
        if abs(b) * max(a.numerator.bit_length(), a.denominator.bit_length()) > 2 * MAX_BITS:
            raise OverflowError
        return a ** int(b)
    if a == 0 and isinstance(b, Fraction) and b > 0:
        return a
    if isinstance(b, Fraction) and b.denominator % 2 and is_real(a) and complex(a).real < 0:
        return (-1) ** b.numerator * power(-a, b)
    exponent = b * cmath.log(a)
    if abs(exponent.real) > 300:
        raise OverflowError
    return cmath.exp(exponent)


def factorial(a):
    """n!, or the gamma function of a + 1 where a variable is sampled off the integers."""
    if not isinstance(a, Fraction) or a.denominator > 1 or a < 0:
        return complex(math.gamma(a.real + 1)) if is_real(a) else math.nan
    if a > MAX_FACTORIAL:
        raise OverflowError
    return Fraction(math.factorial(int(a)))


def binomial(n, k):
    """n over k, a polynomial in n where k is a small integer."""
    if isinstance(k, Fraction) and k.denominator == 1 and 0 <= k <= 20:
        return math.prod((n - i for i in range(int(k))), start=Fraction(1)) / math.factorial(int(k))
    if isinstance(n, Fraction) and isinstance(k, Fraction) and n.denominator == k.denominator == 1:
        if not 0 <= k <= n <= MAX_FACTORIAL:
            raise OverflowError
        return Fraction(math.comb(int(n), int(k)))
    return factorial(n) / factorial(k) / factorial(n - k)


FUNCTIONS = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "log", "exp")
FUNCTIONS = {name: getattr(cmath, name) for name in FUNCTIONS}
FUNCTIONS |= {"arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan, "ln": cmath.log}
FUNCTIONS |= {"csc": lambda z: 1 / cmath.sin(z), "sec": lambda z: 1 / cmath.cos(z)}
FUNCTIONS |= {"cot": lambda z: 1 / cmath.tan(z), "lg": cmath.log10}
MATHEMATICAL = {*FUNCTIONS, *"ijked", "sqrt", "pi", "infty", "infinity", "gcd", "lcm", "det"}
OPERATORS = {"+": operator.add, "*": operator.mul, "/": operator.truediv, "^": power}
OPERATORS |= {"|": lambda z: abs(z) if isinstance(z, Fraction) else complex(abs(z))}
OPERATORS |= {"!": factorial, r"\binom": binomial, **FUNCTIONS}


def same_number(x, y, slack: float = 0) -> bool:
    """Whether two terms agree: once if they are constant, else at four good points of POINTS.

    One disagreement at a good point decides. Where only one is good, the bent ones must agree as well.
    """
    varies = has_symbols(x) or has_symbols(y)
    good, bent = 0, []
    for point in range(POINTS if varies else 1):
        evaluation = Evaluation(point)
        try:
            agree = close(evaluation.value(x), evaluation.value(y), slack, exact=not varies)
        except (ArithmeticError, ValueError):
            continue
        if varies and evaluation.bent:
            bent.append(agree)
        elif not agree:
            return False
        elif (good := good + 1) == 4:
            break
    return good > varies or (good + len(bent) > varies and all(bent))


def close(p, q, slack: float, exact: bool) -> bool:
    if slack:
        return abs(p - q) <= slack * (1 + 1e-9)
    if isinstance(p, Fraction) and isinstance(q, Fraction):
        return p == q
    if exact and any(isinstance(v, Fraction) and v.denominator > MAX_DENOMINATOR for v in (p, q)):
        return False
    return abs(p - q) <= TOLERANCE * max(abs(p), abs(q))


# ---- Comparing: two values -> bool ---------------------------------------------------------------


def is_equivalent(answer: str, gold: str) -> bool:
    r"""Whether two answers are the same; symmetric, and true of any answer and itself.

    >>> is_equivalent(r"1\frac{4}{5}", "9/5"), is_equivalent("0.33", r"\frac13")
    (True, False)
    >>> is_equivalent(r"\sqrt{12}", r"2\sqrt3"), is_equivalent("(x+1)^2", "x^2 + 2x + 1")
    (True, True)
    >>> is_equivalent("[0, 1)", "0 <= x < 1"), is_equivalent("52 or 54", "52")
    (True, False)
    """
    WORK.set(0)
    try:
        return answer.split() == gold.split() or same_tokens(tokenize(answer), tokenize(gold))
    except (Limit, RecursionError):
        return False


def same_tokens(left: tuple, right: tuple) -> bool:
    """Whether two answers are the same tokens, the same words, the same choice or the same value."""
    if not left or not right or left == right:
        return left == right != ()
    text = spoken(left)
    if text and text == spoken(right) and (text in "abcde" or '"' in "".join(left + right)):
        return True
    one, other = choice(left), choice(right)
    if one and other:
        return all(map(same_tokens, one, other))
    if one or other:
        return any(same_tokens(part, right if one else left) for part in one or other)
    return same(read(list(left)), read(list(right)))


def spoken(tokens: tuple) -> str:
    """All of it as letters in lower case, without articles and parentheses; "" if there is more."""
    text = "".join(token for token in tokens if token not in ("(", ")", '"a', '"an', '"the'))
    text = text.replace('"', "").replace("\\", "").lower()
    return text if text.isalpha() else ""


def choice(tokens: tuple) -> tuple:
    """The letter and the value of an answer such as (D) 24, or of option B; else ()."""
    if tokens[0] in ('"option', '"Option', '"choice', '"Choice') and len(tokens) > 1:
        return (tokens[1:], tokens[1:])
    letters = [
        t for before, t, after in zip(tokens, tokens[1:], tokens[2:]) if before + after == "()"
    ]
    is_choice = tokens[0] == "(" and tokens[2:3] == (")",) and letters in map(list, "ABCDEFGHIJ")
    if not is_choice or tokens[3:4] in ((), *zip("^!/*_,=")) or not DENIALS.isdisjoint(tokens):
        return ()
    return (tokens[1:2], tokens[3:]) if read(list(tokens[3:]))[0] != "list" else ()


def same(a: tuple, b: tuple) -> bool:
    if a == b:
        return True
    if "relation" in (a[0], b[0]):
        return same_relation(a, b)
    a, b = as_quotient(a, b[0]), as_quotient(b, a[0])
    if a[0] != b[0] and "list" in (a[0], b[0]):  # "1/2 or 0.5" is one number
        items, other = (a[1], b) if a[0] == "list" else (b[1], a)
        return all(item[0] == "number" and same(item, other) for item in items)
    if a[0] != b[0] or a[0] in ("text", "infinity"):
        return False
    if a[0] == "number":
        return same_quantity(a[1:], b[1:])
    return matched(a[1], b[1]) if a[0] == "list" else a[1] == b[1] and in_order(a[2], b[2])


def as_quotient(value: tuple, other: str) -> tuple:
    """The ratio 3:4 as 3/4, beside a number."""
    if (
        other == "number"
        and value[:2] == ("tuple", ":")
        and [v[0] for v in value[2]] == [other] * 2
    ):
        return ("number", ("/", value[2][0][1], value[2][1][1]), "", 0)
    return value


def in_order(a: tuple, b: tuple) -> bool:
    return len(a) == len(b) and all(map(same, a, b))


def matched(a: tuple, b: tuple) -> bool:
    """Whether every item of a has an item of b of its own, and none is left over."""
    left = list(b)
    for item in a:
        found = next((i for i, other in enumerate(left) if same(item, other)), None)
        if found is None:
            return False
        del left[found]
    return not left


def same_quantity(a: tuple, b: tuple) -> bool:
    (x, unit_x, slack_x), (y, unit_y, slack_y) = a, b
    if unit_x and unit_y and unit_x != unit_y:
        return False
    slack = max(slack_x, slack_y)
    if (agree := same_number(x, y, slack)) or unit_x == unit_y:
        return agree
    percent = Fraction(1, 100)
    return (unit_x == "%" and same_number(("*", x, percent), y, slack)) or (
        unit_y == "%" and same_number(x, ("*", y, percent), slack)
    )


def same_relation(a: tuple, b: tuple) -> bool:
    if a[0] == b[0] and a[1] == b[1]:
        if in_order(a[2], b[2]) or (set(a[1]) <= {"=", r"\ne"} and in_order(a[2][::-1], b[2])):
            return True
        named = [{side for side, name in zip(v[2], v[3]) if name} for v in (a, b)]
        return named[0].isdisjoint(named[1]) and proportional(a, b)
    a, b = (without_name(value) if value[0] == "relation" else value for value in (a, b))
    return a is not None and b is not None and same(a, b)


def without_name(relation: tuple) -> tuple | None:
    """What is said of the unknown: 3 for x = 3, the interval for 2 <= x < 3, S for x in S."""
    _, signs, sides, names = relation
    if set(signs) == {"="}:
        values = [side for side, name in zip(sides, names) if not name] or [sides[1]]
        return values[0] if in_order(values[1:], values[:-1]) else None
    if signs == (r"\in",) and names[0]:
        return sides[1]
    if signs == (r"\ne",) and names[0]:
        return reals_without(sides[1])
    if set(signs) <= {"<", r"\le"} and len(sides) <= 3 and any(names):
        if len(sides) == 2:  # x < 3 is -oo < x < 3
            sides = (LINE[0], *sides) if names[0] else (*sides, LINE[1])
            signs = ("<", *signs) if names[0] else (*signs, "<")
        brackets = ("(" if signs[0] == "<" else "[") + (")" if signs[1] == "<" else "]")
        return ("tuple", brackets, (sides[0], sides[2])) if len(names) == 2 or names[1] else None
    return None


def proportional(a: tuple, b: tuple) -> bool:
    """Whether one relation is a constant multiple of the other, as x - 3 = 0 of 2x = 6."""
    if len(a[1]) > 1 or any(side[0] != "number" for side in a[2] + b[2]):
        return False
    f, g = (("+", v[2][0][1], ("*", Fraction(-1), v[2][1][1])) for v in (a, b))
    ratio = ("/", f, g)
    for point in range(POINTS) if has_symbols(f) and has_symbols(g) else ():
        try:
            factor = Evaluation(point).value(ratio)
        except (ArithmeticError, ValueError):
            continue
        if abs(factor) < TOLERANCE:  # 0 = 0 says nothing
            return False
        same_side = set(a[1]) <= {"=", r"\ne"} or complex(factor).real > 0
        return same_side and same_number(ratio, factor)
    return False


# ---- The tool: one case in words, or a file of cases ----------------------------------------------


def explain(response: str, gold: str) -> str:
    """What was extracted, how each side was read, and why they are equal or not."""
    result, right = grade(response, gold), parse(gold)
    if result.answer is None:
        return "no answer: no closed box, no stated answer, and the response is no bare answer"
    left = parse(result.answer)
    if result.correct:
        why = "the same tokens" if tokenize(result.answer) == tokenize(gold) else "the same value"
    elif left is None or right is None:
        why = "beyond the limits of what is computed, and other tokens"
    elif left[0] != right[0]:
        why = f"a {left[0]} is not a {right[0]}"
    else:
        why = f"these are different {left[0]}s"
    return (
        f"extracted  {result.answer!r}: {find_answer(response)[0]}\n"
        f"read as    {show(left)}\ngold       {show(right)}\n{result.outcome}: {why}"
    )


def show(value) -> str:
    """A value or a term as a person writes it."""
    if isinstance(value, complex):
        return f"{value:.6g}" if value.imag else f"{value.real:.15g}"
    if isinstance(value, Fraction):
        long = max(value.numerator.bit_length(), value.denominator.bit_length()) > 10_000
        return "a very long number" if long else str(value)
    if value is None:
        return "unreadable"
    kind, *parts = value
    if kind == "number":
        return f"{show(parts[0])} {parts[1]}".strip()
    if kind in ("infinity", "text", "symbol"):
        return {True: "-oo", False: "oo"}.get(parts[0], str(parts[0]))
    if kind == "list":
        return f"in any order: {', '.join(map(show, parts[0]))}"
    if kind == "tuple":
        return parts[0][0] + ", ".join(map(show, parts[1])) + parts[0][-1]
    if kind == "relation":
        return "".join(map(" {} {}".format, ("", *parts[0]), map(show, parts[1]))).strip()
    if kind in ("+", "*", "/", "^"):
        return f"({show(parts[0])} {kind} {show(parts[1])})"
    return f"{kind}({', '.join(map(show, parts))})"


def grade_file(path: str, list_wrong: bool) -> None:
    """Grade a .jsonl file; print agreement and errors, overall and by kind, and the slowest cases."""
    from tqdm import tqdm

    with open(path, encoding="utf-8") as file:
        cases = [json.loads(line) for line in file if line.strip()]
    tally, times, outcomes = collections.Counter(), [], collections.Counter()
    for case in tqdm(cases, desc="grading", unit="case"):
        began = time.perf_counter()
        result = grade(case["response"], case["gold"])
        times.append((time.perf_counter() - began, case["gold"], result.answer))
        outcomes[result.outcome] += 1
        expected = case.get("expected")
        if isinstance(expected, bool):
            for kind in {"all", case.get("kind", "all")}:
                tally[kind, expected, result.correct] += 1
        if list_wrong and isinstance(expected, bool) and expected != result.correct:
            print(f"expected {expected}\n{explain(case['response'], case['gold'])}\n")
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    print(
        f"\n{'kind':24}{'cases':>7}{'agree':>9}{'wrong called right':>20}{'right called wrong':>20}"
    )
    for kind in sorted({kind for kind, _, _ in tally}, key=lambda kind: (kind != "all", kind)):
        right, wrong = (
            [tally[kind, truth, said] for said in (True, False)] for truth in (True, False)
        )
        count, agreed = sum(right) + sum(wrong), right[0] + wrong[1]
        errors = [f"{wrong[0]} of {sum(wrong)}", f"{right[1]} of {sum(right)}"]
        print(f"{kind:24.23}{count:7}{agreed / count:9.2%}{errors[0]:>20}{errors[1]:>20}")
    print("\nslowest")
    for seconds, gold, answer in sorted(times, key=lambda row: -row[0])[:3]:
        print(f"{seconds * 1e3:8.2f} ms  gold {gold[:40]!r}, answer {answer and answer[:40]!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Grade one response in words, or a file of cases.")
    parser.add_argument("response", nargs="?", help="the text of a response")
    parser.add_argument("gold", nargs="?", help="the gold answer")
    parser.add_argument(
        "--file", help='a .jsonl file of {"gold", "response", "expected"?, "kind"?}'
    )
    parser.add_argument("--show", choices=["wrong"], help="with --file: explain the disagreements")
    options = parser.parse_args()
    if bool(options.file) == (options.gold is not None):
        parser.error('give "RESPONSE" "GOLD", or --file cases.jsonl')
    try:
        if options.gold is not None:
            print(explain(options.response, options.gold))
        else:
            grade_file(options.file, options.show == "wrong")
    except OSError as error:
        parser.exit(2, f"reward.py: --file {options.file} cannot be read: {error.strerror}.\n")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        needed = "it needs a JSON object a line with the texts gold and response"
        parser.exit(2, f"reward.py: --file {options.file}: {needed} ({error!r}).\n")


if __name__ == "__main__":
    main()
