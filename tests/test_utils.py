"""Keras's odds and ends."""

import numpy as np
import pytest

import fastnn
from fastnn.utils import normalize, to_categorical


def test_to_categorical():
    np.testing.assert_array_equal(to_categorical([2, 0, 1]), np.eye(3)[[2, 0, 1]])
    assert to_categorical(np.array([[0], [1]]), 4).shape == (2, 4)
    assert to_categorical(fastnn.tensor([[0, 1], [1, 0]])).shape == (2, 2, 2)
    assert to_categorical(np.array([True, False])).tolist() == [[0, 1], [1, 0]]
    for bad, message in [([3], "must lie in 0 to 1; got 3 to 3"), ([-1], "got -1 to -1")]:
        with pytest.raises(ValueError, match=message):
            to_categorical(bad, 2)
    with pytest.raises(TypeError, match="expected whole numbers"):
        to_categorical([0.5])


def test_normalize():
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(normalize(x), x / np.linalg.norm(x, axis=-1, keepdims=True))
    np.testing.assert_allclose(normalize(x, 0, 1), x / np.abs(x).sum(axis=0))
    assert normalize([[0, 0]]).tolist() == [[0, 0]]
