"""Activation functions and their layers against Keras's: values, gradients, configurations."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import activations, layers
from fastnn.errors import ShapeError

GOLDENS = json.loads(
    (Path(__file__).parent / "goldens" / "activations.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "golden", GOLDENS, ids=[f"{g['name']} {g['arguments'] or ''}" for g in GOLDENS]
)
def test_values_and_gradients_are_keras(golden, dtype):
    x = fastnn.tensor(np.array(golden["x"], dtype), requires_gradient=True)
    y = activations.get(golden["name"])(x, **golden["arguments"])
    y.backward(np.broadcast_to(np.array(golden["w"], dtype), y.shape))
    # Keras's tanh is float32's on JAX
    is_float = dtype == "float32" or golden["name"] == "tanh"
    rtol, atol = (1e-6, 1e-6) if is_float else (1e-13, 1e-14)
    with np.errstate(over="ignore"):
        expected = np.array(golden["y"], dtype)
    np.testing.assert_allclose(y.numpy(), expected, rtol=rtol, atol=atol)
    np.testing.assert_allclose(x.gradient.numpy(), golden["gradient"], rtol=rtol, atol=atol)


def test_every_activation_of_keras_is_compared():
    names = {f.__name__ for f in activations.KIND.names.values()}
    assert {g["name"] for g in GOLDENS} == names - {"sparsemax"}
    assert activations.get("swish") is activations.swish is activations.silu
    assert activations.get("hard_swish") is activations.hard_swish is activations.hard_silu


def test_sparsemax_is_the_nearest_point_whose_sum_is_one():
    """Keras 3.15 has it right where one element is left."""
    x = np.array([[0.25, -1.5, 3.0, 0.5], [2.0, 2.25, -0.5, 1.75], [1.0, 1.0, 1.0, 1.0]])
    expected = [[0, 0, 1, 0], [1 / 3, 7 / 12, 0, 1 / 12], [0.25, 0.25, 0.25, 0.25]]
    np.testing.assert_allclose(activations.sparsemax(x).numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(activations.sparsemax(x.T, 0).numpy().T, expected, rtol=1e-14)
    fastnn.gradcheck(lambda x: activations.sparsemax(x), [x[:2]])


@pytest.mark.parametrize("name", sorted({g["name"] for g in GOLDENS} - {"threshold"}))
def test_names_are_layers_arguments_and_configurations(name):
    layer = layers.Activation(name)
    assert layer.get_config()["activation"] == name
    again = layers.Activation.from_config(layer.get_config())
    x = np.array([[0.5, -1.0, 2.0, 0.25]], "f4")
    np.testing.assert_array_equal(layer(x).numpy(), again(x).numpy())


def test_prelu_has_a_slope_for_each_place_but_along_shared_axes():
    x = np.random.default_rng(0).normal(size=(5, 2, 3, 4)).astype("f4")
    for shared, shape in [(None, (2, 3, 4)), ([1, 2], (1, 1, 4)), (3, (2, 3, 1))]:
        layer = layers.PReLU("uniform", shared_axes=shared)
        got = layer(x).numpy()
        alpha = layer.alpha.numpy()
        assert alpha.shape == shape
        np.testing.assert_allclose(got, np.where(x > 0, x, alpha * x), rtol=1e-6)
        assert layer.get_config()["shared_axes"] == (
            shared if shared is None or isinstance(shared, list) else [shared]
        )


def test_prelu_learns():
    fastnn.utils.set_random_seed(0)
    x = np.linspace(-1, 1, 64, dtype="f4")[:, None]
    model = fastnn.Sequential([fastnn.Input((1,)), layers.PReLU()])
    model.compile(fastnn.optimizers.SGD(1.0), "mse")
    model.fit(x, np.where(x > 0, x, 0.25 * x), epochs=50, batch_size=64, verbose=0)
    assert abs(model.layers[0].alpha.numpy().item() - 0.25) < 1e-3


def test_softmax_leaves_out_what_is_masked():
    x = np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]], "f4")
    mask = np.array([[True, True, False], [False, False, False]])
    got = layers.Softmax()(x, mask=mask).numpy()
    e = np.exp(np.array([-1.0, 0.0]))
    np.testing.assert_allclose(got, [[[*(e / e.sum()), 0.0], [0.0, 0.0, 0.0]]], rtol=1e-6)
    np.testing.assert_array_equal(layers.Softmax()(x, mask=mask * 1.0).numpy(), got)
    for axis in ((1, 2), [-1, 0], None):
        e = np.exp(x - x.max())
        over = tuple(axis) if axis is not None else None
        np.testing.assert_allclose(
            layers.Softmax(axis)(x).numpy(), e / e.sum(axis=over, keepdims=True), rtol=1e-6
        )


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: layers.Softmax()(np.ones((2, 3)), mask=np.ones((2, 2))), ShapeError,
         r"Softmax 'softmax\w*': mask must broadcast with the input, of shape \(2, 3\); got"),
        (lambda: layers.LeakyReLU(-1.0), ValueError, "LeakyReLU: negative_slope"),
        (lambda: layers.LeakyReLU(None), (ValueError, TypeError), "LeakyReLU: negative_slope"),
        (lambda: layers.ELU("1"), (ValueError, TypeError), "ELU: alpha"),
        (lambda: layers.PReLU(shared_axes=[0]), ValueError, "PReLU: shared_axes"),
        (lambda: layers.PReLU(shared_axes=3)(np.ones((2, 3))), ShapeError,
         r"PReLU 'p_re_lu\w*': shared_axes=\[3\] names a dimension"),
        (lambda: fastnn.Sequential([fastnn.Input((None, 3)), layers.PReLU()]), ShapeError,
         r"extents along which alpha is not shared must be known"),
        (lambda: activations.soft_shrink([1.0], -1.0), ValueError, "soft_shrink: threshold must"),
        (lambda: activations.softmax([[1.0]], 2), ShapeError, "softmax: axis 2 is not one of"),
        (lambda: activations.sparsemax([[1.0]], 2), ShapeError, "sparsemax: axis 2 is not one of"),
    ],
)  # fmt: skip
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
