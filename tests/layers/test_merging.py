"""Layers of several inputs, masks, and layers around layers. Numbers of masked inputs are Keras
3.15's."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.errors import ShapeError

RNG = np.random.default_rng(0)
X, Y = (RNG.random((2, 3, 4)).astype("float32") for _ in range(2))
Z = RNG.random((2, 4)).astype("float32")
A = fastnn.tensor([[[0.0, 0.0], [1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]])
B = fastnn.tensor([[[0.0, 0.0], [0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]])
CASES = [
    (layers.Add, np.add),
    (layers.Subtract, np.subtract),
    (layers.Multiply, np.multiply),
    (layers.Average, lambda x, y: (x + y) / 2),
    (layers.Maximum, np.maximum),
    (layers.Minimum, np.minimum),
]


@pytest.mark.parametrize(("layer", "reference"), CASES)
def test_element_by_element(layer, reference):
    np.testing.assert_allclose(layer()([X, Y]).numpy(), reference(X, Y), rtol=1e-6)
    np.testing.assert_allclose(layer()((X, Z)).numpy(), reference(X, Z[:, None]), rtol=1e-6)
    a, b = fastnn.Input((3, 4)), fastnn.Input((3, 1))
    model = fastnn.Model([a, b], layer()([a, b]))
    assert model.output_shape == (None, 3, 4)
    expected = reference(X, Y[:, :, :1])
    np.testing.assert_allclose(model.predict([X, Y[:, :, :1]]), expected, rtol=1e-6)
    function = getattr(layers, layer.__name__.lower())
    np.testing.assert_allclose(function([X, Y]).numpy(), reference(X, Y), rtol=1e-6)


def test_more_than_two():
    total = layers.Add()([X, Y, Z])
    np.testing.assert_allclose(total.numpy(), X + Y + Z[:, None], rtol=1e-6)
    np.testing.assert_allclose(layers.average([X, Y, X]).numpy(), (2 * X + Y) / 3, rtol=1e-6)
    np.testing.assert_array_equal(layers.Maximum()([X]).numpy(), X)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_side_by_side(axis):
    found = layers.Concatenate(axis=axis)([X, Y])
    np.testing.assert_array_equal(found.numpy(), np.concatenate([X, Y], axis))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("axes", [1, 2, (1, -2), -1])
def test_dot(axes, normalize):
    ours, theirs = axes if isinstance(axes, tuple) else (axes, axes)
    x, y = X.astype("float64"), Y.astype("float64")
    if normalize:
        x = x / np.linalg.norm(x, axis=ours, keepdims=True)
        y = y / np.linalg.norm(y, axis=theirs, keepdims=True)
    expected = [
        np.tensordot(a, b, (ours % 3 - 1, theirs % 3 - 1)) for a, b in zip(x, y, strict=True)
    ]
    found = layers.Dot(axes=axes, normalize=normalize)([X, Y])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert layers.dot([Z, Z], axes=1).shape == (2, 1)


def masked(x):
    return layers.Masking()(x)


def mask_of(x):
    mask = getattr(x, "_keras_mask", None)
    return None if mask is None else mask.numpy().astype(int).tolist()


@pytest.mark.parametrize(
    ("layer", "sign", "expected"),
    [
        (layers.Add(), 1, [[0, 0], [1, 2], [1, 2], [6, 8]]),
        (layers.Subtract(), 1, [[0, 0], [1, 2], [-1, -2], [0, 0]]),
        (layers.Average(), 1, [[0, 0], [0.5, 1], [0.5, 1], [3, 4]]),
        (layers.Multiply(), 1, [[0, 0], [1, 2], [1, 2], [9, 16]]),
        (layers.Maximum(), -1, [[0, 0], [-1, -2], [-1, -2], [-3, -4]]),
        (layers.Minimum(), 1, [[0, 0], [1, 2], [1, 2], [3, 4]]),
    ],
)
def test_masked_parts_do_not_count(layer, sign, expected):
    found = layer([masked(sign * A), masked(sign * B)])
    np.testing.assert_array_equal(found.numpy(), [expected])
    assert mask_of(found) == [[0, 1, 1, 1]]
    assert mask_of(layer([masked(sign * A), B])) is None


def test_masks_side_by_side():
    assert mask_of(layers.Concatenate(axis=1)([masked(A), B])) == [[0, 1, 0, 1, 1, 1, 1, 1]]
    assert mask_of(layers.Concatenate(axis=2)([masked(A), masked(B)])) == [[0, 1, 1, 1]]
    assert mask_of(layers.Dot(axes=2)([masked(A), masked(B)])) is None


class TimesMask(layers.Layer):
    supports_masking = True

    def call(self, x, mask=None):
        return x if mask is None else x * ops.expand_dims(ops.cast(mask, "float32"), -1)


def test_masks_reach_layers_and_losses():
    ones = {"kernel_initializer": "ones", "bias_initializer": "ones"}
    x = fastnn.Input((4, 2))
    model = fastnn.Model(x, TimesMask()(layers.Dense(1, **ones)(layers.Masking()(x))))
    expected = [[[0.0], [4.0], [0.0], [8.0]]]
    np.testing.assert_array_equal(model(A).numpy(), expected)
    np.testing.assert_array_equal(model.predict(A.numpy()), expected)
    judged = fastnn.Model(x, layers.Dense(1, **ones)(layers.Masking()(x)))
    judged.compile("sgd", "mse")
    assert judged.evaluate(A.numpy(), np.zeros((1, 4, 1)), verbose=0) == 40.0


class Sums(layers.Layer):
    """Not a word of masks."""

    def call(self, x):
        return ops.sum(x, axis=1)


def test_a_layer_that_loses_a_mask_says_so():
    with pytest.warns(UserWarning, match="'sums' was given an input with a mask"):
        assert mask_of(Sums(name="sums")(masked(A))) is None


def test_a_layer_may_make_masks():
    class First(layers.Layer):
        def call(self, x):
            return x

        def compute_mask(self, x, previous_mask=None):
            return x[..., 0] > 0.0

    assert mask_of(layers.Dense(2)(First()(A * 1.0))) == [[0, 1, 0, 1]]


def test_each_step_by_itself():
    layer = layers.TimeDistributed(layers.Dense(2))
    x = fastnn.Input((None, 4))
    assert layer(x).shape == (None, None, 2)
    expected = layer.layer(X.reshape(6, 4)).numpy().reshape(2, 3, 2)
    np.testing.assert_array_equal(layer(X).numpy(), expected)
    norm = layers.TimeDistributed(layers.BatchNormalization())
    found = norm(X, training=True).numpy()
    deviations = X - X.mean(0)
    np.testing.assert_allclose(found, deviations / np.sqrt(X.var(0) + 1e-3), atol=1e-5)
    moving = np.zeros(4)
    for mean in X.mean(0):
        moving = 0.99 * moving + 0.01 * mean
    np.testing.assert_allclose(norm.layer.moving_mean.numpy(), moving, rtol=1e-5)
    assert mask_of(layers.TimeDistributed(layers.Dense(2))(masked(A))) == [[0, 1, 0, 1]]
    inner = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3)])
    model = fastnn.Model(x, layers.TimeDistributed(inner)(x))
    assert model.predict(X).shape == (2, 3, 3)
    assert len(model.trainable_weights) == 2


def test_a_function_as_a_layer():
    layer = layers.Lambda(
        lambda x, factor, training: x * factor if training else x, arguments={"factor": 3.0}
    )
    np.testing.assert_array_equal(layer(X, training=True).numpy(), X * np.float32(3))
    np.testing.assert_array_equal(layer(X).numpy(), X)
    named = layers.deserialize(layers.serialize(layers.Lambda(fastnn.activations.softsign)))
    assert named.function is fastnn.activations.softsign
    same = layers.deserialize(layers.serialize(layers.Lambda(ops.concatenate)))
    np.testing.assert_array_equal(same([X, Y]).numpy(), np.concatenate([X, Y]))
    with pytest.raises(TypeError, match="cannot be written"):
        layers.serialize(layers.Lambda(lambda x: x))
    config = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}}
    with pytest.raises((TypeError, ValueError), match="lambda"):
        layers.deserialize({"class_name": "Lambda", "config": {"function": config}})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: layers.Subtract()([X, Y, X]), ValueError, "expected a list of 2 inputs; got 3"),
        (lambda: layers.Add()(X), ShapeError, "expected a list of inputs"),
        (lambda: layers.Add()([]), ValueError, "expected a list of inputs; got none"),
        (lambda: layers.Concatenate(axis="last"), TypeError, "axis must be an integer; got 'last'"),
        (lambda: layers.Add()([X, Y[:1]]), ShapeError, "as many rows"),
        (lambda: layers.Add()([X, Y[:, :2]]), ShapeError, "do not broadcast"),
        (lambda: layers.Concatenate()([X, Y[:, :2]]), ShapeError, "matching shapes except for"),
        (lambda: layers.Concatenate()([X, Z]), ShapeError, "matching shapes except for"),
        (lambda: layers.Dot(axes=0)([X, Y]), ShapeError, "and not 0, the rows"),
        (lambda: layers.Dot(axes=(1, 2))([X, Y]), ShapeError, "one extent along axes"),
        (lambda: layers.Dot(axes=(1, 2, 3)), ValueError, "an integer or two"),
        (lambda: layers.TimeDistributed(layers.Dense(1))(Z), ShapeError, "expected steps"),
        (lambda: layers.TimeDistributed(3), TypeError, "layer must be a layer; got int"),
        (lambda: layers.Add().compute_mask([X, Y], [None]), ValueError, "same length"),
        (lambda: layers.Lambda(3), TypeError, "must be a function"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
