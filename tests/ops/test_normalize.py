"""Functions of normalisation, of samples and of sets: what the tests derived from the registry do
not see. Keras's numbers agree with those of NumPy here (compared on JAX)."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4))
V3, V4, M = (RNG.uniform(0.5, 2, s) for s in ((3,), (4,), (3, 4)))
COLUMN = V3[:, None]


def layer(x, axes, epsilon=1e-7, gamma=1.0, beta=0.0):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


CASES = {
    "batch": (
        lambda x: ops.batch_normalization(x, V3, V3, 1, offset=V3, scale=V3, epsilon=0.1),
        COLUMN * (X - COLUMN) / np.sqrt(COLUMN + 0.1) + COLUMN,
    ),
    "layer": (lambda x: ops.layer_normalization(x), layer(X, -1)),
    "layer, by its kernel": (
        lambda x: ops.layer_normalization(x, V4, V4, epsilon=0.1),
        layer(X, -1, 0.1, V4, V4),
    ),
    "layer, of a middle axis": (
        lambda x: ops.layer_normalization(x, V3, axis=1),
        layer(X, 1, 1e-7, COLUMN),
    ),
    "layer, of two axes": (
        lambda x: ops.layer_normalization(x, M, M, axis=[1, 2]),
        layer(X, (1, 2), 1e-7, M, M),
    ),
    "rms": (
        lambda x: ops.rms_normalization(x, V4),
        V4 * X / np.sqrt((X**2).mean(-1, keepdims=True) + 1e-7),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_normalisations(name):
    call, expected = CASES[name]
    np.testing.assert_allclose(call(X).numpy(), expected, rtol=1e-12)
    fastnn.gradcheck(lambda x: ops.sum(ops.square(call(x))), [X])


def test_batch_normalization_has_gradients_of_statistics():
    def f(mean, variance):
        return ops.sum(ops.square(ops.batch_normalization(X, mean, variance, 1)))

    fastnn.gradcheck(f, [V3, V3])


def test_what_is_refused():
    with pytest.raises(ShapeError, match=r"gamma must have shape \(4\), .* along axis; got \(3\)"):
        ops.layer_normalization(X, V3)
    with pytest.raises(ShapeError, match="batch_normalization: axis 3 is not one of"):
        ops.batch_normalization(X, V3, V3, 3)
    with pytest.raises(ValueError, match="order must be a whole number from 1 on; got 0"):
        ops.normalize(X, order=0)


def test_nothing_is_normalised_to_nothing():
    np.testing.assert_array_equal(ops.normalize(np.zeros((2, 3))).numpy(), 0)


def test_ldexp_does_not_overflow_on_its_way():
    for x, y in ((1e-30, 200), (1e30, -200), (1.0, 3)):
        for dtype in ("float32", "float64"):
            found = ops.ldexp(np.array([x], dtype), [y]).numpy()
            np.testing.assert_allclose(found, [np.ldexp(x, y)], rtol=1e-6)


def test_numbers_among_others():
    for x1, x2 in (([1, 2, 3], [2.0, 5.0]), ([np.nan, 1.0], [np.nan, 1.0]), ([1.0, 2.0], [])):
        for invert in (False, True):
            found = ops.isin(x1, x2, invert=invert)
            np.testing.assert_array_equal(found.numpy(), np.isin(x1, x2, invert=invert))
