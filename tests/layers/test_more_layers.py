"""Normalisation along any axes, noise, products by equations: against their formulas in float64."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.errors import ShapeError

EPS = 2.0**-23
RNG = np.random.default_rng(0)


def weighted(layer, x):
    """The layer with weights that are not all alike."""
    layer(x)
    layer.set_weights([RNG.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return layer


def normalised(x, axes, epsilon):
    x = x.astype("float64")
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(var + epsilon)


def close(y, expected):
    # a handful of roundings of numbers around 1
    np.testing.assert_allclose(y.numpy(), expected, rtol=32 * EPS, atol=32 * EPS)


@pytest.mark.parametrize(
    ("axis", "shape"),
    [
        (-1, (3, 4, 5)),
        (1, (3, 4, 5)),
        ([1, 2], (3, 4, 5)),
        ((-1, 1), (3, 4, 5, 2)),
        (2, (3, 4, 5, 2)),
    ],
)
def test_layer_normalisation_along_any_axes(axis, shape):
    x = RNG.normal(size=shape).astype("float32")
    layer = weighted(layers.LayerNormalization(axis=axis), x)
    axes = tuple(sorted(a % x.ndim for a in np.atleast_1d(axis)))
    gamma, beta = (
        w.reshape([e if d in axes else 1 for d, e in enumerate(shape)]) for w in layer.get_weights()
    )
    close(layer(x), normalised(x, axes, 1e-3) * gamma + beta)
    assert fastnn.gradcheck(layers.LayerNormalization(axis=axis, dtype="float64"), [x]) < 1e-6


@pytest.mark.parametrize("axis", [1, -2, -1])
def test_batch_normalisation_along_any_axis(axis):
    x = RNG.normal(size=(3, 4, 5)).astype("float32")
    layer = weighted(layers.BatchNormalization(axis=axis), x)
    gamma, beta, mean, variance = layer.get_weights()
    shape = [e if d == axis % 3 else 1 for d, e in enumerate(x.shape)]
    axes = tuple(d for d in range(3) if d != axis % 3)
    moved = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-3)
    close(layer(x), moved * gamma.reshape(shape) + beta.reshape(shape))
    expected = normalised(x, axes, 1e-3) * gamma.reshape(shape) + beta.reshape(shape)
    close(layer(x, training=True), expected)
    np.testing.assert_allclose(
        layer.get_weights()[2], 0.99 * mean + 0.01 * x.mean(axis=axes), rtol=1e-5
    )


@pytest.mark.parametrize(("groups", "axis"), [(2, -1), (3, -1), (-1, -1), (1, 1), (2, 1)])
def test_group_normalisation(groups, axis):
    x = RNG.normal(size=(3, 4, 6)).astype("float32")
    layer = weighted(layers.GroupNormalization(groups, axis=axis), x)
    last = np.moveaxis(x, axis, -1)
    channels = last.shape[-1]
    number = channels if groups == -1 else groups
    parts = last.reshape(*last.shape[:-1], number, channels // number)
    expected = normalised(parts, (1, 3), 1e-3).reshape(last.shape)
    gamma, beta = layer.get_weights()
    close(layer(x), np.moveaxis(expected * gamma + beta, -1, axis))


def test_root_mean_square_and_unit_normalisation():
    x = RNG.normal(size=(3, 4, 5)).astype("float32")
    layer = weighted(layers.RMSNormalization(axis=(1, 2)), x)
    square = np.mean(x.astype("float64") ** 2, axis=(1, 2), keepdims=True)
    close(layer(x), x / np.sqrt(square + 1e-6) * layer.get_weights()[0])
    for axis in (-1, 1, (1, 2)):
        norm = np.sqrt(np.sum(x.astype("float64") ** 2, axis=axis, keepdims=True))
        close(layers.UnitNormalization(axis)(x), x / norm)
    assert np.isfinite(layers.UnitNormalization()(np.zeros((2, 3))).numpy()).all()


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes", "shape"),
    [
        ("ab,bc->ac", 6, "c", (3, 8)),
        ("abc,cd->abd", (None, 6), "d", (3, 5, 8)),
        ("...x,xy->...y", 6, "y", (3, 5, 8)),
        ("abc,cde->abde", (None, 2, 3), "de", (3, 5, 4)),
        ("abc,bcd->ad", 7, None, (3, 5, 4)),
        ("ab...,bc->ac...", 7, "c", (3, 5, 4)),
        ("abcd,cde->abe", (3, 4), "be", (2, 3, 4, 5)),
    ],
)
def test_products_by_equations(equation, output_shape, bias_axes, shape):
    x = RNG.normal(size=shape).astype("float32")
    layer = weighted(layers.EinsumDense(equation, output_shape, bias_axes=bias_axes), x)
    kernel, *bias = layer.get_weights()
    expected = np.einsum(equation, x.astype("float64"), kernel) + (bias[0] if bias else 0)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=64 * EPS, atol=64 * EPS)
    again = layers.EinsumDense.from_config(layer.get_config())
    again(x)
    assert [w.shape for w in again.get_weights()] == [w.shape for w in layer.get_weights()]


@pytest.mark.parametrize(
    "layer",
    [
        layers.GaussianNoise(0.5, seed=3), layers.GaussianDropout(0.3, seed=3),
        layers.AlphaDropout(0.3, seed=3), layers.AlphaDropout(0.3, (None, 1), seed=3),
        layers.SpatialDropout1D(0.4, seed=3), layers.Dropout(0.4, (None, 1, None), seed=3),
    ],
    ids=["noise", "gaussian", "alpha", "alpha by rows", "spatial", "shared"],
)  # fmt: skip
def test_noise_is_of_training_and_of_the_seed(layer):
    x = RNG.normal(size=(64, 50) if "Alpha" in type(layer).__name__ else (8, 20, 20)).astype("f4")
    if isinstance(layer, layers.GaussianNoise | layers.GaussianDropout):
        x = x.reshape(64, 50)
    np.testing.assert_array_equal(layer(x).numpy(), x)
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert (first != second).any()
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(again(x, training=True).numpy(), first)
    recorded = fastnn.record(lambda t: again(t, training=True))
    np.testing.assert_array_equal(recorded(x).numpy(), second)


def test_shared_noise_is_shared():
    y = layers.Dropout(0.5, (None, 1, None), seed=0)(np.ones((4, 9, 6)), training=True).numpy()
    assert (y == y[:, :1]).all()
    assert set(np.unique(y)) == {0.0, 2.0}
    with pytest.raises(ShapeError, match="noise_shape must have an extent of x or 1"):
        layers.Dropout(0.5, (2, 1))(np.ones((4, 9)), training=True)


def test_a_batch_without_rows_adds_nothing():
    layer = layers.ActivityRegularization(l1=0.5, l2=2.0)
    layer(np.ones((0, 3)))
    assert [loss.item() for loss in layer.losses] == [0.0]
    assert layers.GroupNormalization(2)(np.ones((0, 3, 4))).shape == (0, 3, 4)


def test_activity_is_regularised():
    layer = layers.ActivityRegularization(l1=0.5, l2=2.0)
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2), layer])
    model.compile("sgd", "mse")
    x = RNG.normal(size=(8, 3)).astype("float32")
    y = model.predict(x).astype("float64")
    expected = np.mean(y**2) + (0.5 * np.abs(y).sum() + 2 * np.square(y).sum()) / 8
    assert model.evaluate(x, np.zeros((8, 2)), verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.LayerNormalization(axis=0)(np.ones((2, 3))), ShapeError, "but its first"),
        (lambda: layers.LayerNormalization(axis=[1, 1])(np.ones((2, 3))), ShapeError, "each once"),
        (lambda: layers.BatchNormalization(axis=5)(np.ones((2, 3))), ShapeError, "got axis=5"),
        (lambda: layers.GroupNormalization(4)(np.ones((2, 6))), ShapeError, "6 channels cannot be"),
        (lambda: layers.EinsumDense("ab->ba", 3), ValueError, "equation must be like"),
        (lambda: layers.EinsumDense("ab,bc->ac", (3, 4))(np.ones((2, 3))), ShapeError,
         "output_shape must have 1 extents, of c"),
        (lambda: layers.EinsumDense("abc,cd->abd", (7, 6))(np.ones((2, 3, 4))), ShapeError,
         "b is 3 in the input and 7 in output_shape"),
        (lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="x")(np.ones((2, 3))), ValueError,
         "bias_axes has 'x'"),
        (lambda: layers.EinsumDense("ab,bc->ac", 3)(np.ones((2, 3, 4))), ShapeError,
         "takes 2 dimensions; got shape"),
        (lambda: layers.GroupNormalization(2, axis=[1, 2])(np.ones((2, 3, 4))), ShapeError,
         "axis must name one dimension; got"),
        (lambda: layers.BatchNormalization(axis=[1, 2])(np.ones((2, 3, 4))), ShapeError,
         "axis must name one dimension; got"),
        (lambda: layers.LayerNormalization(axis="last")(np.ones((2, 3))), TypeError,
         "axis must be an integer or several; got 'last'"),
        (lambda: layers.RMSNormalization(axis=None)(np.ones((2, 3))), TypeError, "got None"),
        (lambda: layers.EinsumDense("ab,bc->ac", "x"), ShapeError, "EinsumDense: output_shape: "),
        (lambda: layers.Dropout(0.5, "ab"), ShapeError, "Dropout: noise_shape: a shape is made of"),
        (lambda: layers.GaussianNoise(-1), ValueError, "stddev"),
        (lambda: layers.AlphaDropout(1.0), ValueError, "rate"),
    ],
)  # fmt: skip
def test_errors_say_what_was_expected(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_they_train_within_functional_models():
    x = fastnn.Input((6, 4))
    h = layers.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d")(x)
    h = layers.GroupNormalization(2)(layers.GaussianNoise(0.1)(h))
    h = layers.LayerNormalization(axis=[1, 2])(ops.relu(h))
    model = fastnn.Model(x, layers.Dense(1)(layers.Flatten()(layers.RMSNormalization()(h))))
    model.compile("adam", "mse")
    data = RNG.normal(size=(32, 6, 4)).astype("float32")
    losses = model.fit(data, data[:, 0, :1], epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
