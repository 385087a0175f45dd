"""What a cell of a data set says: a question, or a gold answer.

    text_of    a text, a chat, its typed parts, an object that holds one    -> the question
    gold_of    an answer, a list of them, a solution that ends with one     -> the gold answer

Each may be what the file has, or be spelled in a text as JSON or as Python prints it. Texts of data sets are
untrusted: nothing is run, and what is no question or no answer is skipped with a reason. All of it is ours.
"""

import contextlib
import json
import re

from extraction import extract_answer
from notation import MAX_ANSWER


class Skip(Exception):
    """A row that cannot be asked or graded; its text is the reason, fit to be counted."""


def text_of(cell) -> str:
    """The question in a cell; of a chat, what the user said last; "" if there is none.

    A chat may be a list of messages or of the parts of one, an object that holds such a list, and
    either spelled in a text. Raises Skip for a question that is more than text.

    >>> text_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}])
    '1+1?'
    >>> text_of('{"role": "user", "content": [{"type": "text", "text": "1+1?"}]}'), text_of("[1, 2]")
    ('1+1?', '[1, 2]')
    """
    if isinstance(cell, str):
        spelled = spelled_in(cell.strip())
        parts = spelled if isinstance(spelled, list) else [spelled]
        keys = [part.keys() for part in parts if isinstance(part, dict)]
        if not any(these <= those for these in CHAT_KEYS for those in keys):
            return cell.strip()
        return text_of(spelled)
    if isinstance(cell, dict):
        if cell.get("type") not in (None, "text", "input_text", "message"):
            raise Skip(WITH_IMAGE)
        return text_of(next((cell[name] for name in HOLDERS if cell.get(name) is not None), None))
    if isinstance(cell, list):
        roles = [m.get("role", m.get("from")) if isinstance(m, dict) else None for m in cell]
        if any(roles):
            users = [m for m, role in zip(cell, roles, strict=True) if role in ("user", "human")]
            cell = users[-1:]
        return "\n".join(filter(None, map(text_of, cell)))
    return "" if cell is None else str(cell)


# An object in a text is a message, a part of one, or what holds them, by these keys; it says:
CHAT_KEYS = [{"role", "content"}, {"from", "value"}, {"type", "text"}, {"messages"}]
HOLDERS = ["messages", "conversations", "prompt", "content", "value", "text"]
WITH_IMAGE = "a question with an image or the like"


def gold_of(cell) -> str:
    r"""The gold answer in a cell, or "" if there is none. Raises Skip for prose without an answer.

    A text may spell a list, but [0, 1] is an interval: several numbers stay as they are.

    >>> gold_of("3 + 4 = 7, so she has 7 apples.\n#### 7"), gold_of(7.0), gold_of(["$-1$", "$x^2$"])
    ('7', '7', '-1, x^2')
    >>> gold_of(r'["\\frac{1}{2}"]'), gold_of("['1', '2']"), gold_of("[12]"), gold_of("[1, 2]")
    ('\\frac{1}{2}', '1, 2', '12', '[1, 2]')
    """
    if isinstance(cell, list):
        return ", ".join(filter(None, map(gold_of, cell)))
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = "" if cell is None or isinstance(cell, dict) else str(cell).strip()
    spelled = spelled_in(text)
    items = spelled if isinstance(spelled, list) else [spelled]
    kinds = set(map(type, items))
    if spelled and (kinds & {str, dict} or (len(items) == 1 and list not in kinds)):
        return gold_of(spelled)
    text = answer_in("" if text in MISSING else text)
    # One pair of dollars around the whole, not those of "$x$ and $y$" or of a price such as 5\$.
    enclosed = re.fullmatch(r"(\$\$?)((?:[^$\\]|\\.)+)\1", text, re.DOTALL)
    return (enclosed[2] if enclosed else text).strip()


# How programs write that there is nothing.
MISSING = ["None", "null", "NULL", "nan", "NaN", "NA", "<NA>", "N/A", "n/a", "[]", '""']
STATED = re.compile(r"\\(?:boxed|fbox)|\banswers?\b", re.IGNORECASE)


def answer_in(text: str) -> str:
    """A text that is an answer, or the one that a solution ends with. Raises Skip if it has none."""
    is_solution = "####" in text or r"\boxed" in text or is_prose(text)
    if not is_solution and not STATED.search(text):
        return text
    last = text.rpartition("####")[2].strip()  # GSM8K's answer; elsewhere #### begins a heading
    if "####" in text and not ("\n" in last or STATED.search(last) or is_prose(last)):
        return last
    answer = extract_answer(text.replace("####", "")) or ("" if is_solution else text)
    if not answer or is_prose(answer):
        raise Skip("a text without an answer for a gold answer")
    return answer


FORMULA = re.compile(r"\$[^$]*\$|\\\(.*?\\\)|\\\[.*?\\\]|(\\[A-Za-z]+)", re.DOTALL)
WORD = re.compile(r"[\u4e00-\u9fff]|[^\W\d_]{2,}")  # a Chinese sign, or letters
SENTENCE_END = re.compile(r"(?<!\b[A-Z][a-z])[.!?](?=\s|$)|[。！？]")  # but not the dot of Dr. Li
ARGUED = re.compile(r"(?i)\b(since|because|therefore|thus|hence|we (have|get|find|see))\b|, so\b")


def is_prose(text: str) -> bool:
    """Whether a text argues, as solutions do: in several sentences, with "since", or at length.

    >>> is_prose("She has 3 apples. She buys 4 more."), is_prose("The function is increasing.")
    (True, False)
    """
    if len(text) > MAX_ANSWER:
        return True
    text = FORMULA.sub(lambda match: " " if match[1] else " formula ", text)
    words = len(WORD.findall(text))
    sentences = [part for part in SENTENCE_END.split(text) if len(WORD.findall(part)) > 1]
    return len(sentences) > 1 or words > 30 or (words > 2 and ARGUED.search(text) is not None)


def spelled_in(text: str):
    r"""The list, object or text that a text spells in JSON or as Python prints it; None if none.

    Nothing is run: Python's spelling is rewritten as JSON.

    >>> spelled_in(r'["\\frac{1}{2}"]'), spelled_in("['12', None]"), spelled_in("[0, 1)")
    (['\\frac{1}{2}'], ['12', None], None)
    """
    if text[:1] + text[-1:] not in ("[]", "{}", '""') or len(text) > MAX_SPELLED:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(NO_JSON.sub(as_json, text), strict=False)
    return None


MAX_SPELLED = 100_000  # characters of a text that is looked at for what it spells
NO_JSON = re.compile(  # what may not be as JSON has it: a text, which may be left open, and others
    r"""(?P<text>'(?:[^'\\]|\\.)*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\Z))|\b(?:None|True|False)\b"""
    r"""|(?<=['"}\]])\s+(?=['"{\[])""",  # between the items of an array of NumPy's
    re.DOTALL,
)
NAMES = {"None": "null", "True": "true", "False": "false"}
ESCAPES = {None: r"\"", "'": "'", "x": r"\u00"} | {sign: "\\" + sign for sign in '"\\/nrtu'}


def as_json(match: re.Match) -> str:
    r"""What JSON has for a match of NO_JSON. \sqrt and \frac are no escapes and stay."""
    if not match["text"]:
        return NAMES.get(match[0], ",")
    body = re.sub(r'(?s)\\(.)|"', lambda m: ESCAPES.get(m[1], "\\" + m[0]), match[0][1:-1])
    return f'"{body}"'
