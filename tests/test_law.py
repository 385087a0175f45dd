"""The law of entropy and its rival: what they recover, what they may not see, and what they say."""

import json
import re
import subprocess
import sys

import pytest
import torch
from conftest import ROOT

import analyze
import entropy
import rollout
from analysis.law import (
    Sigmoid,
    compare_laws,
    curves_of,
    draw_laws,
    fit_law,
    fit_sigmoid,
    law_points,
    law_report,
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
    """H over the steps of a made-up run."""
    return 0.05 + 0.5 * 2.0 ** (-step / 40)


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
        summary = {name: {"acc": {"mean": float(value)}} for name, value in ends.items()}
        (folder / "summary.json").write_text(json.dumps(summary | {"steps": steps}))
    return folder


def say(capsys, folder):
    """What `python analyze.py folder --law` prints, as {(law, part): line}, and as a whole."""
    law_report(read_run(folder))
    out = capsys.readouterr().out
    lines = {
        (name, part): line
        for line in out.splitlines()
        for name in ("law", "sigmoid", "R stays")
        for part in ("whole run", "first 15%")
        if line.split("  ")[0] == name and part in line
    }
    return lines, out


def later_rmse(line):
    return float(re.search(r" (\d\.\d{3})(?:\s|$)", line)[1])


# ------------------------------------------------------------------------------------ the fits


def test_the_law_recovers_what_was_planted_and_its_intervals_cover_it():
    h = torch.linspace(0.05, 0.6, 30, dtype=torch.double)
    planted = {"a": 0.5, "b": 1.4, "ceiling": 0.9}
    covered, centre = dict.fromkeys(planted, 0), dict.fromkeys(planted, 0.0)
    for seed in range(300):
        found = fit_law(h, law(h) + noise(30, 0.02, seed))
        for name, truth in planted.items():
            value, low, high = getattr(found, name)
            covered[name] += low <= truth <= high
            centre[name] += value / 300
    for name, truth in planted.items():
        assert centre[name] == pytest.approx(truth, abs=0.003)
        assert 0.89 < covered[name] / 300 < 0.98  # nominal 0.95; a bootstrap of 30 points has less


def test_r_squared_is_one_without_noise_and_near_zero_without_a_law():
    h = torch.linspace(0.05, 0.6, 40)
    assert fit_law(h, law(h)).r2 == pytest.approx(1)
    found = fit_law(h, 0.7 + noise(40, 0.02))
    assert found.r2 < 0.2 and found.a[1] < 0 < found.a[2]
    assert fit_law(h, torch.full((40,), 0.7)).r2 == 0


def test_an_interval_does_not_depend_on_random_numbers_drawn_before():
    h = torch.linspace(0.05, 0.6, 10)
    first = fit_law(h, law(h) + noise(10, 0.02))
    torch.manual_seed(5)
    assert fit_law(h, law(h) + noise(10, 0.02)) == first


def test_three_points_have_an_interval_although_one_may_be_drawn_thrice():
    for value, low, high in fit_law(torch.tensor([0.1, 0.3, 0.5]), torch.tensor([0.8, 0.7, 0.5]))[
        :3
    ]:
        assert low <= value <= high


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="different H: 1, needed: 3"):
        fit_law(torch.full((9,), 0.3), torch.rand(9))
    with pytest.raises(ValueError, match="different H: 2"):
        fit_law(torch.tensor([0.3, 0.2]), torch.tensor([0.5, 0.6]))
    with pytest.raises(ValueError, match="that of step 0"):
        fit_sigmoid(torch.tensor([1.0, 2, 3, 4]), torch.rand(4))
    with pytest.raises(ValueError, match="3 later ones"):
        fit_sigmoid(torch.tensor([0.0, 2, 3]), torch.rand(3))


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
    every = {step: float(step) for step in range(1, 101)}
    _, h, r = law_points(every, {0: 0.1, 20: 0.2, 100: 0.9})
    assert h.tolist() == [3.0, 20.5, 98.0]  # of 1..5, 16..25, 96..100
    assert r.tolist() == pytest.approx([0.1, 0.2, 0.9])
    _, h, _ = law_points(every, {0: 0.1, 4: 0.2, 8: 0.9})
    assert h.tolist() == [1.5, 4.5, 8.5]  # of 1 2, 3 4 5 6, 7 8 9 10
    assert law_points(dict.fromkeys(every), {0: 0.1, 20: 0.2}).shape == (3, 0)


# --------------------------------------------------------------------------------- what it says


def test_a_run_that_follows_the_law_is_predicted_from_its_beginning(tmp_path, capsys):
    lines, out = say(capsys, write_run(tmp_path / "run", lambda s: law(falling(s))))
    assert "41 evaluations, 7 in the first 30" in out
    for part in ("whole run", "first 15%"):
        assert " holds " in lines["law", part]
        numbers = re.findall(r"(?:a|b|ceiling) ([\d.]+)", lines["law", part])
        a, b, ceiling = map(float, numbers)
        assert (a, b, ceiling) == pytest.approx((0.5, 1.4, 0.9), abs=0.05)
    assert later_rmse(lines["law", "first 15%"]) < 0.01
    assert (tmp_path / "run" / "report" / "law.png").stat().st_size > 10_000


def test_an_early_fit_does_not_hide_that_the_run_leaves_the_law(tmp_path, capsys):
    # After step 30 R falls as much as it should rise by the law.
    bend = law(falling(30))
    bends = lambda s: law(falling(s)) if s <= 30 else 2 * bend - law(falling(s))
    lines, _ = say(capsys, write_run(tmp_path / "run", bends))
    assert "does not hold" in lines["law", "first 15%"]
    assert "does not hold" in lines["law", "whole run"]
    off = [2 * (law(falling(s)) - bend) for s in range(35, 201, 5)]
    by_hand = torch.stack(off).square().mean().sqrt().item()
    # The R that stays is off by half of it.
    assert later_rmse(lines["R stays", "first 15%"]) == pytest.approx(by_hand / 2, abs=5e-4)
    assert later_rmse(lines["law", "first 15%"]) == pytest.approx(by_hand, rel=0.1)


def test_scatter_around_the_law_is_not_the_law(tmp_path, capsys):
    scatter = 0.1 * torch.sin(torch.arange(201.0) ** 2)
    run = write_run(tmp_path / "run", lambda s: law(falling(s)) + scatter[s])
    line = say(capsys, run)[0]["law", "whole run"]
    a_is_above, r2 = float(re.search(r" a \S+ \[(\S+),", line)[1]), float(line.split("r2 ")[1])
    assert a_is_above > 0 and r2 < 0.9 and "does not hold" in line


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


def test_a_sigmoid_run_is_predicted_by_the_sigmoid_and_not_by_the_law(tmp_path, capsys):
    planted = Sigmoid(0.3, 0.8, 12.0, 2.0, 1.0)
    rise = lambda s: planted.predict(torch.tensor(float(s), dtype=torch.double))
    lines, _ = say(capsys, write_run(tmp_path / "run", rise, eval_every=3))
    for part in ("whole run", "first 15%"):
        assert " holds " in lines["sigmoid", part]
        assert "ceiling 0.8  middle 12  exponent 2" in lines["sigmoid", part]
    assert "does not hold" in lines["law", "first 15%"]
    assert "holds" not in lines["R stays", "first 15%"]


def test_too_few_early_evaluations_name_the_option_that_gives_enough(tmp_path, capsys):
    curve = lambda s: law(falling(s))
    lines, out = say(capsys, write_run(tmp_path / "few", curve, steps=300, eval_every=50))
    assert "not enough data" in lines["law", "first 15%"] and " holds " in lines["law", "whole run"]
    assert "--eval_every 15" in out
    lines, out = say(capsys, write_run(tmp_path / "enough", curve, steps=300, eval_every=15))
    assert " holds " in lines["law", "first 15%"] and "--eval_every" not in out


def test_a_run_that_only_began_says_what_is_missing(tmp_path, capsys):
    lines, out = say(capsys, write_run(tmp_path / "run", lambda s: 0.5, steps=9, ended=False))
    assert len(lines) == 5 and out.count("not enough data") == 4
    assert "summary.json" in out and "--eval_every 1," in out
    with pytest.raises(InputError, match="no evaluation yet"):
        say(capsys, write_run(tmp_path / "other", lambda s: 0.5, steps=4, ended=False))


def test_another_temperature_is_named(tmp_path, capsys):
    folder = write_run(tmp_path / "run", lambda s: law(falling(s)), temperature=0.6)
    assert "temperature 0.6; the law is stated for 1" in say(capsys, folder)[1]
    folder = write_run(tmp_path / "other", lambda s: law(falling(s)))
    assert "sampling temperature" not in say(capsys, folder)[1]


def test_a_cut_off_last_line_and_nan_are_left_out(tmp_path, capsys):
    folder = write_run(tmp_path / "run", lambda s: law(falling(s)))
    whole = say(capsys, folder)[0]
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 201, "entropy_l')
    assert say(capsys, folder)[0] == whole
    text = (folder / "metrics.jsonl").read_text()
    text = re.sub(r'"eval_accuracy": 0[.]\d+', '"eval_accuracy": NaN', text, count=1)
    (folder / "metrics.jsonl").write_text(text)
    assert "40 evaluations" in say(capsys, folder)[1]
    (folder / "metrics.jsonl").write_text("".join(text.splitlines(keepends=True)[3:]))
    assert "200 steps" in say(capsys, folder)[1]  # the last is counted, not the lines


def test_the_command_line(tmp_path):
    folder = write_run(tmp_path / "run", lambda s: law(falling(s)))
    command = [sys.executable, str(ROOT / "analyze.py"), str(folder), "--law"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == ""
    assert str(folder / "report" / "law.png") in done.stdout and " holds " in done.stdout


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


# -------------------------------------------------------------------------- on points made by hand


def points(*rows):
    """Of (step, H, R), as `law_points` gives them."""
    return torch.tensor(rows, dtype=torch.double).T


def verdict_of(capsys, name, part):
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith(name) and part in line)
    return "does not hold" if "does not hold" in line else "holds"


@pytest.mark.parametrize("error, verdict", [(0.45, "holds"), (0.55, "does not hold")])
def test_an_early_fit_must_halve_the_error_of_an_accuracy_that_stays(error, verdict, capsys):
    early = points(*((i, h, law(h)) for i, h in enumerate((0.6, 0.5, 0.4, 0.3))))
    stays, predicted = law(0.3), law(0.1)
    # R is so far on the way from what stays to what is predicted that the errors have this ratio.
    r = stays + (predicted - stays) / (1 + error)
    later = points((10, 0.1, r), (11, 0.1, r))
    compare_laws(torch.cat([early, later], 1), early, later)
    assert verdict_of(capsys, "law", "first 15%") == verdict


def test_a_law_whose_slope_may_be_none_does_not_hold(capsys):
    h = torch.tensor([1.0, 2.0, 11.0]).log()
    found = fit_law(h, torch.tensor([0.90, 0.95, 0.40]))
    assert found.a[0] > 0 > found.a[1] and found.r2 > 0.9
    whole = points(*zip(range(3), h.tolist(), (0.90, 0.95, 0.40)))
    compare_laws(whole, whole, whole[:, :0])
    assert verdict_of(capsys, "law", "whole run") == "does not hold"


def test_what_is_drawn_of_the_laws():
    from matplotlib.figure import Figure

    whole = points((0, 0.6, 0.3), (10, 0.5, 0.4), (20, 0.4, 0.6))
    fits = {("law", "whole run"): fit_law(whole[1], whole[2])}
    fits["sigmoid", "first 15%"] = Sigmoid(0.3, 0.6, 10.0, 1.0, 1.0)
    draw_laws(figure := Figure(), whole, 10, fits)
    left, right = figure.axes
    every, first, law_line = left.lines
    assert every.get_xdata().tolist() == pytest.approx(whole[1].exp().tolist())
    assert (first.get_ydata().tolist(), len(every.get_ydata())) == ([0.3, 0.4], 3)
    assert law_line.get_ydata()[0] == pytest.approx(fits["law", "whole run"].ceiling[0])
    sigmoid = right.lines[-1]
    assert len(sigmoid.get_xdata()) == 21 and sigmoid.get_ydata()[10] == pytest.approx(0.45)


def test_the_curves_of_a_run_have_both_ends(tmp_path):
    run = read_run(write_run(tmp_path / "run", lambda s: 0.5 + s / 1000, steps=10, eval_every=4))
    entropies, accuracies = curves_of(run)
    assert accuracies == {0: 0.5, 4: 0.504, 8: 0.508, 10: 0.51}
    assert list(entropies) == list(range(1, 11)) and entropies[3] == falling(2)
