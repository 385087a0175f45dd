r"""Where in a response its final answer stands: response -> text.

What follows the first sign of another dialogue turn is not the model's answer, nor is what stands
before the end of its last thought (`</think>`) or in a thought left open, nor what is struck out or
a comment. In the rest the first rule that finds something decides:
  1. the last closed, non-empty \boxed{...} or \fbox{...}, unless "the final answer is ..." or a
     last line "Answer: ..." follows; nothing, if a later box is cut off, or if a denial or more of
     a number follows the box. A box is skipped if "not" or "put your answer in" stands before it.
     Boxes joined by a comma, "and" or "or" are one answer, so that guessing earns nothing; where the
     gold answer is a list of k, the last k boxes together are tried as well;
  2. the last stated answer: "the answer is ...", "Answer: ...", "#### ...", or in the last line
     "A: ...", "we find that ..."; 答案是 where the question or the response is Chinese. A question
     states nothing, nor what is denied, taken back, an example or followed by an instruction;
  3. a response that as a whole is one line of mathematics without words, or one **bold** text.
Otherwise there is no answer. The gold answer is never searched for in the response.
"""

import re
from typing import NamedTuple

from answers import MAX_ITEMS, parse
from notation import CHANGING, MATHEMATICAL, MAX_ANSWER, NUMERALS, TENS, words

MAX_RESPONSE = 100_000  # characters read, from the end of the response


def extract_answer(response: str, question: str = "") -> str | None:
    r"""The final answer of a response as text, or None, by the rules of the header.

    >>> extract_answer(r"<think>\boxed{1}</think> So \boxed{\frac12}."), extract_answer("I have 7.")
    ('\\frac12', None)
    """
    return find_answer(response, question)[1]


def find_answer(response: str, question: str = "") -> tuple[str, str | None]:
    """Where the final answer stands, in words, and the answer."""
    text = translate(last_words(response), question)
    boxes = find_boxes(text)
    after = text[boxes[-1].end :] if boxes else text
    if re.search(r"\\(?:boxed|fbox)\s{0,3}\{(?!\s{0,9}\})", after):  # empty boxes are none
        return "a box that was cut off", None
    for box in reversed(boxes[-100:]):
        if not EXAMPLE.search(text, max(0, box.start - 60), box.start):
            break
        boxes.pop()
    if boxes:
        if answer := last_stated(after, FINAL):
            return "a final answer stated after the last box", answer
        if PART.match(text, boxes[-1].end) or "-" in text[max(0, boxes[-1].start - 1)]:
            return "a box that is denied, or a part of a number", None
        return "the last box", LABEL.sub(r"\1", join_boxes(text, boxes))
    if answer := last_stated(text, STATED):
        return "the last stated answer", answer
    last_line = text.rpartition("\n")[2][-300:]
    if last_line.endswith(tuple(".!$*)]")) and (answer := last_stated(last_line, CONCLUDED)):
        return "the conclusion", answer
    return "the whole response", whole_answer(text)


# ---- Turns and thoughts: what is not the model's answer ------------------------------------------

TURNS = (  # how the sign of a turn begins; what follows one was written by somebody else
    *("<|im_", "<|end", "<|eo", "<|start", "<|return|>", "<|call|>", "<|turn>", "<turn|>", "<eos>"),
    *("<|user|>", "<|human|>", "<|system|>", "<|assistant|>", "<|END_OF_TURN", "<|START_OF_TURN"),
    *("<start_of_turn>", "<end_of_turn>", "<｜end", "<｜begin", "<｜User", "<｜Assistant", "</s>"),
    *("[INST]", "[/INST]", "### Instruction", "### User", "**User:**", "\nUser:", "\nHuman:"),
)
SPEAKER = re.compile(r"(?im)^[ *#\[<]{0,5}(?:user|human|用户)[ *\]>]{0,3}(?:[:：\]>]|$)")
OPENING = re.compile(  # of the assistant's own turn
    r"""
    (?: \s* (?:
        <\|?(?:im_start|start_header_id|start_of_turn|start|turn)\|?>(?:assistant|model)
      | <[|｜](?:[Aa]ssistant|end_header_id|begin[_▁]of[_▁](?:text|sentence))[|｜]>
      | \[/INST\]
    )){0,3}
    """,
    re.VERBOSE,
)
THOUGHT = re.compile(  # a tag, with a group if it closes
    r"""
    (?=[<\[◁][|｜/ ]{0,3}(?i:th|re|be|st|se|sc|en|ch|an))           # how any of them begins
    (?: \[(/)?(?i:think(?:ing)?)\]
      | [<◁][ ]?[|｜]?
        (?i: (/\|?|end_(?:of_)?)? (?:begin_(?:of_)?|start_(?:of_)?|seed:)?
             (?:think|thought|reason|analysis|scratchpad|reflection)\w{0,20} )
        (?:\s\w{1,20}=[^<>\s]{1,20})?\s?[|｜]?[>▷]
      | <\|channel>[a-z]{0,20} | (<channel\|>)
      | (?:<\|end\|>\s{0,3}<\|start\|>assistant)?                # all channels but the final one
        <\|channel\|>(final)?[^<]{0,60}(?:<\|constrain\|>[^<]{0,20})?<\|message\|>
    )
    """,
    re.VERBOSE,
)
STRUCK = re.compile(  # out, or a comment
    r"""
    ^[ ]{0,8}%.* | <!--[^<]{0,300}--> | <(?P<tag>del|strike)>[^<]{0,300}</(?P=tag)>
  | (?<![^\s:*])~~(?=\S)[^~\n]{1,200}~~
    """,
    re.MULTILINE | re.VERBOSE,
)
SILENT = re.compile(r"<[|｜]\w\w[\w.:▁-]{0,40}[|｜]>|<(?:s|pad|unk|bos|unused\d{1,4})>|\[PAD\]")


def opened_thought(prompt: str) -> str:
    r"""The thought that the end of a prompt has opened, to be put before the response.

    >>> opened_thought("<|im_start|>assistant\n<think>\n"), opened_thought("<think>\n\n</think>\n")
    ('<think>\n', '')
    """
    *_, last = [None, *THOUGHT.finditer(prompt, max(0, len(prompt) - 200))]
    is_open = last and not any(last.groups()) and not prompt[last.end() :].strip()
    return prompt[last.start() :] if is_open else ""


def last_words(response: str) -> str:
    """What the model said at last: no other turn, no thought, at most MAX_RESPONSE characters."""
    text = response[OPENING.match(response).end() :]
    text = THOUGHT.sub(lambda tag: "</think>" if any(tag.groups()) else "<think>", text)
    for turn in TURNS:
        text = text.partition(turn)[0]
    text = SPEAKER.split(text, maxsplit=1)[0]
    text = text.rpartition("</think>")[2].partition("<think>")[0]
    return SILENT.sub("", STRUCK.sub("", text[-MAX_RESPONSE:])).strip()


# ---- Boxes ---------------------------------------------------------------------------------------

# A box with its brace if it has one, an escaped character, or a brace.
BRACE = re.compile(r"\\{1,3}(?:boxed|fbox)(?![A-Za-z])\s{0,3}\{?|\\.|[{}]", re.DOTALL)
SPACES = re.compile(r"\s*")
DIGITS = re.compile(  # of \boxed 7, unless more of a number follows: \boxed 7x, \boxed 7, 8
    rf"""
    [+-]?[0-9]{{1,50}}(?:[.,/][0-9]{{1,50}}){{0,9}}%?
    (?! [\w%!] | [.,/][0-9]
      | ,?\s?(?: [0-9^+/=-] | \*(?!\*) | \\(?![)\]\\,;% ]|end|q?quad) )
      | \s?(?:{"|".join(sorted(CHANGING))}|or)\b )
    """,
    re.VERBOSE,
)
PART = re.compile(  # a box before it is a part of a number, or denied
    r"""
    \s?\^(?!\s?\{?\s?(?:\\circ|\\text|\\mathrm|°)) | \.[0-9] | \s?\\times\s?10
  | [\s$*]{0,4}(?: is\s(?:wrong|incorrect|not[ ](?:the|right|correct)) | [?]\s{0,2}no\b )
    """,
    re.IGNORECASE | re.VERBOSE,
)
EXAMPLE = re.compile(  # a box behind it is denied, or shows how an answer is to be written
    r"""
    (?: \b(?:not|isn't|cannot[ ]be|can't[ ]be|instead[ ]of|rather[ ]than)
      | \be\.g\. | \bexample,[ ]write
      | (?<!I[ ]) (?<!ll[ ]) \b(?:put|write|enclose|place|give|provide)
        [ ]your[ ](?:final[ ])?answer[ ](?:in|within|inside)
    )[\s$:(*{}]{0,6}\Z
    """,
    re.IGNORECASE | re.VERBOSE,
)
SPACING = re.compile(  # around the "and" of two boxes
    r"[\s${}*_~()]|\\(?:[()\[\] ,;\\]|text(?:[a-z]{2})?|[mh]box|math[a-z]{2}|operatorname|q?quad)"
)
JOINT = re.compile(
    r"""
    [,;|/、]
  | [,;.]? (?: and/? | or(?:else)? | oder | vs\.? | & | \\lor | \\vee | 或者? | 和
      | maybe | perhaps | possibly | also | even | alternatively,? | otherwise,? ){1,4}
    """,
    re.VERBOSE,
)


class Box(NamedTuple):
    r"""The content of a \boxed{...}, and where in the text all of it starts and ends."""

    start: int
    end: int
    content: str


def find_boxes(text: str) -> list[Box]:
    r"""All closed boxes that hold something. One pass with a stack: linear in any nest of braces.

    >>> find_boxes(r"\boxed{3}, \boxed{}, \fbox{4")
    [Box(start=0, end=9, content='3')]
    """
    spans, stack = [], []  # of the open braces: the match of a box, None for any other
    for match in BRACE.finditer(text):
        token = match[0]
        if token == "}":
            opening = stack.pop() if stack else None
            if opening and SPACES.match(text, opening.end()).end() < match.start():
                while spans and spans[-1][0] > opening.start():  # boxes in a box are part of it
                    spans.pop()
                spans.append((opening.start(), match.end(), opening.end(), match.start()))
        elif token.endswith("{") and token != r"\{":
            stack.append(match if "box" in token else None)
        elif "box" in token and (bare := DIGITS.match(text, match.end())):
            spans.append((match.start(), bare.end(), match.end(), bare.end()))
    return [Box(start, end, text[first:last].strip()) for start, end, first, last in spans]


def join_boxes(text: str, boxes: list[Box]) -> str:
    """The last box, with those before it that a comma, "and" or "or" joins to it."""
    joined = boxes[-1:]
    for box in reversed(boxes[-MAX_ITEMS:-1]):
        if not JOINT.fullmatch(SPACING.sub("", text[box.end : joined[0].start][:60]).lower()):
            break
        joined.insert(0, box)
    return ", ".join(dict.fromkeys(box.content for box in joined))


def boxes_together(response: str, gold: str) -> str:
    """The last k different boxes as one list, where the gold answer is a list of k; else ""."""
    value = parse(gold)  # ("list", items), another kind, or None
    parts = len(value[1]) if value and value[0] == "list" else 0
    boxes = find_boxes(last_words(response)) if parts > 1 else []
    contents = list(dict.fromkeys(box.content for box in boxes))
    return ", ".join(contents[-parts:]) if 2 <= parts <= len(contents) else ""


# ---- Statements ----------------------------------------------------------------------------------

FINAL = re.compile(  # outranks a box; "the final answer is an integer" does not
    r"""
    \bfinal[ ]answer\W{0,6} (?:
        [:：﹕∶](?![^\n]{0,60}\b(?:above|box))
      | is\b(?=[^\n.]{0,25}[0-9\\] | \W{0,3}[*$] | \W{1,4}(?-i:[A-J])\b)
    )
  | ^\W{0,4}final[ ]answer\W{0,4}$                               # a heading
  | ^\W{0,4}answer\W{0,3}[:：﹕∶](?=[^\n]{0,300}\Z)               # the last line
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
STATED = re.compile(  # counts where there is no box
    r"""
    \#{4}(?![ ]*final) | <answer>                                # GSM8K, and a tag
  | \b(?:answers?|ans|option|choice|final[ ]result)\b [*_}\]]{0,3}
    (?:[ ]to[ ](?:the|this)[ ][a-z]{1,20})? \s{0,3}              # the answer to this question is
    (?:is\b | are\b | equals\b | (?:should|would|must)[ ]be\b | [=:：﹕∶])
  | ^A:[ ](?=[^\n]*\Z)                                          # the last line; else a choice
  | ^[^\w<]{0,4}(?:\\text[a-z]{0,4}\{)?(?:final[ ])?answer       # a heading, or a label
    (?: \W{0,3}$ | \s{1,3}(?=\$|\\[(\[]) | [*_}\]]{1,3}\s{1,3}(?=[0-9$\\+-]) )
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
CONCLUDED = re.compile(  # counts in the last line
    r"""
    \b(?: we[ ](?:find|get|obtain|conclude)[ ]that | I[ ]think[ ]it's
      | therefore,?[ ]there[ ](?:is|are)
      | (?:so|thus|hence|therefore)\b[^.$]{0,80}[ ](?:is|are)
    )[ ]
    """,
    re.IGNORECASE | re.VERBOSE,
)
OTHERWISE = words(  # a sentence with one of these says something else of the number it ends with
    "not no never cannot nothing none neither nobody hardly unless except if when where whether that",
    "or either maybe perhaps possibly probably impossible doubtful unknown guess wrong mistake fails",
    "far other than more less larger smaller twice thrice double triple times minus negative",
    "opposite reciprocal inverse whose",
)
SAID_OTHERWISE = "|".join([*sorted(OTHERWISE), r"(?:half|third|squared?|cube|root|power)\sof"])
STATED_START = re.compile(  # what may stand before the answer
    rf"""
    (?: [\s*_:$`}}\]] | \\[(\[]                                   # fillers
      | (?:clearly|simply|indeed|therefore|thus|that|just|exactly|approximately|about|equal[ ]to
          |option|choice)\b
    ){{0,20}}
    (?: (?!(?:{SAID_OTHERWISE})\b) [a-z]{{2}}                       # "the largest n is"
        (?: (?!\b(?:{SAID_OTHERWISE})\b|n't) [^0-9,;:\n] ){{1,80}}?
        \s(?:is|are|be|was|equals|has|have|needs?|makes?|costs?|takes?|earns?)
        \s(?=[0-9$\\+-]) [$]?
    )?
    """,
    re.IGNORECASE | re.VERBOSE,
)
STATED_END = re.compile(  # the end of the sentence
    r"""
    \n | </(?i:answer)> | [。！？] | (?=错误|不对) | ，(?:不是|因为|(?:所以|即|故)(?![^，。\n]{0,20}[0-9]))
  | (?<=[$*])! | !(?=\s[A-Z][a-z])
  | (?<!i\.e)[.?](?=[\s$*"')]|\\[)\]]|[^\x00-\x7f]|$)
    """,
    re.VERBOSE,
)
CLAUSE = re.compile(  # another clause of it: a remark, a reason, or a conclusion
    r"""
    (?: [,;] | \s[(–-] | \s?— | (?P<bare>\s) )\s?
    (?: because | since | which | where | that | as | in[ ](?:total|all)
      | when[ ]rounded | (?(bare)(?!))not
    )\b
  | (?P<conclusion>
      \sand[ ](?=(?:we|this|is|are)\b) | (?:[,;]|\s[(–-]|\s?—|\s)\s?for[ ]all\b
    | (?: [,;] | \s[(–-] | \s?— )\s?(?:so|hence|thus|therefore|meaning|giving|making|i\.e)\b
    | \sand[ ](?=(?:so|thus|hence)\b) )
    """,
    re.VERBOSE,
)
DENIAL = re.compile(  # a clause with one of these takes it back, or says something else
    rf"""
    \b(?: wrong | incorrect | not[ ](?:correct|right|true) | right[ ]one | doubt | isn't | so[ ]not
      | and[ ]not | half[ ]of[ ]it | unlikely | false | guess | minus | all[ ]but | but[ ][$]?[0-9]
      | (?:which|that|I)[ ](?:cannot|might|could|may) )\b
  | ^\W{{0,4}}(?:which|that)\b(?:[ ]\w{{1,12}}){{0,5}},?[ ][$]?
    (?:[0-9][0-9.,]{{0,20}}|{"|".join([*NUMERALS, *TENS])})[$]?\s?\Z            # which is 8
    """,
    re.IGNORECASE | re.VERBOSE,
)
HEDGES = words(  # a remark with one of these says something else
    "or possibly probably either unless except depending assuming though rather other others also",
    "might could larger smaller hundredfold tenfold",
)
HEDGES |= CHANGING | MATHEMATICAL
REMARK = re.compile(  # a number, and words behind it that offer no other answer
    rf"""
    ^( [\\$(+-]{{0,3}}[0-9] (?: [^,;:!(—–\n] | ,(?=[0-9]) ){{0,80}}? ) [$*]{{0,3}}
    (?: [,;:!]\s | \s?[—–] | \s-{{1,3}}\s | \s\( )
    (?=.*[A-Za-z]{{3}}|.*[一-鿿]) (?!.*(?:[√π∞α-ω]|\b(?:{"|".join(sorted(HEDGES))}|[b-z])\b))
    [^0-9\\$=]{{2,200}}\Z
    """,
    re.IGNORECASE | re.VERBOSE,
)
NUMBERS = re.compile(rf"[0-9]+(?:[.,][0-9]+)*|\b(?:{'|'.join([*NUMERALS, *TENS])})s?\b|[√π∞α-ω]")
DOUBT = re.compile(  # what stands before it is asked, or taken back
    r"""
    [^\n.?!。]{0,200}[?？]
  | [.!;,)\s]{0,4} (?: no[,:.!;]
      | (?: or | otherwise | else | wait | hmm | oops | sorry | actually | perhaps | maybe | nope
          | alternatively | instead | correction | just[ ]kidding | scratch[ ]that | my[ ]mistake
          | edit: | update: | I[ ]take[ ]that
          | (?:I[ ]am[ ]|I'm[ ])?not[ ]sure | I[ ](?:was[ ]wrong|made[ ]an?) )(?!\w)
      | (?:but[ ])?(?:it|that|this|the[ ]answer)
        (?: (?:[ ]is|'s|[ ]seems|[ ]looks)[ ](?:wrong\b | incorrect\b
            | not\b(?![ ](?:surprising|hard|difficult|needed|necessary|a[ ]coincidence)\b) )
          | [ ]isn't\b
          | [ ](?:could|might|may)[ ](?:also[ ])?be\b(?![ ][a-z]{2,12}ed\b) )
      | (?:is[ ](?:it|this|that)(?:[ ](?:right|correct|true|so))?|correct|right|really|sure)[?] )
  | [。，；]?(?:不[对，,。]|错|或|也可能|但)
    """,
    re.IGNORECASE | re.VERBOSE,
)
AGAIN = re.compile(  # it is taken back if this holds another number
    r"""
    [.!;\s]{0,4} (?:
        (?:but|however|though|yet)\b [^\n.?!]{0,60}
      | (?:(?:and|then)[ ])? [$*(]{0,2}-?[0-9]{1,30}(?:[.,][0-9]{1,30})?[$*)]{0,2} [.\s]{0,3}\Z
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
DENIED = re.compile(  # what stands after it is not stated
    r"""
    (?: \b(?: wrong | incorrect | false | if | suppose | assume | assuming | unless | whether
          | or | otherwise | perhaps | maybe | doubt | than | twice | minus | no | not | non | anti
          | unlikely | impossible | never | cannot | hardly | when | once | no[ ]way | says | claims
          | (?:a|one|another)[ ]possible | another | other | previous | initial | naive | tempting
          | nobody[ ]\w{1,12} | could[ ]it[ ]be | is[ ]it[ ]\w{1,12} | not[ ](?:true|clear|the[ ]case) )
      | n't | (?:n't|\bnot)[ ](?:think|believe)
      | \b(?:none|neither|half|twice|double|square|root|part|opposite|reciprocal|inverse)[ ]of
      | \banswer[ ]is[ ][$]?[0-9]{1,20}[$]?,?                       # the answer is 7, the answer is 8
      | \b(?:example|end[ ]with|must[ ]be|should[ ]be):            # an instruction
      | 错误的? | 不认为 | 如果 | 假设 | 假如 | 若
    )
    [ *_-]{0,4}(?:(?:that|the|this|my|our|its|final|correct)[ ]{1,2}){0,3}\Z
    """,
    re.IGNORECASE | re.VERBOSE,
)
ECHO = re.compile(  # an instruction; what stands before it is quoted
    r"""
    (?<!I[ ]) (?<!have[ ]) (?<!be[ ])
    \b(?:put|write|give|provide|enter|place|present|state|express|return|output|report|box)\b
    [^.\n]{0,60}
    (?: \\boxed(?!\s?\{\s?[^\s}]) | \byour\b[^.\n]{0,30}\b(?:answer|result|solution|response)
      | \b(?:answer|result|solution|it)[ ](?:in|inside)[ ](?:a|the)[ ]box\b )
  | \bnow,?[ ](?:solve|the[ ]next[ ]step)\b | (?<!to[ ])\bsolve[ ]the[ ]following\b
  | 请[^。\n]{0,60}(?:\\boxed|答案)
    """,
    re.IGNORECASE | re.VERBOSE,
)
LABEL = re.compile(r"(?i)^(\\text[a-z]{0,4}\s?\{)?\s?(?:final )?answer\s?(?:is\b|[=:：])")
PICTURES = [*range(0x2500, 0x27C0), 0xFE0F, *range(0x1F300, 0x1FB00)]  # ticks, emoji
CROSSES = "✖✗✘❌🚫"  # these say that it is wrong
FRILLS = "*$_` \t∎" + "".join(chr(code) for code in PICTURES if chr(code) not in CROSSES)


def last_stated(text: str, pattern: re.Pattern) -> str | None:
    """What follows the last match of "the answer is", up to the end of its sentence."""
    *_, last = [None, *pattern.finditer(text)]
    if last is None or ECHO.search(text, last.end(), last.end() + 1000):
        return None
    if DENIED.search(text[max(0, last.start() - 60) : last.start()]):
        return None
    start = STATED_START.match(text, last.end()).end()
    end = STATED_END.search(text, start, start + 2 * MAX_ANSWER)
    answer = text[start : end.start() if end else start + 2 * MAX_ANSWER]
    if end and DOUBT.match(text, end.start()):
        return None
    another = AGAIN.match(text, end.start()) if end else None
    if another and numbers_of(another[0]) - numbers_of(answer):
        return None
    if (clause := CLAUSE.search(answer)) and is_aside(answer, clause):
        answer = answer[: clause.start()]
    answer = answer.strip(FRILLS)
    answer = re.sub(r"(?<=\S)\*\*(?=\s)|(?<=\s)\*\*(?=\S)|`", "", answer)  # emphasis
    answer = REMARK.sub(r"\1", answer[:600]) if len(answer) <= 600 else answer
    answer = answer.removesuffix(r"\)")
    answer = answer.removesuffix("}" if answer.count("}") > answer.count("{") else "")
    return LABEL.sub("", answer).strip(FRILLS).rstrip("\\ ") or None


def is_aside(sentence: str, clause: re.Match) -> bool:
    """Whether what begins with a clause offers no other answer, and does not take it back.

    >>> [is_aside(text, CLAUSE.search(text)) for text in ("7, so she has 7 apples", "7, so 8")]
    [True, False]
    """
    answer, rest = sentence[: clause.start()], sentence[clause.start() :]
    if DOUBT.match(rest) or DENIAL.search(rest):
        return False
    return not (clause["conclusion"] and numbers_of(rest) - numbers_of(answer))


def numbers_of(text: str) -> set[str]:
    """All numbers in a text, as they are spelled."""
    return set(NUMBERS.findall(text.lower()))


CHINESE = re.compile(
    r"((?:最[终后]的?)?)答案(?:】[:：]?|[*_]{0,3}\s?(?:应该?)?(?:[是为][:：]?|[:：]))"
)


def translate(text: str, question: str) -> str:
    """The last 答案是 in English, where the question is Chinese, or the text that leads to it."""
    if not (statements := list(CHINESE.finditer(text))):
        return text
    first, last = statements[0].start(), statements[-1]
    lead = text[:first].rstrip("所以因此故综上正确，, ") if question or first else text
    for asked in (question, lead[-5000:]):  # commands are no words
        if len(re.findall(r"(?<!\\)\b[A-Za-z]+", asked)) <= len(re.findall("[一-鿿]", asked)) > 0:
            return f"{text[: last.start()]} {last[1] and 'final '}answer is: {text[last.end() :]}"
    return text


BARE = re.compile(  # a whole response that is an answer
    r"""
    \(?[A-J]\)?                                  # a choice
  | (?=.{0,80}[0-9\\]) (?!.{0,80}[0-9]\s?=)      # mathematics, but not the sum 1+1=2
    (?: [^\nA-Za-z\\一-鿿]                        # of signs,
      | \\(?!f?box)(?:[A-Za-z]+|[^A-Za-z\n])      # commands
      | \b[A-Za-z](?![A-Za-z])                    # and single letters
    ){1,80}
    """,
    re.VERBOSE,
)


def whole_answer(text: str) -> str | None:
    """The text itself, if it is nothing but one formula, one bold text or one choice."""
    text = text.rstrip(FRILLS[2:])
    inner = text.strip("$* ")
    is_framed = text[:1] in ("$", "*") and text[-1:] in ("$", "*")
    is_answer = (is_framed and not re.search(r"[$\n]", inner)) or BARE.fullmatch(inner)
    return inner if inner and is_answer and "**" not in inner else None
