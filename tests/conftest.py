"""What the tests share: the path of the flat scripts, and small policies to try them on."""

import os
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["HF_HUB_OFFLINE"] = "1"  # no test needs a network, and none may wait for one

import toy
from options import InputError
from policy import Policy, load_policy, save_policy


def refusal(function, *arguments, **named) -> str:
    """The sentence a call is refused with."""
    with pytest.raises(InputError) as caught:
        function(*arguments, **named)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert not sentence.endswith(".")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return sentence


@pytest.fixture(scope="session")
def rotary_folder(tmp_path_factory):
    """A folder with the toy's Qwen2, untrained: rotary positions."""
    folder = tmp_path_factory.mktemp("rotary")
    save_policy(toy.untrained_policy(), folder)
    return str(folder)


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory):
    """A folder with a tiny GPT-2: learned absolute positions, and dropout in its configuration."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    text = toy.tokenizer()
    config = GPT2Config(
        vocab_size=len(text),
        n_positions=256,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=0.3,
        eos_token_id=text.eos_token_id,
        bos_token_id=None,
        pad_token_id=text.pad_token_id,
    )
    folder = tmp_path_factory.mktemp("gpt2")
    model = GPT2LMHeadModel(config)
    policy = Policy(model, text, "{question}\n", "", (text.eos_token_id,))
    save_policy(policy, folder)
    return str(folder)


@pytest.fixture(params=["rotary", "gpt2"])
def policy(request):
    """A fresh copy of each kind of model."""
    return load_policy(request.getfixturevalue(f"{request.param}_folder"), "cpu")


@pytest.fixture
def rotary(rotary_folder):
    """A fresh copy of the toy's untrained Qwen2."""
    return load_policy(rotary_folder, "cpu")
