r"""Is this answer right? The verifiable reward.

A rollout earns 1 if its final answer is the gold answer, however either is spelled, else 0. Both
are text and never run: the answer is extracted, read into a small exact value, and compared.

Extraction. What follows the first sign of another dialogue turn is not the model's answer, nor is
what stands before the last `</think>` or in a thought left open. In the rest the first rule that
finds something decides:
  1. the last closed, non-empty \boxed{...} or \fbox{...}; `\boxed 7` counts, `\boxed{7` does not;
  2. the last stated answer ("the answer is ...", "Answer: ...", "#### ...", a last line "A: ..."),
     cut at the end of its sentence or line;
  3. a response that is nothing but one number, one $formula$ or one **bold** text.
Otherwise there is no answer. The gold answer is never searched for in the response.

Comparison. A number is exact while it is rational: 0.5 equals 1/2, 0.33 does not equal 1/3. It is
held at POINTS points: a variable is a fixed pseudo-random Fraction at each, so that two rational
expressions must agree exactly; roots, pi, e, i and functions are complex floats there, and must
agree to TOLERANCE, relative. Plain lists and sets have no order; tuples, points and intervals do,
and their brackets matter.

Conventions. 1,234 is one number; "1, 234", "123,45" and (100,200) are not. 1\frac{4}{5} is a mixed
number, 1/2x is (1/2)x, \log without a base is natural, 204_5 is equal only to itself, variables are
positive. A unit, a currency or a % may be left out but not contradicted: 3 cm equals 3, not 3 m;
50% equals 50, and also 1/2, which it is. `x = 3` equals `3`, and `x < 3` equals its interval. What
cannot be read, or is over one of the limits below, is equal only to the same tokens.
"""

import cmath
import math
import operator
import re
import string
import zlib
from fractions import Fraction
from typing import NamedTuple

# All work is bounded here, so that no text, however hostile, can hang or crash a training run.
MAX_RESPONSE = 100_000  # characters read, from the end of the response
MAX_ANSWER = 2_000  # characters of an answer
MAX_TOKENS = 500
MAX_DEPTH = 30  # nested groups
MAX_ITEMS = 64  # of one list, compared pair by pair
MAX_DIGITS = 400  # of one number; Python itself refuses to convert more than 4300
MAX_BITS = 8_192  # of a numerator or a denominator: 2^{2019} is exact, 9^{9^9} is unreadable
MAX_FACTORIAL = 300
MAX_DENOMINATOR = 10**6  # of a rational that may equal a float: no decimal passes for pi
POINTS = 3
TOLERANCE = 1e-11


class Grade(NamedTuple):
    """What became of one response; outcome is "correct", "wrong" or "no answer"."""

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
    correct = is_equivalent(answer, gold)
    return Grade(correct, "correct" if correct else "wrong", answer)


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

TURNS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>", "\nUser:", "\nHuman:")
BRACE = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s{0,3}\{?|\\.|[{}]", re.DOTALL)
BARE_BOX = re.compile(r"[+-]?[0-9][0-9.,/]{0,50}")
STATED = re.compile(
    r"####|\banswers?\b[*_]{0,3}\s{0,3}(?:is\b|are\b|=|:)"
    r"|^\W{0,4}(?:final )?answer(?:\W{0,3}$|\s{1,3}(?=\$|\\[(\[]))|^A: (?=[^\n]*\Z)",
    re.IGNORECASE | re.MULTILINE,
)
STATED_START = re.compile(r"(?:[\s*_:$]|\\[(\[]){0,20}")
STATED_END = re.compile(r"""\n|[.;?](?=[\s$*"')]|\\[)\]]|$)|(?<=[$*])!|,?\s(?:because|since)\b""")
BARE_NUMBER = re.compile(r"[+-]?[0-9][0-9.,/]{0,50}%?")


def extract_answer(response: str) -> str | None:
    r"""The final answer of a response as text, or None, by the rules of the header.

    >>> extract_answer(r"<think>\boxed{12}?</think> So \boxed{\frac{1}{2}}.<|im_end|> \boxed{3}")
    '\\frac{1}{2}'
    >>> extract_answer("She earns 9 * 2 dollars. The answer is 18. I hope it is correct.")
    '18'
    >>> extract_answer("There are 7 apples left.") is None
    True
    """
    text = response.strip()
    for turn in TURNS:
        cut = text.find(turn, 1)  # a template may open the response itself, at 0
        text = text if cut < 0 else text[:cut]
    text = text.rpartition("</think>")[2].partition("<think>")[0][-MAX_RESPONSE:].strip()
    return last_box(text) or last_stated(text) or bare_answer(text)


def last_box(text: str) -> str | None:
    """The content of the last closed box. One pass with a stack: linear in any nest of braces."""
    last, stack = None, []
    for match in BRACE.finditer(text):
        token = match[0]
        if token == "}":
            start = stack.pop() if stack else None
            if start is not None:
                last = text[start : match.start()].strip() or last
        elif token == "{":
            stack.append(None)
        elif "box" in token and token.endswith("{"):
            stack.append(match.end())
        elif "box" in token and (bare := BARE_BOX.match(text, match.end())):
            last = bare[0]
    return last


def last_stated(text: str) -> str | None:
    """What follows the last "the answer is", up to the end of its sentence."""
    start = max((match.end() for match in STATED.finditer(text)), default=None)
    if start is None:
        return None
    start = STATED_START.match(text, start).end()
    end = STATED_END.search(text, start)
    if end and end[0] == "?":  # a question states nothing
        return None
    return text[start : end.start() if end else None].strip("*_$ \t").removesuffix(r"\)") or None


def bare_answer(text: str) -> str | None:
    """The text itself if it is nothing but a number, a formula or bold."""
    inner = text.strip("$* ")
    framed = text[:1] in ("$", "*") and text[-1:] in ("$", "*")
    is_answer = BARE_NUMBER.fullmatch(inner) or (framed and not re.search(r"[$\n]|\*\*", inner))
    return inner if inner and is_answer else None


# ---- Tokens: text -> list of tokens --------------------------------------------------------------
# A token is a number (3.5), a letter, a command (\frac), a sign, or a word with a quote before it
# ("cm), so that "even" is not read as the product e v e n. All spellings of a sign become one.


def words(text: str) -> list[str]:
    return text.split()


SIGNS = words(r"− - – - × * · * ⋅ * ÷ / ’ ' ² ^2 ³ ^3 π \pi ∞ \infty √ \sqrt ° ^\circ ≤ \le ≥ \ge")
SIGNS += words(r"≠ \ne ∪ \cup ∈ \in ± \pm ≈ \approx")
SIGNS = {sign: command + " " for sign, command in zip(SIGNS[::2], SIGNS[1::2])}
SIGNS = str.maketrans(SIGNS | {"€": "", "£": "", '"': " "})
ALIASES = words(
    r"\dfrac \frac \tfrac \frac \cfrac \frac \dbinom \binom \cdot * \times * \div / \% % ; , \lt < "
    r"\leq \le \leqslant \le \geq \ge \geqslant \ge \gt > \neq \ne \simeq \approx \colon : "
    r"\prime ' \langle ( \rangle ) \lbrace \{ \rbrace \} \vert | \lvert | \rvert | "
    r"\varnothing \emptyset"
)
ALIASES = dict(zip(ALIASES[::2], ALIASES[1::2]))
CLUTTER = words(
    r"\, \; \: \! \quad \qquad \left \right \big \Big \bigl \bigr \displaystyle \textstyle \limits "
    r"$ ~ \boxed \fbox \bf \rm \text \textbf \mathbf \mathrm \mbox \boldsymbol \bm \operatorname"
)
CLUTTER = {*CLUTTER, r"\ ", r"\(", r"\)", r"\[", r"\]"}
WRAPPED = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|[mh]box|emph|math(?:rm|bf|it|sf)|operatorname)"
    r"\s?\{([^{}]*)\}"
)
MIXED = re.compile(
    r"(?<![A-Za-z0-9.^_])([0-9]+)(?:\s+([0-9]+)/([0-9]+)"
    r"|\s*\\[dtc]?frac\s?(?:\{([0-9]+)\}|([0-9]))\s?(?:\{([0-9]+)\}|([0-9])))"
)
TOKEN = re.compile(
    r"(?P<grouped>[1-9][0-9]{0,2}(?:(?:,|\{,\}|,?\\[,!]\s?)[0-9]{3})+(?![0-9])(?:\.[0-9]+)?)"
    r"|(?P<number>[0-9]*\.[0-9]*\\overline\s?\{[0-9]+\}"
    r"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r'|"(?P<quoted>[^"]*)"|(?P<letters>[A-Za-z]+)|(?P<sign>\\[A-Za-z]+|\\?.)',
    re.DOTALL,
)


def tokenize(text: str) -> list[str]:
    r"""Cut an answer into tokens with all clutter gone; nothing is left of one that is too long.

    >>> tokenize(r"$\left(\dfrac{1}{2},\, 1{,}000\text{ cm}\right)$.")
    ['(', '\\frac', '{', '1', '}', '{', '2', '}', ',', '1000', '"cm', ')']
    """
    if len(text) > MAX_ANSWER:
        return []
    text = text.translate(SIGNS).replace("**", "^").replace("...", r"\ldots ")
    text = text.replace("<=", r"\le ").replace(">=", r"\ge ").replace(" != ", r" \ne ")
    text = re.sub(r"\\(?:text)?color\s?\{[^{}]*\}", "", text)
    text = re.sub(r"\b([ap])\.m\b\.?", r"\1m", text, flags=re.IGNORECASE)
    text = re.sub(r"\\(begin|end)\{(?:[pb]?matrix|array)\}(?:\{[lcr|]*\})?", r"\\\1 ", text)
    text = MIXED.sub(add_mixed, WRAPPED.sub(quote_words, text)).strip().rstrip(".,")
    tokens, depth = [], 0
    for match in TOKEN.finditer(text):
        kind, token = match.lastgroup, match[match.lastgroup]
        if kind == "grouped" and depth > 0 and "{" not in token and "\\" not in token:
            tokens += re.split("(,)", token)  # (100,200) is a point
        elif kind == "grouped":
            tokens.append(re.sub(r"[^0-9.]", "", token))
        elif kind == "letters":
            tokens += spell(token)
        elif kind == "quoted":
            tokens += ["," if word in ("and", "or") else '"' + word for word in token.split()]
        elif not (token.isspace() or token in CLUTTER):
            tokens.append(ALIASES.get(token, token))
            depth += (tokens[-1] in ("(", "[", r"\{")) - (tokens[-1] in (")", "]", r"\}"))
    # "5, and 7" has one separator
    tokens = [t for t, after in zip(tokens, tokens[1:] + [","]) if (t, after) != (",", ",")]
    return tokens if len(tokens) <= MAX_TOKENS else []


def quote_words(match: re.Match) -> str:
    r"""\text{ cm} is a word; \textbf{93000} and \mathrm{i} are mathematics in another font."""
    text = match[1].replace("~", " ").strip()
    is_word = re.fullmatch(r"[A-Za-z\s-]+", text) and text not in ("i", "e", "d", *FUNCTIONS)
    return f' "{text}" ' if is_word else f" {text} "


def add_mixed(match: re.Match) -> str:
    whole, top, bottom = (group for group in match.groups() if group)
    proper = len(top) < len(bottom) or (len(top) == len(bottom) and top < bottom)
    return f"({whole}+{top}/{bottom})" if proper else match[0]


def spell(letters: str) -> list[str]:
    """A run of letters is a function, a separator, a word, or a product of variables."""
    if letters in FUNCTIONS or letters in ("sqrt", "pi", "infty"):
        return ["\\" + letters]
    if letters in ("and", "or"):
        return [","]
    known = unit_of(letters) is not None or letters.lower() in NO_UNITS
    is_word = len(letters) > 3 or (len(letters) > 1 and known)
    return ['"' + letters] if is_word else list(letters)


# ---- Reading: tokens -> value --------------------------------------------------------------------
# A value is ("number", samples, unit), ("infinity", sign), ("list", items), ("union", items),
# ("ratio", items), ("tuple", brackets, items), ("matrix", rows), ("relation", signs, sides, names),
# or ("text", text) for what could not be read. Samples are one Fraction or complex for each point.

OPENING, CLOSING = ("(", "[", "{", r"\{", r"\begin"), (")", "]", "}", r"\}", r"\end")
RELATIONS = ("=", "<", ">", r"\le", r"\ge", r"\ne", r"\in", r"\approx")
FLIPPED = {">": "<", r"\ge": r"\le"}
NAME = r"(?:\\[A-Za-z]+|[A-Za-z]|[A-Z]{2,4}|\"\w+)(?:_(?:\w|\{[\w,\"]*\}))?'*(?:\([A-Za-z\\,]*\))?"
NAME = re.compile(rf"{NAME}(?::{NAME})?|\({NAME}(?:,{NAME}){{1,5}}\)")  # x, f(x), AB, a_1, (x,y)


def read(tokens: list[str], depth: int = 0) -> tuple:
    """Read the tokens of an answer, or of a part of one, into a value."""
    text = ("text", " ".join(tokens))

    def read_all(parts):
        return tuple(read(part, depth + 1) for part in parts)

    brackets = brackets_around(tokens)
    if brackets in ("{}", r"\{\}"):
        return read(tokens[1:-1], depth + 1) if depth < MAX_DEPTH else text
    items = [item for part in split(tokens, (",",)) for item in both_signs(part)]
    if depth > MAX_DEPTH or len(items) > MAX_ITEMS or [] in items:
        return text
    if len(items) > 1:
        first = split(items[0], RELATIONS)
        if len(first) == 2 and is_name(first[0]) and not any("=" in item for item in items[1:]):
            items[0] = first[1]  # n = 2, 3, 4
        return ("list", read_all(items))
    sides = split(tokens, RELATIONS)
    signs = [token for token, level in levels(tokens) if level == 0 and token in RELATIONS]
    if signs[:1] == [r"\approx"] and sides[0]:
        if not is_name(sides[0]):
            return read(sides[0], depth + 1)  # \sqrt2 \approx 1.41
        signs[0] = "="
    if signs:
        if all(sign in FLIPPED for sign in signs):  # a > b is b < a
            sides, signs = sides[::-1], [FLIPPED[sign] for sign in signs[::-1]]
        return ("relation", tuple(signs), read_all(sides), tuple(map(is_name, sides)))
    for kind, separator in (("union", r"\cup"), ("ratio", ":")):
        if len(parts := split(tokens, (separator,))) > 1:
            return (kind, read_all(parts))
    if brackets == r"\begin\end":
        rows = [split(row, ("&",)) for row in split(tokens[1:-1], (r"\\",)) if row]
        return ("matrix", tuple(map(read_all, rows)))
    if brackets and len(parts := split(tokens[1:-1], (",",))) > 1:
        return ("tuple", brackets, read_all(parts))
    if brackets in ("()", "[]"):
        return read(tokens[1:-1], depth + 1)
    if tokens[-1] == r"\infty" and tokens[:-1] in ([], ["+"], ["-"]):
        return ("infinity", tokens[0] == "-")
    try:
        return read_quantity(tokens)
    except (ValueError, ArithmeticError, RecursionError):
        return text


def levels(tokens: list[str]):
    """Each token with the number of brackets around it; a bracket stands outside itself."""
    level = 0
    for token in tokens:
        level -= token in CLOSING
        yield token, level
        level += token in OPENING


def split(tokens: list[str], separators: tuple) -> list[list[str]]:
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
    return bool(NAME.fullmatch("".join(tokens)[:100]))


UNITS = (
    r"dollar \$|% percent pct percentage|degree \circ|m meter metre|cm centimeter|mm millimeter"
    "|km kilometer|in inch inches|ft foot feet|yd yard|mi mile|g gram|kg kilogram|mg|lb pound"
    "|oz ounce|L liter|ml mL|s sec second|min minute|hr hour h|day|week|month|year|cent|mph|am|pm"
    "|square sq|cubic|per /|th st nd rd"
)
UNITS = {name: names.split()[0] for names in UNITS.split("|") for name in names.split()}
# Any other word after a number is what was counted (6 apples), unless it changes or denies it.
NO_UNITS = words(
    "dozen hundred thousand million billion trillion half halves third thirds quarter quarters no "
    "not less more least most than plus minus times squared cubed factorial mod over base if when "
    "but an the yes odd wrong incorrect false maybe"
)


def unit_of(word: str) -> str | None:
    """The canonical name of a unit of measure, or None for any other word."""
    return UNITS.get(word) or UNITS.get(word.lower()) or UNITS.get(word.lower().removesuffix("s"))


def read_quantity(tokens: list[str]) -> tuple:
    """A number, perhaps with a unit; ValueError or ArithmeticError if it is something else."""
    units = ["dollar"] * (r"\$" in tokens[:2])
    reader = Reader([token for token in tokens if token != r"\$"])
    samples = reader.sum()
    rest = " ".join(token for token in reader.rest() if token not in ("{", "}")).replace('"', "")
    for power_of, name in (("^ 2", "square"), ("^ 3", "cubic"), (r"^ \circ", "degree")):
        rest = rest.replace(power_of, name)
    strange = [word for word in rest.split() if unit_of(word) is None]
    if len(strange) > 2 or not all(word.isalpha() and word not in NO_UNITS for word in strange):
        raise ValueError("neither a number nor a quantity")
    if strange and len(set(samples)) > 1 and not strange[0].startswith("unit"):
        raise ValueError("a remark about a variable")
    units += [unit_of(word) for word in rest.split() if word not in strange]
    return ("number", samples, "" if strange else " ".join(sorted(units)))


FUNCTIONS = {"csc": cmath.sin, "sec": cmath.cos, "cot": cmath.tan}
FUNCTIONS = {name: lambda z, f=f: 1 / f(z) for name, f in FUNCTIONS.items()}
FUNCTIONS |= {"sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "log": cmath.log}
FUNCTIONS |= {"arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan, "ln": cmath.log}
CONSTANTS = {r"\pi": math.pi, "e": math.e, "i": 1j}
SYMBOLS = words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi rho sigma "
    "tau phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell hbar"
)
LETTERS = set(string.ascii_letters) | {"\\" + name for name in SYMBOLS}
FACTORS = LETTERS | {"\\" + name for name in FUNCTIONS}
FACTORS |= {"(", "[", r"\frac", r"\sqrt", r"\pi", r"\binom"}


class Reader:
    """A recursive-descent reader of arithmetic: a sum of products of powers of atoms."""

    def __init__(self, tokens: list[str]):
        self.tokens, self.at, self.depth = tokens, 0, 0

    def rest(self) -> list[str]:
        return self.tokens[self.at :]

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise ValueError(f"no {expected or 'token'} here")
        self.at += 1
        return token

    def sum(self) -> tuple:
        total = self.signed(self.product)
        while self.peek() in ("+", "-"):
            total = lift(operator.add, total, self.signed(self.product))
        return total

    def signed(self, inner) -> tuple:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        return lift(operator.mul, constant(Fraction(sign)), inner())

    def product(self, of_function: bool = False) -> tuple:
        product = self.power()
        while True:
            token = self.peek()
            if token in ("*", "/") and not of_function:
                act = operator.mul if self.take() == "*" else operator.truediv
                product = lift(act, product, self.signed(self.power))
            elif token in FACTORS and not (of_function and token[1:] in FUNCTIONS):
                product = lift(operator.mul, product, self.power())
            elif token[:1].isdigit() and self.tokens[self.at - 1] in (")", "!"):
                product = lift(operator.mul, product, self.power())  # but "2 7" is not 14
            else:
                return product

    def power(self) -> tuple:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError("too deep")
        base = self.atom()
        while self.peek() in ("!", "^") and r"\circ" not in self.rest()[:3]:
            if self.take() == "!":
                base = lift(factorial, base)
            else:
                base = lift(power, base, self.signed(self.power))
        self.depth -= 1
        return base

    def atom(self) -> tuple:
        token = self.take()
        if token in ("(", "[", "{", "|"):
            inner = self.sum()
            self.take({"(": ")", "[": "]", "{": "}", "|": "|"}[token])
            if token == "|" and len(set(inner)) > 1:
                raise ValueError("variables are positive, so |x| would be x")
            return lift(abs, inner) if token == "|" else inner
        if token[0] in ".0123456789":
            return constant(number(token)) if self.peek() != "_" else self.variable(token)
        if token == r"\frac":
            return lift(operator.truediv, self.digit(), self.digit())
        if token == r"\binom":
            return lift(binomial, self.digit(), self.digit())
        if token == r"\sqrt":
            degree = self.atom() if self.peek() == "[" else constant(Fraction(2))
            return lift(lambda a, n: power(a, 1 / n), self.atom(), degree)
        if token[1:] in FUNCTIONS:
            return self.function(token[1:])
        if token in CONSTANTS and self.peek() != "_":
            return constant(complex(CONSTANTS[token]))
        if token in LETTERS or (token[0] == '"' and len(token) == 2):
            return self.variable(token.removeprefix('"'))
        raise ValueError("no value begins here")

    def digit(self) -> tuple:
        r"""What \frac takes: a group or, as in \frac12, one digit."""
        if self.peek().isdigit():
            self.tokens = self.tokens[: self.at] + [*self.peek()] + self.tokens[self.at + 1 :]
        return self.atom()

    def function(self, name: str) -> tuple:
        base = exponent = None
        while self.peek() in ("_", "^"):
            if self.take() == "_":
                base = self.atom()
            else:
                exponent = self.signed(self.atom)
        grouped = self.peek() in ("(", "[", "{")
        value = self.atom() if grouped else self.product(of_function=True)
        if exponent == constant(Fraction(-1)) and "arc" + name in FUNCTIONS:
            name, exponent = "arc" + name, None
        value = lift(FUNCTIONS[name], value)
        if base:
            value = lift(operator.truediv, value, lift(cmath.log, base))
        return lift(power, value, exponent) if exponent else value

    def variable(self, name: str) -> tuple:
        """A pseudo-random rational at each point, the same for the same name."""
        while self.peek() in ("_", "'"):
            name += self.take()
            depth = 0
            while name[-1] == "_" or depth > 0:
                token = self.take()
                depth += (token == "{") - (token == "}")
                name += "" if token in ("(", ")", "{", "}") else token
        value = self.rest()[:3]
        if len(value) == 3 and value[0] == "(" and value[1].isdigit() and value[2] == ")":
            name += value[1]  # I(0) is no product with 0
            self.at += 3
        codes = [zlib.crc32(f"{k} {name}".encode("utf-8", "replace")) for k in range(POINTS)]
        return tuple(Fraction(300 + code % 2000, 1009) for code in codes)


# ---- Arithmetic at one point: Fraction while rational, else complex ------------------------------


def constant(value: Fraction | complex) -> tuple:
    return (value,) * POINTS


def lift(function, *values: tuple) -> tuple:
    """Apply a function of numbers at every point."""
    return tuple(checked(function(*numbers)) for numbers in zip(*values))


def checked(value):
    if isinstance(value, Fraction):
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
            raise OverflowError
    elif value and not 1e-150 < abs(value) < 1e150:  # infinity, NaN, and what rounds to nothing
        raise OverflowError
    return value


def number(token: str) -> Fraction:
    """The exact value of a decimal, in scientific notation or with a repeating part."""
    digits, _, period = token.rstrip("}").partition(r"\overline")
    mantissa, _, exponent = digits.lower().partition("e")
    if len(token) > MAX_DIGITS or len(exponent) > 4:
        raise ValueError("too many digits")
    whole, _, decimals = mantissa.partition(".")
    value = Fraction(int(whole + decimals or "0"), 10 ** len(decimals))
    if period := period.strip(" {"):
        value += Fraction(int(period), 10 ** len(decimals) * (10 ** len(period) - 1))
    return value * Fraction(10) ** int(exponent or 0)


def power(a, b):
    """a^b, exact for integer b; real for a negative a where b has an odd denominator."""
    if isinstance(a, Fraction) and isinstance(b, Fraction) and b.denominator == 1:
        if abs(b) * max(a.numerator.bit_length(), a.denominator.bit_length()) > MAX_BITS:
            raise OverflowError
        return a ** int(b)
    if a == 0 and isinstance(b, Fraction) and b > 0:
        return a
    if isinstance(b, Fraction) and b.denominator % 2:
        real = complex(a)
        if real.imag == 0 and real.real < 0:
            return (-1) ** b.numerator * power(-a, b)
    exponent = b * cmath.log(a)
    if abs(exponent.real) > 300:
        raise OverflowError
    return cmath.exp(exponent)


def factorial(a) -> Fraction:
    if not isinstance(a, Fraction) or a.denominator > 1 or not 0 <= a <= MAX_FACTORIAL:
        raise ValueError("no factorial")
    return Fraction(math.factorial(int(a)))


def binomial(n, k) -> Fraction:
    return factorial(n) / factorial(k) / factorial(n - k)


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
    left, right = tokenize(answer), tokenize(gold)
    if not left or not right:
        return answer.split() == gold.split()
    if left == right or (spoken(left) and spoken(left) == spoken(right)):
        return True
    return same(read(left), read(right))


def spoken(tokens: list[str]) -> str:
    """Words in lower case without articles, or the letter of a choice like (A); else ""."""
    text = "".join(token for token in tokens if token not in ("(", ")", '"an', '"the')).lower()
    if text in ("a", "b", "c", "d", "e"):
        return text
    return text.replace('"', "") if '"' in text and text.replace('"', "").isalpha() else ""


def same(a: tuple, b: tuple) -> bool:
    if a == b:
        return True
    if "relation" in (a[0], b[0]):
        return same_relation(a, b)
    if a[0] != b[0] or a[0] in ("text", "infinity"):
        return False
    if a[0] == "number":
        return same_quantity(a[1:], b[1:])
    if a[0] in ("list", "union"):
        return matched(a[1], b[1]) and matched(b[1], a[1])
    if a[0] == "matrix":
        return len(a[1]) == len(b[1]) and all(map(in_order, a[1], b[1]))
    return a[1:-1] == b[1:-1] and in_order(a[-1], b[-1])


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
    (x, unit_x), (y, unit_y) = a, b
    if unit_x and unit_y and unit_x != unit_y:
        return False
    if same_number(x, y) or unit_x == unit_y or "%" not in (unit_x, unit_y):
        return same_number(x, y)
    percent = constant(Fraction(1, 100))
    return same_number(*(lift(operator.mul, v, percent) if u == "%" else v for v, u in (a, b)))


def same_number(x: tuple, y: tuple) -> bool:
    for v, w in ((x, y), (y, x)):
        rational = isinstance(v[0], Fraction) and len(set(v)) == 1
        if rational and isinstance(w[0], complex) and v[0].denominator > MAX_DENOMINATOR:
            return False
    return all(map(close, x, y))


def close(p, q) -> bool:
    if isinstance(p, Fraction) and isinstance(q, Fraction):
        return p == q
    return abs(p - q) <= TOLERANCE * max(abs(p), abs(q))


def same_relation(a: tuple, b: tuple) -> bool:
    if a[0] == b[0] and a[1] == b[1]:
        swapped = set(a[1]) <= {"=", r"\ne"} and in_order(a[2][::-1], b[2])
        return swapped or in_order(a[2], b[2]) or proportional(a, b)
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
    if set(signs) <= {"<", r"\le"} and len(sides) <= 3 and any(names):
        if len(sides) == 2:  # x < 3 is -oo < x < 3
            sides = (("infinity", True), *sides) if names[0] else (*sides, ("infinity", False))
            signs = ("<", *signs) if names[0] else (*signs, "<")
        brackets = ("(" if signs[0] == "<" else "[") + (")" if signs[1] == "<" else "]")
        return ("tuple", brackets, (sides[0], sides[2])) if len(names) == 2 or names[1] else None
    return None


def proportional(a: tuple, b: tuple) -> bool:
    """Whether one relation is a constant multiple of the other, as x - 3 = 0 of 2x = 6."""
    if len(a[1]) > 1 or any(side[0] != "number" for side in a[2] + b[2]):
        return False
    try:
        f, g = (lift(operator.sub, value[2][0][1], value[2][1][1]) for value in (a, b))
        ratio = lift(operator.truediv, f, g)
    except ArithmeticError:
        return False
    same_side = set(a[1]) <= {"=", r"\ne"} or complex(ratio[0]).real > 0
    return same_side and len(set(f)) > 1 and all(close(r, ratio[0]) for r in ratio)
