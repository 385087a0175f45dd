r"""Facts about text: kinds of words, the word a token is part of, defects of a response.

The lists of words come first, so that they can be read and changed as data. The kinds are those of
arXiv 2508.02260; the lists and all rules about text are ours.
"""

import re

from extraction import THOUGHT, TURNS, find_boxes

# ----------------------------------------------------------------------------------- the lists

KINDS = ("formal reasoning", "logical structure", "metacognition", "semantic support")
FORMAL, LOGIC, META, REST = range(4)
DEFECTS = ("format violation", "irrelevant content", "language mixing", "truncation")

LOGIC_WORDS = """because since so thus hence therefore then if unless suppose assume implies
    follows but however although instead first next finally
    因为 所以 因此 如果 那么 但是 然而 假设 由于 于是 首先 最后"""
META_WORDS = """wait hmm actually check recheck double-check verify reconsider rethink mistake
    alternatively maybe perhaps let_me let's let_us hold_on
    等等 检查 验证 让我 不对 重新 也许 再想"""
FORMAL_WORDS = """sin cos tan log ln exp lim mod gcd lcm max min sqrt frac pi plus minus times
    equals divided sum product"""
# Words that any English text on any question uses; whoever writes in another language adds its own.
COMMON_WORDS = """the an of to is are was were be and or in on at for with by from as that this
    it its we you he she they have has had do does can will would not no yes there here each all
    per into out now which what how when where who let us our their his her find get give given
    step solution answer problem total result note final proof conclusion question using use
    need calculate compute"""
SCRIPTS = {
    "Chinese or Japanese": "\u3040-\u30ff\u3400-\u9fff",
    "Korean": "\uac00-\ud7af",
    "Cyrillic": "\u0400-\u04ff",
    "Arabic": "\u0600-\u06ff",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
}
GOES_ON = 30  # words after the answer are irrelevant from here on

COMMON = set(COMMON_WORDS.split())
HAN = SCRIPTS["Chinese or Japanese"]


# -------------------------------------------------------------------------- kinds of words


def _any_of(words):
    """A pattern of any of the words, Latin ones as whole words."""
    words = (re.escape(word.replace("_", " ")) for word in words.split())
    return "|".join(word if re.match(f"[{HAN}]", word) else rf"\b{word}\b" for word in words)


WORD = re.compile(
    rf"(?P<meta>{_any_of(META_WORDS)})|(?P<logic>{_any_of(LOGIC_WORDS)})"
    # A formal piece is a LaTeX command or bracket, a number, an operator, a name of a function,
    # or a lone letter that touches one of these.
    r"|(?P<formal>\\(?:[A-Za-z]+|.)|\d+(?:[.,]\d+)*|[-+*/=<>^_%{}$|×÷·±≤≥≠≈√π∑∫∞∈]"
    rf"|{_any_of(FORMAL_WORDS)}"
    r"|(?<![^\W_])[A-Za-z](?=[-+*/=<>^_)}$])|(?<=[-+*/=<>^_({$\d])[A-Za-z](?![^\W\d_]))"
    rf"|(?P<rest>[{HAN}]|(?:(?![{HAN}])[^\W\d_])+(?:['’-](?:(?![{HAN}])[^\W\d_])+)*|\s+|.)",
    re.IGNORECASE | re.DOTALL,
)


def words_of(text: str) -> list[tuple[int, int, int, str]]:
    r"""The words of a text as (start, end, kind, word), end exclusive, kind an index into KINDS.

    >>> [(KINDS[kind].split()[0], word) for *_, kind, word in words_of(r"so \pi=3") if word != " "]
    [('logical', 'so'), ('formal', '\\pi'), ('formal', '='), ('formal', '3')]
    """
    kinds = {"formal": FORMAL, "logic": LOGIC, "meta": META, "rest": REST}
    return [
        (found.start(), found.end(), kinds[found.lastgroup], found.group().lower())
        for found in WORD.finditer(text)
    ]


def token_words(tokens: list[str], text: str) -> list[tuple[int, str]]:
    """The kind and the word that each token of a response is part of; (REST, "") outside the text.

    tokens: each decoded alone, so that the parts of a character are a replacement character each
    and a leading space may be missing. Each is looked for in the text where the one before it
    ended; those that cannot be decoded share what lies between their neighbours. A token of several
    words counts for the first that is no space.

    >>> token_words(["bec", "ause", " 1", "2", "\ufffd", "\ufffd", "<eos>"], "because 12所")
    [(1, 'because'), (1, 'because'), (0, '12'), (0, '12'), (3, '所'), (3, '所'), (3, '')]
    """
    spans, position, unknown = [(len(text), len(text))] * len(tokens), 0, []
    for i, token in enumerate(tokens):
        if not token or "\ufffd" in token:
            unknown.append(i)
            continue
        begin = position + bool(unknown)  # what cannot be decoded is something
        at = text.find(token, begin, begin + len(token) + 1 + len(unknown))
        if at < 0:  # a special token, which the text leaves out
            continue
        for j in unknown:
            spans[j] = (position, at)
        spans[i], position, unknown = (at, at + len(token)), at + len(token), []
    for j in unknown:
        spans[j] = (position, len(text))
    of_character = [None] * len(text)
    for start, end, kind, word in words_of(text):
        of_character[start:end] = [(kind, word)] * (end - start)
    found = []
    for start, end in spans:
        start = next((k for k in range(start, end) if not text[k].isspace()), start)
        found.append(of_character[start] if start < len(text) else (REST, ""))
    return found


def is_beside_the_task(kind: int, word: str, task: set[str]) -> bool:
    """Has this word nothing to do with the task? task: the words of the question.

    >>> [is_beside_the_task(REST, word, {"apples"}) for word in ("apples", "the", "castle", ".")]
    [False, False, True, False]
    """
    return kind == REST and word[:1].isalpha() and word not in task and word not in COMMON


# --------------------------------------------------------------------- defects of a response

LOOP = re.compile(r"(.{8,80}?)\1{3}", re.DOTALL)  # the same again and again


def is_irrelevant(question: str, text: str) -> bool:
    """Does the response hold a line without sense, a loop, another turn, a tail after its answer?

    A line has no sense where it has four Latin letters and neither a formal piece, nor a word of
    logic or metacognition, nor one of the question, nor a COMMON one.
    """
    boxes = find_boxes(text)
    if boxes and len(text[boxes[-1].end :].split()) > GOES_ON:
        return True
    without_thoughts = THOUGHT.sub("", text)  # whose tags may begin as those of turns do
    if LOOP.search(text) or any(without_thoughts.find(turn, 1) > 0 for turn in TURNS):
        return True
    task = {word for *_, word in words_of(question)}
    for line in text.splitlines():
        words = words_of(line)
        sense = any(k != REST or (w[:1].isalpha() and w in task | COMMON) for _, _, k, w in words)
        if not sense and len(re.findall("[A-Za-z]", line)) >= 4:
            return True
    return False


def mixes_languages(question: str, text: str) -> bool:
    """Is there a script the question does not use? Latin: three words of four letters, no LaTeX."""
    for letters in SCRIPTS.values():
        if re.search(f"[{letters}]", text) and not re.search(f"[{letters}]", question):
            return True
    asked_in_other = any(re.search(f"[{letters}]", question) for letters in SCRIPTS.values())
    if not asked_in_other or re.search("[A-Za-z]{3}", question):
        return False
    latin = [w for *_, kind, w in words_of(text) if kind != FORMAL and re.match("[a-z]{4}", w)]
    return len(latin) >= 3


def defects(question: str, text: str, outcome: str, truncated: bool) -> list[bool]:
    """Which of DEFECTS a response has. outcome: that of a row of rollouts/step_N.parquet.

    >>> defects("7+8", "7+8=15\\nkq xwz\\n所以答案是：15。", "no answer", False)
    [True, True, True, False]
    """
    mixed = mixes_languages(question, text)
    return [outcome == "no answer", is_irrelevant(question, text), mixed, truncated]
