"""Loading, asking, sampling: what generate was told, and what became of what it wrote."""

import types

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
)

import rollout
from data import Question
from entropy import Scoring, score_batch
from options import InputError
from policy import encode_prompt, load_policy
from reward import Grade
from rollout import Sampling

TEXT = "7+8-3 =\n\\boxed{3}  so\t所以 é <b>\n\n  don't"


def options(**changed):
    usual = {
        "questions_per_step": 3,
        "group_size": 4,
        "max_response_length": 10,
        "temperature": 1.0,
        "sample_batch_size": 64,
        "sample_round_length": 64,
        "overlong_buffer": 0,
        "overlong_penalty": 1.0,
        "dynamic_sampling": False,
        "max_gen_batches": 3,
        "seed": 0,
    }
    return types.SimpleNamespace(**(usual | changed))


def prompts_of(policy, questions=("7+8", "1+2-3+4", "9-9")):
    return [encode_prompt(policy, question) for question in questions]


def without_end(policy, ids):
    """A response without the token that ended it."""
    return ids[:-1] if ids[-1] in policy.eos_ids else ids


def force(policy, response: str, end=True):
    """Make the policy write exactly this after every prompt, by replacing its output layer's result."""
    ids = policy.tokenizer(response)["input_ids"] + [policy.eos_ids[0]] * end
    state = {"step": 0}

    def hook(_, __, logits):
        forced = torch.full_like(logits, -1e4)
        forced[..., ids[min(state["step"], len(ids) - 1)]] = 0
        state["step"] += 1
        return forced

    return policy.model.get_output_embeddings().register_forward_hook(hook)


def test_fault_01_the_end_of_sequence_token_belongs_to_the_response_even_where_it_is_the_pad(
    policy,
):
    policy.tokenizer.pad_token_id = policy.eos_ids[0]
    hook = force(policy, "so 3")
    batch = rollout.sample(policy, prompts_of(policy), Sampling(2, 20))
    hook.remove()
    assert batch.response_lengths.tolist() == [5] * 6  # four characters and the end of sequence
    for ids, mask in zip(batch.input_ids, batch.response_mask, strict=True):
        assert ids[mask][-1] == policy.eos_ids[0]
    assert not batch.truncated.any()
    assert batch.texts == ["so 3"] * 6


def test_fault_02_the_policy_sampled_is_the_policy_scored_whatever_its_folder_says(
    rotary_folder, tmp_path
):
    folder = str(tmp_path)
    for part in (AutoModelForCausalLM, AutoTokenizer):
        part.from_pretrained(rotary_folder).save_pretrained(folder)
    GenerationConfig(
        do_sample=True, top_k=3, top_p=0.5, temperature=0.3, repetition_penalty=1.5, eos_token_id=0
    ).save_pretrained(folder)
    policy = load_policy(folder, "cpu", template="{question}\n")
    torch.manual_seed(0)
    batch = rollout.sample(
        policy, prompts_of(policy), Sampling(8, 12, temperature=0.7), keep_logp=True
    )
    scores = score_batch(policy.model, batch, Scoring(0.7))
    assert (batch.sampling_logp - scores.logp).abs().max() < 1e-4
    # The folder's settings do something where they are obeyed.
    policy.model.generation_config = GenerationConfig.from_pretrained(folder)
    few = policy.model.generate(torch.tensor(prompts_of(policy)[:1]), max_new_tokens=3)
    assert few.shape[1] > 4


def test_prompts_and_responses_survive_the_repacking(policy):
    torch.manual_seed(0)
    prompts = prompts_of(policy)
    batch = rollout.sample(policy, prompts, Sampling(2, 9))
    for row, (ids, mask) in enumerate(zip(batch.input_ids, batch.response_mask, strict=True)):
        prompt = prompts[row // 2]
        assert ids[: len(prompt)].tolist() == prompt
        begin, length = len(prompt), int(batch.response_lengths[row])
        assert mask.nonzero().flatten().tolist() == list(range(begin, begin + length))
        assert int(batch.row_lengths[row]) == begin + length
        assert policy.tokenizer.decode(without_end(policy, ids[mask])) == batch.texts[row]


def test_fault_11_rows_grades_and_questions_stay_together(rotary):
    # The policy always answers 5, so exactly the rows of the question whose gold is 5 are right.
    hook = force(rotary, "\\boxed{5}")
    asked = [Question("1+1", "2"), Question("2+3", "5"), Question("3+3", "6")]
    batch = rollout.sample_and_grade(rotary, asked, options(max_response_length=20))
    hook.remove()
    assert batch.correct.tolist() == [False] * 4 + [True] * 4 + [False] * 4
    assert batch.rewards.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 4
    for row in range(12):
        prompt = batch.rollouts.input_ids[row][: len("1+1\n")]
        assert rotary.tokenizer.decode(prompt) == asked[row // 4].text + "\n"


def test_fault_15_unfinished_rollouts_stay_in_their_group(rotary):
    hook = force(rotary, "1+1=2", end=False)  # goes on repeating its last character
    batch = rollout.sample_and_grade(rotary, [Question("1+1", "2")], options())
    hook.remove()
    assert len(batch.grades) == len(batch.rewards) == len(batch.rollouts.texts) == 4
    assert batch.rollouts.truncated.all()
    assert batch.rollouts.response_lengths.tolist() == [10] * 4
    assert {g.outcome for g in batch.grades} == {"no answer"}


def test_fault_17_generate_runs_in_evaluation_mode_with_its_cache(rotary):
    rotary.model.gradient_checkpointing_enable({"use_reentrant": False})
    rotary.model.train()
    seen = []

    def hook(module, arguments, keywords):
        ids = keywords.get("input_ids", arguments[0] if arguments else None)
        seen.append((module.training, ids.shape[1]))

    handle = rotary.model.register_forward_pre_hook(hook, with_kwargs=True)
    rollout.sample(rotary, prompts_of(rotary), Sampling(1, 6))
    handle.remove()
    assert not any(training for training, _ in seen)
    assert len(seen) > 1 and all(width == 1 for _, width in seen[1:])  # one new token a step


def test_gradient_checkpointing_changes_memory_and_not_the_gradient(rotary):
    import entropy

    torch.manual_seed(0)
    batch = rollout.sample(rotary, prompts_of(rotary), Sampling(2, 9))

    def gradient():
        rotary.model.zero_grad()
        entropy.score(rotary.model, batch.input_ids, batch.response_mask).logp.sum().backward()
        return torch.cat([p.grad.flatten() for p in rotary.model.parameters()])

    plain, calls = gradient(), []
    rotary.model.gradient_checkpointing_enable({"use_reentrant": False})
    layer = rotary.model.model.layers[0].mlp
    handle = layer.register_forward_pre_hook(lambda *_: calls.append(1))
    rotary.model.train()
    assert torch.allclose(gradient(), plain, atol=1e-6)
    handle.remove()
    assert len(calls) == 2  # forward, and once more in the backward pass


def test_greedy_sampling_repeats_itself(policy):
    first = rollout.sample(policy, prompts_of(policy), Sampling(2, 8, temperature=0))
    assert first.texts[0] == first.texts[1]
    probable = score_batch(policy.model, first)
    random = rollout.sample(policy, prompts_of(policy), Sampling(2, 8))
    assert probable.logp.sum() > score_batch(policy.model, random).logp.sum()


def test_batches_of_any_size_join_to_the_same_shape(rotary):
    torch.manual_seed(0)
    small = rollout.sample(rotary, prompts_of(rotary), Sampling(4, 8, batch_size=5))
    assert len(small.texts) == small.input_ids.shape[0] == small.truncated.shape[0] == 12
    for row, text in enumerate(small.texts):
        ids = small.input_ids[row][small.response_mask[row]]
        assert rotary.tokenizer.decode(without_end(rotary, ids)) == text


def test_dynamic_sampling_keeps_only_groups_with_a_signal_and_fills_the_batch(rotary, monkeypatch):
    # Groups come out right 0, 1, 2, 3 or 4 times of 4, in turn.
    counter = {"group": 0}

    def fake(policy, asked, chosen, grade):
        rows = len(asked) * chosen.group_size
        rights = []
        for _ in asked:
            right = counter["group"] % 5
            counter["group"] += 1
            rights += [True] * right + [False] * (4 - right)
        grades = [Grade(right, "", None) for right in rights]
        mask = torch.ones(rows, 2, dtype=torch.bool)
        mask[:, 0] = False
        ids = torch.arange(rows)[:, None].expand(rows, 2)
        rollouts = rollout.Rollouts(ids, mask, torch.zeros(rows, dtype=torch.bool), [""] * rows)
        return rollout.Batch(asked, rollouts, grades, torch.tensor(rights).float())

    monkeypatch.setattr(rollout, "sample_and_grade", fake)
    questions = [Question(str(i), "0") for i in range(100)]
    progress = types.SimpleNamespace(drawn=0, step=1)
    chosen = options(questions_per_step=4, dynamic_sampling=True, max_gen_batches=5)
    sampled, batch = rollout.sample_batch(rotary, questions, chosen, progress)
    right = batch.rewards.view(-1, 4).sum(1).tolist()
    assert right == [1, 2, 3, 1]  # the second batch gives 4, 0 (dropped), 1, ...
    assert progress.drawn == 8 and len(sampled) == 2
    assert len(batch.questions) == 4 and len(batch.grades) == 16
    # Too few batches allowed: trained on what there is.
    progress.drawn, counter["group"] = 0, 0
    chosen.max_gen_batches = 1
    _, batch = rollout.sample_batch(rotary, questions, chosen, progress)
    assert batch.rewards.view(-1, 4).sum(1).tolist() == [1, 2, 3]


def test_soft_overlong_penalty_is_taken_off_the_reward(rotary):
    hook = force(rotary, "\\boxed{2}")  # nine characters and the end of sequence
    chosen = options(max_response_length=12, overlong_buffer=4, overlong_penalty=0.5)
    batch = rollout.sample_and_grade(rotary, [Question("1+1", "2")], chosen)
    hook.remove()
    assert batch.rollouts.response_lengths.tolist() == [10] * 4
    assert batch.rewards.tolist() == pytest.approx([1 - 0.5 * (10 - 8) / 4] * 4)


def test_a_model_with_broken_weights_is_told_in_words(rotary):
    with torch.no_grad():
        rotary.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        rollout.sample(rotary, prompts_of(rotary), Sampling(1, 4))


def test_rounds_change_nothing_but_the_time(policy):
    prompts = prompts_of(policy)
    whole = rollout.sample(policy, prompts, Sampling(1, 20, temperature=0))
    rounds = rollout.sample(policy, prompts, Sampling(1, 20, temperature=0, round_length=3))
    assert torch.equal(whole.input_ids, rounds.input_ids)
    assert torch.equal(whole.response_mask, rounds.response_mask)
    # Rows that leave take their own part of the cache with them, and no other row's.
    likelier_end = torch.zeros(len(policy.tokenizer))
    likelier_end[policy.eos_ids[0]] = 4.0
    policy.model.get_output_embeddings().register_forward_hook(lambda *a: a[2] + likelier_end)
    torch.manual_seed(0)
    rounds = rollout.sample(policy, prompts, Sampling(16, 30, 0.7, round_length=3), keep_logp=True)
    assert len(set(rounds.response_lengths.tolist())) > 3
    scores = score_batch(policy.model, rounds, Scoring(0.7))
    assert (rounds.sampling_logp - scores.logp).abs().max() < 1e-4
