"""Acc@n, Maj@n, Pass@k of a model on question sets.

n rollouts are sampled for each question; c of them are right. Of one question,

    Acc@n  = c / n
    Maj@n  = 1 if the answer most rollouts agree on is right, else 0       self-consistency, arXiv 2203.11171
    Pass@k = 1 - C(n-c, k) / C(n, k)                                       arXiv 2107.03374

and a set's value is the mean over its questions. Pass@k is the chance that k rollouts drawn from the n
without putting any back hold a right one, an unbiased estimate of solving a question in k tries; the
first k of the n would give a noisier one. Two rollouts agree where their answers are equivalent ("1/2"
and "0.5"), not only where they are the same text. n = 8, temperature 0.6 and top-p 0.95 as in arXiv
2508.02260; entropy is over the whole vocabulary, before top-p, at the sampling temperature.

Ours: a tied vote counts as the share of the tied answers that are right; 95 % intervals are percentiles
of a bootstrap over questions, so they tell what another draw of such questions might give, and below
some 30 questions they are too narrow; two models are compared by their difference on each question,
which is far less noisy than the difference of two means.
"""

import contextlib
import json
import math
import re
import sys
from collections import Counter
from pathlib import Path
from statistics import fmean

import torch
from tqdm import tqdm

from answers import is_equivalent
from entropy import AT_TEMPERATURE_1, per_rollout, score_batch
from options import (
    EvalOptions,
    InputError,
    choose_autocast,
    choose_device,
    parse_eval,
    quiet_libraries,
    ways_of_asking,
)
from policy import encode_prompt, load_policy, short_enough
from record import write_text
from reward import grade, load_reward
from rollout import Sampling, grade_rollouts, sample

EVALS = Path(__file__).parent / "evals"
SHOWN = 10  # questions listed on screen; the file holds all


# ------------------------------------------------------------------------- of one question


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k of n rollouts, c of them right, hold a right one: 1 - C(n-c, k) / C(n, k).

    Unbiased for the chance of solving the question in k independent tries (arXiv 2107.03374, eq. 1).
    Raises ValueError unless 0 <= c <= n and 1 <= k <= n.

    >>> pass_at_k(n=4, c=1, k=2)
    0.5
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"Pass@{k} cannot be estimated from {c} right of {n} rollouts")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def majority(answers: list[str | None], correct: list[bool]) -> float:
    r"""Maj@n of one question from the answers of its n rollouts, and whether each is right.

    Votes for equivalent answers go together; None, no answer, has no vote. A tie counts as the share
    of the tied answers that are right, what breaking it at random gives on average (ours); where
    nobody votes, 0.

    >>> majority(["7", "1/2", "7", r"\frac12", "0.5", None], [False, True, False, True, True, False])
    1.0
    """
    right = dict(zip(answers, correct, strict=True))
    groups = {}  # votes by the first answer of each group
    # Same texts are counted first, so that only different ones are compared, each with the leaders
    # of the groups; the most frequent text leads, since equivalence is not transitive (50, 50%, 1/2).
    for answer, votes in Counter(a for a in answers if a is not None).most_common():
        leader = next((other for other in groups if is_equivalent(answer, other)), answer)
        groups[leader] = groups.get(leader, 0) + votes
    tied = [right[leader] for leader, votes in groups.items() if votes == max(groups.values())]
    return fmean(tied) if tied else 0.0


# ---------------------------------------------------------------------- of a set of questions


def evaluate(
    policy,
    questions,
    sampling,
    seed,
    grade=grade,
    scoring=AT_TEMPERATURE_1,
    autocast=None,
    max_prompt_length=None,
    description="evaluate",
) -> list[dict]:
    """Sample n rollouts of each question, grade and score them. One record a question, in order:

        question, gold                            text
        answers    n texts, None = none found     outcomes   n of the outcomes of reward.Grade
        correct    n of 0 and 1                   texts      n responses
        entropy    n means over the tokens, nats  branching  n means over the tokens
        lengths    n counts of tokens             truncated  n bools

    sampling: a Sampling, n its group_size. Temperature 0 is greedy, which makes the n rollouts one and
    the same. grade: (response, gold, question) -> Grade. scoring: how much at a time; the entropy is at
    the temperature of the sampling, or at 1 where that is 0. Every token of every question is drawn from
    one stream seeded with `seed` (one seed a question would correlate their errors), and the caller's
    random state is left as it was; another batch_size or round_length draws other tokens. autocast: a
    context opened around the model's work.

    Questions with prompts of more than max_prompt_length tokens are left out, and counted on stderr.
    Raises InputError where that leaves none, and where logits are not finite.
    """
    if max_prompt_length is not None:
        questions = short_enough(policy, questions, max_prompt_length)
    n, scoring = sampling.group_size, scoring._replace(temperature=sampling.temperature or 1.0)
    records, step = [], max(1, sampling.batch_size // n)  # in whole questions where n allows
    every_gpu = range(torch.cuda.device_count()) or None  # manual_seed below seeds them all
    with (
        torch.random.fork_rng(every_gpu),
        tqdm(total=len(questions), desc=description, unit="question", leave=False) as bar,
    ):
        torch.manual_seed(seed)
        for start in range(0, len(questions), step):
            batch = questions[start : start + step]
            prompts = [encode_prompt(policy, question.text) for question in batch]
            with autocast or contextlib.nullcontext():
                rollouts = sample(policy, prompts, sampling)
                scores = score_batch(policy.model, rollouts, scoring)
            grades = grade_rollouts(policy, batch, rollouts, grade)
            records += records_of(batch, rollouts, grades, scores)
            bar.set_postfix(acc=f"{fmean(fmean(record['correct']) for record in records):.3f}")
            bar.update(len(batch))
    return records


def records_of(questions, rollouts, grades, scores) -> list[dict]:
    """The records of `evaluate` for one batch, whose rows i n ... i n + n - 1 answer question i."""
    entropy = per_rollout(scores.entropy, rollouts.response_mask)
    if not entropy.isfinite().all():  # sampling would have failed, but greedy takes any logits
        raise InputError("--model: its logits are not finite, so its answers mean nothing")
    per_row = {
        "answers": [g.answer for g in grades],
        "outcomes": [g.outcome for g in grades],
        "correct": [int(g.correct) for g in grades],
        "texts": rollouts.texts,
        "entropy": entropy.tolist(),
        "branching": per_rollout(scores.branching, rollouts.response_mask).tolist(),
        "lengths": rollouts.response_lengths.tolist(),
        "truncated": rollouts.truncated.tolist(),
    }
    records, n = [], len(grades) // len(questions)
    for i, question in enumerate(questions):
        rows = {name: values[i * n : (i + 1) * n] for name, values in per_row.items()}
        records.append({"question": question.text, "gold": question.gold} | rows)
    return records


def summarize(records: list[dict]) -> dict:
    """What the records of a set come to, ready for JSON.

    questions, samples (n of each), right (right rollouts of each question), unsolved (questions without
    one), and as {"mean", "low", "high"} over questions: acc, maj, pass {"1": ..., "n": ...}, entropy (nats), branching, length
    (tokens), truncated_rate, no_answer_rate. See `evaluate` for the records, all of one n >= 1.
    """
    n = len(records[0]["correct"])
    per_question = {
        "acc": [fmean(record["correct"]) for record in records],
        "maj": [majority(record["answers"], record["correct"]) for record in records],
        "entropy": [fmean(record["entropy"]) for record in records],
        "branching": [fmean(record["branching"]) for record in records],
        "length": [fmean(record["lengths"]) for record in records],
        "truncated_rate": [fmean(record["truncated"]) for record in records],
        "no_answer_rate": [record["outcomes"].count("no answer") / n for record in records],
    }
    passed = {
        str(k): [pass_at_k(n, sum(record["correct"]), k) for record in records]
        for k in range(1, n + 1)
    }
    return {
        "questions": len(records),
        "samples": n,
        "right": [sum(record["correct"]) for record in records],
        "unsolved": sum(not any(record["correct"]) for record in records),
        **{name: estimate(values) for name, values in per_question.items()},
        "pass": {k: estimate(values) for k, values in passed.items()},
    }


def estimate(values: list[float]) -> dict:
    """The mean of one value a question and its interval; of a single question, the mean as both ends."""
    mean, counts = fmean(values), torch.ones(len(values))
    _, low, high = bootstrap(ratio, torch.tensor(values, dtype=torch.double), counts)
    if len(values) == 1:
        low = high = mean
    return {"mean": mean, "low": low, "high": high}


def bootstrap(statistic, *sums, draws=1000, seed=0) -> tuple[float, float, float]:
    """(value, low, high) of a statistic of sums over units, and its 95 % percentile interval.

    sums: (units,) each, one entry a question or a step. As many units are drawn with replacement,
    `draws` times, from a generator of its own, and statistic turns the totals, (1 + draws,) each, into
    as many values. NaN where fewer than two units count, or where half of the draws have no value.

    >>> value, low, high = bootstrap(ratio, torch.tensor([0.0, 1.0] * 50), torch.ones(100))
    >>> f"{value:.2f} [{low:.1f}, {high:.1f}]"
    '0.50 [0.4, 0.6]'
    """
    table = torch.stack([column.double() for column in sums], 1)
    table = table[(table != 0).any(1)]  # units that count in none of the sums
    weights = torch.zeros(1 + draws, len(table), dtype=torch.double)
    weights[0] = 1
    if len(table):
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randint(len(table), (draws, len(table)), generator=generator)
        weights[1:].scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.double))
    values = statistic(*(weights @ table).T)
    known = values[1:][values[1:].isfinite()]
    if len(table) < 2 or len(known) < draws / 2:
        return values[0].item(), math.nan, math.nan
    return values[0].item(), *middle_95(known)


def ratio(a, b):
    """A mean, from a sum and a count."""
    return a / b


def middle_95(values) -> list[float]:
    """[low, high] of the middle 95 % of some values."""
    ends = torch.tensor([0.025, 0.975], dtype=torch.double)
    return torch.as_tensor(values, dtype=torch.double).quantile(ends).tolist()


def paired(records_a: list[dict], records_b: list[dict]) -> tuple[list[dict], list[dict]]:
    """Those records of two models that are about the same questions, row by row.

    A question may be missing from one of them because its prompt was too long. Raises InputError where
    none is left, or where they are not in the same order.
    """
    both = {r["question"] for r in records_a} & {r["question"] for r in records_b}
    a, b = ([r for r in records if r["question"] in both] for records in (records_a, records_b))
    if not both or [r["question"] for r in a] != [r["question"] for r in b]:
        raise InputError("the two evaluations are not of the same questions in the same order")
    return a, b


def compare(records_a: list[dict], records_b: list[dict]) -> dict:
    """What b does better (positive) or worse than a on the questions they share, ready for JSON.

    questions, samples, and as {"mean", "low", "high", "resolved"}: acc, maj and pass (at k = samples,
    the smaller n), each the mean over questions of b's value less a's, with its paired bootstrap
    interval; resolved tells that the interval excludes 0. only_a, only_b: the texts of the questions
    that have a right rollout from one of them alone. Raises InputError; see `paired`.
    """
    a, b = paired(records_a, records_b)
    k = min(len(a[0]["correct"]), len(b[0]["correct"]))
    measures = {
        "acc": lambda record: fmean(record["correct"]),
        "maj": lambda record: majority(record["answers"], record["correct"]),
        "pass": lambda record: pass_at_k(len(record["correct"]), sum(record["correct"]), k),
    }
    result = {"questions": len(a), "samples": k}
    for name, measure in measures.items():
        found = estimate([measure(y) - measure(x) for x, y in zip(a, b, strict=True)])
        result[name] = found | {"resolved": found["low"] > 0 or found["high"] < 0}
    for name, these, others in (("only_a", a, b), ("only_b", b, a)):
        result[name] = [
            this["question"]
            for this, other in zip(these, others, strict=True)
            if any(this["correct"]) and not any(other["correct"])
        ]
    return result


def table(summaries: dict[str, dict]) -> str:
    """Summaries side by side as plain text: {column: what `summarize` gave} -> aligned lines.

    A cell is the mean and its 95 % interval, `0.423 [0.39, 0.46]`.
    """
    n = "/".join(dict.fromkeys(str(summary["samples"]) for summary in summaries.values()))
    lines = [["", *summaries]]
    for label, name, digits in (
        (f"Acc@{n}", "acc", 3),
        (f"Maj@{n}", "maj", 3),
        (f"Pass@{n}", "pass", 3),
        ("entropy (nats)", "entropy", 3),
        ("length (tokens)", "length", 1),
        ("no answer", "no_answer_rate", 3),
        ("truncated", "truncated_rate", 3),
    ):
        cells = []
        for summary in summaries.values():
            value = summary[name][str(summary["samples"])] if name == "pass" else summary[name]
            low, high = (f"{value[end]:.{digits - 1}f}" for end in ("low", "high"))
            cells.append(f"{value['mean']:.{digits}f} [{low}, {high}]")
        lines.append([label, *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


# ----------------------------------------------------------------------------- the program


def output_path(options: EvalOptions) -> Path:
    """Where the records go, in a folder that is there. Raises InputError and OSError."""
    parts = [options.model, options.compare, options.data]
    plain = [re.sub(r"[^A-Za-z0-9._-]+", "-", part).strip("-.")[-60:] for part in parts if part]
    path = Path(options.output or EVALS / f"{'-'.join(plain)}.jsonl").expanduser()
    if path.is_dir():
        raise InputError(f"--output {path} is a folder: name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    trial = path.with_name(f"{path.name}.unfinished")
    trial.touch()  # a folder that cannot be written in shows now, not after an hour
    trial.unlink()
    return path


def write_lines(path: Path, records: dict) -> None:
    """All records so far, a JSON object a line; on disk the file is always a whole one."""
    every = (record for found in records.values() for record in found)
    write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in every))


def run(options: EvalOptions) -> None:
    """Ask the models the questions, print what came of it, and write the records."""
    import toy  # here, because it is slow to import

    path = output_path(options)
    device, grade = choose_device(options.device), load_reward(options.reward)
    sets = {}
    for name in dict.fromkeys(part.strip() for part in options.data.split(",")):
        columns = (options.question_column, options.answer_column)
        sets[name] = toy.find_questions(name, False, *columns)[: options.limit or None]
    # Both models are loaded before either is asked: a wrong name shows now, not after an hour.
    policies = {}
    for model in filter(None, (options.model, options.compare)):
        name = toy.find_model(model)
        policies[model] = load_policy(name, "cpu", **ways_of_asking(vars(options)))
    sampling = Sampling(
        group_size=options.n,
        max_response_length=options.max_response_length,
        temperature=options.temperature,
        top_p=options.top_p,
        batch_size=options.batch_size,
    )

    records = {}
    for model, policy in policies.items():
        policy.model.to(device)
        for name, questions in sets.items():
            found = evaluate(
                policy,
                questions,
                sampling,
                options.seed,
                grade,
                autocast=choose_autocast(options.precision, device),
                max_prompt_length=options.max_prompt_length,
                description=f"{name} ({model})",
            )
            records[model, name] = [{"model": model, "set": name} | record for record in found]
            write_lines(path, records)
        policy.model.to("cpu")  # which leaves its room to the next one

    print("mean over questions [95 % interval]")
    if options.compare:
        print_comparison(options, list(sets), records)
        write_lines(path, records)  # now with only_here
    else:
        print(f"\n{report({name: summarize(records[options.model, name]) for name in sets})}")
    print(f"\nall rollouts: {path}")


def print_comparison(options: EvalOptions, sets: list[str], records: dict) -> None:
    """Both models on each set, and which questions one alone solves: into its records as only_here."""
    label_a, label_b = options.model, options.compare
    if Path(label_a).name != Path(label_b).name:  # step_300 says as much as its whole path
        label_a, label_b = Path(label_a).name, Path(label_b).name
    for name in sets:
        a, b = paired(records[options.model, name], records[options.compare, name])
        print(f"\n{name}\n\n{report({label_a: summarize(a), label_b: summarize(b)})}")
        print(f"\n{report_comparison(label_a, label_b, compare(a, b))}")
        for x, y in zip(a, b, strict=True):
            for record, other in ((x, y), (y, x)):
                record["only_here"] = any(record["correct"]) and not any(other["correct"])


def report(summaries: dict[str, dict]) -> str:
    """The table, and below it a line for each of its columns with Pass@k and what was never solved."""
    lines = [table(summaries), ""]
    for name, summary in summaries.items():
        n = summary["samples"]
        some = sorted({2**i for i in range(n.bit_length())} | {n})
        curve = "  ".join(f"Pass@{k} {summary['pass'][str(k)]['mean']:.3f}" for k in some)
        unsolved = f"{summary['unsolved']} of {summary['questions']} questions unsolved"
        lines.append(f"{name}:  {curve}  {unsolved}")
    return "\n".join(lines)


def report_comparison(model_a: str, model_b: str, comparison: dict) -> str:
    """The paired differences, and the first of the questions that only one of two models solves."""
    lines = [f"{model_b} less {model_a}, on the same {comparison['questions']} questions"]
    for label, name in (("Acc", "acc"), ("Maj", "maj"), ("Pass", "pass")):
        found = comparison[name]
        interval = f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
        verdict = "resolved" if found["resolved"] else "not resolved"
        lines.append(f"{label}@{comparison['samples']}".ljust(9) + f"{interval}  {verdict}")
    for model, questions in ((model_a, comparison["only_a"]), (model_b, comparison["only_b"])):
        lines.append(f"solved only by {model}: {len(questions)}")
        lines += [f"    {' '.join(question.split())[:90]}" for question in questions[:SHOWN]]
        if len(questions) > SHOWN:
            lines.append(f"    ... and {len(questions) - SHOWN} more, only_here in the file")
    return "\n".join(lines)


def main() -> None:
    """Run, and end every foreseeable failure in one sentence and status 2."""
    quiet_libraries()
    try:
        run(parse_eval(sys.argv[1:]))
    except (InputError, OSError) as error:
        print(f"eval.py: {error}", file=sys.stderr)
        sys.exit(2)
    except torch.cuda.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        print(f"eval.py: {reason} Lower --batch_size or --max_response_length.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
