"""The experiment of arXiv 2508.02260 in which a token of high entropy is replaced. I2, T2.

    I2  it costs less accuracy in rollouts of low perplexity
    T2  it costs more accuracy early in a response

`intervene` makes the experiment on the last checkpoint of a run, one question at a time, and
appends what came of it to RUN/report/replaced.jsonl; the findings are made from that file. How the
experiment is made, from the number of continuations to the thirds of a response, is ours.
"""

import itertools
import json
import math
import zlib
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from tqdm import tqdm

from analysis.effects import Effect, Finding, difference
from analysis.figures import bars
from analysis.sampled import NO_ROLLOUTS
from data import Question
from entropy import Scoring, log_perplexity, next_token_logits, response_states, score_batch
from eval import ratio
from options import InputError, choose_autocast, choose_device, ways_of_asking
from policy import encode_prompt, load_policy, opened_by_prompt
from record import Run, checkpoints, read_rollouts, rollout_files, whole_lines
from reward import load_reward
from rollout import Sampling, sample, texts_of

HIGH_ENTROPY = 0.2  # share of a rollout's tokens among which one is replaced
PLACES = ("start", "middle", "end")  # thirds of a response
REPLACED = "replaced.jsonl"

# ------------------------------------------------------------------------------ the experiment


def intervene(run: Run, report: Path, most_questions: int, continuations: int) -> None:
    """Replace tokens of high entropy, let the policy go on, and append what came of it to a file.

    The last checkpoint answers questions of the saved rollouts. Each question is one call of
    `replace_tokens` with a seed of its own; what is in the file already is not asked again.
    Raises InputError where there is no checkpoint or no question.
    """
    config, path = run.config, report / REPLACED
    folders = checkpoints(run.folder)
    if not folders:
        raise InputError(f"--intervene: {run.folder} holds no checkpoint; wait for its first")
    asked = saved_questions(run.folder)[:most_questions]
    if not asked:
        raise InputError(f"--intervene: {run.folder} holds no rollouts; {NO_ROLLOUTS}")
    lines = whole_lines(path)
    path.write_text("".join(lines), encoding="utf-8")  # without what was cut off
    about = {"checkpoint": folders[-1].name, "continuations": continuations}
    done = [json.loads(line) for line in lines]
    done = {line["question"] for line in done if about.items() <= line.items()}
    missing = [question for question in asked if question.text not in done]
    if not missing:
        return
    device = choose_device(config["device"])
    autocast = choose_autocast(config["precision"], device)
    policy = load_policy(str(folders[-1]), device, **ways_of_asking(config))
    bar = tqdm(total=len(asked), initial=len(asked) - len(missing), desc="replace", unit="question")
    with bar, path.open("a", encoding="utf-8") as file:
        for question in missing:
            with autocast:
                found = replace_tokens(policy, question, config, continuations)
            line = about | {"question": question.text, "replaced": found}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            bar.update()


def saved_questions(folder: Path) -> list[Question]:
    """The different questions of the saved rollouts of a run, the latest first."""
    found = {}
    for file in rollout_files(folder)[::-1]:
        for row in read_rollouts(file, ["question", "gold"]).to_pylist():
            found.setdefault(row["question"], row["gold"])
    return [Question(text, gold) for text, gold in found.items()]


def replace_tokens(policy, question: Question, config: dict, continuations: int) -> list[dict]:
    """The replacement experiment on one question: a dict for each token replaced.

    The policy answers it group_size times. In the answers of lowest and of highest perplexity, and
    in each third of them, one of the tokens within the top HIGH_ENTROPY of the answer's entropies
    is drawn. From there the policy goes on `continuations` times with that token, and as often with
    another one drawn from its own distribution without that token.

    perplexity low or high, place, position (0 to 1), entropy (nats), token and replacement as text,
    and the accuracies with_original and with_replacement. [] where all answers are the same.
    """
    torch.manual_seed(zlib.crc32(question.text.encode()) + config["seed"])
    prompt, temperature = encode_prompt(policy, question.text), config["temperature"]
    sampling = Sampling(
        config["group_size"],
        config["max_response_length"],
        temperature,
        batch_size=config["sample_batch_size"],
        round_length=config["sample_round_length"],
    )
    rollouts = sample(policy, [prompt], sampling)
    scoring = Scoring(temperature, config["micro_batch_tokens"], config["chunk_tokens"])
    scores, mask = score_batch(policy.model, rollouts, scoring), rollouts.response_mask
    ranked = log_perplexity(scores.logp, mask).argsort()
    if rollouts.texts[ranked[0]] == rollouts.texts[ranked[-1]]:
        return []
    found, starts = [], []
    for perplexity, row in (("low", ranked[:1]), ("high", ranked[-1:])):
        entropy = scores.entropy[row][mask[row]]
        for line, *both in draw_replacements(policy, rollouts.rows(row), entropy, temperature):
            found.append({"perplexity": perplexity} | line)
            starts += both
    sampling = sampling._replace(group_size=continuations)
    grade = load_reward(config.get("reward", ""))
    is_right = lambda text: grade(text, question.gold, question.text).correct
    accuracies = accuracies_after(policy, prompt, starts, sampling, is_right)
    for line, original, replaced in zip(found, accuracies[::2], accuracies[1::2], strict=True):
        line |= {"with_original": original, "with_replacement": replaced}
    return found


def draw_replacements(policy, rollout, entropy, temperature: float) -> list[tuple]:
    """In each third of a response one token of high entropy, and another one for it.

    rollout: `Rollouts` of one row. entropy: (tokens of the response,), nats. A tuple a third that
    has such a token: (what is known of the replacement, the response up to and with the token that
    was drawn, and the same with the replacement; both lists of token ids).
    """
    response = rollout.input_ids[rollout.response_mask].tolist()
    top = entropy.topk(math.ceil(HIGH_ENTROPY * len(response))).indices
    with torch.no_grad():
        states = response_states(policy.model, rollout.input_ids, rollout.response_mask)
    found = []
    for i, place in enumerate(PLACES):
        here = top[top * len(PLACES) // len(response) == i]
        if not len(here):
            continue
        at = int(here[torch.randint(len(here), ())])
        with torch.no_grad():
            logits = next_token_logits(policy.model, states[[at]])[0].float() / temperature
        logits[response[at]] = -math.inf
        other = int(torch.multinomial(logits.softmax(-1), 1))
        token, replacement = policy.tokenizer.batch_decode([[response[at]], [other]])
        line = {"place": place, "position": at / len(response), "entropy": entropy[at].item()}
        line |= {"token": token, "replacement": replacement}
        found.append((line, response[: at + 1], [*response[:at], other]))
    return found


def accuracies_after(policy, prompt, starts, sampling: Sampling, is_right) -> list[float]:
    """The share of right responses among group_size continuations of each start of a response.

    prompt, starts: token ids. A start that has ended or is full is a response itself. is_right: of the
    text of a response.
    """
    longest, opened = sampling.max_response_length, opened_by_prompt(policy)

    def goes_on(start):
        return start[-1] not in policy.eos_ids and len(start) < longest

    going = [prompt + start for start in starts if goes_on(start)]
    ends = sample(policy, going, sampling) if going else None
    rows, accuracies = iter(range(len(going) * sampling.group_size)), []
    for start in starts:
        responses = [start]
        if goes_on(start):
            chosen = itertools.islice(rows, sampling.group_size)
            responses = [start + ends.input_ids[r][ends.response_mask[r]].tolist() for r in chosen]
        texts = texts_of(policy, [response[:longest] for response in responses])
        accuracies.append(fmean(is_right(opened + text) for text in texts))
    return accuracies


# -------------------------------------------------------------------------------- its findings


def replacement_findings(report: Path) -> tuple[Finding, Finding]:
    """I2 and T2 from the lines that `intervene` has written; of several experiments the latest."""
    i2 = Finding(
        "I2",
        "Replacing a token of high entropy hurts accuracy less in rollouts of low perplexity than "
        "in those of high perplexity.",
    )
    t2 = Finding(
        "T2",
        "Replacing a token of high entropy hurts accuracy much more at the start than at the end.",
    )
    lines = [json.loads(line) for line in whole_lines(report / REPLACED)]
    if not lines:
        i2.missing = t2.missing = "needed: analyze.py RUN --intervene"
        return i2, t2
    about = {name: lines[-1][name] for name in ("checkpoint", "continuations")}
    asked = [line["replaced"] for line in lines if about.items() <= line.items()]
    how = f"{about['continuations']} continuations of either token, {about['checkpoint']}"
    top = f"{sum(map(len, asked))} tokens of the top {HIGH_ENTROPY:.0%}, {len(asked)} questions"
    same = sum(not tokens for tokens in asked)
    for finding, name, values, label in (
        (i2, "perplexity", ("high", "low"), "high perplexity less low"),
        (t2, "place", PLACES, "start less end"),
    ):
        shown = add_impacts(finding, asked, name, values, label)
        finding.notes = [f"{top}, to {same} of which all answers were the same; {how}."]
        finding.draw = partial(draw_impacts, shown=shown, name=name, values=values)
    return i2, t2


def add_impacts(finding: Finding, asked, name: str, values, label: str) -> list[Effect]:
    """What a replacement costs, in points of accuracy, by a property of the token; the impacts.

    asked: of each question the tokens replaced, as of `replace_tokens`. The claim is that the
    impact at the first of the property's values exceeds that at the last.
    """

    def sums(value, measure):
        """Of each question: the sum over the tokens with that value, and their number."""
        chosen = [[measure(x) for x in tokens if x[name] == value] for tokens in asked]
        return torch.tensor([[sum(values), len(values)] for values in chosen]).T

    def impact(token):
        return 100 * (token["with_original"] - token["with_replacement"])

    of = {value: sums(value, impact) for value in values}
    shown = [finding.add(f"impact, {name} {v} (points)", ratio, *pair) for v, pair in of.items()]
    for value in values:
        accuracy = sums(value, lambda token: 100 * token["with_original"])
        finding.add(f"accuracy with the original, {name} {value} (%)", ratio, *accuracy)
    finding.add(label, difference, *of[values[0]], *of[values[-1]], above=0)
    return shown


def draw_impacts(figure, shown: list[Effect], name: str, values) -> None:
    """A bar for each value of the property `name`."""
    axes = figure.subplots()
    bars(axes, range(len(shown)), shown, "darkgray", width=0.5)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(range(len(shown)), values)
    place = {"perplexity": "perplexity of the rollout", "place": "third of the response"}[name]
    axes.set(xlabel=place, ylabel="accuracy lost by\nthe replacement (points)")
