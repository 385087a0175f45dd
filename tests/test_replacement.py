"""The replacement experiment, on what policies really write, and the findings made from it."""

import json
from types import SimpleNamespace

import pytest
import torch
from made_up import CONFIG, bpe, line, report, verdicts, write_run

import rollout
from analysis import replacement
from analysis.replacement import (
    PAIRS,
    PLACES,
    REPLACED,
    equal_pairs,
    extremes,
    replacement_findings,
)
from data import Question
from entropy import score_batch
from policy import Policy, encode_prompt, save_policy
from record import read_run, write_rollouts
from reward import grade


def a_sampled_run(folder, policy, questions, steps):
    """A run of what a policy really writes, by the functions of training."""
    options = SimpleNamespace(**CONFIG, overlong_buffer=0, overlong_penalty=0.0)
    folder.mkdir()
    for step in steps:
        torch.manual_seed(step)
        batch = rollout.sample_and_grade(policy, questions, options)
        batch.scores = score_batch(policy.model, batch.rollouts)
        batch.advantages = torch.linspace(-1, 1, len(batch.rewards))
        batch.shaped = batch.advantages[:, None] * batch.mask
        batch.logp_change = 0.1 * torch.randn(batch.shaped.shape)
        write_rollouts(folder, step, batch, policy.tokenizer)
    save_policy(policy, folder / "checkpoints" / "step_4")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line(s)) + "\n" for s in range(1, 5)))
    return folder


def asked_of(function, questions):
    """The function, which notes its questions."""

    def noted(policy, question, *rest):
        questions.append(question.text)
        return function(policy, question, *rest)

    return noted


def a_bpe_policy():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    tokenizer = bpe()
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": len(tokenizer)}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model = Qwen2ForCausalLM(Qwen2Config(**sizes, **ends)).eval()
    return Policy(model, tokenizer, "chat", "Box it.", (tokenizer.eos_token_id,))


def test_real_rollouts_of_a_chat_model_are_reported_and_replaced(tmp_path, monkeypatch, capsys):
    questions = [Question("What is 1+1?", "2"), Question("所以 é?", "3"), Question("2-2", "0")]
    folder = a_sampled_run(tmp_path / "run", a_bpe_policy(), questions, (1, 2, 3, 4))
    found = report(folder)
    assert verdicts(found)["I1"] != ""
    assert found["T1"]["effects"] and found["S6"]["effects"]
    assert "--intervene" in found["T2"]["why"]

    found = report(folder, ("intervene", True))
    lines = [json.loads(x) for x in (folder / "report" / REPLACED).read_text().splitlines()]
    assert {x["question"] for x in lines} == {q.text for q in questions}
    about = {"checkpoint": "step_4", "continuations": 2, "answers": replacement.ANSWERS}
    assert all(about.items() <= x.items() for x in lines)
    assert not any(x["replaced"] for x in lines)  # it never answers rightly: nothing is to be lost
    assert found["T2"]["verdict"] == found["I2"]["verdict"] == "not enough data"
    assert "no two tokens" in found["T2"]["why"] and "no two tokens" in found["I2"]["why"]

    # What is there is not done again; what was cut off is, and comes out the same.
    path = folder / "report" / REPLACED
    whole = path.read_text()
    path.write_text(whole[:-40])
    noted = asked_of(replacement.replace_tokens, again := [])
    monkeypatch.setattr(replacement, "replace_tokens", noted)
    report(folder, ("intervene", True))
    assert path.read_text() == whole and again == [lines[-1]["question"]]


def test_policies_whose_every_answer_is_right_are_measured(tmp_path):
    """The whole experiment, with a reward for which everything is right."""
    policy = a_bpe_policy()
    reward = tmp_path / "anything.py"
    reward.write_text("def all_right(response, gold, question):\n    return 1.0\n")
    config = CONFIG | {"reward": f"{reward}:all_right"}
    tokens = replacement.replace_tokens(policy, Question("What is 1+1?", "2"), config, 2)
    assert len(tokens) >= 12 and len({x["rollout"] for x in tokens}) == 8  # 4 low and 4 high
    assert {x["perplexity"] for x in tokens} == {"low", "high"}
    ranks = {
        x["perplexity"]: {y["rollout"] for y in tokens if y["perplexity"] == x["perplexity"]}
        for x in tokens
    }
    assert max(ranks["low"]) < min(ranks["high"])
    for x in tokens:
        third = PLACES.index(x["place"])
        assert third / 3 <= x["position"] < (third + 1) / 3 + 1e-9
        assert x["pilot"] == x["with_original"] == x["with_replacement"] == 1.0
    for how in PAIRS:
        assert equal_pairs(tokens, *how)


ABOUT = {"checkpoint": "step_9", "continuations": 4, "answers": 16}


def written(folder, lines):
    folder.mkdir(exist_ok=True)
    (folder / REPLACED).write_text("".join(json.dumps(x) + "\n" for x in lines))
    return folder


def token(rollout, perplexity, place, start, pilot, original=1.0, replaced=0.0):
    found = {"rollout": rollout, "perplexity": perplexity, "place": place, "start": start}
    return found | {"pilot": pilot, "with_original": original, "with_replacement": replaced}


def test_impact_is_what_the_replacement_costs(tmp_path):
    lines = []
    for i in range(30):
        tokens = []
        for place, lost in (("start", 0.5), ("middle", 0.25), ("end", 0.0)):
            for rank, perplexity, more in ((0, "low", 0.0), (5, "high", 0.25)):
                at = token(rank, perplexity, place, len(tokens), 1.0, 1.0, 1 - lost - more)
                tokens.append(at)
        lines.append(ABOUT | {"question": str(i), "replaced": tokens})
    lines.append(ABOUT | {"question": "x", "replaced": []})
    old = [x | {"with_replacement": 1.0} for x in tokens]
    lines.insert(0, ABOUT | {"question": "old", "checkpoint": "step_1", "replaced": old})
    folder = written(tmp_path / "report", lines)
    with (folder / REPLACED).open("a") as file:
        file.write('{"cut')
    i2, t2 = replacement_findings(folder)
    assert (i2.verdict()[0], t2.verdict()[0]) == ("holds here", "holds here")
    assert [round(e.value, 6) for e in i2.effects] == [50, 25, 100, 100, 25]
    assert [round(e.value, 6) for e in t2.effects] == [62.5, 12.5, 100, 100, 50]
    note = (
        "90 pairs in 30 of 31 questions, 16 answers to each; 4 continuations of either token, and "
    )
    assert i2.notes == [note + "as many of the pilot; step_9."]
    assert t2.notes[0].startswith("60 pairs in 30 of 31 questions")


def test_the_interval_is_wider_by_what_is_left_of_a_difference_in_accuracy(tmp_path):
    """High perplexity: 10 points less to begin with, and 12 less to lose; the same in all questions."""
    tokens = [
        token(0, "low", "start", 0, 1.0, 1.0, 0.4),
        token(1, "high", "start", 1, 1.0, 0.9, 0.42),
    ]
    lines = [ABOUT | {"question": str(i), "replaced": tokens} for i in range(9)]
    effect = replacement_findings(written(tmp_path, lines))[0].effects[-1]
    assert (effect.value, effect.low, effect.high) == pytest.approx((-12, -22, -2))


def test_lines_of_an_experiment_without_a_pilot_are_told(tmp_path):
    old = {"place": "start", "perplexity": "low", "with_original": 1.0, "with_replacement": 0.0}
    about = {"checkpoint": "step_9", "continuations": 4, "question": "a", "replaced": [old]}
    for finding in replacement_findings(written(tmp_path, [about])):
        assert finding.verdict()[0] == "not enough data" and "without a pilot" in finding.missing


# ----------------------------------------------------------------------------------- the pairs


def test_a_pair_is_of_equal_pilots_and_of_two_different_choices():
    tokens = [
        token(0, "low", "start", 0, 1.0),
        token(0, "low", "end", 1, 0.75),
        token(3, "high", "start", 0, 1.0),  # the same start as the first
        token(4, "high", "start", 2, 0.875),  # another pilot than the first
        token(4, "high", "end", 3, 0.75),
        token(4, "high", "middle", 4, 0.75),
    ]
    assert equal_pairs(tokens, *PAIRS[0]) == [(tokens[4], tokens[1])]
    assert equal_pairs(tokens, *PAIRS[1]) == []
    low = [x | {"pilot": 0.25} for x in tokens]
    assert equal_pairs(low, *PAIRS[0]) == []  # wrong already


def test_of_several_pairs_the_one_of_highest_pilot_and_then_furthest_apart_is_taken():
    tokens = [
        token(0, "low", "start", 0, 0.75),
        token(1, "low", "start", 1, 1.0),
        token(2, "low", "start", 2, 1.0),
        token(6, "high", "start", 3, 1.0),
        token(7, "high", "start", 4, 1.0),
        token(8, "high", "start", 5, 0.75),
        token(8, "high", "end", 6, 0.75),
    ]
    assert equal_pairs(tokens, *PAIRS[0]) == [(tokens[4], tokens[1])]
    assert equal_pairs(tokens, *PAIRS[1]) == [(tokens[5], tokens[6])]
    # Those that are chosen from all are chosen from the chosen ones again.
    assert equal_pairs([tokens[i] for i in (1, 4, 5, 6)], *PAIRS[0]) == [(tokens[4], tokens[1])]


def test_extremes_are_of_different_texts():
    perplexity = torch.tensor([0.5, 0.1, 0.4, 0.1, 0.3, 0.2])
    found = extremes(perplexity, ["e", "a", "d", "a", "c", "b"])
    assert found == [(0, 1, "low"), (1, 5, "low"), (3, 2, "high"), (4, 0, "high")]
    assert extremes(perplexity, ["a"] * 6) == [(0, 1, "only")]
    many = extremes(torch.arange(20.0), [str(i) for i in range(20)])
    assert [rank for rank, *_ in many] == [0, 1, 2, 3, 16, 17, 18, 19]


# -------------------------------------------------------------------- the parts of the experiment


def test_the_last_checkpoint_answers_the_latest_questions(tmp_path, monkeypatch):
    rows = [{"question": "a", "gold": "old"}, {"question": "b", "gold": "2"}]
    later = [{"question": "c", "gold": "3"}, {"question": "a", "gold": "new"}]
    config = CONFIG | {"template": "T", "instruction": "I", "chat_template_kwargs": '{"a": 1}'}
    run = read_run(write_run(tmp_path / "run", [line(1)], {9: rows, 10: later}, config=config))
    for step in (2, 10):
        (run.folder / "checkpoints" / f"step_{step}").mkdir(parents=True)
    asked, loaded = [], []

    def load(*what, **how):
        loaded.append((*what, how))
        return "policy"

    monkeypatch.setattr(replacement, "load_policy", load)

    def noted(*what):
        asked.append(what)
        return [{"place": "start"}]

    monkeypatch.setattr(replacement, "replace_tokens", noted)
    last = str(run.folder / "checkpoints" / "step_10")
    device = torch.device("cpu")
    replacement.intervene(run, tmp_path, 2, 5)
    how = {"template": "T", "instruction": "I", "system": None, "chat_template_kwargs": {"a": 1}}
    assert loaded == [(last, device, how)]
    questions = [Question("c", "3"), Question("a", "new")]
    assert asked == [("policy", question, config, 5) for question in questions]
    lines = [json.loads(x) for x in (tmp_path / REPLACED).read_text().splitlines()]
    about = {"checkpoint": "step_10", "continuations": 5, "answers": replacement.ANSWERS}
    about["replaced"] = [{"place": "start"}]
    assert lines == [about | {"question": "c"}, about | {"question": "a"}]
    # Another question is asked alone; with other continuations all are asked again.
    replacement.intervene(run, tmp_path, 3, 5)
    assert [question.text for _, question, *_ in asked[2:]] == ["b"]
    replacement.intervene(run, tmp_path, 3, 6)
    assert [question.text for _, question, *_ in asked[3:]] == ["c", "a", "b"]


def fixed(policy, monkeypatch, logits):
    """The policy's next token has these logits, {token: logit}; the states asked for are noted."""
    asked = []

    def response_states(model, input_ids, mask):
        return torch.arange(int(mask.sum()))

    def next_token_logits(model, states):
        asked.append(int(states))
        row = torch.full((1, len(policy.tokenizer)), -100.0)
        row[0, list(logits)] = torch.tensor(list(logits.values()))
        return row

    monkeypatch.setattr(replacement, "response_states", response_states)
    monkeypatch.setattr(replacement, "next_token_logits", next_token_logits)
    return asked


def test_in_each_third_a_token_of_high_entropy_is_replaced(rotary, monkeypatch):
    prompt = encode_prompt(rotary, "1+1")
    response = rotary.tokenizer("123456789")["input_ids"]
    assert len(response) == 9
    ids = torch.tensor([prompt + response])
    mask = torch.arange(ids.shape[1])[None] >= len(prompt)
    part = SimpleNamespace(input_ids=ids, response_mask=mask)
    entropy = torch.zeros(9)
    entropy[[1, 8]] = torch.tensor([0.5, 0.7])  # a fifth of 9 tokens are 2, none in the middle
    zero = rotary.tokenizer("0")["input_ids"][0]
    asked = fixed(rotary, monkeypatch, {response[1]: 9.0, response[8]: 9.0, zero: 8.0})
    for _ in range(5):
        first, last = replacement.draw_replacements(rotary, part, entropy, 1.0)
        found, original, other = first
        assert (found["place"], found["token"]) == ("start", "2")
        assert (found["position"], found["entropy"]) == pytest.approx((1 / 9, 0.5))
        assert original == response[:2] and other in ([response[0], x] for x in (zero, response[8]))
        assert found["replacement"] == rotary.tokenizer.decode(other[1:])
        found, original, other = last
        assert (found["place"], found["token"]) == ("end", "9")
        assert (found["position"], found["entropy"]) == pytest.approx((8 / 9, 0.7))
        assert original == response and other[:8] == response[:8] and other[8] != response[8]
    assert set(asked) == {1, 8}


def test_a_replacement_is_drawn_at_the_temperature_without_the_token_itself(rotary, monkeypatch):
    response = rotary.tokenizer("12345")["input_ids"]
    part = SimpleNamespace(
        input_ids=torch.tensor([response]), response_mask=torch.ones(1, 5, dtype=torch.bool)
    )
    zero, plus = rotary.tokenizer("0+")["input_ids"]
    fixed(rotary, monkeypatch, {response[0]: 9.0, zero: 1.0, plus: 0.0})
    entropy = torch.tensor([1.0, 0, 0, 0, 0])

    def drawn(temperature):
        torch.manual_seed(0)
        found = (
            replacement.draw_replacements(rotary, part, entropy, temperature)[0][2]
            for _ in range(200)
        )
        return [other[-1] for other in found]

    assert set(drawn(0.05)) == {zero}  # exp(-20) of them are not
    share = drawn(1.0).count(plus) / 200
    assert share == pytest.approx(1 / (1 + torch.tensor(1.0).exp().item()), abs=0.08)


def test_accuracy_after_a_start_is_that_of_its_own_continuations(rotary, monkeypatch):
    def ids(text):
        return rotary.tokenizer(text)["input_ids"]

    prompt, eos = encode_prompt(rotary, "1+1"), rotary.eos_ids[0]
    endings = [ids("\\boxed{2}"), ids("3"), ids("\\boxed{3}"), ids("\\boxed{2}")]
    longest = len(ids("1+1=")) + len(endings[0])
    starts = [
        [*ids("\\boxed{2}"), eos],  # has ended, rightly
        ids("1+1="),
        (ids("\\boxed{3}") * 9)[:longest],  # is full
        ids("1+1=2"),  # its second continuation is right, but too long
    ]
    asked = []

    def sample(policy, prompts, sampling):
        asked.append((prompts, sampling))
        length = max(map(len, endings))
        rows = torch.zeros(4, length, dtype=torch.long)
        mask = torch.zeros(4, length, dtype=torch.bool)
        for row, ending in enumerate(endings):
            rows[row, : len(ending)], mask[row, : len(ending)] = torch.tensor(ending), True
        return SimpleNamespace(input_ids=rows, response_mask=mask)

    monkeypatch.setattr(replacement, "sample", sample)
    sampling = rollout.Sampling(2, longest)
    is_right = lambda text: grade(text, "2").correct
    found = replacement.accuracies_after(rotary, prompt, starts, sampling, is_right)
    assert asked == [([prompt + starts[1], prompt + starts[3]], sampling)]
    assert found == [1.0, 0.5, 0.0, 0.0]
    assert replacement.accuracies_after(rotary, prompt, starts[:1], sampling, is_right) == [1.0]
    assert len(asked) == 1  # nothing was left to be sampled
    pad = rotary.tokenizer.pad_token_id
    within = [[*ids("\\boxed{"), pad, *ids("2}"), eos]]  # special tokens are no text
    assert replacement.accuracies_after(rotary, prompt, within, sampling, is_right) == [1.0]


def test_pairs_are_chosen_by_the_pilot_and_measured_anew(rotary, monkeypatch):
    seen, scored, asked = [], [], []

    def draw(policy, part, entropy, temperature):
        seen.append((part.texts[0], entropy, temperature))
        n = len(seen)
        return [({"place": "start"}, [n, 2], [n, 3]), ({"place": "end"}, [n, 2, 4], [n, 2, 5])]

    score = replacement.score_batch

    def noted(model, rollouts, scoring):
        scored.append((rollouts, score(model, rollouts, scoring)))
        return scored[-1][1]

    def accuracies(policy, prompt, starts, sampling, is_right):
        asked.append((prompt, starts, sampling, is_right))
        if len(asked) == 1:  # the pilot: starts of the first two differ, the others are like them
            return [1.0, 0.5, 0.75, 0.5] + [0.75] * (len(starts) - 4)
        return [i / len(starts) for i in range(len(starts))]

    monkeypatch.setattr(replacement, "draw_replacements", draw)
    monkeypatch.setattr(replacement, "score_batch", noted)
    monkeypatch.setattr(replacement, "accuracies_after", accuracies)
    monkeypatch.setattr(replacement, "ANSWERS", 4)
    config = CONFIG | {"temperature": 0.7}
    found = replacement.replace_tokens(rotary, Question("1+1", "2"), config, 6)
    rollouts, scores = scored[0]
    mask = rollouts.response_mask
    means = [scores.logp[row][mask[row]].mean().item() for row in range(4)]
    ranked = sorted(range(4), key=lambda row: -means[row])
    assert [text for text, *_ in seen] == [rollouts.texts[row] for row in ranked]
    row = ranked[3]
    assert torch.equal(seen[3][1], scores.entropy[row][mask[row]]) and seen[0][2] == 0.7
    (prompt, pilots, sampling, is_right), (_, both, again, _) = asked
    assert prompt == encode_prompt(rotary, "1+1") and sampling == again
    assert is_right("\\boxed{2}") and not is_right("\\boxed{3}")
    assert (sampling.group_size, sampling.max_response_length, sampling.temperature) == (6, 24, 0.7)
    assert pilots == [start for n in (1, 2, 3, 4) for start in ([n, 2], [n, 2, 4])]
    # Of one place and pilot: the start of the second with that of the fourth, which is furthest from
    # it; of one rollout and pilot: the start and the end of the third and the fourth.
    chosen = [(x["rollout"], x["perplexity"], x["place"], x["pilot"]) for x in found]
    assert chosen == [
        (1, "low", "start", 0.75),
        *((rank, "high", place, 0.75) for rank in (2, 3) for place in ("start", "end")),
    ]
    assert both[:4] == [[2, 2], [2, 3], [3, 2], [3, 3]] and len(both) == 10
    assert [x["with_original"] for x in found] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert [x["with_replacement"] for x in found] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])


def test_a_seed_and_a_question_tell_the_answers(rotary, monkeypatch):
    scored, score = [], replacement.score_batch

    def noted(model, rollouts, scoring):
        scored.append(rollouts.texts)
        return score(model, rollouts, scoring)

    monkeypatch.setattr(replacement, "score_batch", noted)
    for config in (CONFIG, CONFIG, CONFIG | {"seed": 1}):
        replacement.replace_tokens(rotary, Question("1+1", "2"), config, 2)
    assert scored[0] == scored[1] != scored[2] and len(scored[0]) == replacement.ANSWERS


def test_impacts_are_drawn_as_bars(tmp_path):
    from matplotlib.figure import Figure

    tokens = [
        token(0, "low", "start", 0, 1.0, 0.75, 0.25),
        token(1, "high", "start", 1, 1.0, 1.0, 0.25),
    ]
    lines = [ABOUT | {"question": str(i), "replaced": tokens} for i in range(3)]
    i2, t2 = replacement_findings(written(tmp_path, lines))
    i2.draw(figure := Figure())
    (axes,) = figure.axes
    assert axes.get_xlabel() == "perplexity of the rollout"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["high", "low"]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([75, 50])
    t2.draw(figure := Figure())
    assert figure.axes[0].get_xlabel() == "third of the response"
