"""Loading, asking, saving: which model is asked, with which tokens, and what ends its turn."""

import json

import pytest
import torch
from conftest import refusal
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

import toy
from options import InputError
from policy import (
    PLAIN_TEMPLATE,
    encode_prompt,
    end_of_turn,
    load_policy,
    opened_by_prompt,
    save_policy,
    without_ending,
)

# Chat templates as they are in use, shortened, and the token with which an assistant's turn ends.
SYSTEM = "{% if messages[0].role == 'system' %}[{{ messages[0].content }}]{% endif %}"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BLANK_BEFORE_END = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} </s>{% endif %}{% endfor %}"
)
NEXT_TURN_ENDS = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
LAST_TURN_ENDS_OTHERWISE = (  # earlier ones with <|end|>, which also ends an analysis
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}"
    "{% if loop.last and not add_generation_prompt %}<|return|>{% else %}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
ONE_TURN = "{{ messages[0].content if messages|length == 1 else raise_exception('one question') }}"
TEMPLATES = {
    CHATML: "<|im_end|>",
    SYSTEM + CHATML: "<|im_end|>",
    BLANK_BEFORE_END: "</s>",
    NEXT_TURN_ENDS: "<|user|>",
    LAST_TURN_ENDS_OTHERWISE: "<|return|>",
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}": None,
    ONE_TURN: None,
}
MARKS = ["<|im_start|>", "<|im_end|>", "</s>", "<|user|>", "<|assistant|>", "<|start|>", "<|end|>"]
MARKS += ["<|message|>", "<|return|>", "<think>", "</think>"]

TEXT = "7+8-3 =\n\\boxed{3}  so\t所以 é <b>\n\n  don't"


def test_fault_18_a_saved_folder_tokenizes_and_weighs_the_same_through_the_auto_classes(tmp_path):
    policy = toy.untrained_policy(seed=3)
    save_policy(policy, tmp_path)
    text = AutoTokenizer.from_pretrained(tmp_path)
    assert text(TEXT)["input_ids"] == policy.tokenizer(TEXT)["input_ids"]
    assert text.decode(text(TEXT)["input_ids"]) == TEXT
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    for (name, mine), (other, loaded) in zip(
        policy.model.state_dict().items(), model.state_dict().items(), strict=True
    ):
        assert name == other and torch.equal(mine, loaded)


def test_fault_18_a_tokenizer_that_auto_tokenizer_misreads_is_told_and_read_right_by_us(
    tmp_path, capsys
):
    letters = [chr(code) for code in range(32, 127)] + ["\n", "é"]
    vocab = {token: i for i, token in enumerate(["<end>", "<unk>", *letters])}
    special = [
        {"id": i, "content": token, "special": True, "normalized": False}
        | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
        for i, token in enumerate(["<end>", "<unk>"])
    ]
    parts = dict.fromkeys(
        ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor")
    )
    bpe = {"type": "BPE", "unk_token": "<unk>", "vocab": vocab, "merges": []}
    file = {"version": "1.0", "added_tokens": special, "decoder": {"type": "Fuse"}, "model": bpe}
    (tmp_path / "tokenizer.json").write_text(json.dumps(file | parts))
    letters_only = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"), eos_token="<end>", unk_token="<unk>"
    )
    policy = toy.untrained_policy()._replace(tokenizer=letters_only)
    save_policy(policy, tmp_path / "saved")
    assert "AutoTokenizer" in capsys.readouterr().err
    loaded = load_policy(str(tmp_path / "saved"), "cpu")
    assert encode_prompt(loaded, "1 + 2") == encode_prompt(policy, "1 + 2")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved")("1 + 2") != letters_only("1 + 2")


def test_fault_09_weights_are_float32_and_feel_a_small_step(rotary_folder, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(rotary_folder, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(rotary_folder).save_pretrained(tmp_path)
    policy = load_policy(str(tmp_path), "cpu", template="{question}")
    assert {p.dtype for p in policy.model.parameters()} == {torch.float32}
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=1e-6, weight_decay=0.0)
    weight = policy.model.model.layers[0].mlp.up_proj.weight
    before = weight.detach().clone()
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert ((before - weight) > 5e-7).float().mean() > 0.99


def test_dropout_is_off_even_in_training_mode(gpt2_folder):
    policy = load_policy(gpt2_folder, "cpu")
    policy.model.train()
    ids = torch.tensor([encode_prompt(policy, "1+2-3+4")])
    with torch.no_grad():
        assert torch.equal(policy.model(ids).logits, policy.model(ids).logits)


def test_prompts_by_chat_template_by_plain_text_and_by_hand(rotary):
    ask = lambda policy: rotary.tokenizer.decode(encode_prompt(policy, "1+{2}?"))
    assert ask(rotary) == "1+{2}?\n"
    plain = rotary._replace(template=PLAIN_TEMPLATE, instruction="Box it: \\boxed{}")
    assert ask(plain) == "Question: 1+{2}?\nBox it: \\boxed{}\nAnswer:\n"
    rotary.tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    chat = rotary._replace(template="chat", instruction="Box it.")
    assert ask(chat) == "[user]1+{2}?\nBox it.[assistant]"


def test_a_folder_remembers_how_it_was_asked_and_the_command_line_wins(rotary_folder):
    assert load_policy(rotary_folder, "cpu").template == "{question}\n"
    given = load_policy(rotary_folder, "cpu", "Q {question} {instruction}", "Go.")
    assert (given.template, given.instruction) == ("Q {question} {instruction}", "Go.")


def test_models_that_cannot_be_loaded_are_named_in_one_sentence(tmp_path, rotary_folder):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "config.json").write_text(json.dumps({"model_type": "nonesuch"}))
    names = [str(tmp_path / name) for name in ("missing", "empty", "broken", "strange")]
    for name in [*names, "nobody/no-such-model", "./nowhere"]:
        with pytest.raises(InputError) as caught:
            load_policy(name, "cpu")
        assert "--model" in str(caught.value) and "\n" not in str(caught.value)
    for template in ("chat", "no place for it"):
        with pytest.raises(InputError, match="--template"):
            load_policy(rotary_folder, "cpu", template=template)


@pytest.fixture
def chat_folder(rotary_folder, tmp_path):
    """A function: a template -> the folder of the toy's untrained Qwen2 with that template and MARKS."""

    def make(template):
        policy = load_policy(rotary_folder, "cpu")
        tokenizer = policy.tokenizer
        tokenizer.add_special_tokens({"additional_special_tokens": MARKS})
        policy.model.resize_token_embeddings(len(tokenizer))
        tokenizer.chat_template = template
        policy.model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return str(tmp_path)

    return make


@pytest.mark.parametrize("template", TEMPLATES, ids=map(str, range(len(TEMPLATES))))
def test_fault_19_the_token_that_ends_a_turn_of_the_chat_template_is_an_end_token(
    chat_folder, template
):
    token = TEMPLATES[template]
    policy = load_policy(chat_folder(template), "cpu")
    expected = {policy.tokenizer.eos_token_id}
    if token:
        expected.add(policy.tokenizer.convert_tokens_to_ids(token))
        assert end_of_turn(policy) in expected
    assert set(policy.eos_ids) == expected
    assert set(policy.model.generation_config.eos_token_id) == expected


def test_fault_20_what_the_prompt_has_opened_is_known(chat_folder):
    folder = chat_folder(
        CHATML.replace(
            "assistant\n",
            "assistant\n<think>\n{% if not_thinking %}\n</think>\n\n{% endif %}",
        )
    )
    policy = load_policy(folder, "cpu")
    assert opened_by_prompt(policy).strip() == "<think>"
    closed = load_policy(folder, "cpu", chat_template_kwargs={"not_thinking": True})
    assert opened_by_prompt(closed) == ""
    asked = closed.tokenizer.decode(encode_prompt(closed, "1+1"))
    assert asked.endswith("<|im_start|>assistant\n<think>\n</think>\n\n")
    plain = load_policy(folder, "cpu", template="{question}\n")
    assert opened_by_prompt(plain) == ""


def test_the_way_of_asking_is_kept_with_the_checkpoint(chat_folder, tmp_path):
    template = CHATML + "{% if not_thinking %}<think></think>{% endif %}"
    folder = chat_folder(template)
    ways = {"system": "Be brief.", "chat_template_kwargs": {"not_thinking": True}}
    policy = load_policy(folder, "cpu", instruction="", **ways)
    asked = policy.tokenizer.decode(encode_prompt(policy, "1+1"))
    assert asked == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n1+1<|im_end|>\n"
        "<|im_start|>assistant\n<think></think>"
    )
    save_policy(policy, tmp_path / "checkpoint")
    again = load_policy(str(tmp_path / "checkpoint"), "cpu")
    assert encode_prompt(again, "1+1") == encode_prompt(policy, "1+1")
    assert (again.system, again.chat_template_kwargs) == tuple(ways.values())
    other = load_policy(str(tmp_path / "checkpoint"), "cpu", system="", chat_template_kwargs={})
    assert "brief" not in other.tokenizer.decode(encode_prompt(other, "1+1"))


def test_ways_of_asking_that_a_tokenizer_does_not_know_are_refused(chat_folder, rotary_folder):
    for way in ({"system": "Be brief."}, {"chat_template_kwargs": {"a": 1}}):
        sentence = refusal(load_policy, rotary_folder, "cpu", **way)
        assert sentence.startswith(f"--{next(iter(way))}: only a chat template")
    folder = chat_folder(CHATML)
    sentence = refusal(load_policy, folder, "cpu", chat_template_kwargs={"enable_thinkin": False})
    assert "knows no 'enable_thinkin'" in sentence
    folder = chat_folder(
        "{% if messages[0].role == 'system' %}{{ raise_exception('No system\n turn.') }}{% endif %}hm"
    )
    assert load_policy(folder, "cpu").system == ""
    assert "(No system turn)" in refusal(load_policy, folder, "cpu", system="Be brief.")
    folder = chat_folder("{{ messages.nonsense.more }}")
    assert refusal(load_policy, folder, "cpu").startswith("--template chat: the chat template")


def test_a_tokenizer_that_ends_every_text_does_not_end_a_prompt(rotary):
    from tokenizers.processors import TemplateProcessing

    text = "1+2\n"
    bare = rotary.tokenizer(text)["input_ids"]
    ends = ("<|pad|>", rotary.tokenizer.pad_token_id), ("<|endoftext|>", rotary.eos_ids[0])
    rotary.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|pad|> $A <|endoftext|>", special_tokens=list(ends)
    )
    assert rotary.tokenizer(text)["input_ids"] == [ends[0][1], *bare, ends[1][1]]
    assert encode_prompt(rotary, "1+2") == [ends[0][1], *bare]
    assert without_ending([1, 1, 2, 2], [1, 2]) == [1, 1, 2]
    assert without_ending([5, 6], [7]) == [5, 6]  # a tokenizer that changes what it is given


def test_tokens_beyond_the_embedding(chat_folder):
    policy = load_policy(chat_folder(CHATML), "cpu")
    rows = policy.model.get_input_embeddings().num_embeddings
    for token in ("<|far away|>", "<|farther away|>"):
        policy.tokenizer.add_tokens(token, special_tokens=True)
    policy.tokenizer.pad_token = "<|far away|>"
    policy.tokenizer.chat_template = CHATML.replace("<|im_end|>", "<|farther away|>")
    folder = policy.model.name_or_path
    policy.tokenizer.save_pretrained(folder)
    plain = load_policy(folder, "cpu", template="{question}")
    assert plain.eos_ids == (policy.tokenizer.eos_token_id,)  # not one it cannot write
    assert plain.tokenizer.pad_token_id in plain.eos_ids
    sentence = refusal(load_policy, folder, "cpu")
    assert f"writes token {rows + 1}" in sentence and f"knows {rows} of them" in sentence
