"""Families of models: whatever cache a model has and whatever it does to its logits, it is sampled and scored.

Each is a tiny one with random weights, made from its family's own configuration class. The logits of some
are scaled, capped or multiplied here by more than anybody could overlook.
"""

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

import rollout
import toy
from entropy import body_of, next_token_logits, score_batch
from policy import encode_prompt, save_policy
from rollout import Sampling, gives_up_rows

SIZES = {"vocab_size": 258, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
SIZES |= {"eos_token_id": 0, "pad_token_id": 1, "bos_token_id": 0}
MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 8}
MAMBA |= {"mamba_chunk_size": 16, "mamba_expand": 2}
DELTA = {"linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8}
DELTA |= {"linear_value_head_dim": 8, "head_dim": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
ALTERNATING = ["linear_attention", "full_attention"] * 2

FAMILIES = {  # the class of the configuration: what is special about this one
    "Qwen3_5TextConfig": DELTA | {"layer_types": ALTERNATING},
    "Qwen3NextConfig": DELTA
    | EXPERTS
    | {"layer_types": ALTERNATING, "shared_expert_intermediate_size": 32},
    "OlmoHybridConfig": DELTA | {"layer_types": ALTERNATING},
    "Lfm2Config": {"layer_types": ["conv", "full_attention"] * 2},
    "JambaConfig": {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 4}
    | {"mamba_d_state": 8, "mamba_dt_rank": 4, "use_mamba_kernels": False},
    "BambaConfig": MAMBA | {"attn_layer_indices": [1, 3]},
    "GraniteMoeHybridConfig": MAMBA
    | {"layer_types": ["mamba", "attention"] * 2, "shared_intermediate_size": 32}
    | {"num_local_experts": 4, "num_experts_per_tok": 2, "logits_scaling": 3.0},
    "NemotronHConfig": {"hybrid_override_pattern": "M*-M", "mamba_num_heads": 8}
    | {"mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1, "head_dim": 8, "chunk_size": 16},
    "Zamba2Config": {"num_key_value_heads": 4, "mamba_d_state": 8, "mamba_headdim": 8}
    | {"n_mamba_heads": 8, "mamba_ngroups": 1, "num_mem_blocks": 1, "attention_head_dim": 16}
    | {"layers_block_type": ["mamba", "hybrid"] * 2, "hybrid_layer_ids": [1, 3], "chunk_size": 16},
    "RecurrentGemmaConfig": {"lru_width": 32, "head_dim": 8, "logits_soft_cap": 2.0},
    "FalconH1Config": MAMBA | {"mamba_d_ssm": 64, "lm_head_multiplier": 0.2},
    "MiniMaxConfig": {"head_dim": 8, "num_local_experts": 4, "block_size": 16}
    | {"layer_types": ALTERNATING},
    "MambaConfig": {"state_size": 8},
    "HyperCLOVAXConfig": {"logits_scaling": 4.0},
    "CohereConfig": {"logit_scale": 0.3},
    "GraniteConfig": {"logits_scaling": 5.0},
    "Gemma2Config": {"head_dim": 8, "final_logit_softcapping": 2.0},
    "OPTConfig": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "OpenAIGPTConfig": {"n_embd": 32, "n_layer": 2, "n_head": 4},
}
# Their rows stay together: a cache of the family's own, none at all, or states kept elsewhere.
TOGETHER = {"RecurrentGemmaConfig", "MiniMaxConfig", "MambaConfig", "OpenAIGPTConfig"}


def policy_of(name):
    """The toy's tokenizer and way of asking, with a model of that family."""
    config_class = getattr(transformers, name, None)
    if config_class is None:
        pytest.skip(f"this version of transformers has no {name}")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_class(**SIZES | FAMILIES[name])).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)  # so that the family's treatment of logits makes a difference
    return toy.untrained_policy()._replace(model=model, template="{question}\n", instruction="")


def short_ends(policy):
    """The policy with ends so frequent that rows end all the time."""
    return policy._replace(eos_ids=tuple(range(0, 258, 12)))


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_sampled_is_what_is_scored(name, monkeypatch):
    if name == "RecurrentGemmaConfig" and transformers.__version__ < "5.23":
        pytest.skip("there its states are kept in its layers, and nothing tells")
    policy, asked = short_ends(policy_of(name)), []
    monkeypatch.setattr(
        rollout, "gives_up_rows", lambda cache: asked.append(gives_up_rows(cache)) or asked[-1]
    )
    prompts = [encode_prompt(policy, question) for question in ("7+8", "9-9", "1+2")]
    torch.manual_seed(0)
    batch = rollout.sample(policy, prompts, Sampling(6, 40, round_length=4), keep_logp=True)
    assert len(set(batch.response_lengths.tolist())) > 3  # they ended in several rounds
    if transformers.__version__ >= "5.23":  # before, some families had caches of their own
        assert set(asked) == {name not in TOGETHER}
    difference = (batch.sampling_logp - score_batch(policy.model, batch).logp).abs()
    assert difference.max() < 1e-3


@pytest.mark.parametrize("name", ["GraniteConfig", "Gemma2Config", "FalconH1Config", "OPTConfig"])
def test_logits_of_given_states_are_the_models_own(name):
    model = policy_of(name).model
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        states = body_of(model)(input_ids=ids, use_cache=False).last_hidden_state[0]
        whole = model(input_ids=ids).logits
        assert torch.allclose(next_token_logits(model, states), whole[0], atol=1e-5)
        # Another head in its place, and then the model is what it was.
        head = torch.nn.Linear(states.shape[1], 258, bias=False)
        assert not torch.allclose(next_token_logits(model, states, head), whole[0], atol=1e-2)
        assert torch.equal(model(input_ids=ids).logits, whole)


def test_a_hybrid_model_is_trained_and_evaluated(tmp_path):
    import eval as evaluation
    import train
    from options import parse_eval, parse_train

    save_policy(policy_of("Qwen3_5TextConfig"), tmp_path / "model")
    sizes = "--questions_per_step 2 --group_size 4 --updates_per_step 1 --max_response_length 24"
    sizes += " --sample_round_length 4 --steps 3 --eval_questions 2 --eval_samples 2"
    named = ["--model", str(tmp_path / "model"), "--data", "toy", "--device", "cpu"]
    train.train(parse_train([*named, "--run", str(tmp_path / "run"), *sizes.split()]))
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3
    named[1] = str(tmp_path / "run" / "checkpoints" / "step_3")
    few = ["--limit", "2", "--n", "2", "--max_response_length", "8"]
    evaluation.run(parse_eval([*named, *few, "--output", str(tmp_path / "eval.jsonl")]))
    assert len((tmp_path / "eval.jsonl").read_text().splitlines()) == 2
