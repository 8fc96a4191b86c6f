"""ResNet against Hugging Face transformers: logits, loss, gradients, averages, steps of AdamW."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.applications import ResNet
from fastnn.applications.resnet import huggingface_name

from .goldens import make_resnet

FOLDER = Path(make_resnet.__file__).parent


def golden(kind):
    with np.load(FOLDER / f"resnet_{kind}.npz") as found:
        return dict(found)


def of(found):
    """Hugging Face's configuration and weights."""
    state = {n.removeprefix("state/"): found[n] for n in found if n.startswith("state/")}
    return json.loads(str(found["config"])), state


def compare(found):
    images, classes = found["images"], found["classes"]
    model = ResNet.from_huggingface(*of(found), images.shape[1:3])
    np.testing.assert_allclose(model.predict(images), found["logits"], rtol=1e-5, atol=1e-5)
    loss_function = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = fastnn.optimizers.AdamW(
        make_resnet.RATE, make_resnet.DECAY, epsilon=1e-8, epsilon_after_correction=True
    )
    optimizer.build(model.trainable_variables)

    @fastnn.record
    def step(images, classes, take):
        loss = loss_function(classes, model(images, training=True))
        loss.backward()
        if take:
            optimizer.step()
        return loss

    loss = float(step(images, classes, False))
    assert loss == pytest.approx(found["losses"][0], rel=1e-4)
    named = {huggingface_name(p): v for p, v in fastnn.weights.named(model).items()}
    norms = dict(zip(found["names"], found["norms"], strict=True))
    trained = {name: v for name, v in named.items() if v.trainable}
    assert set(trained) == set(norms)
    for name, norm in norms.items():
        own = np.linalg.norm(trained[name].gradient.numpy())
        assert own == pytest.approx(norm, rel=1e-4, abs=1e-6), name
    averages(model, found, len(images))
    for v in model.weights:
        v.gradient = None
    losses = [float(step(images, classes, True)) for _ in found["losses"]]
    np.testing.assert_allclose(losses, found["losses"], rtol=1e-4)


def averages(model, found, rows):
    """Those of means are PyTorch's, those of variances but for its n / (n - 1)."""
    for layer in model.layers:
        if isinstance(layer, fastnn.layers.BatchNormalization):
            name = huggingface_name(f"{layer.name}/moving_variance")
            n = rows * np.prod(layer.input.shape[1:3])
            there, before = found[f"average/{name}"], found[f"state/{name}"]
            expected = 0.9 * before + (there - 0.9 * before) * (n - 1) / n
            np.testing.assert_allclose(layer.moving_variance.numpy(), expected, rtol=1e-4)
            mean = found[f"average/{name.replace('_var', '_mean')}"]
            np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", make_resnet.KINDS)
def test_a_tiny_model_computes_and_learns_what_hugging_faces_does(kind):
    compare(golden(kind))


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="compares with it")
@pytest.mark.parametrize(
    "sizes",
    [
        *make_resnet.KINDS.values(),
        {"layer_type": "basic", "hidden_sizes": [5, 6, 7], "depths": [1, 2, 1]},
        {**make_resnet.KINDS["bottleneck"], "downsample_in_bottleneck": True, "num_channels": 1},
    ],
)
def test_models_of_many_sizes(sizes):
    compare(make_resnet.reference(1, **sizes))


def test_the_features_of_a_model_without_a_head():
    found = golden("basic")
    config, state = of(found)
    images = found["images"]
    whole = ResNet.from_huggingface(config, state, images.shape[1:3])
    bare = {n.removeprefix("resnet."): a for n, a in state.items() if n.startswith("resnet.")}
    features = ResNet.from_huggingface(config, bare).predict(images)  # of images of any size
    kernel, bias = whole.get_layer("classifier").get_weights()
    np.testing.assert_allclose(features @ kernel + bias, found["logits"], rtol=1e-5, atol=1e-5)


def test_what_the_model_has_not_is_refused():
    config, state = of(golden("basic"))
    with pytest.raises(ValueError, match="hidden_act must be 'relu'; got 'gelu'"):
        ResNet.from_huggingface({**config, "hidden_act": "gelu"}, state)
    with pytest.raises(ValueError, match=r"must make \(3, 3, 6, 9\), by the conf"):
        ResNet.from_huggingface({**config, "hidden_sizes": [6, 9]}, state)
    state.pop("resnet.encoder.stages.1.layers.0.shortcut.convolution.weight")
    with pytest.raises(ValueError, match=r"lacks 'resnet.encoder.stages.1.layers.0.shortcut.conv"):
        ResNet.from_huggingface(config, state)
