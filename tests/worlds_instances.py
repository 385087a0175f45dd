"""Made-up runs for X1, I2 and T2, whose truth is known; see simulate_verdicts.py.

X1: 200 questions, 8 rollouts each. In the default run's starts log-odds before training are normal with
mean 0 and standard deviation 0.85, in the hard set with mean -3.3 and 0.9.

I2, T2: 150 questions, 8 continuations. In the default run's world (`tokens_of`) as many questions have
answers of different texts as in the default run's experiment, and rollouts of high perplexity are
wrong early on as often.
"""

import json
import random
import tempfile
from functools import partial
from pathlib import Path

import torch
from made_up import World

from analysis.exploration import x1_exploration
from analysis.replacement import PLACES, REPLACED, replacement_findings
from analysis.stages import Stages
from record import Run

# ------------------------------------------------------------------------------------------ X1


def ends_of(n, before, after):
    """A summary by the number of right rollouts, of n, of each question."""
    summary = {"steps": 1}
    for name, right in (("before", before), ("after", after)):
        interval = {"mean": sum(right) / n / len(right), "low": 0.1, "high": 0.9}
        found = {"samples": n, "questions": len(right), "unsolved": right.count(0), "right": right}
        summary[name] = found | {
            "acc": interval,
            "pass": {str(k): interval for k in range(1, n + 1)},
        }
    return summary


def normal(mean, deviation):
    return lambda generator: mean + deviation * torch.randn(200, generator=generator).double()


STARTS = {
    "the default run's start": normal(0.0, 0.85),
    "uniform accuracies": lambda generator: torch.rand(200, generator=generator).double().logit(),
    "accuracies in a U": lambda generator: (
        (torch.rand(200, generator=generator).double() * torch.pi / 2).sin().square().logit()
    ),
    "a hard set": normal(-3.3, 0.9),
    "a start at the ceiling": normal(3.5, 1.0),
}


def equally(log_odds, generator):
    return log_odds + 1.7


def above(share):
    """Only questions of at least that accuracy rise."""
    return lambda log_odds, generator: log_odds + 2.0 * (log_odds.sigmoid() > share)


def to_the_majority(log_odds, generator):
    """Four fifths of the questions are answered rightly from then on, the hardest never."""
    return torch.where(log_odds > log_odds.quantile(0.2), 8.0, -8.0).double()


def alike(part):
    """Log-odds rise, and come nearer to their mean by a part of how far they are from it."""
    return lambda log_odds, generator: log_odds + 1.7 - part * (log_odds - log_odds.mean())


def at_random(log_odds, generator):
    return log_odds + 1.7 + torch.randn(200, generator=generator)


def x1(start, rise, seed):
    """The verdict where questions start so and rise so."""
    generator = torch.Generator().manual_seed(seed)
    log_odds = STARTS[start](generator)
    chances = torch.stack([log_odds, rise(log_odds, generator)]).sigmoid().nan_to_num(0.5)
    right = torch.binomial(torch.full_like(chances, 8), chances, generator=generator).long()
    run = Run(None, {}, [], ends_of(8, *right.tolist()))
    return x1_exploration(run, Stages(None, 0)).verdict()[0]


# -------------------------------------------------------------------------------------- I2, T2


def chance(rng, mean, weight):
    """Of a beta distribution: as good as known from so many trials."""
    return rng.betavariate(mean * weight, (1 - mean) * weight)


def tokens_of(rng, cost, gradual=False):
    """The tokens of a question, as of `replace_tokens`, all of them measured.

    cost: (perplexity, place) -> the share of accuracy that a replacement costs on average. Replacing a
    token of a rollout that is wrong repairs it at times. gradual: rollouts of high perplexity are not
    either lost or as good as others, but of any accuracy in between.
    """
    count = rng.choice([0, 0, 0, 1, 1, 2, 3])
    kinds = ["low"] * count + ["high"] * count or ["only"]
    tokens = []
    for rollout, kind in enumerate(kinds):
        lost = rng.choice(PLACES) if kind == "high" and not gradual else None
        for i, place in enumerate(PLACES):
            if place == "end" and rng.random() < 0.65:
                continue  # no token of high entropy is there
            if gradual and kind == "high":
                accuracy = chance(rng, 0.5, 4)
            elif lost and i >= PLACES.index(lost):
                accuracy = 0.02
            else:
                accuracy = chance(rng, {"start": 0.88, "middle": 0.97, "end": 0.995}[place], 20)
            replaced = accuracy * (1 - chance(rng, cost(kind, place), 0.6))
            if accuracy < 0.1:
                replaced = 0.35
            same = place == "start" and rng.random() < 0.3
            token = {"rollout": rollout, "perplexity": kind, "place": place}
            token["start"] = 0 if same else len(tokens) + 1
            for name, p in (
                ("pilot", accuracy),
                ("with_original", accuracy),
                ("with_replacement", replaced),
            ):
                token[name] = sum(rng.random() < p for _ in range(8)) / 8
            tokens.append(token)
    return tokens


def replaced(finding, tokens, seed):
    """The verdict on I2 (0) or T2 (1), through the file of the experiment."""
    rng = random.Random(seed)
    about = {"checkpoint": "step_300", "continuations": 8, "answers": 16}
    lines = [about | {"question": str(i), "replaced": tokens(rng)} for i in range(150)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / REPLACED
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return replacement_findings(path.parent)[finding].verdict()[0]


def asked(low=0.65, high=0.65, start=0.0, end=0.0, gradual=False):
    """`tokens_of` at such a cost, in shares of the accuracy; start and end are added to it."""
    by_place = {"start": start, "middle": 0.0, "end": end}
    cost = lambda kind, place: (high if kind == "high" else low) + by_place[place]
    return partial(tokens_of, cost=cost, gradual=gradual)


HOLDS, NOT = "holds here", "does not hold here"
WORLDS = [
    *(
        World("X1", f"{start}, all log-odds rise alike", partial(x1, start, equally), HOLDS)
        for start in STARTS
    ),
    *(
        World("X1", f"{start}, {about}", partial(x1, start, rise), error)
        for start, about, rise, error in (
            ("the default run's start", "only questions above 0.2 rise", above(0.2), NOT),
            ("uniform accuracies", "only questions above 0.2 rise", above(0.2), NOT),
            ("a hard set", "only questions above 0.05 rise", above(0.05), NOT),
            ("the default run's start", "the majority becomes all", to_the_majority, NOT),
            ("a hard set", "hard questions rise most, by half", alike(0.5), HOLDS),
            ("uniform accuracies", "hard questions rise most, by half", alike(0.5), HOLDS),
            (
                "uniform accuracies",
                "hard questions rise most, nearly to the mean",
                alike(0.9),
                HOLDS,
            ),
            ("the default run's start", "rises differ at random", at_random, NOT),
        )
    ),
    *(
        World(name, about, partial(replaced, ("I2", "T2").index(name), tokens), error)
        for name, about, tokens, error in (
            ("I2", "equal cost, high perplexity is lost early", asked(), HOLDS),
            ("I2", "equal cost, high perplexity is worse by degrees", asked(gradual=True), HOLDS),
            ("I2", "cost 50 % at low, 75 % at high perplexity", asked(low=0.5, high=0.75), NOT),
            ("I2", "cost 75 % at low, 50 % at high perplexity", asked(low=0.75, high=0.5), HOLDS),
            ("T2", "equal cost, late tokens are safer", asked(), HOLDS),
            ("T2", "cost 85 % at the start, 45 % at the end", asked(start=0.2, end=-0.2), NOT),
            ("T2", "cost 45 % at the start, 85 % at the end", asked(start=-0.2, end=0.2), HOLDS),
        )
    ),
]
