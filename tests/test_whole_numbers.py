"""Whole numbers that no index or label is are refused before they become other ones."""

import re

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

LARGE = np.array([1, 2**64 - 1], np.uint64)
TABLE = np.arange(3.0, dtype=np.float32)[:, None]
P = np.full((2, 3), 1 / 3, np.float32)


def embedding(x):
    return layers.Embedding(3, 1, weights=TABLE, name="table")(x)


def fitted(x, y, *stack):
    model = fastnn.Sequential([*stack, layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model.fit(x, y, verbose=0)


@pytest.mark.parametrize(
    "use",
    [
        embedding,
        lambda x: ops.take(TABLE, x, axis=0),
        lambda x: fastnn.tensor(TABLE)[x],
        lambda x: ops.one_hot(x, 3),
        lambda x: ops.segment_sum(P, x, 3),
        lambda x: fastnn.losses.sparse_categorical_crossentropy(x, P),
        lambda x: fastnn.metrics.SparseCategoricalAccuracy()(x, P),
        lambda x: fastnn.metrics.sparse_categorical_accuracy(x, P),
        lambda x: fitted(P, x),
        lambda x: layers.CategoryEncoding(3)(x),
        fastnn.tensor,
    ],
)
def test_unsigned_integers_beyond_int64_are_not_taken_for_negative_ones(use):
    with pytest.raises(ValueError, match=r"18446744073709551615.* at \(1,\)"):
        use(LARGE)
    assert use(LARGE[:1].repeat(2)) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_a_float_that_is_no_index_is_told_as_it_is(value):
    x = np.array([0.0, value], np.float32)
    with pytest.raises(
        ValueError, match=rf"Embedding 'table': {re.escape(f'{x[1]}')} at \(1,\) is no integer"
    ):
        embedding(x)
    with pytest.raises(
        IndexError, match=r"what NaN, infinity and all beyond int64 become.* is out"
    ):
        embedding(fastnn.tensor(x))
    np.testing.assert_array_equal(embedding(np.array([1.9, -1.0])), [[1.0], [2.0]])
