r"""The mathematics of an answer: text -> tokens -> value -> equal or not.

All work is bounded, and nothing is run.

    is_equivalent(r"\frac12 \text{ cm}", "0.5")
      tokenize      text -> tokens     \frac 12 "cm, by notation.py
      read          tokens -> value    a list, a tuple, a relation, a number with its unit, a text
      Reader        tokens -> term     arithmetic, by recursive descent: ("/", 1, 2)
      Evaluation    term -> number     1/2, by cmath and precise.py
      same          two values -> bool

What is equal. A number is exact while it is rational: 0.5 equals 1/2, 0.33 does not equal 1/3,
unless the 0.33 is written as rounded: \approx 0.33 equals what rounds to it. That takes three
significant digits, or two behind the point; \approx 1 is 1, and no integer is another. Roots, pi,
e, i and functions are complex numbers, and constants must agree to 45 digits of the smallest that
is computed: e^40/2 is not (e^40-1)/2. An expression with variables is sampled at POINTS
pseudo-random points, the same for the same name, some of them negative, as floats that agree to
TOLERANCE, relative, and at one point in all digits; where a root or a logarithm leaves the real
line or a denominator is 0, another point decides, and one disagreement at a good point is a
disagreement. A sum with short integer bounds is written out; an operator it does not know (\int,
\gcd, \vec, other sums) is a pseudo-random function of what it is applied to. Lists and sets have no
order; tuples and intervals do, and their brackets matter. Equations may differ by a constant
factor.

Conventions. 1/2x is (1/2)x, x(3) is 3x but f(3) is a value of f, \log without a base is natural,
204_5 equals only itself. A unit, a currency or a % may be left out but not contradicted: 3 cm
equals 3, not 3 mm; 50% equals 50, and also 1/2, which it is. 1.5 million and seven are numbers.
(D) 24 equals D and 24. `x = 3`, `m+n = 1+2 = 3` and `\angle A = 3` equal `3`, and `x < 3` its
interval, but not `y < 3`. `y = 4, x = 3` equals (3, 4), in the order of the alphabet, and is no
list. "1/2 or 0.5" is one answer, "1 or 2" a list. "2x for all x" and "2x, x > 0" are 2x. What
cannot be read is equal only to the same tokens. notation.py has the conventions of spelling.
"""

import cmath
import contextvars
import functools
import hashlib
import itertools
import math
import operator
import re
import string
from decimal import Context, Decimal, getcontext, localcontext
from fractions import Fraction

import precise
from notation import (
    ARTICLES,
    CHANGES,
    CURRENCIES,
    DENIALS,
    FUNCTION_NAMES,
    FUNCTIONS,
    GREEK,
    MAGNITUDES,
    OPTION,
    RELATIONS,
    REMARK_WORDS,
    REMARKING,
    UNIT_SPELLINGS,
    VALUE_OF_WORD,
    Limit,
    begins_value,
    brackets_around,
    is_function,
    levels,
    split,
    tokenize,
    unit_of,
)

# All work is bounded here, so that no text, however hostile, can hang or crash a training run.
MAX_ITEMS = 64  # of one list, compared pair by pair
MAX_DIGITS = 400  # of one number; Python itself refuses to convert more than 4300
MAX_BITS = 2**15  # of a numerator or a denominator: 2004! is exact, 9^{9^9} is beyond
MAX_FACTORIAL = 2_500
MAX_SUM = 400  # operations and numbers of a sum that is written out
MAX_WORK = 2**30  # products of the two lengths of all that one call computes: some 15 ms
SHORT = 450  # bits; what is shorter takes as long as what has these
MAX_PRECISION = 1_000  # digits, where 16 are not enough to tell two numbers apart
POINTS = 14  # tried for a pair of expressions with variables;
GOOD = 8  # good ones are enough, the first eight having all signs (see pseudo_random)
TOLERANCE = 1e-11


class Work:
    """What one call of is_equivalent or parse has computed so far."""

    def __init__(self):
        self.done = 0  # up to MAX_WORK
        self.known = {}  # (term, point, digits): its Evaluation, for lists are compared in pairs

    def add(self, work: int) -> None:
        self.done += work
        if self.done > MAX_WORK:
            raise Limit


WORK = contextvars.ContextVar("WORK")  # each thread that grades has its own


# ---- Reading: tokens -> value --------------------------------------------------------------------
# A value is one of
#   ("number", term, unit, slack)          slack: how far off a rounded one may be, else 0
#   ("infinity", is negative)
#   ("list", items)                        in any order
#   ("tuple", brackets, items)             in this order
#   ("relation", signs, sides, names)      names: for each side, whether it only names the unknown
#   ("text", text)                         what could not be read
# A term is a Fraction, ("symbol", name), or an operator and terms: ("+", 1, ("sin", (r"\pi",))).

# fmt: off
FLIPPED = {">": "<", r"\ge": r"\le"}  # a > b is b < a
SAID = {'"positive': ">", '"negative': "<", '"nonnegative': r"\ge", '"nonzero': r"\ne"}
CONDITIONS = {"<", ">", r"\le", r"\ge", r"\ne"}
# fmt: on
LINE = (("infinity", True), ("infinity", False))  # the ends of the real line
ONE_NAME = r"""
    (?! \\sqrt) (?: m?\\angle )?
    (?: \\[A-Za-z]+ (?: \{[A-Za-z]{1,4}\} )?  |  [A-Za-z]  |  [A-Z]{2,4}  |  "\w+ )  # \vec{v} x AB
    (?: _ (?: \w | \{[\w,"]*\} ) )?  '*                                              # a_1 y''
    (?: \( -?[\w\\,.=<>]* \) )?                                                      # f(x)
"""
NAME = re.compile(  # or a ratio of two, or a tuple
    rf"{ONE_NAME} (?: : {ONE_NAME})? | \( {ONE_NAME} (?: , {ONE_NAME}){{1,5}} \)", re.VERBOSE
)
VARIABLES = set("abcdkmnrstuvwxyz")  # x(3) is 3x, but f(3), P(3) and x(0) are values of functions
POLYNOMIAL = {"+", "^", "_", "{", "}", "(", ")", r"\angle", *("\\" + name for name in FUNCTIONS)}
CALCULATED = {"-", "*", "/", r"\sqrt", "!"}  # x - y = 7 does not say what x is


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> tuple | None:
    r"""The value of an answer, or None if it is beyond a limit.

    >>> parse("1/2 cm"), parse(r"\infty")
    (('number', Fraction(1, 2), 'cm', 0), ('infinity', False))
    """
    WORK.set(Work())
    try:
        return read(without_remark(list(tokenize(text)))[0])
    except Exception:  # noqa: BLE001 - beyond a limit; and no text may end a training run
        return None


def without_remark(tokens: list[str]) -> tuple[list[str], list[str]]:
    r"""An answer without what it says of its variables, and the inequality that says it.

    So for "cx for all x", "cx, where c is a constant", "2x (x \ne 0)", "\forall x, f(x) = x". What
    holds another value, as "x for x > 0, 0 for x < 0" does, is no remark.
    """
    outside = [(i, token) for i, (token, level) in enumerate(levels(tokens)) if level == 0]
    comma = next((i for i, token in outside if token == ","), 0)
    starts = [i for i, token in outside if token in REMARKING]
    if starts[:1] == [0]:
        main, remark = tokens[comma + 1 :], tokens[:comma]
    elif len(starts) == 1:
        main, remark = tokens[: starts[0]], tokens[starts[0] :]
        main = main[:-1] if main[-1] == "," else main
    elif comma:
        main, remark = tokens[:comma], tokens[comma + 1 :]
    elif tokens[-1:] == [")"] and (brackets := [i for i, token in outside if token == "("]):
        main, remark = tokens[: brackets[-1]], tokens[brackets[-1] + 1 : -1]
    else:
        return tokens, []
    if not is_remark(remark) or not is_remarked(main, remark):
        return tokens, []
    if (CONDITIONS | {r"\in"}).isdisjoint(remark):
        said = [SAID[token] for token in remark if token in SAID]
        named = [token for token in map(unquoted, remark) if len(token) == 1]
        return main, [*named[:1], said[0], "0"] if said else []
    return main, [token for token in remark if token[0] != '"' and token not in (r"\mathbb", *"{}")]


def is_remark(tokens: list[str]) -> bool:
    """Whether it only says something of variables: all of its numbers are bounds."""
    is_said = REMARKING | CONDITIONS | {'"' + word for word in REMARK_WORDS} | {r"\in", r"\reals"}
    tokens = [unquoted(token) for token in tokens]
    for before, token in zip(["", *tokens], tokens):
        if token[0].isdigit() and before not in CONDITIONS and before != "-":
            return False
        if token == "-" and before not in CONDITIONS:
            return False
        is_known = token[0].isdigit() or token in is_said or begins_value(token) or token in "-{},"
        if not is_known or token in ("(", "[", r"\frac"):
            return False
    parts = [set(part) for part in split(tokens, ",")]
    return all(part & is_said for part in parts) and len(REMARKING & {*tokens}) <= 1


def is_remarked(main: list[str], remark: list[str]) -> bool:
    """Whether the variables of a remark are in an expression, or in what a name is to equal."""
    variables = {unquoted(token) for token in remark}
    variables = {token for token in variables if token.isalpha() or token in GREEK[1]}
    if not variables & {*main} or not DENIALS.isdisjoint(main):
        return False
    name, *sides = split(main, *RELATIONS)
    if not sides or (CONDITIONS | {r"\in"}).isdisjoint(remark):
        return True
    is_solved = set(RELATIONS) & {*main} == {"="} and is_name(name)
    return is_solved and variables.isdisjoint(without_index(name))


def unquoted(token: str) -> str:
    """The variable c of the words "where c is constant"."""
    return token[1:] if token[0] == '"' and len(token) == 2 and token != '"a' else token


def without_index(name: list[str]) -> list[str]:
    """f of f(x), and a of a_n."""
    return list(itertools.takewhile(lambda token: token not in ("(", "_"), name))


def read(tokens: list[str]) -> tuple:
    r"""Read the tokens of an answer, or of a part of one, into a value. Raises Limit.

    The first of these that returns a value decides:
        read_group          {...}, \{1, 2\}, \{x : x > 2\}
        read_list           1, 2     \pm 2     x = 1, 2     k\pi, k \in \mathbb{Z}
        read_relation       x = 3    1 < x \le 2    \approx 0.33
        read_parts          A \cup B, a list; A \setminus \{1\}; 3 : 4, a tuple
        read_environment    \begin{cases}..., a list; \begin{pmatrix}..., a tuple
        read_combination    2 \begin{pmatrix}... - \begin{pmatrix}...
        read_brackets       (1, 2)   [0, 1)   P(3, -4)   (7)
        read_reals          \reals   \reals \setminus \{0\}   \infty
        read_quantity       2x+1     3 cm
    """
    for reading in (
        *(read_group, read_list, read_relation, read_parts),
        *(read_environment, read_combination, read_brackets, read_reals, read_quantity),
    ):
        if value := reading(tokens):
            return value
    return as_text(tokens)


def as_text(tokens: list[str]) -> tuple:
    """What could not be read, without the capitals of words and the braces around one token."""
    text = " ".join(token.lower() if token[0] == '"' else token for token in tokens)
    return ("text", re.sub(r"\{ (\S+) \}", r"\1", text))


def read_group(tokens: list[str]) -> tuple | None:
    brackets, inside = brackets_around(tokens), tokens[1:-1]
    if brackets not in ("{}", r"\{\}") or inside == [r"\emptyset"]:
        return None
    name, *rule = split(inside, "|", ":")
    if brackets == r"\{\}" and len(rule) == 1 and is_name(split(name, r"\in")[0]):
        return read(rule[0])  # {x : x > 2} is x > 2
    return read(inside)


def read_list(tokens: list[str]) -> tuple | None:
    items = [item for part in split(tokens, ",") for item in both_signs(part)]
    if len(items) > MAX_ITEMS:
        raise Limit
    if [] in items:
        return as_text(tokens)
    if len(items) == 1:
        return None
    told = [item for item in items if not {r"\in", r"\mathbb"} <= {*item} or r"\setminus" in item]
    if len(told) == 1:  # k \pi, k \in \mathbb{Z}
        members = [split(item, r"\in")[0] for item in items if item not in told]
        if all(is_name(name) and set(name) <= set(told[0]) for name in members):
            return read(told[0])
    name, *numbers = split(items[0], r"\in")
    if (
        numbers == [[r"\reals"]]
        and is_name(name)
        and all("".join(name) in "".join(item) for item in items[1:2])
    ):
        return read(tokens[len(items[0]) + 1 :])  # x \in \reals, x \ne 2
    for sign in ("=", r"\ne"):  # n = 2, 3, 4
        name, *first = split(items[0], sign)
        others = [token for item in items[1:] for token in item]
        if len(first) == 1 and is_name(name) and set(RELATIONS).isdisjoint(others):
            values = ("list", tuple(map(read, [first[0], *items[1:]])))
            return ("relation", (sign,), (read(name), values), (True, False))
    values = tuple(map(read, items))
    return (
        (between(*values) if len(values) == 2 else None) or restricted(values) or ("list", values)
    )


def read_relation(tokens: list[str]) -> tuple | None:
    sides = split(tokens, *RELATIONS)
    if len(sides) == 1:
        return None
    if not any(sides):
        return as_text(tokens)
    signs = [token for token, level in levels(tokens) if level == 0 and token in RELATIONS]
    if signs[0] == r"\approx" and sides[0] and not is_name(sides[0]):
        exact = read(sides[0])  # \sqrt2 \approx 1.41 is exact
        others = [read(side) for side in sides[1:]]
        far = [other for other in others if rational(exact, other) and not near(exact[1], other[1])]
        return as_text(tokens) if far else exact  # 7 \approx 8
    if all(sign in FLIPPED for sign in signs):
        sides, signs = sides[::-1], [FLIPPED[sign] for sign in signs[::-1]]
    names = [is_name(side) for side in sides]
    if set(signs) == {"="} and not any(names):
        names[0] = is_description(sides[0])
    values = [read(without_argument(side) if name else side) for side, name in zip(sides, names)]
    if signs == [r"\approx"]:
        values[1] = with_slack(values[1], sides[1])
        if not sides[0]:
            return values[1]
        signs = ["="]
    return ("relation", tuple(signs), tuple(values), tuple(names))


def read_parts(tokens: list[str]) -> tuple | None:
    if len(parts := split(tokens, r"\cup")) > 1:
        return ("list", tuple(map(read, parts)))
    parts = split(tokens, r"\setminus")
    if len(parts) == 1 and "-" in tokens and tokens[-1] == r"\}":  # (0,2) - \{1\}
        parts = split(tokens, "-")
        parts = parts if parts[-1][:1] == [r"\{"] else []
    if len(parts) == 2 and all(parts):
        return without_points(*map(read, parts)) or as_text(tokens)
    if len(parts := split(tokens, ":")) > 1:
        return ("tuple", ":", tuple(map(read, parts)))
    return None


def read_environment(tokens: list[str]) -> tuple | None:
    inside = tokens[1:-1]
    if inside[:1] == [r"\lines"]:
        lines = split([token for token in inside[1:] if token != "&"], r"\\")
        return ("list", tuple(read(line) for line in lines if line))
    if brackets_around(tokens) != r"\begin\end":
        return None
    rows = [split(row, "&") for row in split(inside, r"\\") if row]
    rows = [("tuple", "()", tuple(map(read, row))) for row in rows]
    # a column is a vector, a matrix a tuple of its rows
    return ("tuple", "()", tuple(row[2][0] if len(row[2]) == 1 else row for row in rows))


def read_combination(tokens: list[str]) -> tuple | None:
    r"""2 \begin{pmatrix}... - \begin{pmatrix}...: matrices scaled and added."""
    parts = [[]]
    for token, level in levels(tokens):
        if level == 0 and token in ("+", "-") and r"\end" in parts[-1]:
            parts.append([])
        parts[-1].append(token)
    if r"\begin" not in tokens[1:] or any(r"\begin" not in part for part in parts):
        return None
    matrices = [scaled_matrix(part) for part in parts]
    if None in matrices:
        return None
    return functools.reduce(
        lambda total, matrix: total and elementwise(lambda x, y: ("+", x, y), total, matrix),
        matrices,
    )


def scaled_matrix(tokens: list[str]) -> tuple | None:
    r"""2 \begin{pmatrix}..., with or without round brackets around the matrix."""
    at = tokens.index(r"\begin")
    factor, matrix = tokens[:at], tokens[at:]
    if factor[-1:] == ["("] and matrix[-1] == ")":
        factor, matrix = factor[:-1], matrix[:-1]
    if factor[-1:] == ["*"]:
        factor = factor[:-1]
    if not factor or factor in (["+"], ["-"]):
        factor = [*factor, "1"]
    number, entries = read_quantity(factor), read_environment(matrix)
    if not number or number[2] or not entries:
        return None
    return elementwise(lambda x: ("*", number[1], x), entries)


def elementwise(operation, *matrices: tuple) -> tuple | None:
    """A matrix whose entries are computed from those of others; None if they have other shapes."""
    if all(matrix[0] == "number" for matrix in matrices):
        return quantity(operation(*(matrix[1] for matrix in matrices)))
    if any(matrix[0] != "tuple" or len(matrix[2]) != len(matrices[0][2]) for matrix in matrices):
        return None
    rows = tuple(elementwise(operation, *row) for row in zip(*(matrix[2] for matrix in matrices)))
    return ("tuple", "()", rows) if None not in rows else None


def read_brackets(tokens: list[str]) -> tuple | None:
    brackets, inside = brackets_around(tokens), tokens[1:-1]
    if brackets and len(parts := split(inside, ",")) > 1:
        return ("tuple", brackets, tuple(map(read, parts)))
    if (
        tokens[0] == "C"
        and brackets_around(tokens[1:]) == "()"
        and is_pair_of_integers(tokens[2:-1])
    ):
        return ("tuple", "C()", tuple(map(read, split(tokens[2:-1], ","))))  # a point, or 10 over 3
    if (
        tokens[0] in string.ascii_uppercase
        and "," in tokens
        and brackets_around(tokens[1:]) == "()"
    ):
        return read(tokens[1:])  # P(3,-4)
    return read(inside) if brackets in ("()", "[]") else None


INTEGERS = re.compile("[0-9]+")


def is_pair_of_integers(tokens: list[str]) -> bool:
    return len(tokens) == 3 and tokens[1] == "," and bool(INTEGERS.fullmatch(tokens[0] + tokens[2]))


def read_reals(tokens: list[str]) -> tuple | None:
    if tokens == [r"\reals"]:
        return ("tuple", "()", LINE)
    if tokens[0] == r"\reals":
        return as_text(tokens)
    if tokens[-1] == r"\infty" and tokens[:-1] in ([], ["+"], ["-"]):
        return ("infinity", tokens[0] == "-")
    return None


def read_quantity(tokens: list[str]) -> tuple | None:
    try:
        reader = Reader([token for token in tokens if token not in CURRENCIES])
        term = reader.sum()
        money = [CURRENCIES[token] for token in tokens if token in CURRENCIES]
        return quantity(term, read_unit(reader.rest(), money[:1], has_symbols(term)))
    except OverflowError as error:
        raise Limit from error
    except (ValueError, ArithmeticError):
        return None


def quantity(term, unit: str = "") -> tuple:
    """A term as a value, computed if it is rational. Raises as Evaluation.value does."""
    value = None if has_symbols(term) else Evaluation().value(term)
    return ("number", value if isinstance(value, Fraction) else term, unit, 0)


def read_unit(tokens: list[str], money: list[str], varies: bool) -> str:
    """The unit after a number, "" where there is none; ValueError if it is something else."""
    text = " ".join(token for token in tokens if token not in ("{", "}")).replace('"', "")
    for spelling, name in UNIT_SPELLINGS.items():
        text = text.replace(spelling, name)
    units = [unit_of(word) for word in text.split()]
    units += [] if units[:1] == money else money  # $5 dollars
    counted = [word for word in text.split() if unit_of(word) is None]
    if counted:  # 3 cm long; but the "in" of "in all" is no inch
        units = [unit for unit in units if unit not in (None, "in", "per", "th")]
    parts = [part for word in counted for part in (word, word.rpartition("-")[2])]
    is_power = units in (["square"], ["cubic"]) and not counted  # 7平方
    if is_power or "M" in text.split():  # an M is a million or nothing; a K may be a kelvin
        raise ValueError("neither a number nor a quantity")
    if len(counted) > 3 or any(map(CHANGES.fullmatch, parts)):
        raise ValueError("neither a number nor a quantity")
    if counted and varies and not counted[0].startswith("unit"):
        raise ValueError("a remark about a variable")
    return " ".join(sorted(units))


def both_signs(tokens: list[str]) -> list[list[str]]:
    r"""a \pm b as a + b and a - b."""
    if r"\pm" not in tokens and r"\mp" not in tokens:
        return [tokens]
    signs = ({r"\pm": "+", r"\mp": "-"}, {r"\pm": "-", r"\mp": "+"})
    return [[sign.get(token, token) for token in tokens] for sign in signs]


def is_name(tokens: list[str]) -> bool:
    """Whether the tokens only name what is asked for: x, f(x), AB, a_1, (x,y)."""
    return DENIALS.isdisjoint(tokens) and bool(NAME.fullmatch("".join(tokens)[:100]))


def is_description(tokens: list[str]) -> bool:
    r"""Whether the left side of an equation says in letters what the right side is.

    So say a+b, \cos A, 2m+n and AB^2; x^2 and 2x do not, they are to be solved for x, and neither
    do 2x+y and x^2+y^2, which are equal to it on a line and on a circle.
    """
    if not (CALCULATED | DENIALS).isdisjoint(tokens):
        return False
    if "^" not in tokens and not re.search("[0-9]", "".join(tokens)):
        return True
    letters = {token for token in tokens if len(token) == 1 and token.isalpha()}
    others = {token for token in tokens if token not in letters and not token.isdigit()}
    return len(letters) > 1 and letters.isdisjoint("xyz") and others <= POLYNOMIAL


def without_argument(name: list[str]) -> list[str]:
    """y(x) = 2x is y = 2x; f(x) stays."""
    return name[:1] if name[1:2] == ["("] and name[0] in "suvwxyz" else name


DECIMAL = re.compile(
    r"([0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3})|\*10\^\{?(-?[0-9]{1,3})\}?)?(?![0-9])"
)


def with_slack(value: tuple, tokens: list[str]) -> tuple:
    r"""A rounded number stands for all that rounds to it: half a unit of its last place.

    That is so of a decimal, perhaps times a power of ten, from three significant digits on, and of
    two behind the point and none before it: \approx 1 is only 1.
    """
    stated = DECIMAL.match("".join(token for token in tokens if token not in ("+", "-", r"\$")))
    if value[0] != "number" or not stated or not isinstance(value[1], Fraction):
        return value
    whole, decimals = stated[1].lstrip("0"), stated[2] or ""
    digits = (whole + decimals).lstrip("0")
    unit_of_last = Fraction(10) ** (int(stated[3] or stated[4] or 0) - len(decimals))
    if not digits or abs(value[1]) != int(digits) * unit_of_last:  # there is more to it
        return value
    if len(digits) < 3 and (len(digits), len(decimals), stated[3], stated[4]) != (2, 2, None, None):
        return value
    return (*value[:3], float(unit_of_last / 2))


def near(exact: Fraction, rounded_: Fraction) -> bool:
    """Whether a number may be rounded to another: 22/7 to 3, but not 7 to 8."""
    return abs(exact - rounded_) * 20 <= max(abs(exact), abs(rounded_))


def between(a: tuple, b: tuple) -> tuple | None:
    """Two bounds as one relation: x > 1 and x < 3 is 1 < x < 3. None where they are no such."""
    for low, high in ((a, b), (b, a)):
        if low[0] != "relation" or high[0] != "relation":
            break
        (_, low_signs, low_sides, low_names), (_, high_signs, high_sides, high_names) = low, high
        signs, sides = low_signs + high_signs, (*low_sides, high_sides[-1])
        if (
            (low_names, high_names) == ((False, True), (True, False))
            and set(signs) <= {"<", r"\le"}
            and low_sides[1] == high_sides[0]
            and rational(sides[0], sides[2])
            and sides[0][1] < sides[2][1]
        ):
            return ("relation", signs, sides, (False, True, False))
    return None


def restricted(values: tuple) -> tuple | None:
    r"""x \in S without some points: 0 < x < 3, x \ne 1, 2. None where it is no such list."""
    excluded, others = [], []
    for value in values:
        if value[:2] == ("relation", (r"\ne",)) and value[3][0]:
            excluded.append(value[2])
        elif excluded and value[0] == "number":
            excluded.append((excluded[-1][0], value))
        else:
            others.append(value)
    if not excluded or len(others) > 1 or any(other[0] != "relation" for other in others):
        return None
    named = {name for name, _ in excluded}
    named |= {side for value in others for side, name in zip(value[2], value[3]) if name}
    left = without_name(others[0]) if others else ("tuple", "()", LINE)
    for _, points in excluded:
        left = left and without_points(left, points)
    if left is None or len(named) != 1:
        return None
    return ("relation", (r"\in",), (named.pop(), left), (True, False))


def is_constant(value: tuple) -> bool:
    return value[0] == "number" and not has_symbols(value[1])


def rational(*values: tuple) -> bool:
    return all(value[0] == "number" and isinstance(value[1], Fraction) for value in values)


def without_points(intervals: tuple, points: tuple) -> tuple | None:
    """An interval or a union without some numbers: (0,2) without 1 is (0,1) u (1,2)."""
    points = points[1] if points[0] == "list" else (points,)
    pieces = list(intervals[1]) if intervals[0] == "list" else [intervals]
    if not rational(*points) or not all(map(is_interval, pieces)):
        return None
    for point in sorted(points, key=position):
        pieces = [part for piece in pieces for part in without_point(piece, point)]
    return ("list", tuple(pieces)) if len(pieces) > 1 else pieces[0] if pieces else None


def without_point(interval: tuple, point: tuple) -> list[tuple]:
    """The one or two intervals that are left, or none."""
    _, brackets, (low, high) = interval
    where = position(point)
    if position(low) < where < position(high):
        left, right = brackets[0] + ")", "(" + brackets[1]
        return [("tuple", left, (low, point)), ("tuple", right, (point, high))]
    opening = "(" if where == position(low) else brackets[0]
    closing = ")" if where == position(high) else brackets[1]
    return [("tuple", opening + closing, (low, high))]


def is_interval(value: tuple) -> bool:
    """Whether it is a tuple of two rational or infinite ends, the lower first."""
    if value[0] != "tuple" or value[1] not in ("()", "[]", "[)", "(]") or len(value[2]) != 2:
        return False
    low, high = value[2]
    ends_are_known = all(end[0] == "infinity" or rational(end) for end in value[2])
    return ends_are_known and position(low) < position(high)


def position(end: tuple):
    """Where on the real line an end of an interval is."""
    return end[1] if end[0] == "number" else -math.inf if end[1] else math.inf


# ---- Arithmetic: tokens -> term ------------------------------------------------------------------


# fmt: off
PARTNER = {"(": ")", "[": "]", "{": "}", "|": "|", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
CONSTANTS = (r"\pi", "e", "i")
BOUNDED = (r"\sum", r"\prod", r"\int", r"\iint", r"\oint", r"\lim", r"\max", r"\min")
SHORT_SUM = re.compile(r"\\(sum|prod)_([a-z])=(-?[0-9]{1,4})\^(-?[0-9]{1,4})")
ACCENTS = (r"\hat", r"\vec", r"\dot", r"\ddot", r"\tilde", r"\overline")
# fmt: on


class Reader:
    r"""A recursive-descent reader of arithmetic: one method for each rule of the grammar.

        sum      -> product { ("+" | "-") product }
        product  -> ("+" | "-") product
                  | power { ("*" | "/") factor | power }        2x has no sign between its factors
        factor   -> ("+" | "-") factor | power
        power    -> atom { "!" | "^" factor }
        atom     -> "(" sum ")" | "[" sum "]" | "{" sum "}" | "|" sum "|" | "\lfloor" sum "\rfloor"
                  | number | CONSTANT | symbol | function | "C(" NUMBER "," NUMBER ")"
                  | "\frac" argument argument | "\binom" argument argument
                  | "\sqrt" [ "[" sum "]" ] atom
                  | "\sum" { ("_" | "^") name } operand         and so each of BOUNDED
        number   -> ( NUMBER | NUMERAL ) { MAGNITUDE }          1.5 million
        argument -> DIGIT | atom                                \frac12
        function -> "\sin" { "_" atom | "^" argument } ( atom | operand )
        operand  -> ("+" | "-") operand | power { power }       \sin 2x; \sin x * y ends before *
        symbol   -> NAME [ argument ] { "_" name | "'" }        only an accent has an argument
        name     -> TOKEN | "{" { TOKEN } "}"                   its text, such as 12 in a_{12}

    A method takes the tokens of its rule and returns their term, or raises ValueError. What does
    not belong to the arithmetic, such as a unit, is left to `rest`.
    """

    def __init__(self, tokens: list[str]):
        self.tokens, self.at = tokens, 0
        self.in_bars = False  # inside |...|, where the next | closes
        self.in_function = False  # inside the argument of \sin, where 30^\circ is an angle

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        if self.at == len(self.tokens):
            raise ValueError("something is missing")
        self.at += 1
        return self.tokens[self.at - 1]

    def rest(self) -> list[str]:
        return self.tokens[self.at :]

    def sum(self):
        left = self.product()
        while self.peek() in ("+", "-"):
            sign = self.take()
            left = ("+", left, signed(sign, self.product()))
        return left

    def product(self):
        if self.peek() in ("+", "-"):
            return signed(self.take(), self.product())
        left = self.power()
        while True:
            if self.peek() == "/" and '"' in "".join(self.tokens[self.at + 1 : self.at + 2]):
                return left  # 60/hour
            if self.peek() in ("*", "/"):
                left = (self.take(), left, self.factor())
            elif self.at_factor():
                left = ("*", left, self.power())
            else:
                return left

    def factor(self):
        if self.peek() in ("+", "-"):
            return signed(self.take(), self.factor())
        return self.power()

    def operand(self):
        if self.peek() in ("+", "-"):
            return signed(self.take(), self.operand())
        left = self.power()
        while self.at_factor() and self.peek()[1:] not in FUNCTIONS:  # \sin x \cos x
            left = ("*", left, self.power())
        return left

    def at_factor(self) -> bool:
        """Whether the next token begins a factor that multiplies what was read: 2x, but not 2 7."""
        token = self.peek()
        if token == "|":
            return not self.in_bars
        if token[:1].isdigit():
            before = self.tokens[self.at - 1]
            return before in (")", "!", "}") or (len(before) == 1 and before.isalpha())
        return begins_value(token)

    def power(self):
        base = self.atom()
        while self.peek() in ("!", "^"):
            if r"\circ" in self.tokens[self.at + 1 : self.at + 3]:
                start = self.at
                self.at += 1
                self.name()
                if not self.in_function:
                    if self.peek() in ("+", "-"):
                        continue  # the unit of all that is added
                    self.at = start
                    break  # a unit
                base = ("*", base, ("/", (r"\pi",), Fraction(180)))
            elif self.take() == "!":
                if self.peek() == "!":
                    raise ValueError("3!! is no (3!)!")
                base = ("!", base)
            else:
                base = ("^", base, self.factor())
        return base

    def atom(self):
        token = self.take()
        if token in PARTNER:
            outside, self.in_bars = self.in_bars, token == "|"
            inside = self.sum()
            if self.take() != PARTNER[token]:
                raise ValueError("brackets do not match")
            self.in_bars = outside
            return inside if token in ("(", "[", "{") else (token, inside)
        if token[0] in ".0123456789" and self.peek() in ("_", '"base'):
            return self.symbol(token)
        if token[0] in ".0123456789" or token.lower() in VALUE_OF_WORD:
            return self.number(token)
        if token in (r"\frac", r"\binom"):
            return ("/" if token == r"\frac" else token, self.argument(), self.argument())
        if token == r"\sqrt":
            degree = self.atom() if self.peek() == "[" else Fraction(2)
            return ("^", self.atom(), ("/", Fraction(1), degree))
        if token[0] == "\\" and token[1:] in FUNCTIONS:
            return self.function(token[1:])
        if token in CONSTANTS and self.peek() != "_":
            return (token,)
        if token in BOUNDED:  # its bounds become a part of its name
            while self.peek() in ("_", "^"):
                token += self.take() + self.name()
            return written_out(token, self.operand())
        if begins_value(token) or (token[0] == '"' and len(token) == 2):
            return self.symbol(token.removeprefix('"'))
        raise ValueError("no value begins here")

    def number(self, token: str) -> Fraction:
        """12, seven, or 1.5 million."""
        value = VALUE_OF_WORD[token.lower()] if token[0] == '"' else decimal(token)
        while self.peek()[1:].lower() in MAGNITUDES:
            value *= MAGNITUDES[self.take()[1:].lower()]
        return Fraction(value)

    def argument(self):
        if self.peek().isdigit():  # one digit, the others are left: \frac12
            self.tokens[self.at : self.at + 1] = self.peek()
        return self.atom()

    def function(self, name: str):
        base = exponent = None
        while self.peek() in ("_", "^"):
            if self.take() == "_":
                base = self.atom()
            else:
                exponent = self.factor() if self.peek() == "-" else self.argument()
        outside, self.in_function = self.in_function, True
        argument = self.atom() if self.peek() in PARTNER else self.operand()
        self.in_function = outside
        if exponent == signed("-", Fraction(1)) and "arc" + name in FUNCTIONS:
            return ("arc" + name, argument)
        if base is not None and name != "log":
            raise ValueError("only a logarithm has a base")
        term = (name, argument) if base is None else ("/", ("log", argument), ("log", base))
        return term if exponent is None else ("^", term, exponent)

    def symbol(self, name: str):
        """A variable, or an accent or an operator that is not known with what it is applied to."""
        applied = name in ACCENTS or (name[0] == "\\" and self.peek() == "{")
        if name == r"\overline":
            name, applied = name + self.name(), False  # abc, the digits of a number
        argument = [self.argument()] if applied else []
        following = self.rest()[:5]
        if (name, *following[::4]) == ("C", "(", ")") and is_pair_of_integers(following[1:4]):
            n, k = (decimal(token) for token in following[1:4:2])
            self.at += 5
            return (r"\binom", n, k)  # C(10, 3)
        while self.peek() in ("_", "'", '"base'):
            sign = self.take()
            name += "'" if sign == "'" else "_" + self.name()
        if name in FUNCTION_NAMES and self.rest()[:6] == [*"^{-1}", "("]:
            name, self.at = name + "^-1", self.at + 5
        inside = itertools.takewhile(lambda token: token != ")", self.rest()[1:])
        if self.peek() == "(" and not argument and is_function(name, list(inside)):
            return (name, self.atom())
        inside = self.tokens[self.at + 1 : self.at + 2]
        is_value = "0" in inside or name not in VARIABLES
        if (
            self.tokens[self.at : self.at + 3] == ["(", *inside, ")"]
            and inside[0].isdigit()
            and is_value
        ):
            name += f"({self.name()})"  # I(0) and f(3) are no products, x(3) is
        return (name, *argument) if argument else ("symbol", name)

    def name(self) -> str:
        """The next token or group of tokens, as the text that names something."""
        text, depth = "", 0
        while True:
            token = self.take()
            depth += (token in ("{", "(")) - (token in ("}", ")"))
            text += "" if token in ("{", "}", "(", ")", '"base') else digits_of(token)
            if depth <= 0:
                return text


def written_out(name: str, operand):
    r"""\sum_{k=1}^{3} k^2 as 1 + 4 + 9, if the bounds are integers and it is short."""
    if not (bounds := SHORT_SUM.fullmatch(name)):
        return (name, operand)
    first, last = map(int, bounds.groups()[2:])
    count = last - first + 1
    if not 0 < count * size(operand) <= MAX_SUM or mentions(operand, bounds[2]):
        return (name, operand)
    terms = [substituted(operand, bounds[2], Fraction(n)) for n in range(first, last + 1)]
    return functools.reduce(lambda a, b: ("+" if bounds[1] == "sum" else "*", a, b), terms)


def size(term) -> int:
    """How many operations and numbers a term is made of."""
    return 1 + sum(map(size, term[1:])) if isinstance(term, tuple) else 1


def mentions(term, name: str) -> bool:
    r"""Whether x_k or an inner \sum^k depends on k by its name."""
    if not isinstance(term, tuple):
        return isinstance(term, str) and name in term and name != term
    is_unknown = term[0] not in OPERATORS[cmath] and term[0] != "symbol" and name in term[0]
    return is_unknown or any(mentions(part, name) for part in term[1:])


def substituted(term, name: str, value: Fraction):
    """A term with a value for one of its symbols."""
    if not isinstance(term, tuple):
        return term
    if term in (("symbol", name), (name,)):
        return value
    return tuple(substituted(part, name, value) for part in term)


def digits_of(token: str) -> str:
    """The digits of a numeral in words, any other token as it is."""
    return str(VALUE_OF_WORD.get(token.lower(), token))


def signed(sign: str, term):
    """-term as the product (-1) term."""
    return ("*", Fraction(-1), term) if sign == "-" else term


def decimal(token: str) -> Fraction:
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
    """The value of a term at one point: a Fraction while rational, else a complex number.

    Complex numbers and their functions are those of `field`: of cmath, or of precise in the digits
    of the decimal context. A symbol stands for a pseudo-random Fraction that its name and the point
    decide: between 0.3 and 2.3, ten times that or a tenth, at every other point perhaps negative.
    `left_reals` tells that a root or a logarithm was not real, where two spellings may be on
    different branches; `spread`, how many digits before or behind the point were computed with.
    """

    def __init__(self, point: int = 0, field=cmath):
        self.point, self.operators = point, OPERATORS[field]
        self.left_reals, self.spread, self.result = False, 0, None

    def value(self, term):
        """Raises Limit, or ArithmeticError or ValueError where there is no value."""
        if not isinstance(term, tuple):
            return term
        name, *parts = term
        if name == "symbol":
            return pseudo_random(parts[0], self.point)
        numbers = [self.value(part) for part in parts]
        if name in ROUNDED and has_symbols(term):
            name = name + " of what varies"
        elif name in ROUNDED and isinstance(numbers[0], complex):
            numbers = [in_more_digits(parts[0], numbers[0])]
        if name not in self.operators:
            return pseudo_random(" ".join([name, *map(canonical, numbers)]))
        value = self.operators[name](*numbers)
        if isinstance(value, complex) and value and not 1e-150 < abs(value) < 1e150:
            raise OverflowError  # infinite, or rounded to nothing
        self.count(name, value, numbers)
        self.left_reals |= not is_real(value) and all(map(is_real, numbers))
        return value

    def count(self, name: str, value, numbers: list) -> None:
        """Add one operation to the work of this call."""
        if isinstance(value, Fraction):
            above, below = value.numerator.bit_length(), value.denominator.bit_length()
            work = max(above, SHORT) * max(below, SHORT)
        elif isinstance(value, complex):
            above, below, work = 0, 0, SHORT**2
            self.spread = max(self.spread, *map(magnitude, [value, *numbers]))
        else:
            digits = getcontext().prec
            above, below, work = 0, 0, 20 * digits**2 if name in "+*/" else 4 * digits**3
        WORK.get().add(work)
        if max(above, below) > MAX_BITS:
            raise OverflowError


def magnitude(value) -> int:
    """The decimal digits before or behind the point, whichever are more."""
    if isinstance(value, Fraction):
        return max(value.numerator.bit_length(), value.denominator.bit_length()) * 3 // 10
    return abs(int(math.log10(abs(value)))) if value else 0


def is_real(value) -> bool:
    if isinstance(value, Fraction) or not value.imag:
        return True
    value = complex(value)
    return abs(value.imag) <= TOLERANCE * abs(value)


def has_symbols(term) -> bool:
    return isinstance(term, tuple) and (term[0] == "symbol" or any(map(has_symbols, term[1:])))


@functools.lru_cache(maxsize=4096)
def pseudo_random(name: str, point: int = 0) -> Fraction:
    """A number that looks random and is the same in every run.

    At point 0 all are positive. At the next six the signs of a letter spell its number in the
    alphabet, and its parities another: so no letter is always positive, no two always have one
    sign, and (-1)^n, of a numerator n over an odd number, tells them apart. At the fifth cosines
    are negative, at the seventh all letters are, and odd, for the product of three. Then all are
    positive and larger, for the logarithm of x - 10.
    """
    text = f"{point} {name}".encode("utf-8", "replace")
    code = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    if len(name) == 1:
        number = 1 + string.ascii_letters.find(name)
    elif name in GREEK[1]:  # from the other end: the last share theirs with capitals
        number = 63 - GREEK[1].index(name)
    else:
        number = 1 + functools.reduce(lambda total, byte: 45 * total + byte, text[2:]) % 62
    bits = (64 + number, 64 + number * 37 % 63) if 0 < point < GOOD else (0, 0)
    is_negative, is_odd = (x >> (point - 1) & 1 for x in bits) if point else (0, 0)
    numerator = (1700 if point == 5 else 300) + code % 1000 * 2 + is_odd
    denominator = (1009, 1009, 101, 10007, 1009, 1009, 101, 101)[min(point, 7)]
    return Fraction(-numerator if is_negative else numerator, denominator)


def canonical(value) -> str:
    """A number as text, the same however it was computed."""
    if isinstance(value, Fraction):
        return f"{value.numerator:x}/{value.denominator:x}"
    digits, least = (9, 1e-12) if isinstance(value, complex) else (25, 1e-20)
    parts = (value.real, value.imag)
    return " ".join(f"{part if abs(part) > least else 0.0:.{digits}g}" for part in parts)


def arithmetic(field) -> dict:
    """{name: what computes it} in the complex numbers of cmath or of precise."""

    def power(a, b):
        """a^b, exact for integer b; real for a negative a where b has an odd denominator."""
        if isinstance(b, Fraction) and (value := rational_power(a, b)) is not None:
            return value
        if isinstance(b, Fraction) and b.denominator % 2 and is_real(a) and complex(a).real < 0:
            return (-1) ** b.numerator * power(-a, b)
        if b == Fraction(1, 2):
            return field.sqrt(a)
        exponent = b * field.log(a)
        if abs(exponent.real) > 300:
            raise OverflowError
        return field.exp(exponent)

    def tanh(z):
        if abs(z.real) > 40:  # where it differs from 1 in less than 35 digits
            raise OverflowError
        return field.sinh(z) / field.cosh(z)

    # fmt: off
    return {
        "+": operator.add, "*": operator.mul, "/": operator.truediv, "^": power,
        "|": modulus, "!": factorial, r"\binom": binomial,
        r"\lfloor": lambda x: rounded(x, math.floor), r"\lceil": lambda x: rounded(x, math.ceil),
        r"\pi": lambda: field.acos(-1), "e": lambda: field.exp(1), "i": lambda: field.sqrt(-1),
        "sin": field.sin, "csc": lambda z: 1 / field.sin(z), "arcsin": field.asin,
        "cos": field.cos, "sec": lambda z: 1 / field.cos(z), "arccos": field.acos,
        "tan": field.tan, "cot": lambda z: 1 / field.tan(z), "arctan": field.atan,
        "sinh": field.sinh, "cosh": field.cosh, "tanh": tanh,
        "exp": field.exp, "log": field.log, "ln": field.log, "lg": field.log10,
    }
    # fmt: on


def rational_power(a, b: Fraction) -> Fraction | None:
    """a^b where it is rational because b is an integer or a is 0 or a square, else None."""
    if a == 0 and b > 0:
        return Fraction(0)
    if not isinstance(a, Fraction):
        return None
    if b.denominator == 1:
        if abs(b) * max(a.numerator.bit_length(), a.denominator.bit_length()) > 2 * MAX_BITS:
            raise OverflowError
        return a ** int(b)
    if b == Fraction(1, 2) and a > 0:
        root = Fraction(math.isqrt(a.numerator), math.isqrt(a.denominator))
        return root if root * root == a else None
    return None


def in_more_digits(term, value: complex):
    """A constant that is to be rounded, with 100 digits behind the point where it has them."""
    try:
        return evaluation(term, 0, min(MAX_PRECISION, 100 + 2 * magnitude(value))).result
    except TypeError:
        return value


def modulus(a):
    return abs(a) if isinstance(a, Fraction) else type(a)(abs(a))


def rounded(a, to_integer):
    """a rounded up or down, where it is real; what is an integer but for an error stays it."""
    if not is_real(a):
        raise ValueError("no real number")
    real = a if isinstance(a, Fraction) else a.real
    near = round(real)
    is_integer = not isinstance(a, Fraction) and abs(real - near) < (
        1e-9 if isinstance(a, complex) else Decimal("1e-45")
    )
    return Fraction(near if is_integer else to_integer(real))


def factorial(a):
    """n!, or the gamma function of a + 1 where a variable is sampled off the integers."""
    if not isinstance(a, Fraction) or a.denominator > 1 or a < 0:
        if not is_real(a):
            raise ValueError("no real number")
        return complex(math.gamma(a.real + 1))
    if a > MAX_FACTORIAL:
        raise OverflowError
    return Fraction(math.factorial(int(a)))


def binomial(n, k):
    """n over k, a polynomial in n where k is a small integer."""
    if isinstance(k, Fraction) and k.denominator == 1 and 0 <= k <= 20:
        if isinstance(n, Fraction) and k * magnitude(n) > MAX_BITS // 4:
            raise OverflowError
        return math.prod((n - i for i in range(int(k))), start=Fraction(1)) / math.factorial(int(k))
    if isinstance(n, Fraction) and isinstance(k, Fraction) and n.denominator == k.denominator == 1:
        if not 0 <= k <= n <= MAX_FACTORIAL:
            raise OverflowError
        return Fraction(math.comb(int(n), int(k)))
    return factorial(n) / factorial(k) / factorial(n - k)


OPERATORS = {field: arithmetic(field) for field in (cmath, precise)}
ROUNDED = (r"\lfloor", r"\lceil")  # computed for constants; at sampled points they say too little


def evaluation(term, point: int, digits: int = 0) -> Evaluation:
    """A term at a point, as a float or in some digits; the number is its `result`."""
    known = WORK.get().known
    if (term, point, digits) not in known:
        found = Evaluation(point, precise if digits else cmath)
        try:
            with localcontext(Context(prec=digits or 16)):
                found.result = found.value(term)
        except (ArithmeticError, ValueError) as error:
            found = error
        known[term, point, digits] = found
    if isinstance(found := known[term, point, digits], Exception):
        WORK.get().add(SHORT**2)  # to raise takes time too
        raise found.with_traceback(None)
    return found


def same_number(x, y, slack: float = 0) -> bool:
    """Whether two terms agree: once if they are constant, else at GOOD points of POINTS.

    One disagreement at a good point decides. Where only one is good, all that left the real line
    must agree as well; where none is, all of those, and there must be two. What a float cannot
    tell apart, or may not tell apart, is computed once more, at the first good point.
    """
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return close(x, y, slack)
    varies = has_symbols(x) or has_symbols(y)
    good, elsewhere = 0, []
    for point in range(POINTS if varies else 1):
        try:
            one, other = evaluation(x, point), evaluation(y, point)
            agree = close(one.result, other.result, slack)
            left_reals = varies and (one.left_reals or other.left_reals)
            in_doubt = good == 0 if agree else not varies or is_cancelled(one, other)
            if not slack and not left_reals and in_doubt:
                agree = close_in_all_digits(x, y, point, otherwise=agree)
        except (ArithmeticError, ValueError):
            continue
        if left_reals:
            elsewhere.append(agree)
        elif not agree:
            return False
        elif (good := good + 1) == GOOD:
            break
    return good > varies or (good + len(elsewhere) > varies and all(elsewhere))


def close(p, q, slack: float = 0) -> bool:
    """Whether two numbers agree: exactly if they are rational, else relative to TOLERANCE."""
    is_exact = isinstance(p, Fraction) and isinstance(q, Fraction)
    if is_exact and p.denominator == q.denominator == 1:  # 1.23 * 10^8 is not 123456789
        return p == q
    if slack and abs(p - q) <= slack * (1 + 1e-9):
        return True
    if is_exact:
        return p == q
    return abs(p - q) <= TOLERANCE * max(abs(p), abs(q))


def is_cancelled(one: Evaluation, other: Evaluation) -> bool:
    """Whether two floats differ by no more than rounding did on the way: cosh x + sinh x, x = -20."""
    spread = max(one.spread, other.spread)
    return spread > 0 and abs(one.result - other.result) <= 10.0 ** (spread - 13)


def close_in_all_digits(x, y, point: int, otherwise: bool) -> bool:
    """Whether two terms agree to 45 digits of the smallest number among what is computed.

    `otherwise` where one holds what only a float can compute, such as (1/2)!.
    """
    one, other = evaluation(x, point), evaluation(y, point)
    spread = max(one.spread, other.spread, magnitude(one.result), magnitude(other.result))
    if spread < 5 and abs(one.result - other.result) > 1e-6:  # a float is good enough
        return False
    digits = 100 + 2 * spread
    if digits > MAX_PRECISION:
        return False
    try:
        p, q = (evaluation(term, point, digits).result for term in (x, y))
        if isinstance(p, Fraction) and isinstance(q, Fraction):
            return p == q
        with localcontext(Context(prec=digits)):
            return abs(precise.number(p) - q) <= Decimal(10) ** -(45 + spread)
    except TypeError:  # a float among precise numbers
        return otherwise


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
    WORK.set(Work())
    try:
        if answer.split() == gold.split():
            return True
        left, right = tokenize(answer), tokenize(gold)
        # 2.5e-1 beside Euler's number holds it too
        if ("e" in left) != ("e" in right):
            left, right = tokenize(answer, "e" in right), tokenize(gold, "e" in left)
        return same_tokens(left, right)
    except Exception:  # noqa: BLE001 - beyond a limit; and no text may end a training run
        return False


def same_tokens(left: tuple, right: tuple) -> bool:
    """Whether two answers are the same tokens, words, choice or value."""
    if not left or not right or left == right:
        return left == right != ()
    text = spoken(left)
    is_choice = len(text) == 1 and text in "abcde"
    if text and text == spoken(right) and (is_choice or '"' in "".join(left + right)):
        return True
    one, other = choice(left), choice(right)
    if one and other:
        return all(map(same_tokens, one, other))
    if one or other:
        return any(same_tokens(part, right if one else left) for part in one or other)
    (one, condition), (other, contrary) = without_remark(list(left)), without_remark(list(right))
    if condition and contrary and not same(read(condition), read(contrary)):
        return False
    return same(read(one), read(other))


def spoken(tokens: tuple) -> str:
    """All of it as letters in lower case, without articles and parentheses; "" if there is more."""
    text = "".join(token for token in tokens if token not in ("(", ")", *ARTICLES))
    text = text.replace('"', "").replace("\\", "").lower()
    return text if text.isalpha() else ""


def choice(tokens: tuple) -> tuple:
    """The letter and the value of an answer such as (D) 24, or of option B; else ()."""
    if tokens[0] in OPTION and len(tokens) > 1:
        return (tokens[1:],)
    around = zip(tokens, tokens[1:], tokens[2:])
    bracketed = [token for before, token, after in around if (before, after) == ("(", ")")]
    if tokens[0] != "(" or tokens[2:3] != (")",) or bracketed not in [[c] for c in "ABCDEFGHIJ"]:
        return ()
    value = tokens[3:]
    if not value or value[0] in "^!/*_,=" or not DENIALS.isdisjoint(tokens):
        return ()
    said = {token for token in value if token[0] != '"'}
    if said and said < set("ABCDEFGHIJ"):  # (A) or B
        return ()
    return (tokens[1:2], value) if read(list(value))[0] != "list" else ()


def same(a: tuple, b: tuple) -> bool:
    """Whether two values are equal."""
    if a == b:
        return True
    if a[0] == b[0] == "number":
        return same_quantity(a, b)
    a, b = map(as_number if "number" in (a[0], b[0]) else as_point, (a, b))
    if a[0] != "number" != b[0] and (agree := same_by_name(a, b)) is not None:
        return agree
    if "relation" in (a[0], b[0]):
        return same_relation(a, b)
    if a[0] != b[0] and "list" in (a[0], b[0]):  # "1/2 or 0.5" is one number
        items, other = (a[1], b) if a[0] == "list" else (b[1], a)
        return all(item[0] == "number" and same(item, other) for item in items)
    if a[0] == b[0] == "number":
        return same_quantity(a, b)
    if a[0] != b[0] or a[0] in ("text", "infinity"):
        return False
    if a[0] == "list":
        return in_any_order(a[1], b[1])
    return a[1] == b[1] and in_order(a[2], b[2])


def as_number(value: tuple) -> tuple:
    """The ratio 3:4, but no time of day, as 3/4, and C(10, 3) as 10 over 3; any other value as it is."""
    if value[:2] == ("tuple", "C()"):
        return ("number", (r"\binom", value[2][0][1], value[2][1][1]), "", 0)
    if value[:2] == ("tuple", ":") and [item[0] for item in value[2]] == ["number", "number"]:
        if value[2][1][2] in ("am", "pm"):
            return value
        return ("number", ("/", value[2][0][1], value[2][1][1]), "", 0)
    return value


def as_point(value: tuple) -> tuple:
    """C(10, 3) as a point; any other value as it is."""
    return ("tuple", "()", value[2]) if value[:2] == ("tuple", "C()") else value


def assignments(value: tuple) -> dict:
    """{the name: its value} of x = 3, y = 4 and of (x, y) = (3, 4); {} of any other value."""
    relations = value[1] if value[0] == "list" else (value,)
    if any(part[:2] != ("relation", ("=",)) or not part[3][0] for part in relations):
        return {}
    pairs = [part[2] for part in relations]
    if len(pairs) == 1 and pairs[0][0][0] == "tuple" and pairs[0][1][:2] == pairs[0][0][:2]:
        names, values = pairs[0][0][2], pairs[0][1][2]
        pairs = list(zip(names, values)) if len(names) == len(values) else []
    found = dict(pairs)
    return found if len(found) == len(pairs) > 1 else {}


def same_by_name(a: tuple, b: tuple) -> bool | None:
    """Whether x = 3, y = 4 are the same as another value; None where neither is of that kind."""
    one, other = assignments(a), assignments(b)
    if one and other:
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    named, unnamed, naming = (one, b, a) if one else (other, a, b)
    if named and unnamed[0] == "list":
        return are_values_of(unnamed[1], named)
    if named and unnamed[:2] == ("tuple", "()") and (naming[0] == "list" or runs_back(named)):
        return are_values_of(unnamed[2], named)
    return None


def runs_back(named: dict) -> bool:
    """Whether names are neighbours in the alphabet backwards, as (y, x) and unlike (m, b)."""
    letters = "".join(map(show, named))
    return letters[::-1] in string.ascii_lowercase


def are_values_of(items: tuple, named: dict) -> bool:
    """Whether (3, 4) or 3, 4 are the values of y = 4, x = 3: in the order of the alphabet."""
    names = list(named)
    if None not in (places := [place_of(show(name)) for name in names]):
        names = [name for _, name in sorted(zip(places, names))]
    return in_order(tuple(named[name] for name in names), items)


def place_of(name: str) -> tuple | None:
    """Where a letter, perhaps with an index, is in the alphabet: B before c, x_2 before x_10."""
    letter, _, index = name.partition("_")
    if letter in GREEK[1]:
        return 1, GREEK[1].index(letter), len(index), index
    return (0, ord(letter.lower()), len(index), index) if re.fullmatch("[A-Za-z]", letter) else None


def in_order(a: tuple, b: tuple) -> bool:
    """Whether the items of two tuples are equal one by one."""
    return len(a) == len(b) and all(map(same, a, b))


def in_any_order(a: tuple, b: tuple) -> bool:
    """Whether every item of a has an item of b of its own, and none is left over."""
    left = list(b)
    for item in a:
        found = next((i for i, other in enumerate(left) if same(item, other)), None)
        if found is None:
            return False
        del left[found]
    return not left


def same_quantity(a: tuple, b: tuple) -> bool:
    """Whether two numbers are equal; 50% is 50 and 1/2."""
    (_, x, unit_x, slack_x), (_, y, unit_y, slack_y) = a, b
    if unit_x and unit_y and unit_x != unit_y:
        return False
    if (agree := same_number(x, y, max(slack_x, slack_y))) or unit_x == unit_y:
        return agree
    percent = Fraction(1, 100)
    if unit_x == "%":
        return same_number(("*", x, percent), y, max(slack_x / 100, slack_y))
    return unit_y == "%" and same_number(x, ("*", y, percent), max(slack_x, slack_y / 100))


UNDIRECTED = {"=", r"\ne"}  # the sides may change places


def same_relation(a: tuple, b: tuple) -> bool:
    """Whether a relation is the same as another value, which may be a relation too."""
    if a[:2] == b[:2]:
        (_, signs, left, left_names), (_, _, right, right_names) = a, b
        if in_order(left, right) or (set(signs) <= UNDIRECTED and in_order(left[::-1], right)):
            return True
        unknown = {side for side, is_name in zip(left, left_names) if is_name}
        others = {side for side, is_name in zip(right, right_names) if is_name}
        return unknown.isdisjoint(others) and proportional(signs, left, right)
    a, b = (without_name(value) if value[0] == "relation" else value for value in (a, b))
    return a is not None and b is not None and same(a, b)


def without_name(relation: tuple) -> tuple | None:
    """What is said of the unknown: 3 for x = 3, the interval for 2 <= x < 3, S for x in S."""
    _, signs, sides, names = relation
    if set(signs) == {"="}:
        values = [side for side, name in zip(sides, names) if not name] or [sides[1]]
        if names[0]:  # v = s / t = 5 is 5
            values = [value for value in values if is_constant(value)] or values
        return values[0] if in_order(values[1:], values[:-1]) else None
    if signs == (r"\in",) and names[0]:
        return sides[1]
    if signs == (r"\ne",) and names[0]:
        return without_points(("tuple", "()", LINE), sides[1])
    if set(signs) <= {"<", r"\le"} and len(sides) <= 3 and any(names):
        if len(sides) == 2:  # x < 3 is -oo < x < 3
            sides = (LINE[0], *sides) if names[0] else (*sides, LINE[1])
            signs = ("<", *signs) if names[0] else (*signs, "<")
        brackets = ("(" if signs[0] == "<" else "[") + (")" if signs[1] == "<" else "]")
        return ("tuple", brackets, (sides[0], sides[2])) if len(names) == 2 or names[1] else None
    return None


def proportional(signs: tuple, left: tuple, right: tuple) -> bool:
    """Whether one relation is a constant multiple of the other, as x - 3 = 0 of 2x = 6."""
    if len(signs) > 1 or any(side[0] != "number" for side in left + right):
        return False
    f, g = (("+", sides[0][1], signed("-", sides[1][1])) for sides in (left, right))
    ratio = ("/", f, g)
    for point in range(POINTS) if has_symbols(f) and has_symbols(g) else ():
        try:
            factor = Evaluation(point).value(ratio)
            is_positive = factor > 0 if isinstance(factor, Fraction) else complex(factor).real > 0
        except (ArithmeticError, ValueError):
            continue
        if not factor:  # 0 = 0 says nothing
            return False
        keeps_direction = set(signs) <= UNDIRECTED or is_positive
        return keeps_direction and same_number(ratio, factor)
    return False


# ---- Showing: value -> text ----------------------------------------------------------------------


def show(value) -> str:
    r"""A value (None where nothing could be read) or a term as a person writes it.

    >>> show(parse(r"\{1, x < 2\}")), show(parse("2x + 1 cm"))
    ('in any order: 1, x < 2', '((2 * x) + 1) cm')
    """
    if isinstance(value, tuple) and value[0] == "number" and not has_symbols(value[1]):
        WORK.set(Work())
        value = (*value[:1], Evaluation().value(value[1]), *value[2:])
    if isinstance(value, complex):
        return f"{value:.6g}" if value.imag else f"{value.real:.15g}"
    if isinstance(value, Fraction):
        is_long = max(value.numerator.bit_length(), value.denominator.bit_length()) > 10_000
        return "a very long number" if is_long else str(value)
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
        return parts[0][:-1] + ", ".join(map(show, parts[1])) + parts[0][-1]
    if kind == "relation":
        signs, sides, _ = parts
        rest = [f" {sign} {show(side)}" for sign, side in zip(signs, sides[1:])]
        return (show(sides[0]) + "".join(rest)).strip()
    if kind in ("+", "*", "/", "^"):
        return f"({show(parts[0])} {kind} {show(parts[1])})"
    return f"{kind}({', '.join(map(show, parts))})" if parts else kind
