"""BatchNormalization with a mask, against its formula in float64."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.errors import ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(3.0, 2.0, (4, 5, 3)).astype("f4")
MASK = RNG.integers(0, 2, (4, 5)).astype(bool)


@pytest.mark.parametrize("axis", [-1, 1])
def test_moments_are_of_what_the_mask_leaves(axis):
    layer = layers.BatchNormalization(axis=axis, momentum=0.5)
    y = layer(X, training=True, mask=MASK).numpy()
    others = (0, 1) if axis == -1 else (0, 2)
    rows, where = X.astype("f8"), np.broadcast_to(MASK[..., None], X.shape)
    mean = rows.mean(axis=others, where=where, keepdims=True)
    variance = rows.var(axis=others, where=where, keepdims=True)
    np.testing.assert_allclose(y, (rows - mean) / np.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-5)
    moving_mean, moving_variance = layer.get_weights()[2:]
    np.testing.assert_allclose(moving_mean, 0.5 * mean.reshape(-1), rtol=1e-5)
    np.testing.assert_allclose(moving_variance, 0.5 + 0.5 * variance.reshape(-1), rtol=1e-5)
    np.testing.assert_array_equal(  # moving averages know no mask
        layer(X, mask=MASK).numpy(), layer(X).numpy()
    )


def test_gradient_and_a_recorded_step():
    layer = layers.BatchNormalization(dtype="float64")
    x = X[:2, :, :2].astype("f8")

    def loss(x):
        y = layer(x, training=True, mask=MASK[:2])
        return fastnn.ops.sum(y * y * y)

    assert fastnn.gradcheck(loss, [x])
    inputs = fastnn.Input((5, 3))
    outputs = layers.Dense(1)(layers.BatchNormalization()(layers.Masking()(inputs)))
    model = fastnn.Model(inputs, outputs)
    model.compile("sgd", "mse")
    padded = np.where(MASK[..., None], X, 0)
    model.train_on_batch(padded, np.ones((4, 5, 1)))
    expected = 0.01 * X.mean(axis=(0, 1), where=MASK[..., None], dtype="f8")
    np.testing.assert_allclose(model.layers[2].get_weights()[2], expected, rtol=1e-5)


def test_all_masked_and_refused():
    layer = layers.BatchNormalization()
    y = layer(X[0], training=True, mask=np.zeros(5)).numpy()
    np.testing.assert_allclose(y, X[0] / np.sqrt(1e-3), rtol=1e-5)
    with pytest.raises(ShapeError, match="one dimension less"):
        layer(X[0], training=True, mask=np.zeros((5, 3)))
