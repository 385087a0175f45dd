r"""Is this answer right? The verifiable reward.

A rollout earns 1 if its final answer is the gold answer, however either is spelled, else 0; less
the overlong penalty, which is off by default. With --reward a function of your own says what it
earns. All texts are untrusted and never run.

    response -> extract_answer -> is_equivalent(answer, gold) -> Grade

extraction.py finds the answer: the last box, else what is stated last, never the gold answer somewhere
in the text. answers.py compares it: mathematics, not spelling.

    python reward.py "RESPONSE" "GOLD"         explains one case in words
    python reward.py --file cases.jsonl        grades {"gold", "response", "question"?, "expected"?}
"""

import argparse
import collections
import contextlib
import json
import math
import os
import runpy
import sys
import time
import traceback
from typing import NamedTuple

from answers import is_equivalent, parse, show
from extraction import boxes_together, extract_answer, find_answer
from notation import MAX_ANSWER, tokenize


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

    @property
    def worth(self) -> float:
        """The reward, whether it is named or not."""
        return float(self.correct) if self.reward is None else self.reward


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
