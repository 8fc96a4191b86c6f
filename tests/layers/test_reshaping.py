"""Layers that give their input another shape, and embeddings."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.errors import ShapeError

X = np.arange(24, dtype="f4").reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("layer", "x", "expected"),
    [
        (lambda: layers.Flatten(), X, X.reshape(2, 12)),
        (lambda: layers.Flatten(), X[0, 0], X[0, 0][:, None]),
        (lambda: layers.Flatten("channels_first"), X, np.moveaxis(X, 1, -1).reshape(2, 12)),
        (lambda: layers.Reshape((2, -1)), X, X.reshape(2, 2, 6)),
        (lambda: layers.Permute((2, 1)), X, X.transpose(0, 2, 1)),
        (lambda: layers.RepeatVector(3), X[0], np.repeat(X[0][:, None], 3, axis=1)),
    ],
)
def test_elements_stand_where_kerass_do(layer, x, expected):
    made = layer()
    np.testing.assert_array_equal(made(x).numpy(), expected)
    symbolic = layer()(fastnn.Input(x.shape[1:]))
    assert symbolic.shape == (None, *expected.shape[1:])
    again = type(made).from_config(made.get_config())
    np.testing.assert_array_equal(again(x).numpy(), expected)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: layers.Flatten("first"), ValueError, "data_format must be"),
        (lambda: layers.Reshape((5,))(X), ShapeError, "12 elements, which do not make"),
        (lambda: layers.Reshape((2.0, 6)), ValueError, "target_shape must be of extents"),
        (lambda: layers.Reshape(12), ValueError, "target_shape must be of extents"),
        (lambda: layers.Reshape((True, 12)), ValueError, "target_shape must be of extents"),
        (lambda: layers.Permute((0, 1)), ValueError, "a permutation of 1, 2"),
        (lambda: layers.Permute((1.0, 2)), ShapeError, "Permute 'permute.*: dims"),
        (lambda: layers.Permute((2, 1))(X[0]), ShapeError, "rows of the 2 dimensions"),
        (lambda: layers.RepeatVector(0), ValueError, "RepeatVector: n"),
        (lambda: layers.RepeatVector(2)(X), ShapeError, r"expected shape \(any, columns\)"),
        (lambda: layers.Embedding(0, 2), ValueError, "input_dim"),
        (lambda: layers.Embedding(3, 2)([3]), IndexError, "take in layer 'embedding.*index 3"),
        (lambda: layers.Embedding(3, 2, weights=np.ones((2, 3))), ValueError, r"\(3, 2\)"),
    ],
)
def test_errors_name_layer_and_argument(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_an_embedding_takes_rows_and_masks_zeros():
    table = np.arange(10.0).reshape(5, 2)
    layer = layers.Embedding(5, 2, mask_zero=True, weights=[table])
    for x in (np.array([[4, 0], [1, 4]]), [[4, 0], [1, 4]], np.array([[4.0, 0], [1, 4]], "f4")):
        y = layer(x)
        np.testing.assert_array_equal(y.numpy(), table[[[4, 0], [1, 4]]])
        np.testing.assert_array_equal(y._keras_mask.numpy(), [[True, False], [True, True]])
    layer(np.array([4, 0, 4])).backward(np.ones((3, 2)))
    np.testing.assert_array_equal(layer.embeddings.gradient.numpy()[:, 0], [1, 0, 0, 0, 2])


def test_an_embedding_learns_the_same_bits_with_any_number_of_threads():
    rng, found = np.random.default_rng(0), []
    x = rng.integers(0, 50, (256, 10))
    y = x.sum(1, keepdims=True) / 100
    for threads in (1, 2):
        fastnn.set_threads(threads)
        fastnn.utils.set_random_seed(1)
        model = fastnn.Sequential([layers.Embedding(50, 8), layers.Flatten(), layers.Dense(1)])
        model.compile("adam", "mse")
        losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
        assert losses[-1] < losses[0]
        found.append([w.tobytes() for w in model.get_weights()])
    assert found[0] == found[1]
