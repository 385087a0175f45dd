r"""Is this answer right? The verifiable reward.

A rollout earns 1 if its final answer is the gold answer, however either is spelled, else 0; less
the overlong penalty, which is off by default. Both answers are text and never run: this file finds
the one, answers.py compares them.

    response -> find_answer -> is_equivalent(answer, gold) -> Grade

What follows the first sign of another dialogue turn is not the model's answer, nor is what stands
before the last `</think>` or in a thought left open. In the rest the first rule that finds
something decides:
  1. the last closed, non-empty \boxed{...} or \fbox{...}, unless "the final answer is ..." follows;
     boxes joined by a comma, "and" or "or" are one answer, so that guessing earns nothing; where
     the gold answer is a list of k, the last k boxes together are tried as well;
  2. the last stated answer: "the answer is ...", "Answer: ...", "#### ...", or in the last line
     "A: ...", "we find that ...";
  3. a response that as a whole is one line of mathematics without words, or one **bold** text.
Otherwise there is no answer. The gold answer is never searched for in the response.

    python reward.py "RESPONSE" "GOLD"         explains one case in words
    python reward.py --file cases.jsonl        grades {"gold", "response", "expected"?} a line
"""

import argparse
import collections
import importlib.util
import json
import math
import numbers
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from answers import MAX_ANSWER, MAX_ITEMS, is_equivalent, parse, show, tokenize

MAX_RESPONSE = 100_000  # characters read, from the end of the response


class Grade(NamedTuple):
    """What became of a response; outcome is one of

    "correct", "wrong"
    "no answer"  nothing was found, answer is None; or it cannot be read, and answer holds it
    "too long"   the answer that was found, not the response: over MAX_ANSWER characters

    reward is None where it follows from that: 1 where correct, else 0.
    """

    correct: bool
    outcome: str
    answer: str | None
    reward: float | None = None


def grade(response: str, gold: str, question: str = "") -> Grade:
    r"""Grade one response against the gold answer. Raises nothing, whatever the texts are.

    question: its text, of which only the language matters.

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


# ---- A reward of one's own -----------------------------------------------------------------------


def load_reward(name: str) -> Callable[[str, str, str], Grade]:
    """The function (response, gold, question="") -> Grade that --reward names; "" is grade itself.

    name: "file.py:function". The function gets the same three texts and returns a number, 1 or more
    for a right answer, or a Grade. All that goes wrong in it ends in one sentence, an InputError.
    """
    if not name:
        return grade
    file, _, wanted = name.rpartition(":")
    if not file or not wanted:
        raise fault(name, "it is to be file.py:function")
    spec = importlib.util.spec_from_file_location("reward_of_ones_own", file)
    if spec is None or not Path(file).is_file():
        raise fault(name, "there is no such Python file")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(file).resolve().parent))  # the file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise fault(name, f"{type(error).__name__}: {error}", line_of(error, file)) from error
    finally:
        sys.path.pop(0)
    function = getattr(module, wanted, None)
    if not callable(function):
        raise fault(name, f"there is no function {wanted} in {Path(file).name}")

    def grade_by_it(response: str, gold: str, question: str = "") -> Grade:
        try:
            result = function(response, gold, question)
        except (Exception, SystemExit) as error:
            raise fault(name, f"{type(error).__name__}: {error}", line_of(error, file)) from error
        answer = extract_answer(response, question)
        if (graded := as_grade(result, answer)) is None:
            line = getattr(getattr(function, "__code__", None), "co_firstlineno", None)
            said = f"{wanted} returned {result!r:.60}, neither a finite number nor a Grade"
            raise fault(name, said, line)
        return graded

    return grade_by_it


def as_grade(result, answer: str | None) -> Grade | None:
    """What a function of one's own returned as a Grade; None where it is no finite number.

    >>> as_grade(0.5, "7"), as_grade(True, None).outcome, as_grade("1", "7")
    (Grade(correct=False, outcome='wrong', answer='7', reward=0.5), 'correct', None)
    """
    if isinstance(result, Grade):
        types = (bool, str, str | None, numbers.Real | None)
        is_whole = all(map(isinstance, result, types))
        is_finite = result.reward is None or as_grade(result.reward, answer) is not None
        return result if is_whole and is_finite else None
    if not isinstance(result, numbers.Real):
        return None
    try:
        reward = float(result)
    except OverflowError:
        return None
    if not math.isfinite(reward):
        return None
    missed = "no answer" if answer is None else "wrong"
    outcome = "correct" if reward >= 1 else missed
    return Grade(reward >= 1, outcome, answer and answer[:MAX_ANSWER], reward)


def line_of(error: BaseException, file: str) -> int | None:
    """The last line of this file that had a part in the error, if any had."""
    path, line, step = os.path.abspath(file), None, error.__traceback__
    while step:
        if os.path.abspath(step.tb_frame.f_code.co_filename) == path:
            line = step.tb_lineno
        step = step.tb_next
    return error.lineno if line is None and isinstance(error, SyntaxError) else line


def fault(name: str, said: str, line: int | None = None) -> Exception:
    """An InputError about --reward, in one line."""
    from options import InputError  # not above: with it comes torch, which grading does without

    where = f"{Path(name.rpartition(':')[0]).name}, line {line}: " if line else ""
    return InputError(f"--reward {name}: {where}{' '.join(said.split())}")


# ---- Extraction: response -> text ----------------------------------------------------------------

TURNS = (  # of the chat templates in use; what follows one was written by somebody else
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<|user|>"),
    *("<|start_header_id|>", "<start_of_turn>", "<end_of_turn>", "</s>", "[INST]"),
    *("<｜end▁of▁sentence｜>", "<｜User｜>", "### Instruction", "\nUser:", "\nHuman:"),
)
THOUGHTS = ("think", "thinking", "thought", "reasoning")
# A box with its brace if it has one, an escaped character, or a brace.
BRACE = re.compile(r"\\{1,3}(?:boxed|fbox)(?![A-Za-z])\s{0,3}\{?|\\.|[{}]", re.DOTALL)
DIGITS = re.compile(r"[+-]?[0-9][0-9.,/]{0,50}%?")  # \boxed 7
SPACING = re.compile(r"[\s${}]|\\(?:[()\[\] ,;]|text|q?quad)")  # around the "and" of two boxes
JOINTS = (",", ";", "and", "or", ",and", ",or")

# How an answer is stated: outranking a box, without a box, and in the last line.
FINAL = re.compile(r"final answer\W{0,6}(?:is\b|:)", re.IGNORECASE)
STATED = re.compile(
    r"""
    \#{4}(?![ ]*final) | <answer>                                # GSM8K, and a tag
  | \b(?:answers?|ans|option|choice|final[ ]result)\b [*_]{0,3}  # the answer to this question is
    (?:[ ]to[ ](?:the|this)[ ][a-z]{1,20})? \s{0,3}
    (?:is\b | are\b | equals\b | (?:should|would|must)[ ]be\b | = | :)
  | ^A:[ ](?=[^\n]*\Z)                                           # the last line; else a choice
  | ^[^\w<]{0,4}(?:final[ ])?answer (?:\W{0,3}$ | \s{1,3}(?=\$|\\[(\[]))    # a heading
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
CONCLUDED = re.compile(
    r"\b(?:we (?:find|get|obtain|conclude) that|I think it's|therefore,? there (?:is|are)"
    r"|(?:so|thus|hence|therefore)\b[^.$]{0,80} (?:is|are)) ",
    re.IGNORECASE,
)
STATED_START = re.compile(  # what may stand between "is" and the answer
    r"(?:[\s*_:$`]|\\[(\[]|(?:clearly|simply|indeed|therefore|thus|that|just|exactly|approximately"
    r"|about|equal to|option|choice)\b){0,20}"
)
STATED_END = re.compile(
    r"""
    \n | </answer>
  | [.?](?=[\s$*"')]|\\[)\]]|$) | (?<=[$*])!                       # the end of the sentence
  | ,?\s(?:because|since|which|where|that|as|for[ ]all)\b          # another clause
  | ,\sso\b | \sand[ ](?=[a-z]{2})
    """,
    re.VERBOSE,
)
BARE = re.compile(  # a whole response that is an answer
    r"""
    \(?[A-J]\)?                                  # a choice
  | (?=.{0,80}[0-9\\]) (?!.{0,80}[0-9]\s?=)      # mathematics, but not the sum 1+1=2
    (?: [^\nA-Za-z\\]                            # of signs,
      | \\(?!f?box) (?:[A-Za-z]+|[^A-Za-z\n])    # commands
      | \b[A-Za-z](?![A-Za-z])                   # and single letters
    ){1,80}
    """,
    re.VERBOSE,
)


class Box(NamedTuple):
    r"""The content of a \boxed{...}, and where in the text all of it starts and ends."""

    start: int
    end: int
    content: str


def extract_answer(response: str, question: str = "") -> str | None:
    r"""The final answer of a response as text, or None, by the rules of the header.

    >>> extract_answer(r"<think>\boxed{12}?</think> So \boxed{\frac{1}{2}}.<|im_end|> \boxed{3}")
    '\\frac{1}{2}'
    >>> extract_answer("She earns 9 * 2 dollars. The answer is 18. I hope it is correct.")
    '18'
    >>> extract_answer("There are 7 apples left.") is None
    True
    """
    return find_answer(response, question)[1]


def find_answer(response: str, question: str = "") -> tuple[str, str | None]:
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
    is_finished = last_line.endswith((".", "!", "$", "*", ")", "]"))
    if is_finished and (answer := last_stated(last_line, CONCLUDED)):
        return "the conclusion", answer
    return "the whole response", whole_answer(text)


def opened_thought(prompt: str) -> str:
    r"""What the end of a prompt has opened of the assistant's thought, to be put before a response.

    So a thought that was left open is seen as one, and a box in it earns nothing.

    >>> opened_thought("<|im_start|>assistant\n<think>\n")
    '<think>\n'
    >>> opened_thought("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    ''
    """
    tags = "|".join(THOUGHTS)
    opened = re.search(rf"<(?:{tags})>\s*\Z", prompt[-200:])
    return opened[0] if opened else ""


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
    is_framed = text[:1] in ("$", "*") and text[-1:] in ("$", "*")
    is_answer = (is_framed and not re.search(r"[$\n]", inner)) or BARE.fullmatch(inner)
    return inner if inner and is_answer and "**" not in inner else None


# ---- The tool: one case in words, or a file of cases ---------------------------------------------


def explain(response: str, gold: str) -> str:
    """What was extracted, how each side was read, and why they are equal or not."""
    result, right = grade(response, gold), parse(gold)
    if result.answer is None:
        return "no answer: no closed box, no stated answer, and the response is no bare answer"
    left = parse(result.answer)
    if result.correct:
        same_tokens = None in (left, right) or tokenize(result.answer) == tokenize(gold)
        why = "the same tokens" if same_tokens else "the same value"
    elif left is None or right is None:
        why = "beyond the limits of what is computed, and other tokens"
    elif left[0] != right[0]:  # a value begins with its kind
        why = f"a {left[0]} is not a {right[0]}"
    else:
        why = f"these are different {left[0]}s"
    return (
        f"extracted  {result.answer!r}: {find_answer(response)[0]}\n"
        f"read as    {show(left)}\ngold       {show(right)}\n{result.outcome}: {why}"
    )


def grade_file(path: str, list_wrong: bool) -> None:
    """Grade a .jsonl file; print agreement and errors, by kind as well, and the slowest cases."""
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
