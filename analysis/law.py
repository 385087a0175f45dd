"""Is accuracy paid for with entropy? The law R = b - a exp(H), and what else might tell R.

    law       R = b - a exp(H)                                                 arXiv 2505.22617
    time      R = b + a f(step / scale), f and scale the best of a few         ours
    training  R = b + a (accuracy of the batches that tell H)                  ours
    sigmoid   R = start + (ceiling - start) / (1 + (middle / step)^exponent)   arXiv 2510.13786

R is accuracy on held-out questions, H the entropy of the policy evaluated: the mean over rollouts
of their mean token entropy, in nats, of groups that are neither all right nor all wrong
(`entropy_law` of metrics.jsonl). In most runs R rises while H falls, so a law in H fits even where R
depends on time alone. It is therefore judged by what H tells beyond time, and beyond the accuracy of
the same batches: fitted to a whole run, and fitted to its first EARLY share to predict the rest. The
sigmoid, with steps for that paper's compute, is told and judges nothing. Which batches tell H, the
rivals, the intervals and the verdicts are ours.
"""

import math
from functools import partial

import torch

from analysis.effects import Effect, Finding
from analysis.figures import GREEN, ORANGE, SKY, no_matplotlib, save
from analysis.law_fits import (
    BLOCKS,
    ENOUGH,
    SCALES,
    SHAPES,
    Curve,
    Points,
    calibrated,
    curves_of,
    fit_curve,
    fit_law,
    fit_line,
    fit_sigmoid,
    in_words,
    interval,
    jackknife,
    law_points,
    merged,
    without_a_block,
)
from eval import middle_95
from options import InputError
from record import Run

EARLY = 0.15  # the share of the steps that predicts the rest, as in arXiv 2505.22617
DRAWS = 1000  # of early evaluations and of later blocks
WHOLE, FIRST = "whole run", f"first {EARLY:.0%}"

# ----------------------------------------------------------------------------- what is judged


def predictions(fitted: Points, points: Points, curve: Curve, weights=None) -> dict:
    """{name: (m, n) R at points} by the law, the curve in time, training accuracy.

    Each is a line of two numbers, fitted to `fitted` with weights (m, its n). The law says that
    accuracy is paid for, so its a is kept at 0 or above.
    """

    def regressors(points):
        return -points.entropies.exp(), curve.at(points.steps), points.training

    found, least = {}, (0, -math.inf, -math.inf)
    named = zip(("law", "time", "training"), regressors(fitted), regressors(points), least)
    for name, known, x, lowest in named:
        a, b = fit_line(known, fitted.accuracies, weights, lowest)
        found[name] = b + a * x
    return found


def weight_of_law(told: dict, rival: str, accuracies, weights, paid=0.0):
    """The w of least squares in R = w law + (1 - w) rival: (m,), above 1/2 where the law is nearer.

    A mix of two predictions as in Bates and Granger (1969); NaN where they are the same. told: as of
    `predictions`; weights: (m, n), of the evaluations; paid: half of what is added to the rival's
    squared error at each for a number that it has more (Mallows' Cp, 1973).
    """
    apart, missed = told["law"] - told[rival], accuracies - told[rival]
    spread = (weights * apart.square()).sum(1)
    weight = (weights * (apart * missed + paid)).sum(1) / spread
    return torch.where(spread > 1e-12, weight, math.nan)


def judge_whole(points: Points, curve: Curve) -> tuple[Finding, dict]:
    """All are fitted to all evaluations. -> Finding, {name: predicted R, (1, n)}.

    Intervals are `jackknife` over blocks. The curve in time pays for its scale. Training accuracy
    is as it was measured: without its noise it is nearly R itself, and no law could beat it.
    """
    claim = "R = b - a exp(H) tells accuracy better than time, and than training accuracy, does."
    finding = Finding(f"law, {WHOLE}", claim, "evaluations")
    told = predictions(points, points, curve)
    r, n = points.accuracies, len(points.steps)
    if n < 2 * BLOCKS:
        finding.missing = f"{n} evaluations; needed: {2 * BLOCKS}"
        return finding, told
    for_its_scale = (told["time"] - r).square().mean().item() / (n - 3)
    for rival, paid in (("time", for_its_scale), ("training", 0.0)):
        values = weight_of_law(told, rival, r, without_a_block(n), paid)
        effect = Effect(f"weight beside {rival}", *jackknife(values), 0.5, BLOCKS - 1)
        finding.effects.append(effect)
    return finding, told


def judge_first(early: Points, later: Points, curve: Curve) -> tuple[Finding, dict]:
    """All are fitted to the early evaluations. -> Finding, {name: (RMSE at the later, low, high)}.

    The law is told the later H. So the curve in time is told its shape, that of the whole run, and
    training accuracy its later values. For the intervals early evaluations, or blocks of them where
    they are `merged`, are drawn with replacement, at least 3 different ones, and so are blocks of
    the later ones: a fit that hangs on single evaluations decides nothing.
    """
    claim = f"Fitted to the {FIRST}, R = b - a exp(H) predicts the rest better than they do."
    finding = Finding(f"law, {FIRST}", claim, "evaluations")
    n, r = len(early.steps), later.accuracies
    if n < ENOUGH or len(r) < BLOCKS:
        finding.missing = f"{n} early evaluations, {len(r)} later; needed: {ENOUGH} and {BLOCKS}"
        return finding, {}
    early = merged(early)
    n = len(early.steps)
    generator = torch.Generator().manual_seed(0)
    rows = drawn(n, 2 * DRAWS, generator)
    rows = torch.cat([torch.ones(1, n), rows[(rows > 0).sum(1) >= 3][:DRAWS]])
    told = predictions(early, later, curve, rows)
    told["R stays"] = early.accuracies[-1].expand(len(rows), len(r))
    blocks = drawn(BLOCKS, len(rows), generator)
    blocks[0] = 1
    weights = blocks[:, torch.arange(len(r)) * BLOCKS // len(r)]
    for rival in ("time", "training", "R stays"):
        value, *again = weight_of_law(told, rival, r, weights).tolist()
        finding.effects.append(Effect(f"weight beside {rival}", value, *middle_95(again), 0.5))
    squares = {name: (x - r).square() * weights for name, x in told.items()}
    roots = {name: (x.sum(1) / weights.sum(1)).sqrt() for name, x in squares.items()}
    return finding, {name: (x[0].item(), *middle_95(x[1:])) for name, x in roots.items()}


def drawn(count: int, draws: int, generator) -> torch.Tensor:
    """How often each of `count` is drawn in `count` draws with replacement: (draws, count)."""
    rows = torch.randint(count, (draws, count), generator=generator)
    return torch.zeros(draws, count).scatter_add_(1, rows, torch.ones(draws, count))


def parts_of(run: Run) -> tuple[Points, Points, int]:
    """(all evaluations, `calibrated`; the early ones, as known then; the last early step).

    Raises InputError where a run has no evaluation.
    """
    batches, accuracies = curves_of(run)
    cut = round(EARLY * max(batches, default=0))
    whole = law_points(batches, accuracies)
    if not len(whole.steps):
        raise InputError(
            f"{run.folder} has no evaluation yet: wait, or train with a lower --eval_every"
        )
    early = law_points(*({s: x for s, x in d.items() if s <= cut} for d in (batches, accuracies)))
    return calibrated(whole), early, cut


# ----------------------------------------------------------------------------- what they say

HEAD = """\
law       R = b - a exp(H), from the entropy H of the batches around an evaluation
time      R = b + a {}, x = step / {:.3g}: the best of {} curves
training  R = b + a (training accuracy of the same batches)
sigmoid   R = start + (ceiling - start) / (1 + (middle / step)^exponent); judges nothing
"""
WEIGHTS = f"""
Weight: that of the law in the mix of its R and another's that is nearest to R. Above 1/2 the law
tells R better. It holds where all intervals are above 1/2, and does not where one is below. Beside
time two things count: whether R goes with exp(H) in a straight line, and whether it follows H where
H leaves a curve in time. Of the {WHOLE} the noise of H is drawn out, and intervals are over {BLOCKS}
blocks of evaluations; of the {FIRST} early evaluations and later blocks are drawn again."""


def law_report(run: Run) -> None:
    """Print what tells R of a run, and draw report/law.png. Raises InputError and OSError."""
    whole, early, cut = parts_of(run)
    curve = fit_curve(whole.steps, whole.accuracies)
    steps = max(line["step"] for line in run.lines)
    print(
        f"{run.folder}: {steps} steps, {len(whole.steps)} evaluations, {len(early.steps)} in the "
        f"first {cut}\n\n" + HEAD.format(curve.shape, curve.scale, len(SHAPES) * len(SCALES))
    )
    found, told = judge_whole(whole, curve)
    first, roots = judge_first(early, whole.after(cut), curve)
    fits = print_fits(whole, early, cut, told, roots)
    print(f"\nAt the later evaluations, where fitted to the {FIRST}. {noise_in_words(run)}")
    for finding in (found, first):
        verdict, why = finding.verdict()
        print(f"\n{finding.name}: {verdict}{f' ({why})' if why else ''}")
        for effect in finding.effects:
            print(f"  {effect.label:24}  {interval(*effect[1:4])}")
    print(WEIGHTS)
    if len(early.steps) < ENOUGH:
        every = max(1, cut // (ENOUGH - 1))
        print(f"More early evaluations: --eval_every {every}, and 27 steps or more.")
    if (temperature := run.config["temperature"]) != 1:
        print(f"H is at the sampling temperature {temperature}; the law is stated for 1.")
    path = run.folder / "report" / "law.png"
    if missing := no_matplotlib():
        print(f"\nfigure: none, since {missing}")
    else:
        in_time = told["time"][0]
        draw = partial(draw_laws, points=whole, cut=cut, fits=fits, in_time=in_time)
        save(path, draw, (9, 3.8))
        print(f"\nfigure: {path}")


def print_fits(whole: Points, early: Points, cut: int, told: dict, roots: dict) -> dict:
    """A line a fit. told: of `judge_whole`; roots: of `judge_first`. -> {(law, part): fit}."""

    def row(*cells):
        print("{:8}  {:9}  {:25}  {}".format(*cells).rstrip())

    def rmse(predicted, points):
        return (predicted - points.accuracies).square().mean().sqrt().item()

    row("", "fitted to", "RMSE", "fit [95 % interval]")
    published = {"law": (fit_law, "entropies"), "sigmoid": (fit_sigmoid, "steps")}
    whole_roots, fits = {name: (rmse(x[0], whole),) for name, x in told.items()}, {}
    for part, points, at, known in (
        (WHOLE, whole, whole, whole_roots),
        (FIRST, early, whole.after(cut), roots),
    ):
        for name in dict.fromkeys(("law", *known, "sigmoid")):
            error, said = known.get(name, (math.nan,)), ""
            if name in published:
                fit, column = published[name]
                try:
                    found = fits[name, part] = fit(getattr(points, column), points.accuracies)
                    said = in_words(found)
                    if name not in known:
                        error = (rmse(found.predict(getattr(at, column)), at),)
                except ValueError as reason:
                    said = str(reason)
            row(name, part, interval(*error), said)
    return fits


def noise_in_words(run: Run) -> str:
    """The RMSE that the sampling of answers alone gives R, from the right ones of each question."""
    errors = []
    for evaluation in (run.summary.get("before", {}), run.summary.get("after", {})):
        if right := evaluation.get("right"):
            n = evaluation["samples"]
            variances = [c * (n - c) / n**2 / max(n - 1, 1) for c in right]
            errors.append(f"{math.sqrt(sum(variances)) / len(right):.2g}")
    if not errors:
        return "The noise of R itself is not known before a run has ended."
    return f"R's own noise gives an RMSE of {errors[0]} before and {errors[-1]} after training."


def draw_laws(figure, points: Points, cut: int, fits: dict, in_time) -> None:
    """R against exp(H) and over the steps; early ones up to step cut. in_time: (n,), the rival."""
    steps, accuracies, entropies = points[:3]
    every_step, every_h = torch.arange(steps[-1] + 1), torch.linspace(0, entropies.max(), 50)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, x in ((left, entropies.exp()), (right, steps)):
        axes.plot(x, accuracies, "o", color="silver", markersize=4, label="later evaluations")
        first = steps <= cut
        axes.plot(x[first], accuracies[first], "o", color="black", markersize=4, label=FIRST)
    right.plot(steps, in_time, color=SKY, label=f"time, {WHOLE}")
    for part, dashes in ((WHOLE, "-"), (FIRST, "--")):
        if law := fits.get(("law", part)):
            how = {"linestyle": dashes, "color": ORANGE, "label": f"law, {part}"}
            left.plot(every_h.exp(), law.predict(every_h), **how)
            right.plot(steps, law.predict(entropies), **how)
        if sigmoid := fits.get(("sigmoid", part)):
            how = {"linestyle": dashes, "color": GREEN, "label": f"sigmoid, {part}"}
            right.plot(every_step, sigmoid.predict(every_step), **how)
    left.set(xlabel="exp(H)", ylabel="R, accuracy on held-out questions")
    right.set_xlabel("training step")
    handles_and_labels = right.get_legend_handles_labels()  # those of the left are among them
    figure.legend(*handles_and_labels, loc="outside upper center", ncols=4)
