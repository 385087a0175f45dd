r"""The notation of answers: text -> tokens.

An answer is spelled in LaTeX, in plain text, in Unicode or as a program prints it. Here all of that
becomes one list of tokens, in which one sign has one spelling and what says nothing is gone.

    tokenize(r"$\dfrac{1}{2}\,\text{ cm}$.")  ->  \frac { 1 } { 2 } "cm

A token is a number (3.5), a letter, a command (\frac), a sign, or a word with a quote before it
("cm), so that "even" is not read as the product e v e n.

Conventions. 1,234 and 1\,234 are one number; "1, 234", "123,45", (100,200) and 27,54,108,135 are
not. 1\frac{4}{5} is a mixed number, 0.(3) a repeating decimal, ]0,1[ an open interval. An e between
digits is a power of ten where a program writes it so (2e10, 1.5e-3, 8e-5) and what else there is is
no formula; in 2e-1, and beside another e, it is Euler's number.
"""

import functools
import re
import string
import unicodedata

MAX_ANSWER = 2_000  # characters
MAX_TOKENS = 500
MAX_DEPTH = 30  # of brackets in brackets


class Limit(Exception):
    """Something is beyond one of the limits on an answer."""


# ---- The words and signs that are known; each list may be added to -------------------------------
# fmt: off


def words(*lines: str) -> set[str]:
    """All words of some lines."""
    return {word for line in lines for word in line.split()}


def words_in_order(*lines: str) -> list[str]:
    """All words of some lines, one for each sign of a list."""
    return " ".join(lines).split()


def by_spelling(spellings: dict[str, str]) -> dict[str, str]:
    """{"m": "meter metre"} turned around: {"meter": "m", "metre": "m"}."""
    return {word: name for name, words in spellings.items() for word in words.split()}


SIGNS = {  # a character that is not ASCII, and what it becomes
    **dict.fromkeys("−–‑‐‒", "-"), **dict.fromkeys("×·⋅•∙∗", "*"), **dict.fromkeys("÷⁄∕", "/"),
    "±": r"\pm", "∓": r"\mp", "√": r"\sqrt", "∛": r"\sqrt[3]", "∶": ":", "、": ",", "。": ".",
    "≈": r"\approx", "≃": r"\approx", "≠": r"\ne", "∞": r"\infty", "…": r"\ldots", "→": r"\to",
    **dict.fromkeys("≤⩽≦", r"\le"), **dict.fromkeys("≥⩾≧", r"\ge"), "≡": r"\equiv",
    "∪": r"\cup", "∩": r"\cap", "∈": r"\in", "∖": r"\setminus", "∅": r"\emptyset", "∀": r"\forall",
    "ℝ": r"\reals", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}",
    "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil", "∠": r"\angle",
    "△": r"\triangle", "∑": r"\sum", "∏": r"\prod", "∫": r"\int", "°": r"^\circ",
    "£": r"\pounds", "€": r"\euro", **dict.fromkeys("¥￥", r"\yuan"), "₹": r"\rupee",
    **dict.fromkeys("’′", "'"), "″": "''", "µ": r"\mu", "ϕ": r"\phi", "ϵ": r"\epsilon",
    **dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f", r"\,"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\ufe0f", ""),
}
GREEK = "αβγδεζηθικλμνξοπρστυφχψω", words_in_order(
    r"\alpha \beta \gamma \delta \epsilon \zeta \eta \theta \iota \kappa \lambda \mu",
    r"\nu \xi o \pi \rho \sigma \tau \upsilon \phi \chi \psi \omega",
)
GREEK_CAPITALS = "ΓΔΘΛΞΠΣΦΨΩ", words_in_order(
    r"\Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Phi \Psi \Omega"
)
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni"
SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₐₑₓₖₘₙ", "0123456789+-()aexkmn"
VULGAR_FRACTIONS = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
IGNORED_SIGNS = '"`“”'
ALIASES = by_spelling({  # one token, and its other spellings
    "*": r"\cdot \times", "/": r"\div", "%": r"\%", ",": ";", ":": r"\colon", "'": r"\prime",
    "(": r"\langle", "[": r"\lbrack", r"\{": r"\lbrace", "|": r"\vert \lvert \rvert \mid",
    ")": r"\rangle", "]": r"\rbrack", r"\}": r"\rbrace", r"\\": r"\cr",
    "<": r"\lt", r"\le": r"\leq \leqslant", r"\ne": r"\neq", r"\approx": r"\simeq \approxeq",
    ">": r"\gt", r"\ge": r"\geq \geqslant", r"\to": r"\rightarrow", r"\wedge": r"\land",
    r"\emptyset": r"\varnothing", r"\reals": r"\R", r"\setminus": r"\backslash",
    r"\frac": r"\dfrac \tfrac \cfrac \sfrac \nicefrac", r"\binom": r"\dbinom \tbinom",
    r"\overline": r"\bar", r"\vec": r"\overrightarrow", "i": r"\imath", r"\mod": r"\pmod \bmod",
    r"\phi": r"\varphi", r"\epsilon": r"\varepsilon", r"\theta": r"\vartheta", r"\rho": r"\varrho",
    r"\sigma": r"\varsigma", r"\cup": r"\bigcup", r"\ldots": r"\dots \cdots",
    r"\$": r"\textdollar \mathdollar",
})
CLUTTER = words(  # tokens that say nothing: spacing, the frame of a formula, sizes, fonts
    r"\, \; \: \! \/ \quad \qquad ~",
    r"\( \) \[ \] $ . \boxed \fbox \mbox \displaystyle \textstyle \limits \left \right \middle",
    r"\text \textbf \mathbf \mathrm \mathit \mathcal \boldsymbol \bm \operatorname \bf \rm \it",
    r"\mathsf \mathtt \mathnormal \mathop \mathbin \mathord \textsf \texttt \textrm \textup \textsc",
    r"\textmd \emph \tt \sf \pmb \underline \uline \framebox \ensuremath \hline",
    r"\tiny \scriptsize \footnotesize \small \normalsize \huge \Huge \LARGE",
    r"\blacksquare \qed \checkmark",
) | {r"\ "}

RELATIONS = ("=", "<", ">", r"\le", r"\ge", r"\ne", r"\in", r"\approx", r"\equiv", r"\to")
OPENING = ("(", "[", "{", r"\{", r"\begin")
CLOSING = (")", "]", "}", r"\}", r"\end")

FUNCTIONS = words(  # what is computed; \log without a base is natural
    "sin cos tan csc sec cot arcsin arccos arctan sinh cosh tanh log ln lg exp",
)
MATHEMATICAL = {  # no words, though they are spelled with letters
    *FUNCTIONS, "i", "j", "k", "e", "d", "sqrt", "pi", "inf", "infty", "infinity", "gcd", "lcm",
    "det",
}

UNITS = {  # the name of a unit, and its other spellings; capitals and a final s do not matter
    "dollar": r"\$", "cent": "", "euro": "", "rupee": "", "yuan": "元", "jiao": "角", "fen": "分", "%": "percent pct percentage",
    "degree": r"\circ", "rad": "radian",
    "m": "meter metre", "cm": "centimeter", "mm": "millimeter", "km": "kilometer",
    "in": "inch inches", "ft": "foot feet", "yd": "yard", "mi": "mile",
    "acre": "", "L": "liter", "ml": "mL milliliter", "gallon": "", "quart": "", "square": "sq", "cubic": "",
    "g": "gram", "kg": "kilogram", "lb": "pound", "oz": "ounce", "ton": "",
    "s": "sec second", "min": "minute", "hr": "hour h", "day": "", "week": "", "month": "",
    "year": "", "decade": "", "am": "", "pm": "", "mph": "",
    "J": "joule", "N": "newton", "W": "watt", "V": "volt", "A": "ampere amp", "ohm": "",
    "bit": "", "byte": "", "hectare": "", "century": "centuries", "knot": "", "nautical": "",
    "per": "/", "th": "st nd rd",
}
UNITS = by_spelling(UNITS) | {name: name for name in UNITS}
SI = re.compile(r"[kMGTmnpc]?(?:[gsJWNVAKTFCl]|m|Hz|eV|Pa|mol)")  # and units with these prefixes
UNIT_SPELLINGS = {  # of several tokens, and what they become
    "平方": " square ", "立方": " cubic ", "厘米": " cm ", "毫米": " mm ", "千米": " km ", "公里": " km ",
    "米": " m ", "小时": " hr ", "分钟": " min ", "秒": " s ", "千克": " kg ", "公斤": " kg ", "克": " g ",
    "升": " L ", "元": " yuan ", "天": " day ", "年": " year ", "月": " month ", "岁": " year ", "度": " degree ",
    "^ 2": "square", "^ 3": "cubic", "^ - 1": "per", "^ - 2": "per square", r"^ \circ": "degree",
    "mph": "mi per hr", "* ": "",
}
COUNTERS = "个人种只次本条张件名块组"  # 31个
CURRENCIES = {  # and what it is a unit of; a pound is one of money and one of weight
    r"\$": "dollar", '"USD': "dollar", r"\rupee": "rupee", '"Rs': "rupee", '"INR': "rupee",
    r"\euro": "euro", '"EUR': "euro", r"\pounds": "lb", '"GBP': "lb", r"\yuan": "yuan",
}
CHANGING = words(  # a word after a number is what was counted (6 apples), but these change it
    "dozen hundred thousand million billion trillion lakh crore tens K M k mil mn bn gross score",
    "dozens hundreds thousands millions billions trillions quadrillion fold triple twice double",
    "reciprocal negated inverse opposite binary minimum maximum fewer cannot never invalid unless",
    "quintillion sextillion googol myriad mio tn upwards up unknown neither excluded doubtful could",
    "whole tripled thrice octal hex impossible unsure guess probably possibly except nines tens point",
    "thirty forty fifty sixty seventy eighty ninety thirteen fourteen fifteen",
    "half halves third thirds quarter squared cubed doubled halved root factorial mod",
    "plus minus negative times divided over base than more less most least below",
    "no not wrong incorrect false odd yes if when but perhaps maybe otherwise alternatively",
    "zero one two twos three four five six seven eight nine ten eleven twelve twenty",
)
NUMERALS = words_in_order(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
    "fifteen sixteen seventeen eighteen nineteen",
)
TENS = words_in_order("twenty thirty forty fifty sixty seventy eighty ninety")
VALUE_OF_WORD = {'"' + word: value for value, word in enumerate(NUMERALS)}  # "seven": 7
for value, tens in enumerate(TENS, start=2):
    VALUE_OF_WORD['"' + tens] = 10 * value
    VALUE_OF_WORD |= {f'"{tens}{NUMERALS[n]}': 10 * value + n for n in range(1, 10)}
MAGNITUDES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9}
MAGNITUDES |= {"trillion": 10**12, "dozen": 12, "lakh": 10**5, "crore": 10**7}
SEPARATORS = {  # words that are signs
    "and": ",", "or": ",", "/": '"per', "或": ",", "或者": ",", "和": ",", "与": ",", "及": ",",
    **dict.fromkeys(("approximately", "approx", "about", "roughly"), r"\approx"),
}
REMARKING = {'"for', '"where', '"with', r"\forall"}  # with which a remark on the variables begins
REMARK_WORDS = words(
    "all any every each some both real positive negative nonnegative non-negative nonzero non-zero",
    "natural rational integer integers number numbers constant constants arbitrary value values",
    "of is are a an the",
)
DENIALS = {'"is', '"not', '"wrong', '"false', '"incorrect', '"no'}
ARTICLES = ('"a', '"an', '"the')
OPTION = ('"option', '"Option', '"choice', '"Choice')
FUNCTION_NAMES = words(r"f g F G \Gamma \Phi \zeta")  # f(2x) is no 2f(x)
SOMETIMES_FUNCTIONS = {  # where one of these letters is in the bracket; h(a+b) is a product
    "h": "xt", "H": "xt", r"\delta": "xt", "u": "t", r"\theta": "t", r"\phi": "np", r"\sigma": "np",
}
LETTERS = {*GREEK[1], *GREEK_CAPITALS[1], r"\ell", r"\hbar"}  # other commands before ( are functions
NO_VALUE = words(  # with which no value begins; any other command is a variable or an operator
    r"\begin \end \\ \{ \} \cup \cap \setminus \pm \mp \circ \mod \ldots \% \$ \|",
    r"\infty \emptyset \reals \rfloor \rceil", *RELATIONS,
)
SHORT_WORDS = {  # of two or three letters that are no product of variables
    *UNITS, *CHANGING, *words("an the for all any Rs USD INR EUR GBP"),
}

PLAIN_INTEGER = r"\s?\{?\s?([0-9]{1,3})\s?\}?\s?"  # 8 or {8}
REWRITINGS = (  # a pattern, tried where the text before it occurs, and what replaces it
    ("**", r"^\s*\*\*([^*]+)\*\*\s*$", r"\1"),  # bold
    ("__", r"^\s*__([^_]+)__\s*$", r"\1"),
    ("**", r"\*\*", "^"),
    ("base", r"\(\s?(?:in )?base ([a-z0-9]+)\s?\)", r"base \1"),
    ("...", r"\.\.\.", r"\\ldots "),
    ("<=", "<=", r"\\le "),
    (">=", ">=", r"\\ge "),
    ("!=", "!=", r"\\ne "),
    ("x", r"(?<=[0-9])\s?x\s?(?=10\s?\^)", "*"),  # 3x10^8
    ("m/", r"(?<=[0-9}\s])(k?m/(?:s|h|hr))\b", r' "\1" '),
    (".m", r"(?i)\b([ap])\.m\b\.?", r"\1m"),
    ("all real", r"\ball real numbers\b", r"\\reals "),
    ("_", r"[({]([0-9A-Z]+)[)}]_", r"\1_"),  # (204)_5
    ("{ ", r"(?<=[0-9])(?:\\text)?\{ +\}(?=[0-9])", r"\\,"),  # 1{ }000
    ("{,", r"(?<=[0-9])\\text\{,\}(?=[0-9])", "{,}"),
    ("{.}", r"(?<=[0-9])\{\.\}(?=[0-9])", "."),
    (".(", r"(?<=[0-9])\.\(([0-9]+)\)", r".\\overline{\1}"),  # 0.(3)
    (".", r"(?<![0-9])([0-9]*\.[0-9]+)\(([0-9]+)\)", r"\1\\overline{\2}"),  # 0.1(6)
    ("}", r"\{\s?([-+:=<>])\s?\}", r"\1"),
    ("}", r"(?<![A-Za-z])\{\s?([A-Za-z]|\\[A-Za-z]+)\s?\}(?=\s?_)", r"\1"),  # {x}_{1}
    ("C", r"(?<![A-Za-z0-9])([1-9][0-9]{0,2})C([1-9][0-9]{0,2})(?![0-9A-Za-z_])", r"\\binom{\1}{\2} "),
    ("C", rf"(?:\{{\}}|(?<![A-Za-z0-9)}}\]]))\^{PLAIN_INTEGER}C\s?_{PLAIN_INTEGER}", r"\\binom{\1}{\2} "),
    ("C", rf"(?:\{{\}}|(?<![A-Za-z0-9}}]))_{PLAIN_INTEGER}C\s?_{PLAIN_INTEGER}", r"\\binom{\1}{\2} "),
    ("ty", rf"(?i)\b({'|'.join(TENS)})[\s-]({'|'.join(NUMERALS[1:10])})\b", r"\1\2"),
    ("/d", r"\bd([a-z])\s?/\s?d([a-z])\b", r"\\frac{d\1}{d\2}"),
    ("*I", r"\*\s?I(?![A-Za-z])", "*i"),
    ("U", r"(?<=[\])])\s?U\s?(?=[\[(])", r"\\cup "),
    ("nswer", r"(?i)^\s*\\text\s?\{\s?(?:final )?answer\s?:([^{}]*)\}", r"\1 "),
    ("nswer", r"(?i)^\s*(?:final )?answer\s?:", ""),
    ("^", r"(?<=[0-9])\s?\^\s?\{?\s?(?:\\(?:text|mathrm|rm)\s?\{?\s?)?o\s?\}{0,2}(?![A-Za-z])", r"^\\circ "),
    ("^", r"\^\s?\{?\s?(?:\\(?:text|mathrm|rm)\s?\{?\s?)?(st|nd|rd|th)\b\s?\}{0,2}", r' "\1" '),
    ("=", r"=\s?/\s?=|[?~]\s?=|\\(?:stackrel|overset)\s?\{[^{}=]*\?\s?\}\s?\{?=\}?", r"\\ne "),  # doubtful
    ("", r"^\s*(?:\\text\s?\{\s?)?([A-J])[.):]\s", r"(\1) "),  # B. 24
    ("\\", r"(?<![\\\s])[\\\s]*\\\s*$", ""),
    (r"\not", r"\\not(?:\s|\\[,;:! ])*=", r"\\ne "),
    ("color", r"\\(?:text)?color(?:box)?\s?\{[^{}]*\}", ""),
    ("phantom", r"\\[vh]?phantom\s?\{[^{}]*\}", ""),
    (r"\left", r"\\(?:left|right)\s?\.", ""),
    ("ig", r"\\[bB]igg?[lrm]?(?![a-z])", ""),
    ("arge", r"\\[lL]arge", ""),
    ("prime", r"\^\s?\{?\s?\\prime\s?\}?", "'"),
    ("degree", r"\\degree\b", r"^\\circ "),
    ("mathbb", r"\\mathbb\s?\{?\s?R\s?\}?", r"\\reals "),
    ("over", r"\{([^{}]*)\\over\b([^{}]*)\}", r"\\frac{\1}{\2}"),
    ("choose", r"\{([^{}]*)\\choose\b([^{}]*)\}", r"\\binom{\1}{\2}"),
    ("to", r"(?<=[0-9])\s{0,3}\\text\s?\{\s?to\s?\}\s{0,3}(?=[0-9])", ":"),
    (r"\begin", r"\\left\s?\\\{\s?\\begin\s?\{array\}\{[lcr|]*\}", r"\\begin \\lines "),
    (r"\begin", r"\\begin\s?\{(?:cases|(?:align|gather)(?:ed)?)\*?\}", r"\\begin \\lines "),
    (r"\end", r"\\(begin|end)\s?\{(?!v)[a-z]{1,20}\*?\}(?:\{[lcr|]*\})?", r"\\\1 "),  # not vmatrix
    (r"\\[", r"(?<=\\\\)\[[0-9.a-z]{1,9}\]", ""),
)
# fmt: on
CHANGES = re.compile(  # and so do 18 nineteen, 18 tenths, and what is no word
    rf"(?i)(?:{'|'.join(sorted(CHANGING))})(?:e?s)?|(?:{'|'.join(TENS)})\w*"
    rf"|\w+(?:teen|[a-z]ths?|fifths?)|.*[^a-z{COUNTERS}-].*"
)


# ---- Tokens: text -> list of tokens --------------------------------------------------------------
FULL_WIDTH = {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}
TO_ASCII = SIGNS | dict(zip(*GREEK)) | dict(zip(*GREEK_CAPITALS))
TO_ASCII = {sign: text + " " * text[-1:].isalpha() for sign, text in TO_ASCII.items()}
for sign in VULGAR_FRACTIONS:
    TO_ASCII[sign] = r"\frac{{{}}}{{{}}}".format(*unicodedata.normalize("NFKC", sign).split("⁄"))
TO_ASCII = str.maketrans(FULL_WIDTH | TO_ASCII | dict.fromkeys(IGNORED_SIGNS, " "))
RAISED, RAISED_TO_ASCII = re.compile(f"[{SUPERSCRIPTS[0]}]+"), str.maketrans(*SUPERSCRIPTS)
LOWERED, LOWERED_TO_ASCII = re.compile(f"[{SUBSCRIPTS[0]}]+"), str.maketrans(*SUBSCRIPTS)
# 3e+8 is what a program writes; 2e-1 is no such number, for a program writes 0.2.
SIGNED_EXPONENT = re.compile(r"(?<=[0-9])e(?=[+-][0-9])")
OF_A_PROGRAM = re.compile(
    r"(?<![A-Za-z0-9.])(?: 1 | [0-9]*\.[0-9]+ | [0-9]+(?=e[+-]0*(?:[4-9]|[1-9][0-9])) )"
    r" e[+-][0-9]{1,4} (?![A-Za-z0-9]|\.[0-9])  |  [0-9]e[0-9]",
    re.VERBOSE,
)
ELSEWHERE = re.compile(  # what may stand around: a name, signs, a unit; no formula
    r"(?:[A-Za-z]\s?=)? (?: [^A-Za-z\\] | \\[,;:! $%()] | \\approx )*"
    r" (?: \\(?:text|mathrm)\b.* | [A-Za-z]{2}.* )?",
    re.VERBOSE | re.DOTALL,
)
REWRITINGS = [(hint, re.compile(pattern), new) for hint, pattern, new in REWRITINGS]
IN_A_FONT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|sc|md|up|normal)?|[mh]box|emph|math(?:rm|bf|it|sf)|operatorname)"
    r"\s?\{([^{}]*)\}"
)
RATE = re.compile(  # \frac{60 "miles"}{1 "hour"}
    r'\\[dt]?frac\s?\{\s*([0-9.]*)\s*"([^"]*)"\s*\}\s?\{\s*1?\s*"([^"]*)"\s*\}'
)
INTERVAL = re.compile(  # in either notation
    r"(\s*(?:[a-z]\s?\\in\b\s*)?)(?:\\left\s?)?([\[\]])([^\[\],;]*[,;][^\[\]]*?)(?:\\right\s?)?([\[\]])\s*"
)
MIXED = re.compile(
    r"""(?<![A-Za-z0-9.^_]) ([0-9]+)
    (?: \s+ ([0-9]+)/([0-9]+)                                      # 1 4/5
      | (?:\s|\\[,;: ]|~)* \\[dtc]?frac\s?
        (?:\{([0-9]+)\}|([0-9])) \s? (?:\{([0-9]+)\}|([0-9])) )    # 1\frac{4}{5}, 1\frac45
    """,
    re.VERBOSE,
)
TOKEN = re.compile(
    r"""
    (?P<grouped>  [1-9][0-9]{0,2}                                  # 1,234  1{,}234.5  1\,234
                  (?: (?: (?:\\!)?,(?:\\!\s?)? | \{,\} | \\!\s? | \\[,;:\ ] | ~ ) [0-9]{3} )+
                  (?![0-9]) (?:\.[0-9]+)?
                | [1-9][0-9]{0,2} (?:[ ][0-9]{3})+ (?![ 0-9]) )    # 1 234 567
  | (?P<european> [1-9][0-9]{0,2} (?: (?:\.[0-9]{3})+,[0-9]+       # 1.234,5
                                    | (?:\.[0-9]{3}){2,} ) (?![0-9.,]) )
  | (?P<number>   [0-9]*\.[0-9]* \\(?:overline|bar|dot)\s? \{?[0-9]+\}?
                | (?: [0-9]+(?:\.[0-9]+)? | \.[0-9]+ ) (?:[eE][+-]?[0-9]+(?![0-9.]*[0-9A-Za-z^]))? )
  | "(?P<quoted>  [^"]*)"
  | (?P<chinese>  [\u4e00-\u9fff]+)
  | (?P<letters>  [A-Za-z]+)
  | (?P<sign>     \\[A-Za-z]+ | \\?. )
    """,
    re.VERBOSE | re.DOTALL,
)


@functools.lru_cache(maxsize=1024)
def tokenize(text: str, beside_e: bool = False) -> tuple[str, ...]:
    r"""Cut an answer into tokens with all clutter gone. Raises Limit where there are too many.

    `beside_e` tells that it is compared with what holds Euler's number: there 2.5e-1 holds it too.

    >>> tokenize(r"$\left(\dfrac{1}{2},\, 1{,}000\text{ cm}\right)$.")
    ('(', '\\frac', '{', '1', '}', '{', '2', '}', ',', '1000', '"cm', ')')
    """
    if len(text) > MAX_ANSWER:
        raise Limit
    if not (ELSEWHERE.fullmatch(OF_A_PROGRAM.sub("", text)) and not beside_e):
        text = SIGNED_EXPONENT.sub("e ", text)
    tokens, depth = [], 0
    for match in TOKEN.finditer(respell(text)):
        kind, token = match.lastgroup, match[match.lastgroup]
        if kind in ("grouped", "european") and is_list(match, depth):
            tokens += re.split("(,)", token)
        elif kind == "grouped":
            tokens.append(re.sub(r"[^0-9.]", "", token))
        elif kind == "european":
            tokens.append(token.replace(".", "").replace(",", "."))
        elif kind == "letters":
            tokens += spell(token)
        elif kind == "chinese":
            tokens.append(SEPARATORS.get(token, '"' + token))
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


def is_list(match: re.Match, depth: int) -> bool:
    """Whether commas that could group digits do not: in (100,200), and in 27,54,108,135."""
    if re.search(r"[{\\~]", match[0]) or "," not in match[0]:
        return False
    around = (
        match.string[max(0, match.start() - 2) : match.start()],
        match.string[match.end() :][:2],
    )
    return depth > 0 or bool(re.fullmatch("[0-9],", around[0]) or re.fullmatch(",[0-9]", around[1]))


def respell(text: str) -> str:
    """The text in ASCII, with words in quotes, mixed numbers as sums, and one spelling of much."""
    text = text.replace('"', " ").replace("`", " ") if text.isascii() else to_ascii(text)
    for hint, pattern, new in REWRITINGS:
        text = pattern.sub(new, text) if hint in text else text
    if "[" in text or "]" in text:
        text = face_inward(text)
    text = IN_A_FONT.sub(quote_words, text)
    if '"' in text and "frac" in text:
        text = RATE.sub(r' \1 "\2 per \3" ', text)
    return MIXED.sub(add_mixed, text)


def to_ascii(text: str) -> str:
    """Signs, letters, raised and lowered digits as LaTeX; what is not known stays."""
    text = RAISED.sub(lambda run: f"^{{{run[0].translate(RAISED_TO_ASCII)}}}", text)
    text = LOWERED.sub(lambda run: f"_{{{run[0].translate(LOWERED_TO_ASCII)}}}", text)
    return text.translate(TO_ASCII)


def face_inward(text: str) -> str:
    r"""]0, 1] is (0, 1], where all of a union are intervals that may be written so."""
    pieces = [INTERVAL.fullmatch(piece) for piece in text.split(r"\cup")]
    if not all(pieces):
        return text
    return r"\cup".join(
        piece[1] + ("(" if piece[2] == "]" else "[") + piece[3] + (")" if piece[4] == "[" else "]")
        for piece in pieces
    )


def quote_words(match: re.Match) -> str:
    r"""\text{ cm} is a word; \textbf{93000} and \mathrm{i} are mathematics in another font."""
    text = match[1].replace("~", " ").strip()
    is_word = re.fullmatch(r"[A-Za-z][A-Za-z\s.,/^0-9-]*", text) and text not in MATHEMATICAL
    return f' "{text.replace(".", "")}" ' if is_word else f" {text} "


def add_mixed(match: re.Match) -> str:
    """1 4/5 is 1 + 4/5, but 1 5/4 stays what it is. The digits are compared as text."""
    whole, top, bottom = (group for group in match.groups() if group)
    is_proper = (len(top), top) < (len(bottom), bottom)
    return f"({whole}+{top}/{bottom})" if is_proper else match[0]


def spell(letters: str) -> list[str]:
    """A run of letters is a function, a separator, a word, or a product of variables."""
    if letters in MATHEMATICAL and len(letters) > 1:
        return [r"\infty" if letters in ("inf", "infinity") else "\\" + letters]
    if letters[:-1] in FUNCTIONS:  # sinx
        return ["\\" + letters[:-1], letters[-1]]
    if letters in SEPARATORS:
        return [SEPARATORS[letters]]
    known = letters in SHORT_WORDS or letters.lower() in SHORT_WORDS
    is_word = len(letters) > 3 or (len(letters) > 1 and known)
    return ['"' + letters] if is_word else list(letters)


def begins_value(token: str) -> bool:
    """Whether it is a variable, a bracket, or a command that stands for something."""
    if len(token) == 1:
        return token in string.ascii_letters or token in ("(", "[", "{")
    return token[:1] == "\\" and token[1:].isalpha() and token not in NO_VALUE


def is_function(name: str, inside: list[str]) -> bool:
    """Whether a name before a bracket is no factor: f, f', J_0, an unknown command, h of x."""
    base = name.rstrip("'").split("_")[0].removesuffix("^-1")
    if base in FUNCTION_NAMES or (base in "JY" and "_" in name):
        return True
    if base == "P":  # of events; P(1+r) is a product
        return "".join(inside[:1]) in {*string.ascii_uppercase}
    if base in SOMETIMES_FUNCTIONS:
        return not set(SOMETIMES_FUNCTIONS[base]).isdisjoint(inside)
    return base[0] == "\\" and base not in LETTERS


def unit_of(word: str) -> str | None:
    """The name of a unit of measure in any of its spellings, or None for any other word.

    >>> unit_of("Inches"), unit_of("kJ"), unit_of("apples")
    ('in', 'kJ', None)
    """
    name = UNITS.get(word) or UNITS.get(word.lower()) or UNITS.get(word.lower().removesuffix("s"))
    return name or (word if SI.fullmatch(word) else None)


def levels(tokens: list[str]):
    """Each token with the number of brackets around it; a bracket stands outside itself."""
    level = 0
    for token in tokens:
        level -= token in CLOSING
        yield token, level
        level += token in OPENING


def split(tokens: list[str], *separators: str) -> list[list[str]]:
    """Split at the separators that stand in no bracket."""
    if not any(separator in tokens for separator in separators):
        return [list(tokens)]
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
