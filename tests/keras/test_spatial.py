"""Layers of sequences and images against Keras: results, gradients by input and weights, the shapes
of weights; symbolic shapes; configurations."""

from pathlib import Path

import numpy as np
import pytest

import fastnn
from tests.keras.goldens.spatial import LAYERS, drawn

GOLDENS = np.load(Path(__file__).parent / "goldens" / "spatial.npz")
EPS = np.finfo("float32").eps


def computed():
    """(result, gradients, layer) of each layer."""
    for number, (kind, arguments, shape) in enumerate(LAYERS):
        layer = getattr(fastnn.layers, kind)(**arguments)
        layer.build(shape)
        layer.set_weights([drawn(number, w.shape, 2 + n) for n, w in enumerate(layer.weights)])
        x = fastnn.tensor(drawn(number, shape), requires_gradient=True)
        y = layer(x)
        y.backward(drawn(number, y.shape, 1))
        yield y.numpy(), [x.gradient, *[w.gradient for w in layer.weights]], layer


def expect_near(got, expected, what):
    """Sums in float32, in different orders."""
    scale = max(1, np.abs(expected).max(initial=0))
    assert (np.abs(got - expected) <= 16 * EPS * scale).all(), what


def test_numbers_are_kerass():
    at, gradients_at = 0, 0
    for (y, gradients, layer), (kind, arguments, shape) in zip(computed(), LAYERS, strict=True):
        what = f"{kind} {arguments}"
        expect_near(y.ravel(), GOLDENS["results"][at : at + y.size], what)
        at += y.size
        for gradient in gradients:
            end = gradients_at + gradient.size
            expect_near(gradient.numpy().ravel(), GOLDENS["gradients"][gradients_at:end], what)
            gradients_at = end
        symbolic = type(layer)(**arguments)(fastnn.Input(shape[1:]))
        assert symbolic.shape == (None, *y.shape[1:]), what
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config(), what
    assert (at, gradients_at) == tuple(len(GOLDENS[name]) for name in ("results", "gradients"))


@pytest.mark.slow
def test_numbers_are_those_of_the_keras_that_is_installed():
    """On the backend that it is set to, such as PyTorch's, which refuses some, and means whose
    padding is uneven it makes of zeros too, as no other does."""
    keras, compared = pytest.importorskip("keras"), 0
    for number, ((y, _, ours), (kind, arguments, shape)) in enumerate(
        zip(computed(), LAYERS, strict=True)
    ):
        if kind.startswith("Average") and keras.backend.backend() == "torch":
            continue
        layer = getattr(keras.layers, kind)(**arguments)
        layer.build(shape)
        layer.set_weights(ours.get_weights())
        try:
            expected = keras.ops.convert_to_numpy(layer(drawn(number, shape)))
        except (NotImplementedError, ValueError):
            continue
        assert expected.shape == y.shape, f"{kind} {arguments}"
        expect_near(y, expected, f"{kind} {arguments}")
        compared += 1
    assert compared > len(LAYERS) // 2
