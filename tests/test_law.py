"""The law of entropy and its rivals: what they recover, what they may not see, what they say."""

import json
import math
import re
import subprocess
import sys

import pytest
import torch
from conftest import ROOT

import analyze
import entropy
import rollout
from analysis.law import draw_laws, judge_first, judge_whole, law_report, weight_of_law
from analysis.law_fits import (
    SHAPES,
    Curve,
    Points,
    Sigmoid,
    calibrated,
    curves_of,
    fit_curve,
    fit_law,
    fit_line,
    fit_sigmoid,
    law_points,
    merged,
)
from data import Question
from options import InputError
from policy import encode_prompt
from record import ENTROPY_CHANGES, READ_BACK, read_run, token_metrics
from reward import Grade


def noise(count, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(count, generator=generator, dtype=torch.double)


def falling(step):
    """H over the steps of a made-up run: it swings about a fall, as no curve in time does."""
    return 0.1 + 0.5 * 2.0 ** (-step / 40) + 0.04 * math.sin(step / 15)


def law(h, a=0.5, b=1.4):
    """R at a tensor or number of H."""
    return b - a * torch.as_tensor(h, dtype=torch.double).exp()


def write_run(folder, accuracy, steps=200, eval_every=5, temperature=1.0, ended=True):
    """A run folder with accuracy(step) at each evaluation and entropies that `falling` gives."""
    folder.mkdir()
    config = {"temperature": temperature, "group_size": 4, "seed": 0}
    (folder / "config.json").write_text(json.dumps(config))
    lines = []
    for step in range(1, steps + 1):
        # A batch is sampled by the policy of the step before.
        line = dict.fromkeys(READ_BACK, 0.5) | dict.fromkeys(ENTROPY_CHANGES)
        line |= {"step": step, "entropy_law": falling(step - 1), "eval_accuracy": None}
        if step % eval_every == 0:
            line["eval_accuracy"] = float(accuracy(step))
        lines.append(json.dumps(line) + "\n")
    (folder / "metrics.jsonl").write_text("".join(lines))
    if ended:
        ends = {"before": accuracy(0), "after": accuracy(steps)}
        summary = {
            name: {"acc": {"mean": float(value)}, "right": [4, 8], "samples": 8}
            for name, value in ends.items()
        }
        (folder / "summary.json").write_text(json.dumps(summary | {"steps": steps}))
    return folder


PARTS = ("whole run", "first 15%")


def say(capsys, folder):
    """What `python analyze.py folder --law` prints: {(name, part): line}, {part: verdict}, all."""
    law_report(read_run(folder))
    out = capsys.readouterr().out
    lines, verdicts = {}, {}
    for line in out.splitlines():
        if found := re.match(r"(law|time|training|R stays|sigmoid) +(whole run|first 15%)", line):
            lines[found.groups()] = line
        if found := re.match(r"law, (.*?): (.*?)(?: \(|$)", line):
            verdicts[found[1]] = found[2]
    return lines, verdicts, out


def rmse(line):
    return float(re.search(r"(?:whole run|first 15%) +(\S+)", line)[1])


# ------------------------------------------------------------------------------------ the fits


@pytest.mark.parametrize("alike, least", [(0.0, 0.92), (0.5, 0.87)])
def test_the_law_recovers_what_was_planted_and_its_intervals_cover_it(alike, least):
    """Also where the error of one evaluation is half in the next."""
    h = torch.linspace(0.6, 0.05, 30, dtype=torch.double)
    planted = {"a": 0.5, "b": 1.4, "ceiling": 0.9}
    covered, centre = dict.fromkeys(planted, 0), dict.fromkeys(planted, 0.0)
    for seed in range(300):
        errors = noise(30, 0.02, seed)
        for i in range(1, 30):
            errors[i] += alike * errors[i - 1]
        found = fit_law(h, law(h) + errors)
        for name, truth in planted.items():
            value, low, high = getattr(found, name)
            covered[name] += low <= truth <= high
            centre[name] += value / 300
    for name, truth in planted.items():
        assert centre[name] == pytest.approx(truth, abs=0.007)
        assert least < covered[name] / 300 < 0.98  # nominal 0.95


def test_r_squared_is_one_without_noise_and_near_zero_without_a_law():
    h = torch.linspace(0.05, 0.6, 40)
    assert fit_law(h, law(h)).r2 == pytest.approx(1)
    found = fit_law(h, 0.7 + noise(40, 0.02))
    assert found.r2 < 0.2 and found.a[1] < 0 < found.a[2]
    assert fit_law(h, torch.full((40,), 0.7)).r2 == 0


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="different H: 1, needed: 5"):
        fit_law(torch.full((9,), 0.3), torch.rand(9))
    with pytest.raises(ValueError, match="different H: 4"):
        fit_law(torch.tensor([0.3, 0.2, 0.1, 0.4, 0.4]), torch.rand(5))
    with pytest.raises(ValueError, match="that of step 0"):
        fit_sigmoid(torch.tensor([1.0, 2, 3, 4]), torch.rand(4))
    with pytest.raises(ValueError, match="3 later ones"):
        fit_sigmoid(torch.tensor([0.0, 2, 3]), torch.rand(3))


def test_a_line_is_that_of_the_points_that_have_weight_and_may_be_kept_from_falling():
    x, r = torch.tensor([0.0, 1, 2, 3]), torch.tensor([1.0, 3, 5, 0])
    a, b = fit_line(x, r, torch.tensor([[1.0, 1, 1, 0], [0.0, 0, 1, 1], [0, 0, 0, 3]]))
    assert a[:, 0].tolist() == pytest.approx([2, -5, 0])
    assert b[:, 0].tolist() == pytest.approx([1, 15, 0])
    a, b = fit_line(x, r, torch.tensor([[0.0, 0, 1, 1]]), least=0)
    assert (a.item(), b.item()) == (0, 2.5)  # the mean


@pytest.mark.parametrize("shape", SHAPES)
def test_a_curve_in_time_is_found_again(shape):
    steps = torch.arange(0, 301, 10, dtype=torch.double)
    planted = Curve(shape, 37.5)
    r = 0.5 + 0.3 * planted.at(steps)
    assert fit_curve(steps, r + noise(31, 0.001)) == planted


def test_no_sigmoid_fits_better_than_the_one_found():
    steps = torch.arange(0.0, 301, 10, dtype=torch.double)
    for seed, planted in enumerate(
        [
            Sigmoid(0.3, 0.8, 40.0, 1.5, 1.0),
            Sigmoid(0.5, 0.95, 200.0, 0.6, 1.0),
            Sigmoid(0.1, 0.6, 12.0, 4.0, 1.0),
        ]
    ):
        exact = fit_sigmoid(steps, planted.predict(steps))
        assert exact == pytest.approx(planted, rel=1e-3)
        noisy = planted.predict(steps) + noise(31, 0.01, seed)
        noisy[0] = planted.start
        found = fit_sigmoid(steps, noisy)
        error = (found.predict(steps) - noisy).square().sum()
        assert error <= (planted.predict(steps) - noisy).square().sum()
        for change in (0.9, 1.1):  # nor one beside it
            for name in ("ceiling", "middle", "exponent"):
                other = found._replace(**{name: getattr(found, name) * change})
                assert error < (other.predict(steps) - noisy).square().sum()
        assert found.ceiling == pytest.approx(planted.ceiling, abs=0.05)


def test_a_ceiling_is_an_accuracy():
    steps = torch.tensor([0.0, 10, 20, 30])
    assert fit_sigmoid(steps, torch.tensor([0.1, 0.2, 0.4, 0.8])).ceiling == 1
    assert fit_sigmoid(steps, torch.tensor([0.8, 0.4, 0.2, 0.1])).ceiling == 0


# ----------------------------------------------------------------------------- which H, which R


def test_entropy_of_the_law_leaves_out_groups_without_signal(rotary):
    torch.manual_seed(1)
    prompts = [encode_prompt(rotary, question) for question in ("7+8", "9-9", "1+2")]
    rollouts = rollout.sample(rotary, prompts, rollout.Sampling(4, 12))
    scores = entropy.score_batch(rotary.model, rollouts)
    right = [True] * 4 + [False] * 4 + [True, False, False, True]

    def metrics(right):
        grades = [Grade(r, "0", "correct" if r else "wrong") for r in right]
        rewards = torch.tensor(right).float()
        batch = rollout.Batch([Question("", "0")] * 3, rollouts, grades, rewards, scores)
        batch.advantages = rewards - 0.5
        batch.shaped = batch.advantages[:, None] + 0 * scores.logp
        return token_metrics(batch)

    means = entropy.per_rollout(scores.entropy, rollouts.response_mask)
    found = metrics(right)
    assert found["entropy_law"] == pytest.approx(means[8:].mean().item())
    assert found["entropy_law"] != pytest.approx(found["entropy_rollout_mean"], rel=1e-3)
    assert metrics([True] * 4 + [False] * 8)["entropy_law"] is None


def test_an_evaluation_goes_with_the_batches_around_it_and_none_counts_twice():
    every = {step: (float(step), step / 100) for step in range(1, 101)}
    points = law_points(every, {0: 0.1, 20: 0.2, 100: 0.9})
    assert points.entropies.tolist() == [3.0, 20.5, 98.0]  # of 1..5, 16..25, 96..100
    assert points.accuracies.tolist() == pytest.approx([0.1, 0.2, 0.9])
    assert points.training.tolist() == pytest.approx([0.03, 0.205, 0.98])
    h = law_points(every, {0: 0.1, 4: 0.2, 8: 0.9}).entropies
    assert h.tolist() == [1.5, 4.5, 8.5]  # of 1 2, 3 4 5 6, 7 8 9 10
    assert len(law_points(dict.fromkeys(every, (None, 0.5)), {0: 0.1, 20: 0.2}).steps) == 0


def test_the_error_of_h_is_that_of_a_mean_of_batches_and_sees_no_trend():
    size, h = 0.02, 0.3 + noise(2001, 0.02)
    flat = {s: (h[s].item(), 0.5) for s in range(1, 2001)}
    steep = {s: (h[s].item() - 0.001 * s, 0.5) for s in range(1, 2001)}
    evaluations = dict.fromkeys(range(0, 2001, 10), 0.5)
    for batches in (flat, steep):
        error = law_points(batches, evaluations).errors[1:-1].square().mean().sqrt()
        assert error == pytest.approx(size / 10**0.5, rel=0.05)


def test_h_is_drawn_to_its_curve_by_the_share_of_its_scatter_that_is_noise():
    steps = torch.arange(0, 1001, 10, dtype=torch.double)
    curve, zero = 0.2 - 0.1 * (steps / 250).clamp(max=1), torch.zeros(101)
    noisy = curve + noise(101, 0.02)

    def off(error):
        points = Points(steps, zero, noisy, zero + error, zero)
        return (calibrated(points).entropies - curve).square().mean().sqrt().item()

    raw = (noisy - curve).square().mean().sqrt().item()
    assert off(0.0) == pytest.approx(raw)
    assert off(0.02) < 0.3 * raw  # all of it is noise
    assert off(0.01) == pytest.approx(0.75 * raw, rel=0.1)  # a quarter of its variance


def test_noise_of_h_flattens_the_law_and_means_make_it_steep_again():
    h, slopes = torch.linspace(0.6, 0.3, 60, dtype=torch.double), {60: [], 6: []}
    for seed in range(40):
        points = Points(h, law(h), h + noise(60, 0.07, seed), h, h)
        for each in (points, merged(points)):
            slopes[len(each.steps)].append(fit_law(each.entropies, each.accuracies).a[0])
    assert sum(slopes[60]) / 40 < 0.38
    assert sum(slopes[6]) / 40 == pytest.approx(0.48, abs=0.03)  # 0.5 without noise


# ----------------------------------------------------------------------------- what is judged


def test_the_weight_of_the_law_is_its_share_in_the_best_mix():
    told = {"law": noise(50, 1.0, 1)[None], "time": noise(50, 1.0, 2)[None]}
    r, ones = 0.3 * told["law"][0] + 0.7 * told["time"][0], torch.ones(1, 50)
    assert weight_of_law(told, "time", r, ones).item() == pytest.approx(0.3)
    for seed in range(9):  # it is above 1/2 where the law's squared error is smaller
        r = noise(50, 1.0, 3 + seed)
        error = {name: (x - r).square().sum() for name, x in told.items()}
        assert (weight_of_law(told, "time", r, ones) > 0.5) == (error["law"] < error["time"])


def made(r, h, training, every=10, last=300):
    """(whole, early) of R, H and training accuracy as functions of the step, without noise in H."""
    steps = torch.arange(0, last + 1, every, dtype=torch.double)
    columns = [
        torch.tensor([f(s) for s in steps.tolist()], dtype=torch.double) for f in (r, h, training)
    ]
    points = Points(steps, columns[0], columns[1], torch.zeros(len(steps)), columns[2])
    early = steps <= 0.15 * last
    return points, Points(*(column[early] for column in points))


def judged(whole, early):
    curve = fit_curve(whole.steps, whole.accuracies)
    later = whole.after(int(early.steps[-1]))
    return judge_whole(whole, curve)[0], judge_first(early, later, curve)[0]


def jitter(step, size=0.01):
    return size * math.sin(17.0 * step + step**2)


def test_what_follows_h_through_its_swings_holds_and_what_follows_time_does_not():
    r = lambda s: law(falling(s)).item() + jitter(s)
    in_time = lambda s: 0.4 + 0.1 * math.log1p(s / 20) + jitter(s)
    flat = lambda s: 0.6 + jitter(s, 0.05)
    for finding in judged(*made(r, falling, flat, every=3)):
        assert finding.verdict()[0] == "holds here"
    for finding in judged(*made(in_time, falling, flat, every=3)):
        verdict, why = finding.verdict()
        assert verdict == "does not hold here" and "weight beside time" in why


def test_what_follows_training_accuracy_through_its_swings_does_not_follow_h():
    swinging = lambda s: 0.6 + 0.1 * math.sin(s / 11) + 0.2 * s / 300
    h = lambda s: 0.3 - 0.2 * min(s / 60, 1) + 0.02 * math.sin(s / 7)
    whole, early = judged(*made(lambda s: swinging(s) - 0.1 + jitter(s), h, swinging, every=3))
    for finding in (whole, early):
        verdict, why = finding.verdict()
        assert verdict == "does not hold here" and "weight beside training" in why


def test_an_accuracy_that_stays_tells_nothing():
    for finding in judged(*made(lambda s: 0.5, falling, lambda s: 0.6)):
        assert finding.verdict()[0] == "not enough data"


def test_accuracy_that_rises_with_entropy_is_no_law():
    r = lambda s: 0.4 + 0.5 * falling(s)
    (whole, _) = judged(*made(r, falling, lambda s: 0.6 + jitter(s, 0.05), every=3))
    assert whole.verdict()[0] != "holds here"


def test_an_early_fit_that_hangs_on_single_evaluations_decides_nothing():
    """The fit is near what comes later, but without its first evaluation it is far from it."""
    r = lambda s: law(falling(s)).item() + (s in (10, 30)) * 0.05
    _, early = judged(*made(r, falling, lambda s: 0.6 + jitter(s, 0.05)))
    beside_time = early.effects[0]
    assert beside_time.high - beside_time.low > 0.5 and early.verdict()[0] == "not enough data"


# --------------------------------------------------------------------------------- what it says


def test_a_run_that_follows_the_law_is_predicted_from_its_beginning(tmp_path, capsys):
    follows = lambda s: law(falling(s)) + jitter(s, 0.002)
    lines, verdicts, out = say(capsys, write_run(tmp_path / "run", follows, eval_every=3))
    assert "68 evaluations, 11 in the first 30" in out
    assert verdicts == dict.fromkeys(PARTS, "holds here")
    for part in PARTS:
        numbers = re.findall(r"(?:a|b|ceiling) ([\d.]+)", lines["law", part])
        a, b, ceiling = map(float, numbers)
        assert (a, b, ceiling) == pytest.approx((0.5, 1.4, 0.9), abs=0.05)
        assert rmse(lines["law", part]) < 0.01 < rmse(lines["time", part])
    assert rmse(lines["law", "first 15%"]) < rmse(lines["R stays", "first 15%"])
    # Of the two questions one is right in 4 of 8 answers, one in all: sqrt(0.25 / 7) / 2.
    assert "noise gives an RMSE of 0.094 before and 0.094 after" in out
    assert (tmp_path / "run" / "report" / "law.png").stat().st_size > 10_000


def test_a_run_that_follows_time_is_not_of_the_law_although_it_fits(tmp_path, capsys):
    rises = lambda s: 0.3 + 0.15 * math.log1p(s / 15) + jitter(s, 0.005)
    lines, verdicts, _ = say(capsys, write_run(tmp_path / "run", rises))
    assert verdicts["whole run"] == "does not hold here"
    assert float(lines["law", "whole run"].split("r2 ")[1]) > 0.8
    assert rmse(lines["time", "whole run"]) < 0.01 < rmse(lines["law", "whole run"])


def test_the_early_fit_sees_nothing_of_what_comes_later(tmp_path, capsys):
    folder = write_run(tmp_path / "run", lambda s: law(falling(s)) + 0.001 * (s % 3))
    before = say(capsys, folder)[0]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines[30:]:
        line["entropy_law"] *= 3
        if line["eval_accuracy"] is not None:
            line["eval_accuracy"] = 0.25
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    after = say(capsys, folder)[0]
    for name, fit in (("law", " a "), ("sigmoid", " start ")):
        first, again = (lines[name, "first 15%"].partition(fit)[2] for lines in (before, after))
        assert first == again != ""
        assert before[name, "whole run"] != after[name, "whole run"]


def test_a_sigmoid_run_is_predicted_by_the_sigmoid(tmp_path, capsys):
    planted = Sigmoid(0.3, 0.8, 12.0, 2.0, 1.0)
    rise = lambda s: planted.predict(torch.tensor(float(s), dtype=torch.double))
    lines, verdicts, _ = say(capsys, write_run(tmp_path / "run", rise, eval_every=3))
    for part in PARTS:
        assert rmse(lines["sigmoid", part]) < 0.001
        assert "ceiling 0.8  middle 12  exponent 2" in lines["sigmoid", part]
    assert verdicts["whole run"] == "does not hold here"


def test_too_few_early_evaluations_name_the_option_that_gives_enough(tmp_path, capsys):
    curve = lambda s: law(falling(s)) + jitter(s, 0.002)
    run = write_run(tmp_path / "few", curve, steps=300, eval_every=20)
    lines, verdicts, out = say(capsys, run)
    assert verdicts["first 15%"] == "not enough data" and "--eval_every 11" in out
    assert "3 early evaluations, 13 later; needed: 5 and 6" in out
    assert "needed: 5" in lines["law", "first 15%"]
    out = say(capsys, write_run(tmp_path / "enough", curve, steps=300, eval_every=11))[2]
    assert "5 in the first 45" in out and "--eval_every" not in out


def test_a_run_that_only_began_says_what_is_missing(tmp_path, capsys):
    run = write_run(tmp_path / "run", lambda s: 0.5, steps=9, ended=False)
    _, verdicts, out = say(capsys, run)
    assert verdicts == dict.fromkeys(PARTS, "not enough data")
    assert "summary.json" in out and "--eval_every 1," in out and "not known before" in out
    with pytest.raises(InputError, match="no evaluation yet"):
        say(capsys, write_run(tmp_path / "other", lambda s: 0.5, steps=4, ended=False))


def test_another_temperature_is_named(tmp_path, capsys):
    folder = write_run(tmp_path / "run", lambda s: law(falling(s)), temperature=0.6)
    assert "temperature 0.6; the law is stated for 1" in say(capsys, folder)[2]
    folder = write_run(tmp_path / "other", lambda s: law(falling(s)))
    assert "sampling temperature" not in say(capsys, folder)[2]


def test_a_cut_off_last_line_and_nan_are_left_out(tmp_path, capsys):
    folder = write_run(tmp_path / "run", lambda s: law(falling(s)))
    whole = say(capsys, folder)[0]
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 201, "entropy_l')
    assert say(capsys, folder)[0] == whole
    text = (folder / "metrics.jsonl").read_text()
    text = re.sub(r'"eval_accuracy": 0[.]\d+', '"eval_accuracy": NaN', text, count=1)
    (folder / "metrics.jsonl").write_text(text)
    assert "40 evaluations" in say(capsys, folder)[2]
    (folder / "metrics.jsonl").write_text("".join(text.splitlines(keepends=True)[3:]))
    assert "200 steps" in say(capsys, folder)[2]  # the last is counted, not the lines


def test_the_command_line(tmp_path):
    folder = write_run(tmp_path / "run", lambda s: law(falling(s)))
    command = [sys.executable, str(ROOT / "analyze.py"), str(folder), "--law"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == ""
    assert str(folder / "report" / "law.png") in done.stdout and "holds here" in done.stdout


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda run: run.rename(run.with_name("gone")), "run has no config.json: name the folder"),
        (lambda run: (run / "metrics.jsonl").unlink(), "run has no evaluation yet: wait, or train"),
        (lambda run: (run / "config.json").write_text("{"), "not as this train.py writes"),
        (lambda run: (run / "config.json").write_bytes(b"\xff"), "not as this train.py writes"),
        (lambda run: (run / "config.json").write_text("{}"), "config.json holds no options"),
        (lambda run: (run / "metrics.jsonl").write_text("{}\n"), "lines without accuracy"),
        (lambda run: rewrite_lines(run, "entropy_law"), "lines without entropy_law"),
        (lambda run: (run / "metrics.jsonl").write_text("7\n"), "not as this train.py writes"),
    ],
)
def test_what_is_no_run_ends_in_one_sentence_and_status_2(
    tmp_path, monkeypatch, capsys, broken, sentence
):
    folder = write_run(tmp_path / "run", lambda s: 0.5)
    broken(folder)
    monkeypatch.setattr(sys, "argv", ["analyze.py", str(folder), "--law"])
    with pytest.raises(SystemExit) as end:
        analyze.main()
    said = capsys.readouterr()
    assert end.value.code == 2 and said.out == ""
    assert said.err.startswith("analyze.py: ") and said.err.count("\n") == 1
    assert sentence in said.err


def rewrite_lines(run, name):
    """metrics.jsonl again, without a metric."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line[name]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["RUN"], "--law: a law is fitted to one run; name only one"),
        (["--intervene"], "leave out --intervene"),
        (["--report", "elsewhere"], "leave out --report"),
        (["--questions", "150"], "leave out --questions"),
        (["--continuations", "0"], "--continuations 0: it must be at least 1"),
    ],
)
def test_the_law_goes_with_one_run_and_no_other_option(
    options, sentence, tmp_path, monkeypatch, capsys
):
    folder = str(write_run(tmp_path / "run", lambda s: 0.5))
    given = [folder if option == "RUN" else option for option in options]
    monkeypatch.setattr(sys, "argv", ["analyze.py", folder, *given, "--law"])
    with pytest.raises(SystemExit) as end:
        analyze.main()
    said = capsys.readouterr()
    assert end.value.code == 2 and said.out == "" and not (tmp_path / "run" / "report").exists()
    assert said.err.startswith("analyze.py: --") and sentence in said.err


def test_the_law_makes_no_report(tmp_path, monkeypatch, capsys):
    folder = write_run(tmp_path / "run", lambda s: law(falling(s)))
    monkeypatch.setattr(sys, "argv", ["analyze.py", str(folder), "--law"])
    analyze.main()
    assert [file.name for file in (folder / "report").iterdir()] == ["law.png"]
    assert capsys.readouterr().out.endswith(f"figure: {folder / 'report' / 'law.png'}\n")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    analyze.main()
    missing = "figure: none, since matplotlib is not installed (pip install matplotlib)\n"
    assert capsys.readouterr().out.endswith(missing)


def test_what_is_drawn_of_the_laws():
    from matplotlib.figure import Figure

    whole, _ = made(lambda s: 0.3 + s / 100, lambda s: 0.6 - s / 100, lambda s: 0.5, last=50)
    fits = {("law", "whole run"): fit_law(whole.entropies, whole.accuracies)}
    fits["sigmoid", "first 15%"] = Sigmoid(0.3, 0.6, 10.0, 1.0, 1.0)
    draw_laws(figure := Figure(), whole, 10, fits, 2 * whole.accuracies)
    left, right = figure.axes
    every, first, law_line = left.lines
    assert every.get_xdata().tolist() == pytest.approx(whole.entropies.exp().tolist())
    assert (first.get_ydata().tolist(), len(every.get_ydata())) == ([0.3, 0.4], 6)
    assert law_line.get_ydata()[0] == pytest.approx(fits["law", "whole run"].ceiling[0])
    in_time, sigmoid = right.lines[2], right.lines[-1]
    assert in_time.get_ydata()[0] == 0.6
    assert len(sigmoid.get_xdata()) == 51 and sigmoid.get_ydata()[10] == pytest.approx(0.45)


def test_the_curves_of_a_run_have_both_ends(tmp_path):
    run = read_run(write_run(tmp_path / "run", lambda s: 0.5 + s / 1000, steps=10, eval_every=4))
    batches, accuracies = curves_of(run)
    assert accuracies == {0: 0.5, 4: 0.504, 8: 0.508, 10: 0.51}
    assert list(batches) == list(range(1, 11)) and batches[3] == (falling(2), 0.5)
