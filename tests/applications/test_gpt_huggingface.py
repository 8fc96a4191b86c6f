"""GPT-2 against Hugging Face transformers: logits, loss, gradients, steps of AdamW."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.applications import GPT2
from fastnn.errors import ShapeError

from .goldens import make_gpt

GOLDEN = Path(make_gpt.__file__).with_name("gpt.npz")


def of(found):
    """Hugging Face's configuration and weights."""
    state = {n.removeprefix("state/"): found[n] for n in found if n.startswith("state/")}
    return json.loads(str(found["config"])), state


def compare(found):
    model = GPT2.from_huggingface(*of(found))
    tokens = found["tokens"]
    np.testing.assert_allclose(model.predict(tokens), found["logits"], rtol=1e-5, atol=1e-5)
    loss_function = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = fastnn.optimizers.AdamW(
        make_gpt.RATE, make_gpt.DECAY, epsilon=1e-8, epsilon_after_correction=True
    )
    optimizer.build(model.trainable_variables)

    @fastnn.record
    def step(tokens, take):
        loss = loss_function(tokens[:, 1:], model(tokens, training=True)[:, :-1])
        loss.backward()
        if take:
            optimizer.step()
        return loss

    loss = float(step(tokens, False))
    assert loss == pytest.approx(found["losses"][0], rel=1e-4)
    named = fastnn.weights.named(model)
    own = {hugging_name(path): v.gradient.numpy() for path, v in named.items()}
    norms = dict(zip(found["names"], found["norms"], strict=True))
    assert set(own) == set(norms)
    for name, norm in norms.items():
        assert np.linalg.norm(own[name]) == pytest.approx(norm, rel=1e-4), name
    for v in model.weights:
        v.gradient = None
    losses = [float(step(tokens, True)) for _ in found["losses"]]
    np.testing.assert_allclose(losses, found["losses"], rtol=1e-4)


def hugging_name(path):
    *layer, part = path.split("/")
    own = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
    return ".".join(["transformer", *layer, own.get(part, part)])


def test_a_tiny_model_computes_and_learns_what_hugging_faces_does():
    with np.load(GOLDEN) as found:
        compare(dict(found))


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="compares with it")
@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"n_embd": 64, "n_head": 2, "n_positions": 33, "n_layer": 3},
        {"n_embd": 65, "n_head": 5, "n_inner": 31, "vocab_size": 101, "layer_norm_epsilon": 1e-3},
        {"n_layer": 1, "n_head": 1, "n_positions": 2},
    ],
)
def test_models_of_many_sizes(sizes):
    compare(make_gpt.reference(1, **sizes))


def test_what_the_model_has_not_is_refused():
    with np.load(GOLDEN) as found:
        config, state = of(dict(found))
    with pytest.raises(ValueError, match="activation_function must be 'gelu_new'; got 'relu'"):
        GPT2.from_huggingface({**config, "activation_function": "relu"}, state)
    with pytest.raises(ValueError, match="attn_pdrop must be one number"):
        GPT2.from_huggingface({**config, "attn_pdrop": 0.5}, state)
    with pytest.raises(ValueError, match=r"transformer.h.1.*more blocks"):
        GPT2.from_huggingface({**config, "n_layer": 1}, state)
    with pytest.raises(ShapeError, match=r"wte.*must make .17, 12"):
        GPT2.from_huggingface({**config, "vocab_size": 17}, state)
    state.pop("transformer.ln_f.bias")
    with pytest.raises(ValueError, match=r"lacks 'transformer.ln_f.bias'"):
        GPT2.from_huggingface(config, state)
