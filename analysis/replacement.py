"""The experiment of arXiv 2508.02260 in which a token of high entropy is replaced. I2, T2.

    I2  it costs less accuracy in rollouts of low perplexity
    T2  it costs more accuracy early in a response

Where a response is wrong already, nothing is left to be lost, and it is so most often in rollouts of
high perplexity. So tokens are compared in pairs, within a question and at equal accuracy with the
original token, which a pilot tells.

`intervene` makes the experiment on the last checkpoint of a run, one question at a time, and
appends what came of it to RUN/report/replaced.jsonl; the findings are made from that file. How the
experiment is made, from the pairs and the number of continuations to the thirds of a response, is ours.
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
ANSWERS = 16  # to each question
EXTREMES = 4  # answers of lowest and as many of highest perplexity in which tokens are replaced
LEAST_PILOT = 0.5  # accuracy with the original, from which on tokens are paired
REPLACED = "replaced.jsonl"
# What a pair differs in, the value at which the claim expects the higher impact, the other one, and
# what both have in common.
PAIRS = (("perplexity", "high", "low", "place"), ("place", "start", "end", "rollout"))

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
    about = {"checkpoint": folders[-1].name, "continuations": continuations, "answers": ANSWERS}
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

    The policy answers it ANSWERS times. In each third of the answers of lowest and of highest
    perplexity (`extremes`) one of the tokens within the top HIGH_ENTROPY of the answer's entropies is
    drawn. From there the policy goes on `continuations` times: the pilot, by which `equal_pairs`
    are chosen. From the tokens of a pair it goes on as often with the token once more, and with
    another one drawn from its own distribution without that token. So a pair is chosen before it is
    measured, and by nothing that its measurement contains.

    rollout (its rank by perplexity), perplexity low, high or only, place, position (0 to 1), entropy
    (nats), token and replacement as text, start (a number, the same where the response is the same up
    to and with the token) and the accuracies pilot, with_original and with_replacement.
    """
    torch.manual_seed(zlib.crc32(question.text.encode()) + config["seed"])
    prompt, temperature = encode_prompt(policy, question.text), config["temperature"]
    sampling = Sampling(
        ANSWERS,
        config["max_response_length"],
        temperature,
        batch_size=config["sample_batch_size"],
        round_length=config["sample_round_length"],
    )
    rollouts = sample(policy, [prompt], sampling)
    scoring = Scoring(temperature, config["micro_batch_tokens"], config["chunk_tokens"])
    scores, mask = score_batch(policy.model, rollouts, scoring), rollouts.response_mask
    tokens, originals, others = [], [], []
    for rank, row, kind in extremes(log_perplexity(scores.logp, mask), rollouts.texts):
        entropy = scores.entropy[[row]][mask[[row]]]
        for line, original, other in draw_replacements(
            policy, rollouts.rows([row]), entropy, temperature
        ):
            tokens.append({"rollout": rank, "perplexity": kind} | line)
            originals.append(original)
            others.append(other)
    sampling = sampling._replace(group_size=continuations)
    grade = load_reward(config.get("reward", ""))
    is_right = lambda text: grade(text, question.gold, question.text).correct
    starts = [originals[i] for i in range(len(originals)) if originals[i] not in originals[:i]]
    pilots = accuracies_after(policy, prompt, starts, sampling, is_right)
    for token, original in zip(tokens, originals, strict=True):
        token["start"] = starts.index(original)
        token["pilot"] = pilots[token["start"]]
    paired = [token for how in PAIRS for pair in equal_pairs(tokens, *how) for token in pair]
    chosen = [i for i, token in enumerate(tokens) if token in paired]
    both = [start for i in chosen for start in (originals[i], others[i])]
    accuracies = accuracies_after(policy, prompt, both, sampling, is_right)
    for i, original, replaced in zip(chosen, accuracies[::2], accuracies[1::2], strict=True):
        tokens[i] |= {"with_original": original, "with_replacement": replaced}
    return [tokens[i] for i in chosen]


def extremes(perplexity: torch.Tensor, texts: list[str]) -> list[tuple[int, int, str]]:
    """(rank by perplexity, row, low or high) of the answers at both ends, of different texts each.

    EXTREMES of each kind, or as many as there are. Where there is one text, its kind is only.

    >>> extremes(torch.tensor([0.3, 0.1, 0.1, 0.2]), ["a", "b", "b", "c"])
    [(0, 1, 'low'), (2, 0, 'high')]
    """
    first = {}
    for row in perplexity.argsort().tolist():
        first.setdefault(texts[row], row)
    ranked = list(enumerate(first.values()))
    if len(ranked) == 1:
        return [(*ranked[0], "only")]
    count = min(EXTREMES, len(ranked) // 2)
    low, high = ranked[:count], ranked[-count:]
    return [(*x, "low") for x in low] + [(*x, "high") for x in high]


def equal_pairs(tokens: list[dict], name: str, first: str, last: str, within: str) -> list[tuple]:
    """Pairs of tokens of a question that differ in a property, at equal accuracy of the original.

    tokens: as of `replace_tokens`. A pair has the property's value `first` in one token and `last` in
    the other, `within` in common, and the same pilot, of at least LEAST_PILOT: below, hardly anything is
    there to be lost. For each value of `within` the pair of highest pilot, of several the one that is
    furthest apart in perplexity. Two tokens that are one and the same choice are no pair.
    """
    found = {}
    for a, b in itertools.product(tokens, tokens):
        if (a[name], b[name]) != (first, last) or a[within] != b[within]:
            continue
        if a["start"] == b["start"] or a["pilot"] != b["pilot"] or a["pilot"] < LEAST_PILOT:
            continue
        order = (a["pilot"], abs(a["rollout"] - b["rollout"]))
        if a[within] not in found or order > found[a[within]][0]:
            found[a[within]] = order, (a, b)
    return [pair for _, pair in found.values()]


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
        "in those of high perplexity, at equal accuracy with the original.",
    )
    t2 = Finding(
        "T2",
        "Replacing a token of high entropy hurts accuracy much more at the start than at the end, at "
        "equal accuracy with the original.",
    )
    lines = [json.loads(line) for line in whole_lines(report / REPLACED)]
    if not lines:
        i2.missing = t2.missing = "needed: analyze.py RUN --intervene"
        return i2, t2
    if "answers" not in lines[-1]:
        i2.missing = t2.missing = (
            f"{REPLACED} is of an experiment without a pilot: needed: analyze.py RUN --intervene"
        )
        return i2, t2
    about = {name: lines[-1][name] for name in ("checkpoint", "continuations", "answers")}
    asked = [line["replaced"] for line in lines if about.items() <= line.items()]
    how = f"{len(asked)} questions, {about['answers']} answers to each; {about['continuations']} "
    how += f"continuations of either token, and as many of the pilot; {about['checkpoint']}."
    for finding, pairing in ((i2, PAIRS[0]), (t2, PAIRS[1])):
        pairs = [equal_pairs(tokens, *pairing) for tokens in asked]
        if not any(pairs):
            finding.missing = "no two tokens are alike in accuracy; needed: higher --questions"
        shown = add_impacts(finding, pairs, *pairing[:3])
        finding.notes = [f"{sum(map(len, pairs))} pairs in {sum(map(bool, pairs))} of {how}"]
        finding.draw = partial(draw_impacts, shown=shown, name=pairing[0], values=pairing[1:3])
    return i2, t2


def add_impacts(finding: Finding, pairs, name: str, first: str, last: str) -> list[Effect]:
    """What a replacement costs, in points of accuracy, in the tokens of pairs; both impacts.

    pairs: of each question, as of `equal_pairs`. The claim is that the impact on the first of a pair
    exceeds that on the last. Equal pilots do not make equal accuracies (a token of a worse rollout has
    been luckier), so what is measured anew is left to differ a little. A point more of accuracy is
    taken to make at most a point more or less of impact, and the interval is wider by that on both
    sides.
    """

    def sums(which, measure):
        """Of each question: the sum over its pairs' tokens, and their number."""
        values = [[100 * measure(pair[which]) for pair in of_one] for of_one in pairs]
        return torch.tensor([[sum(some), len(some)] for some in values]).double().T

    impact = [sums(i, lambda t: t["with_original"] - t["with_replacement"]) for i in (0, 1)]
    accuracy = [sums(i, lambda t: t["with_original"]) for i in (0, 1)]
    shown = [
        finding.add(f"impact, {name} {value} (points)", ratio, *of)
        for value, of in zip((first, last), impact, strict=True)
    ]
    for value, of in zip((first, last), accuracy, strict=True):
        finding.add(f"accuracy with the original, {name} {value} (%)", ratio, *of)
    gap = abs(finding.effects[-1].value - finding.effects[-2].value)
    label = f"impact, {first} less {last}, in pairs (points)"
    effect = finding.add(label, difference, *impact[0], *impact[1], above=0)
    finding.effects[-1] = effect._replace(low=effect.low - gap, high=effect.high + gap)
    return shown


def draw_impacts(figure, shown: list[Effect], name: str, values) -> None:
    """A bar for each value of the property `name`."""
    axes = figure.subplots()
    bars(axes, range(len(shown)), shown, "darkgray", width=0.5)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(range(len(shown)), values)
    place = {"perplexity": "perplexity of the rollout", "place": "third of the response"}[name]
    axes.set(xlabel=place, ylabel="accuracy lost by\nthe replacement (points)")
