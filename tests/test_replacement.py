"""The replacement experiment, on what policies really write, and the findings made from it."""

import itertools
import json
from types import SimpleNamespace

import torch
from made_up import CONFIG, bpe, line, report, value, verdicts

import rollout
from analysis import replacement
from analysis.replacement import PLACES, REPLACED, replacement_findings
from data import Question
from entropy import score_batch
from record import write_rollouts


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
    rollout.save_policy(policy, folder / "checkpoints" / "step_4")
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
    return rollout.Policy(model, tokenizer, "chat", "Box it.", (tokenizer.eos_token_id,))


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
