r"""Is this answer right? The verifiable reward.

A rollout earns 1 if its final answer is the gold answer, however either is spelled, and 0 otherwise. Both are only
text, never code: the answer is extracted, read into a small exact value, and the two values are compared.

Extraction. What follows the first sign of another dialogue turn is not the model's answer, nor is what stands before
the last `</think>` or inside a thought left open. In the rest, the first rule that finds something decides:
  1. the last closed, non-empty \boxed{...} or \fbox{...} (`\boxed 7` counts, an unclosed box does not);
  2. the last stated answer ("the answer is ...", "Answer: ...", "#### ...", a last line "A: ..."), cut at the end of
     its sentence or line;
  3. a response that is nothing but one number, one $formula$ or one **bold** text.
Otherwise there is no answer. The gold answer is never searched for in the response.

Comparison. A number is exact while it is rational (Fraction): 0.5 equals 1/2, 0.33 does not equal 1/3. Every value is
held at POINTS fixed points: a variable is a fixed pseudo-random rational at each, so two rational expressions are
equal if they agree exactly; roots, pi, e, i and functions are complex floats and must agree to TOLERANCE, relative.
Plain lists and sets have no order; tuples, points and intervals have one, and their brackets matter.

Conventions. 1,234 is one number; "1, 234", "123,45" and anything in brackets are lists. 1\frac{4}{5} is a mixed number.
50% equals 50, since units may be left out, and also 1/2, which it is. A unit may be left out but not contradicted
(3 cm, 3 m). `x = 3` equals `3`, and `x < 3` the interval. 1/2x is (1/2)x; \log without a base is natural; 204_5 is a
name of its own, equal only to itself. Variables are positive. What cannot be read, or is over one of the limits
below, is equal only to the same tokens.
"""

import cmath
import math
import operator
import re
import zlib
from fractions import Fraction
from typing import NamedTuple

# Every amount of work is bounded here, so that no text, however hostile, can hang or crash a training run.
MAX_RESPONSE = 100_000  # characters read, from the end of the response
MAX_ANSWER = 2_000  # characters of an answer
MAX_TOKENS = 500
MAX_DEPTH = 30  # nested groups
MAX_ITEMS = 64  # of one list, compared pair by pair
MAX_DIGITS = 400  # of one number; Python refuses to convert more than 4300
MAX_BITS = 8_192  # of a numerator or a denominator: 2^{2019} is exact, 9^{9^9} is unreadable
MAX_FACTORIAL = 300
MAX_DENOMINATOR = (
    10**6
)  # of a rational that may equal a root or pi: no decimal expansion passes for it
POINTS = 3
TOLERANCE = 1e-11


class Grade(NamedTuple):
    """What became of one response: outcome is "correct", "wrong" or "no answer"."""

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
    """The reward a response of `length` tokens loses for running into the last `buffer` before `limit`.

    DAPO's soft overlong punishment: `penalty * (length - (limit - buffer)) / buffer`, 0 before the
    buffer begins; a buffer of 0 turns it off.

    >>> [overlong_penalty(n, limit=100, buffer=20, penalty=1.0) for n in (80, 90, 100)]
    [0.0, 0.5, 1.0]
    """
    if buffer <= 0:
        return 0.0
    return penalty * max(0, length - (limit - buffer)) / buffer


# ---- Extraction: response -> text ---------------------------------------------------------------

TURNS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>")
TURNS += ("\nUser:", "\nHuman:", "\nAssistant:", "\n### Instruction")
BRACE = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s{0,3}\{?|\\.|[{}]", re.DOTALL)
BARE_BOX = re.compile(r"[+-]?[0-9][0-9.,/]{0,50}")
STATED = re.compile(
    r"####|\banswers?\b[*_]{0,3}\s{0,3}(?:is\b|are\b|=|:)|^\W{0,4}(?:final )?answer\W{0,3}$"
    r"|^\W{0,4}(?:final )?answer\s{1,3}(?=\$|\\[(\[])",
    re.IGNORECASE | re.MULTILINE,
)
STATED_START = re.compile(r"(?:[\s*_:$]|\\[(\[]){0,20}")
STATED_END = re.compile(r"\n|[.;?](?=[\s$*\"')]|\\[)\]]|$)|(?<=[$*])!|,?\s(?:because|since)\b")
BARE_NUMBER = re.compile(r"[$+-]{0,3}[0-9][0-9.,/]{0,50}%?")


def extract_answer(response: str) -> str | None:
    r"""The final answer of a response as text, or None; the rules are in the header.

    >>> extract_answer(r"<think>\boxed{12}?</think> So \boxed{\frac{1}{2}}. <|im_end|> \boxed{3}")
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
        token = match.group()
        if token == "}":
            start = stack.pop() if stack else None
            if start is not None and text[start : match.start()].strip():
                last = text[start : match.start()].strip()
        elif token.endswith("{") and token != r"\{":
            stack.append(None if token == "{" else match.end())
        elif "box" in token and (bare := BARE_BOX.match(text, match.end())):
            last = bare.group()
    return last


def last_stated(text: str) -> str | None:
    """The rest of the sentence after the last "the answer is", "Answer:", "####"."""
    start = max((match.end() for match in STATED.finditer(text)), default=None)
    if start is None:
        line = text[text.rfind("\n") + 1 :]
        if not line.startswith("A: "):
            return None
        start = len(text) - len(line) + 2
    start = STATED_START.match(text, start).end()
    end = STATED_END.search(text, start)
    if end and end.group() == "?":  # a question states nothing
        return None
    return text[start : end.start() if end else None].strip("*_ \t") or None


def bare_answer(text: str) -> str | None:
    """The text itself if it is nothing but a number, a formula or bold."""
    inner = text.strip("$* ")
    framed = text[:1] in ("$", "*") and text[-1:] in ("$", "*")
    if BARE_NUMBER.fullmatch(inner) or (framed and not re.search(r"[$\n]|\*\*", inner)):
        return inner or None
    return None


# ---- Tokens: text -> list of tokens -------------------------------------------------------------
# A token is a number (3.5), a letter, a command (\frac), a sign, or a word with a quote before it
# ("cm), so that "even" is never read as the product e v e n. All spellings of one sign become one.

SIGNS = str.maketrans(
    {"−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "²": "^2", "³": "^3", "’": "'"}
    | {"π": r"\pi ", "∞": r"\infty ", "√": r"\sqrt ", "°": r"^\circ ", "≤": r"\le ", "≥": r"\ge "}
    | {"≠": r"\ne ", "∪": r"\cup ", "∈": r"\in ", "±": r"\pm ", "€": "", "£": "", '"': " "}
)
ALIASES = dict(
    pair.split()
    for pair in (
        r"\dfrac \frac|\tfrac \frac|\cfrac \frac|\dbinom \binom|\cdot *|\times *|\div /|\% %|; ,|\leq \le"
        r"|\leqslant \le|\geq \ge|\geqslant \ge|\lt <|\gt >|\neq \ne|\simeq \approx|\colon :|\langle ("
        r"|\rangle )|\lbrace \{|\rbrace \}|\prime '|\degree \circ|\varnothing \emptyset|\implies ,"
    ).split("|")
) | {r"\vert": "|", r"\lvert": "|", r"\rvert": "|", r"\mid": "|"}
CLUTTER = {"$", "~", r"\ "} | set(
    r"\, \; \: \! \quad \qquad \left \right \big \Big \bigl \bigr \displaystyle \textstyle \limits "
    r"\boxed \fbox \bf \rm \text \textbf \mathbf \mathrm \mbox \boldsymbol \bm \operatorname".split()
)
WRAPPED = re.compile(  # \text{cm} and its like; 2\text{ or }3
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|[mh]box|emph|math(?:rm|bf|it|sf)|operatorname)\s?\{([^{}]*)\}"
)
MIXED = re.compile(
    r"(?<![A-Za-z0-9.^_])([0-9]+)(?:\s+([0-9]+)/([0-9]+)"
    r"|\s*\\[dtc]?frac\s?(?:\{([0-9]+)\}|([0-9]))\s?(?:\{([0-9]+)\}|([0-9])))"
)
MATRIX = re.compile(r"\\(begin|end)\{(?:[pb]?matrix|array)\}(?:\{[lcr|]*\})?")
TOKEN = re.compile(
    r"(?P<grouped>[1-9][0-9]{0,2}(?:(?:,|\{,\}|,?\\[,!]\s?)[0-9]{3})+(?![0-9])(?:\.[0-9]+)?)"
    r"|(?P<number>[0-9]*\.[0-9]*\\overline\s?\{[0-9]+\}"
    r"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r'|"(?P<quoted>[^"]*)"|(?P<letters>[A-Za-z]+)|(?P<sign>\\[A-Za-z]+|\\?.)',
    re.DOTALL,
)


def tokenize(text: str) -> list[str] | None:
    r"""Cut an answer into tokens with all clutter gone; None if it is too long.

    >>> tokenize(r"$\left(\dfrac{1}{2},\, 1{,}000\text{ cm}\right)$.")
    ['(', '\\frac', '{', '1', '}', '{', '2', '}', ',', '1000', '"cm', ')']
    """
    if len(text) > MAX_ANSWER:
        return None
    text = text.translate(SIGNS).replace("**", "^").replace(" != ", r" \ne ")
    text = text.replace("<=", r"\le ").replace(">=", r"\ge ").replace("...", r"\ldots ")
    text = re.sub(r"\\(?:text)?color\s?\{[^{}]*\}", "", text)
    text = re.sub(r"\b([ap])\.m\b\.?", r"\1m", text, flags=re.IGNORECASE)
    text = MATRIX.sub(lambda match: r"\begin " if match[1] == "begin" else r"\end ", text)
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
        elif kind == "number" or not (token.isspace() or token in CLUTTER):
            tokens.append(ALIASES.get(token, token))
            depth += (tokens[-1] in ("(", "[", r"\{")) - (tokens[-1] in (")", "]", r"\}"))
    # "5, and 7" has one separator
    tokens = [t for t, after in zip(tokens, tokens[1:] + [","]) if (t, after) != (",", ",")]
    return tokens if len(tokens) <= MAX_TOKENS else None


def quote_words(match: re.Match) -> str:
    """\\text{ cm} is a word; \\textbf{93000} and \\mathrm{i} are mathematics in another font."""
    words = match[1].replace("~", " ").strip()
    mathematics = words in ("i", "e", "d") or words in FUNCTIONS
    return (
        f' "{words}" ' if not mathematics and re.fullmatch(r"[A-Za-z\s-]+", words) else f" {words} "
    )


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
    is_word = len(letters) > 3 or (len(letters) > 1 and unit_of(letters) is not None)
    return ['"' + letters] if is_word else list(letters)


# ---- Reading: tokens -> value -------------------------------------------------------------------
# A value is one of ("number", samples, unit), ("infinity", sign), ("list", items), ("union", items),
# ("ratio", items), ("tuple", brackets, items), ("matrix", rows), ("relation", signs, sides, names),
# or ("text", text) for what could not be read. Samples: one Fraction or complex for each point.

OPENING, CLOSING = ("(", "[", "{", r"\{", r"\begin"), (")", "]", "}", r"\}", r"\end")
RELATIONS = ("=", "<", ">", r"\le", r"\ge", r"\ne", r"\in")
FLIPPED = {">": "<", r"\ge": r"\le"}
NAME = r"(?:\\[A-Za-z]+|[A-Za-z]|[A-Z]{2,4}|\"\w+)(?:_(?:\w|\{[\w,]*\}))?'*(?:\([A-Za-z\\,]*\))?"
NAME = re.compile(rf"{NAME}(?::{NAME})?|\({NAME}(?:,{NAME}){{1,5}}\)")


def read(tokens: list[str], depth: int = 0) -> tuple:
    """Read the tokens of an answer, or of a part of one, into a value."""
    text = ("text", " ".join(tokens))

    def read_all(parts):
        return tuple(read(part, depth + 1) for part in parts)

    items = [item for part in split(tokens, (",",)) for item in both_signs(part)]
    if depth > MAX_DEPTH or len(items) > MAX_ITEMS or [] in items:
        return text
    if len(items) > 1:
        first = split(items[0], RELATIONS)
        if len(first) == 2 and is_name(first[0]) and not any("=" in item for item in items[1:]):
            items[0] = first[1]  # n = 2, 3, 4
        return ("list", read_all(items))
    tokens = items[0]
    exact, *approximations = split(tokens, (r"\approx",))
    if approximations:
        tokens = exact + ["="] + approximations[0] if is_name(exact) else exact
    sides = split(tokens, RELATIONS)
    if len(sides) > 1:
        signs = tuple(sign for sign, level in levels(tokens) if level == 0 and sign in RELATIONS)
        if set(signs) <= set(FLIPPED):  # a > b is b < a
            sides, signs = sides[::-1], tuple(FLIPPED[sign] for sign in signs[::-1])
        return ("relation", signs, read_all(sides), tuple(map(is_name, sides)))
    for kind, separator in (("union", r"\cup"), ("ratio", ":")):
        if len(parts := split(tokens, (separator,))) > 1:
            return (kind, read_all(parts))
    if (
        tokens[0] in OPENING
        and [level for _, level in levels(tokens)][1:].index(0) == len(tokens) - 2
    ):
        brackets, inner = tokens[0] + tokens[-1], tokens[1:-1]
        parts = split(inner, (",",))
        if brackets == r"\begin\end":
            rows = [split(row, ("&",)) for row in split(inner, (r"\\",)) if row]
            return ("matrix", tuple(map(read_all, rows)))
        if len(parts) > 1 and tokens[0] in ("(", "["):
            return ("tuple", brackets, read_all(parts))
        if inner and brackets in ("()", "[]", "{}", r"\{\}"):
            return read(inner, depth + 1)
    if tokens[-1] == r"\infty" and tokens[:-1] in ([], ["+"], ["-"]):
        return ("infinity", tokens[0] == "-")
    try:
        return read_quantity(tokens)
    except (ValueError, ArithmeticError):
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


def both_signs(tokens: list[str]) -> list[list[str]]:
    if r"\pm" not in tokens:
        return [tokens]
    signs = ({r"\pm": "+", r"\mp": "-"}, {r"\pm": "-", r"\mp": "+"})
    return [[sign.get(token, token) for token in tokens] for sign in signs]


def is_name(tokens: list[str]) -> bool:
    """Whether tokens only name what is asked for: x, f(x), (x, y), AB, a_1."""
    return bool(NAME.fullmatch("".join(tokens)[:100]))


UNITS = (
    r"dollar \$|% percent pct percentage|degree \circ|m meter metre|cm centimeter|mm millimeter|km kilometer"
    "|in inch inches|ft foot feet|yd yard|mi mile|g gram|kg kilogram|mg|lb pound|oz ounce|L liter|ml mL"
    "|s sec second|min minute|hr hour h|day|week|month|year|cent|mph|am|pm|J joule|square sq|cubic|per /"
)
UNITS = {name: names.split()[0] for names in UNITS.split("|") for name in names.split()}
# Any other word after a number is what was counted (6 apples), unless it changes the number or denies it.
NO_UNITS = set(
    "dozen hundred thousand million billion trillion half halves third thirds quarter quarters no not less "
    "more least most than plus minus times squared cubed factorial mod over base if when unless but".split()
)


def unit_of(word: str) -> str | None:
    """The canonical name of a unit of measure, or None for any other word."""
    return UNITS.get(word) or UNITS.get(word.lower()) or UNITS.get(word.lower().removesuffix("s"))


def read_quantity(tokens: list[str]) -> tuple:
    """A number, perhaps with a unit; ValueError or ArithmeticError if it is something else."""
    units = ["dollar"] * (r"\$" in tokens[:2])
    reader = Reader([token for token in tokens if token != r"\$"])
    samples = reader.sum()
    rest = [t.removeprefix('"') for t in reader.tokens[reader.at :] if t not in ("^", "{", "}")]
    strange = [word for word in rest if unit_of(word) is None and word not in ("2", "3")]
    if len(strange) > 2 or not all(word.isalpha() and word not in NO_UNITS for word in strange):
        raise ValueError("neither a number nor a quantity")
    if strange and len(set(samples)) > 1 and not strange[0].startswith("unit"):
        raise ValueError("a remark about a variable")
    powers = {"2": "square", "3": "cubic"}
    units += [powers.get(word) or unit_of(word) for word in rest if word not in strange]
    return ("number", samples, "" if strange else " ".join(sorted(units)))


FUNCTIONS = {
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": cmath.tan,
    "ln": cmath.log,
    "log": cmath.log,
}
FUNCTIONS |= {"arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan, "exp": cmath.exp}
FUNCTIONS |= {f: lambda z, g=g: 1 / g(z) for f, g in zip(("csc", "sec", "cot"), FUNCTIONS.values())}
SYMBOLS = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi "
    "varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell hbar"
)
SYMBOLS = {"\\" + name for name in SYMBOLS.split()} | set(
    map(chr, [*range(65, 91), *range(97, 123)])
)
ACCENTS = {r"\hat", r"\bar", r"\vec", r"\dot", r"\ddot", r"\tilde", r"\overline"}
FACTORS = SYMBOLS | ACCENTS | {"\\" + name for name in FUNCTIONS}
FACTORS |= {"(", "[", r"\frac", r"\sqrt", r"\pi", r"\binom"}


class Reader:
    """A recursive-descent reader of arithmetic: sum, product, power, atom call each other downwards."""

    def __init__(self, tokens: list[str]):
        self.tokens, self.at, self.depth = tokens, 0, 0

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
        return lift(operator.mul, constant(sign), inner())

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
        while self.peek() in ("!", "^") and r"\circ" not in self.tokens[self.at : self.at + 3]:
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
        if token in (r"\frac", r"\binom"):
            return lift(
                operator.truediv if token == r"\frac" else binomial, self.digit(), self.digit()
            )
        if token == r"\sqrt":
            degree = self.atom() if self.peek() == "[" else constant(2)
            return lift(power, self.atom(), lift(operator.truediv, constant(1), degree))
        if token[1:] in FUNCTIONS:
            return self.function(token[1:])
        if token in CONSTANTS and self.peek() != "_":
            return constant(CONSTANTS[token])
        if token in ACCENTS:
            return self.variable(token + self.index())
        if token in SYMBOLS or token[1:] in SYMBOLS:
            return self.variable(token.removeprefix('"'))
        raise ValueError("no value begins here")

    def digit(self) -> tuple:
        """What \\frac takes: a group or, as in \\frac12, one digit."""
        token = self.peek()
        if token.isdigit():
            self.tokens = self.tokens[: self.at] + [*token] + self.tokens[self.at + 1 :]
        return self.atom()

    def function(self, name: str) -> tuple:
        base = exponent = None
        while self.peek() in ("_", "^"):
            if self.take() == "_":
                base = self.atom()
            else:
                exponent = self.signed(self.atom)
        argument = self.atom() if self.peek() in ("(", "[", "{") else self.product(of_function=True)
        if exponent == constant(-1):
            name, exponent = "arc" + name, None
        value = lift(FUNCTIONS[name], argument)
        if base:
            value = lift(operator.truediv, value, lift(cmath.log, base))
        return lift(power, value, exponent) if exponent else value

    def index(self) -> str:
        """The text of one token or group, as a part of a name."""
        depth, text = 0, ""
        while depth > 0 or not text:
            token = self.take()
            depth += (token == "{") - (token == "}")
            text += token
        return re.sub(r"[{}()]", "", text)

    def variable(self, name: str) -> tuple:
        """A pseudo-random rational at each point, the same for the same name."""
        while self.peek() in ("_", "'"):
            name += self.take()
            name += self.index() if name[-1] == "_" else ""
        value = self.tokens[self.at : self.at + 3]
        if len(value) == 3 and value[0] == "(" and value[1].isdigit() and value[2] == ")":
            name += value[1]  # I(0) is no product with 0
            self.at += 3
        codes = [
            zlib.crc32(f"{point} {name}".encode("utf-8", "replace")) for point in range(POINTS)
        ]
        return tuple(Fraction(300 + code % 2000, 1009) for code in codes)


# ---- Arithmetic at one point: Fractions while rational, else complex ----------------------------

CONSTANTS = {r"\pi": math.pi, "e": math.e, "i": 1j}


def constant(value) -> tuple:
    return (
        value
        if isinstance(value, Fraction)
        else Fraction(value)
        if value in (-1, 1, 2)
        else complex(value),
    ) * POINTS


def number(token: str) -> Fraction:
    """The exact value of a decimal, in scientific notation or with a repeating part."""
    digits, _, period = token.rstrip("}").partition(r"\overline")
    mantissa, _, exponent = digits.lower().partition("e")
    if len(token) > MAX_DIGITS or len(exponent) > 4:
        raise ValueError("too many digits")
    value = Fraction("0" + mantissa + "0") if "." in mantissa else Fraction(mantissa)
    if period:
        period = period.strip(" {")
        places = 10 ** len(mantissa.partition(".")[2])
        value += Fraction(int(period), places * (10 ** len(period) - 1))
    return value * Fraction(10) ** int(exponent or 0)


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


def power(a, b):
    """a^b, exact where it is rational; real for a negative a where b has an odd denominator."""
    rational = isinstance(b, Fraction)
    if rational and isinstance(a, Fraction):
        if b.denominator == 1:
            if abs(b) * max(a.numerator.bit_length(), a.denominator.bit_length()) > MAX_BITS:
                raise OverflowError
            return a ** int(b)
        root = exact_root(a, b.denominator)
        if root is not None:
            return power(root, Fraction(b.numerator))
    if rational and b.denominator % 2 and complex(a).imag == 0 and complex(a).real < 0:
        return (-1) ** b.numerator * power(-a, b)
    size = b * cmath.log(a)
    if abs(size.real) > 300:
        raise OverflowError
    return cmath.exp(size)


def exact_root(a: Fraction, degree: int) -> Fraction | None:
    if a < 0 or degree > 64 or (degree > 2 and max(a.numerator, a.denominator) > 2**50):
        return None
    parts = a.as_integer_ratio()
    root = Fraction(*(math.isqrt(n) if degree == 2 else round(n ** (1 / degree)) for n in parts))
    return root if root**degree == a else None


def factorial(a) -> Fraction:
    if not isinstance(a, Fraction) or a.denominator > 1 or not 0 <= a <= MAX_FACTORIAL:
        raise ValueError("no factorial")
    return Fraction(math.factorial(int(a)))


def binomial(n, k) -> Fraction:
    return factorial(n) / factorial(k) / factorial(n - k)


# ---- Comparing: two values -> bool --------------------------------------------------------------


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
    words = [token.removeprefix('"').lower() for token in tokens if token not in ("(", ")")]
    text = "".join(word for word in words if len(words) == 1 or word not in ("a", "an", "the"))
    return text if text.isalpha() and (len(text) > 1 or text in "abcde") else ""


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
