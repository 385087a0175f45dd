"""The replacement experiment, on what policies really write, and the findings made from it."""

import itertools
import json
from types import SimpleNamespace

import pytest
import torch
from made_up import CONFIG, bpe, line, report, value, values, verdicts, write_run

import rollout
from analysis import replacement
from analysis.replacement import PLACES, REPLACED, replacement_findings
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
    about = {"checkpoint": "step_4", "continuations": 2}
    assert all(about.items() <= x.items() for x in lines)
    assert sum(len(x["replaced"]) for x in lines) > 10
    for x in itertools.chain.from_iterable(each["replaced"] for each in lines):
        assert x["place"] in PLACES and x["perplexity"] in ("low", "high")
        third = PLACES.index(x["place"])
        assert third / 3 <= x["position"] < (third + 1) / 3 + 1e-9
        assert {x["with_original"], x["with_replacement"]} <= {0.0, 0.5, 1.0}
    assert value(found["T2"], "impact, place start")["value"] == 0  # it never answers rightly

    # What is there is not done again; what was cut off is, and comes out the same.
    path = folder / "report" / REPLACED
    whole = path.read_text()
    path.write_text(whole[:-40])
    noted = asked_of(replacement.replace_tokens, again := [])
    monkeypatch.setattr(replacement, "replace_tokens", noted)
    report(folder, ("intervene", True))
    assert path.read_text() == whole and again == [lines[-1]["question"]]


def test_impact_is_what_the_replacement_costs(tmp_path):
    (tmp_path / "report").mkdir()
    about, lines = {"checkpoint": "step_9", "continuations": 4}, []
    for i in range(30):
        tokens = []
        for place, lost in (("start", 0.5), ("middle", 0.25), ("end", 0.0)):
            for perplexity, more in (("low", 0.0), ("high", 0.25)):
                token = {"place": place, "perplexity": perplexity, "with_original": 1.0}
                tokens.append(token | {"with_replacement": 1 - lost - more})
        lines.append(about | {"question": str(i), "replaced": tokens})
    lines.append(about | {"question": "x", "replaced": []})
    lines.insert(0, about | {"question": "old", "checkpoint": "step_1", "replaced": tokens * 9})
    text = "".join(json.dumps(x) + "\n" for x in lines)
    (tmp_path / "report" / REPLACED).write_text(text + '{"cut')
    i2, t2 = replacement_findings(tmp_path / "report")
    assert (i2.verdict()[0], t2.verdict()[0]) == ("holds here", "holds here")
    assert [round(e.value, 6) for e in t2.effects[:3]] == [62.5, 37.5, 12.5]
    assert [round(e.value, 6) for e in i2.effects[:2]] == [50.0, 25.0]


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
    about = {"checkpoint": "step_10", "continuations": 5, "replaced": [{"place": "start"}]}
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


def test_the_answer_of_highest_perplexity_is_told_from_that_of_lowest(rotary, monkeypatch):
    seen = []

    def draw(policy, part, entropy, temperature):
        seen.append((part.texts[0], entropy, temperature))
        return [({"place": "end"}, [1, 2], [1, 3])]

    scored = []
    score = replacement.score_batch

    def noted(model, rollouts, scoring):
        scored.append((rollouts, score(model, rollouts, scoring)))
        return scored[-1][1]

    monkeypatch.setattr(replacement, "draw_replacements", draw)
    monkeypatch.setattr(replacement, "score_batch", noted)
    lines_of = {}
    accuracies = [0.9, 0.1, 0.8, 0.2]
    monkeypatch.setattr(
        replacement, "accuracies_after", lambda *how: lines_of.update(how=how) or accuracies
    )
    config = CONFIG | {"temperature": 0.7}
    found = replacement.replace_tokens(rotary, Question("1+1", "2"), config, 6)
    rollouts, scores = scored[0]
    mask = rollouts.response_mask
    means = [scores.logp[row][mask[row]].mean().item() for row in range(4)]
    low, high = means.index(max(means)), means.index(min(means))
    assert [text for text, *_ in seen] == [rollouts.texts[low], rollouts.texts[high]]
    assert torch.equal(seen[1][1], scores.entropy[high][mask[high]]) and seen[0][2] == 0.7
    assert found == [
        {"perplexity": "low", "place": "end", "with_original": 0.9, "with_replacement": 0.1},
        {"perplexity": "high", "place": "end", "with_original": 0.8, "with_replacement": 0.2},
    ]
    _, prompt, starts, sampling, is_right = lines_of["how"]
    assert prompt == encode_prompt(rotary, "1+1")
    assert is_right("\\boxed{2}") and not is_right("\\boxed{3}")
    assert starts == [[1, 2], [1, 3]] * 2
    assert (sampling.group_size, sampling.max_response_length, sampling.temperature) == (6, 24, 0.7)
    first = rollouts.texts
    replacement.replace_tokens(rotary, Question("1+1", "2"), config, 6)
    replacement.replace_tokens(rotary, Question("1+1", "2"), config | {"seed": 1}, 6)
    assert scored[1][0].texts == first != scored[2][0].texts


def test_impacts_are_means_over_tokens_in_points(tmp_path):
    tokens = [
        {"place": "start", "perplexity": "low", "with_original": 0.75, "with_replacement": 0.25},
        {"place": "start", "perplexity": "high", "with_original": 0.5, "with_replacement": 0.25},
        {"place": "end", "perplexity": "low", "with_original": 1.0, "with_replacement": 1.0},
    ]
    about = {"checkpoint": "step_1", "continuations": 4}
    lines = [about | {"question": str(i), "replaced": tokens[i:]} for i in range(3)]
    lines += [about | {"question": "x", "replaced": []}]
    old = [tokens[0] | {"with_original": 0.0, "with_replacement": 1.0}]  # another experiment's
    lines = [about | {"continuations": 8, "question": "0", "replaced": old}, *lines]
    (tmp_path / REPLACED).write_text("".join(json.dumps(x) + "\n" for x in lines))
    i2, t2 = replacement_findings(tmp_path)
    assert values(t2) == {
        "impact, place start (points)": pytest.approx((50 + 25 + 25) / 3),
        "impact, place middle (points)": pytest.approx(float("nan"), nan_ok=True),
        "impact, place end (points)": 0,
        "accuracy with the original, place start (%)": pytest.approx((75 + 50 + 50) / 3),
        "accuracy with the original, place middle (%)": pytest.approx(float("nan"), nan_ok=True),
        "accuracy with the original, place end (%)": 100,
        "start less end": pytest.approx(100 / 3),
    }
    assert values(i2)["high perplexity less low"] == pytest.approx(25 - 50 / 4)
    top = "6 tokens of the top 20%, 4 questions, to 1 of which all answers were the same"
    assert i2.notes == t2.notes == [f"{top}; 4 continuations of either token, step_1."]

    from matplotlib.figure import Figure

    i2.draw(figure := Figure())
    (axes,) = figure.axes
    assert axes.get_xlabel() == "perplexity of the rollout"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["high", "low"]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([25, 12.5])
    t2.draw(figure := Figure())
    assert figure.axes[0].get_xlabel() == "third of the response"
