r"""Is this answer right? The verifiable reward.

A rollout earns 1 if its final answer is the gold answer, however either is spelled, else 0; less
the overlong penalty, which is off by default. Both answers are text and never run: this file finds
the one, answers.py compares them. With --reward a function of your own says what a rollout earns.

    response -> find_answer -> is_equivalent(answer, gold) -> Grade

What follows the first sign of another dialogue turn is not the model's answer, nor is what stands
before the end of its last thought (`</think>`) or in a thought left open. In the rest the first
rule that finds something decides:
  1. the last closed, non-empty \boxed{...} or \fbox{...}, unless "the final answer is ..." or a
     last line "Answer: ..." follows; nothing, if a later box is cut off. Boxes joined by a comma,
     "and" or "or" are one answer, so that guessing earns nothing; where the gold answer is a list
     of k, the last k boxes together are tried as well;
  2. the last stated answer: "the answer is ...", "Answer: ...", "#### ...", or in the last line
     "A: ...", "we find that ..."; 答案是 where the question or the response is Chinese. A question
     states nothing, nor what is taken back, nor what an echoed instruction follows;
  3. a response that as a whole is one line of mathematics without words, or one **bold** text.
Otherwise there is no answer. The gold answer is never searched for in the response.

    python reward.py "RESPONSE" "GOLD"         explains one case in words
    python reward.py --file cases.jsonl        grades {"gold", "response", "question"?, "expected"?}
"""

import argparse
import collections
import contextlib
import json
import math
import os
import re
import runpy
import sys
import time
import traceback
from typing import NamedTuple

from answers import MAX_ANSWER, MAX_ITEMS, is_equivalent, parse, show, tokenize
from notation import CHANGING, MATHEMATICAL, words


class Grade(NamedTuple):
    """What became of a response; outcome is one of

    "correct", "wrong"
    "no answer"  nothing was found, answer is None; or it cannot be read, and answer holds it
    "too long"   the answer that was found, not the response: over MAX_ANSWER characters
    """

    correct: bool
    outcome: str
    answer: str | None
    reward: float | None = None  # None: 1 where correct, else 0


def grade(response: str, gold: str, question: str = "") -> Grade:
    r"""Grade one response against the gold answer. Raises nothing, whatever the texts are.

    >>> grade(r"Half of it, so \boxed{\frac12}.", "0.5")
    Grade(correct=True, outcome='correct', answer='\\frac12', reward=None)
    >>> grade("It might be 7, 8 or 9.", "7").outcome
    'no answer'
    """
    answer = extract_answer(response, question)
    if answer is None:
        return Grade(False, "no answer", None)
    if is_equivalent(answer, gold):
        return Grade(True, "correct", answer)
    if (together := boxes_together(response, gold)) and is_equivalent(together, gold):
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
    return penalty * max(0, length - (limit - buffer)) / buffer if buffer > 0 else 0.0


# ---- A reward of one's own -----------------------------------------------------------------------


def load_reward(name: str):
    """The function (response, gold, question="") -> Grade that --reward names; "" is grade itself.

    name: "file.py:function". The function gets these three texts. It returns a number, 1 or more
    for a right answer, or a Grade. Whatever goes wrong in its file ends in an InputError.
    """
    if not name:
        return grade
    file, _, wanted = name.rpartition(":")
    path = os.path.realpath(file)
    with told_in_one_sentence(name, path):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"there is no file {file!r} (file.py:function is needed)")
        sys.path.append(os.path.dirname(path))  # the file may import its neighbours
        if not callable(function := runpy.run_path(path).get(wanted)):
            raise TypeError(f"there is no function {wanted!r} in the file")
    line = getattr(getattr(function, "__code__", None), "co_firstlineno", None)

    def grade_by_it(response: str, gold: str, question: str = "") -> Grade:
        answer = extract_answer(response, question)
        with told_in_one_sentence(name, path, line):
            return as_grade(function(response, gold, question), answer)

    return grade_by_it


@contextlib.contextmanager
def told_in_one_sentence(name: str, path: str, line: int | None = None):
    """Any fault becomes an InputError with the line of the user's file; `line` if it has none."""
    try:
        yield
    except (Exception, SystemExit) as error:
        from options import InputError  # not above: with it comes torch, which no grade needs

        for frame, at in traceback.walk_tb(error.__traceback__):
            line = at if frame.f_code.co_filename == path else line
        where = f"{os.path.basename(path)}, line {line}: " if line else ""
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"--reward {name}: {where}{said}") from error


def as_grade(result, answer: str | None) -> Grade:
    """What a function of one's own returned, a number or a Grade, as a Grade.

    >>> as_grade(0.5, "7")
    Grade(correct=False, outcome='wrong', answer='7', reward=0.5)
    """
    reward = result.reward if (is_grade := isinstance(result, Grade)) else result
    is_number = isinstance(reward, int | float) and math.isfinite(reward)
    is_whole = is_grade and all(map(isinstance, result[:3], (bool, str, str | None)))
    if is_whole and (is_number or reward is None):
        return result
    if is_grade or not is_number:
        raise TypeError(f"it returned {result!r:.80}, neither a finite number nor a Grade")
    outcome = "correct" if reward >= 1 else "no answer" if answer is None else "wrong"
    return Grade(reward >= 1, outcome, answer and answer[:MAX_ANSWER], float(reward))


# ---- Extraction: response -> text ----------------------------------------------------------------

# fmt: off
MAX_RESPONSE = 100_000  # characters read, from the end of the response
TURNS = (  # how the sign of a turn begins; what follows one was written by somebody else
    "<|im_", "<|end", "<|eo", "<|start", "<|user|>", "<|human|>", "<|system|>", "<|assistant|>",
    "<|return|>", "<|call|>", "<|END_OF_TURN", "<|START_OF_TURN", "<|turn>", "<turn|>", "<eos>",
    "<start_of_turn>", "<end_of_turn>", "<｜end", "<｜begin", "<｜User", "<｜Assistant", "</s>",
    "[INST]", "[/INST]", "### Instruction", "\nUser:", "\nHuman:")
OPENING = re.compile(r"""(?x)(?: \s* (?:  # of the assistant's own turn
    <\|?(?:im_start|start_header_id|start_of_turn|start|turn)\|?>(?:assistant|model) | \[/INST\]
  | <[|｜](?:[Aa]ssistant|end_header_id|begin[_▁]of[_▁](?:text|sentence))[|｜]> ) ){0,3}""")
THOUGHT = re.compile(r"""(?x)  # a tag, with a group if it closes; all channels but the final open
    (?=[<\[◁][|/]{0,2}(?i:th|re|be|st|se|en|ch)) (?: \[(/)?THINK\] | [<◁] \|? (?i:
      (/\|?|end_(?:of_)?)? (?:begin_(?:of_)?|start_(?:of_)?|seed:)?
      (?:think|thought|reason)\w{0,20} ) \|? [>▷] | <\|channel>[a-z]{0,20} | (<channel\|>)
  | (?:<\|end\|>\s{0,3}<\|start\|>assistant)? <\|channel\|> (final)? [^<]{0,60}
      (?:<\|constrain\|>[^<]{0,20})? <\|message\|> )""")
SILENT = re.compile(r"<[|｜]\w\w[\w.:▁-]{0,40}[|｜]>|<(?:s|pad|unk|bos|unused\d{1,4})>|\[PAD\]")

# A box with its brace if it has one, an escaped character, or a brace.
BRACE = re.compile(r"\\{1,3}(?:boxed|fbox)(?![A-Za-z])\s{0,3}\{?|\\.|[{}]", re.DOTALL)
DIGITS = re.compile(r"[+-]?[0-9][0-9.,/]{0,50}%?")  # \boxed 7
SPACING = re.compile(r"[\s${}]|\\(?:[()\[\] ,;]|text|q?quad)")  # around the "and" of two boxes
JOINTS = (",", ";", "and", "or", ",and", ",or")
Box = collections.namedtuple("Box", "start end content")  # what it holds, where all of it stands

# How an answer is stated: outranking a box, without a box, and in the last line.
FINAL = re.compile(r"""(?imx)
    \bfinal[ ]answer\W{0,6} (?: [:：﹕∶](?![^\n]{0,60}\b(?:above|box))    # "is an integer" is none
      | is\b(?=[^\n.]{0,25}[0-9\\] | \W{0,3}[*$] | \W{1,4}(?-i:[A-J])\b) )
  | ^\W{0,4}final[ ]answer\W{0,4}$ | ^\W{0,4}answer\W{0,3}[:：﹕∶](?=[^\n]{0,300}\Z)""")
STATED = re.compile(r"""(?imx)
    \#{4}(?![ ]*final) | <answer> | ^A:[ ](?=[^\n]*\Z)           # GSM8K, a tag, in the last line
  | \b(?:answers?|ans|option|choice|final[ ]result)\b [*_}\]]{0,3}
    (?:[ ]to[ ](?:the|this)[ ][a-z]{1,20})? \s{0,3}              # the answer to this question is
    (?:is\b | are\b | equals\b | (?:should|would|must)[ ]be\b | [=:：﹕∶])
  | ^[^\w<]{0,4}(?:\\text[a-z]{0,4}\{)?(?:final[ ])?answer       # a heading, or a label
    (?: \W{0,3}$ | \s{1,3}(?=\$|\\[(\[]) | [*_}\]]{1,3}\s{1,3}(?=[0-9$\\+-]) )""")
CHINESE = re.compile(r"((?:最[终后]的?)?)答案(?:】[:：]?|[*_]{0,3}\s?(?:应该?)?(?:[是为][:：]?|[:：]))")
CONCLUDED = re.compile(r"""(?ix)\b(?:
    we[ ](?:find|get|obtain|conclude)[ ]that | I[ ]think[ ]it's | therefore,?[ ]there[ ](?:is|are)
  | (?:so|thus|hence|therefore)\b[^.$]{0,80}[ ](?:is|are) )[ ]""")
STATED_START = re.compile(r"""(?ix)  # what stands before the answer: fillers, "the largest n is"
    (?: [\s*_:$`}\]] | \\[(\[] | (?:clearly|simply|indeed|therefore|thus|that|just|exactly
      | approximately|about|equal[ ]to|option|choice)\b ){0,20}
    (?: [a-z]{2} (?: (?!\b(?:not|no|never|if|when|where|whether|that|or)\b|n't) [^0-9,;:\n] ){1,80}?
      \s(?:is|are|be|was|equals|has|have|needs?|makes?|costs?|takes?|earns?)
      \s(?=[0-9$\\+-]) [$]? )?""")
STATED_END = re.compile(r"""(?x)  # the end of the sentence, or of what it states
    \n | </(?i:answer)> | [。！？] | ，(?:不是|因为|所以|即|故) | (?<=[$*])! | !(?=\s[A-Z][a-z])
  | [.?](?=[\s$*"')]|\\[)\]]|[^\x00-\x7f]|$) | \sand[ ](?=(?:we|this|so|thus|hence|is|are|not)\b)
  | (?: [,;] | \s[(–-] | \s?— | (?P<bare>\s) )\s? (?: because | since | which | where | that | as
      | for[ ]all | in[ ](?:total|all) | when[ ]rounded
      | (?(bare)(?!)) (?:so|hence|thus|therefore|meaning|giving|making|not|i\.e) )\b""")
HEDGES = CHANGING | MATHEMATICAL | words(
    "or possibly probably either unless except depending assuming though rather other others also")
REMARK = re.compile(rf"""(?ix)  # a number, and words behind it that offer no other answer
    ^( [\\$(+-]{{0,3}}[0-9] (?: [^,;:!(—–\n] | ,(?=[0-9]) ){{0,80}}? ) [$*]{{0,3}}
    (?: [,;:!]\s | \s?[—–] | \s-{{1,3}}\s | \s\( )
    (?!.*\b(?:{"|".join(sorted(HEDGES))}|[b-z])\b) [^0-9\\$=]{{2,200}}\Z""")
DOUBT = re.compile(r"""(?ix)  # after it: what is asked, or taken back, is not stated
    [^\n.?!。]{0,200}[?？] | [.!;,\s]{0,3}(?: no[,:.] | (?:or|wait|actually|perhaps|maybe)\b )""")
ECHO = re.compile(r"""(?ix)  # an instruction; what was stated before it is quoted as it is
    (?<!I[ ]) (?<!have[ ]) (?<!be[ ]) \b(?:put|write|give|provide|enter|place|present|state|express
      |return|output|report|box)\b [^.\n]{0,60} (?: \\boxed(?!\s?\{\s?[^\s}])
      | \byour\b[^.\n]{0,30}\b(?:answer|result|solution|response) )
  | 请[^。\n]{0,60}(?:\\boxed|答案)""")
LABEL = re.compile(r"(?i)^(\\text[a-z]{0,4}\s?\{)?\s?(?:final )?answer\s?(?:is\b|[=:：])")
FRILLS = "*$_` \t∎" + "".join(map(chr, [*range(0x2500, 0x27C0), 0xFE0F, *range(0x1F300, 0x1FB00)]))
BARE = re.compile(r"""(?x)  # a whole response that is an answer: a choice, or mathematics without
    \(?[A-J]\)? | (?=.{0,80}[0-9\\]) (?!.{0,80}[0-9]\s?=)                # words, not the sum 1+1=2
    (?: [^\nA-Za-z\\一-鿿] | \\(?!f?box)(?:[A-Za-z]+|[^A-Za-z\n]) | \b[A-Za-z](?![A-Za-z]) ){1,80}""")
# fmt: on


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
    if boxes:
        if answer := last_stated(after, FINAL):
            return "a final answer stated after the last box", answer
        return "the last box", LABEL.sub(r"\1", join_boxes(text, boxes))
    if answer := last_stated(text, STATED):
        return "the last stated answer", answer
    last_line = text.rpartition("\n")[2][-300:]
    if last_line.endswith(tuple(".!$*)]")) and (answer := last_stated(last_line, CONCLUDED)):
        return "the conclusion", answer
    return "the whole response", whole_answer(text)


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
    text = text.rpartition("</think>")[2].partition("<think>")[0]
    return SILENT.sub("", text[-MAX_RESPONSE:]).strip()


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


def find_boxes(text: str) -> list[Box]:
    r"""All closed boxes that hold something. One pass with a stack: linear in any nest of braces.

    >>> find_boxes(r"\boxed{3}, \boxed{}, \fbox{4")
    [Box(start=0, end=9, content='3')]
    """
    boxes, stack = [], []  # of the open braces: the match of a box, None for any other
    for match in BRACE.finditer(text):
        token = match[0]
        if token == "}":
            opening = stack.pop() if stack else None
            if opening and (content := text[opening.end() : match.start()].strip()):
                boxes.append(Box(opening.start(), match.end(), content))
        elif token.endswith("{") and token != r"\{":
            stack.append(match if "box" in token else None)
        elif "box" in token and (bare := DIGITS.match(text, match.end())):
            boxes.append(Box(match.start(), bare.end(), bare[0]))
    return boxes


def join_boxes(text: str, boxes: list[Box]) -> str:
    """The last box, with those before it that a comma, "and" or "or" joins to it."""
    joined = boxes[-1:]
    for box in reversed(boxes[-MAX_ITEMS:-1]):
        if SPACING.sub("", text[box.end : joined[0].start][:60]) not in JOINTS:
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


def last_stated(text: str, pattern: re.Pattern) -> str | None:
    """What follows the last match of "the answer is", up to the end of its sentence."""
    start = max((match.end() for match in pattern.finditer(text)), default=None)
    if start is None or ECHO.search(text, start, start + 1000):
        return None
    start = STATED_START.match(text, start).end()
    end = STATED_END.search(text, start, start + 2 * MAX_ANSWER)
    if end and DOUBT.match(text, end.start()):
        return None
    answer = text[start : end.start() if end else start + 2 * MAX_ANSWER].strip(FRILLS)
    answer = re.sub(r"(?<=\S)\*\*(?=\s)|(?<=\s)\*\*(?=\S)|`", "", answer)  # emphasis
    answer = REMARK.sub(r"\1", answer).removesuffix(r"\)")
    answer = answer.removesuffix("}" if answer.count("}") > answer.count("{") else "")
    return LABEL.sub("", answer).strip(FRILLS).rstrip("\\ ") or None


def whole_answer(text: str) -> str | None:
    """The text itself, if it is nothing but one formula, one bold text or one choice."""
    text = text.rstrip(FRILLS[2:])
    inner = text.strip("$* ")
    is_framed = text[:1] in ("$", "*") and text[-1:] in ("$", "*")
    is_answer = (is_framed and not re.search(r"[$\n]", inner)) or BARE.fullmatch(inner)
    return inner if inner and is_answer and "**" not in inner else None


# ---- The tool: one case in words, or a file of cases ---------------------------------------------


def explain(response: str, gold: str, question: str = "") -> str:
    """What was extracted, how each side was read, and why they are equal or not."""
    if (result := grade(response, gold, question)).answer is None:
        return "no answer: no closed box, no stated answer, and the response is no bare answer"
    left, right = parse(result.answer), parse(gold)
    if result.correct:
        is_same = None in (left, right) or tokenize(result.answer) == tokenize(gold)
        why = f"the same {'tokens' if is_same else 'value'}"
    elif None in (left, right):
        why = "beyond the limits of what is computed, and other tokens"
    elif left[0] != right[0]:  # a value begins with its kind
        why = f"a {left[0]} is not a {right[0]}"
    else:
        why = f"these are different {left[0]}s"
    found = f"extracted  {result.answer!r}: {find_answer(response, question)[0]}"
    return f"{found}\nread as    {show(left)}\ngold       {show(right)}\n{result.outcome}: {why}"


def grade_file(path: str, list_wrong: bool) -> None:
    """Grade a .jsonl file; print agreement and errors, by kind as well, and the slowest cases."""
    from tqdm import tqdm

    with open(path, encoding="utf-8") as file:
        cases = [json.loads(line) for line in file if line.strip()]
    tally, times, outcomes = collections.Counter(), [], collections.Counter()
    for case in tqdm(cases, desc="grading", unit="case"):
        texts = case["response"], case["gold"], case.get("question", "")
        began = time.perf_counter()
        result = grade(*texts)
        times.append((time.perf_counter() - began, case["gold"], result.answer))
        outcomes[result.outcome] += 1
        expected = case.get("expected")
        if isinstance(expected, bool):
            for kind in {"all", case.get("kind", "all")}:
                tally[kind, expected, result.correct] += 1
        if list_wrong and isinstance(expected, bool) and expected != result.correct:
            print(f"expected {expected}\n{explain(*texts)}\n")
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    print(f"\n{'kind':24}  cases    agree  wrong called right  right called wrong")
    for kind in sorted({kind for kind, _, _ in tally}, key=lambda kind: (kind != "all", kind)):
        right = [tally[kind, True, said] for said in (True, False)]  # called right, called wrong
        wrong = [tally[kind, False, said] for said in (True, False)]
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
    fields = '{"gold", "response", "question"?, "expected"?, "kind"?}'
    parser.add_argument("--file", help=f"a .jsonl file of {fields}")
    parser.add_argument("--show", choices=["wrong"], help="with --file: explain the disagreements")
    options = parser.parse_args()
    if bool(options.file) == (options.gold is not None):
        parser.error('give "RESPONSE" "GOLD", or --file cases.jsonl')
    try:
        if options.gold is not None:
            print(explain(options.response, options.gold))
        else:
            grade_file(options.file, options.show == "wrong")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        parser.exit(2, f"reward.py: --file {options.file} cannot be read: {error.strerror}.\n")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        needed = "it needs a JSON object a line with the texts gold and response"
        parser.exit(2, f"reward.py: --file {options.file}: {needed} ({error!r}).\n")


if __name__ == "__main__":
    main()
