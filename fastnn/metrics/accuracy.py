"""How often predictions are right."""

from typing import Any

import numpy as np

from fastnn import config, ops
from fastnn.checks import whole_number
from fastnn.declared import as_declared
from fastnn.errors import ShapeError
from fastnn.losses.base import pair
from fastnn.targets import as_labels
from fastnn.tensor import Tensor, operand

from .base import as_floats, number
from .reduction import MeanOfValues


def _floats(matches, like):
    """Booleans as numbers, of the type of `like`."""
    return matches.astype(like.dtype if like.dtype.kind == "f" else config.floatx())


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where y_true equals y_pred, else 0, of each element."""
    y_true, y_pred = pair(y_true, y_pred)
    return _floats(ops.equal(y_true, y_pred), y_pred)


class Accuracy(MeanOfValues):
    """How often y_pred equals y_true, element by element; both (N, ...).

    >>> import fastnn
    >>> print(fastnn.metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None):
        super().__init__(name, dtype)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return accuracy(y_true, y_pred)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where y_true is 1 and y_pred above the threshold, or 0 and not, of each element; else
    0."""
    y_true, y_pred = pair(y_true, y_pred)
    is_above = ops.greater(y_pred, number("binary_accuracy: threshold", threshold)).astype(
        y_true.dtype
    )
    return _floats(ops.equal(y_true, is_above), y_pred)


class BinaryAccuracy(MeanOfValues):
    """How many targets equal 1 where the prediction is above `threshold` and 0 elsewhere. y_true,
    y_pred: (N, ...).

    >>> import fastnn
    >>> print(fastnn.metrics.BinaryAccuracy()([[1.0], [0.0]], [[0.9], [0.7]]))
    0.5
    """

    _direction = "up"
    one_number_a_row = True

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ):
        super().__init__(name, dtype)
        self.threshold = number(f"{self.name}: threshold", threshold)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        shares = ops.binary_accuracy(_rows(y_pred), _rows(y_true), threshold=self.threshold)
        return ops.reshape(shares, y_pred.shape[:-1])

    def measure(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> tuple:
        y, p = self.operands(y_true, y_pred)
        shape = np.shape(sample_weight) if sample_weight is not None else (1,)
        is_by_row = len(shape) < p.ndim or shape[-1] == 1  # or each element has a weight
        values = self.values(y, p) if is_by_row else binary_accuracy(y, p, self.threshold)
        return self.weighted(values, y_pred, sample_weight)


def _rows(x):
    """Rows of the last dimension, (any, C)."""
    if not x.ndim:
        raise ShapeError("y_true and y_pred must have a dimension or more; got one number")
    return x if x.ndim == 2 else ops.reshape(x, (-1, x.shape[-1]))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 for each row of y_true and y_pred, both (..., C), that have their largest number at the
    same place, else 0."""
    y_pred = as_floats(y_pred)
    matches = ops.categorical_accuracy(_rows(y_pred), _rows(_as(y_true, y_pred)))
    return ops.reshape(matches, y_pred.shape[:-1])


def _as(y_true, y_pred):
    y_true = operand(y_true, y_pred.dtype, "y_true")
    return y_true if y_true.dtype == y_pred.dtype else y_true.astype(y_pred.dtype)


class CategoricalAccuracy(MeanOfValues):
    """How many rows of y_true and y_pred, both (N, ..., C), have their largest number at the same
    place.

    >>> import fastnn
    >>> print(fastnn.metrics.CategoricalAccuracy()([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None):
        super().__init__(name, dtype)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return categorical_accuracy(y_true, y_pred)


def _labels(y_true, name):
    """Labels (any,)."""
    return ops.reshape(as_labels(y_true, name), (-1,))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 for each row of y_pred (..., C) that has its largest number at the label, else 0. y_true:
    (...) or (..., 1)."""
    y_pred = as_floats(y_pred)
    labels = _labels(y_true, "sparse_categorical_accuracy")
    matches = ops.sparse_categorical_accuracy(_rows(y_pred), labels)
    return ops.reshape(matches, y_pred.shape[:-1])


class SparseCategoricalAccuracy(MeanOfValues):
    """How many rows of y_pred (N, ..., C) have their largest number at the label. y_true: (N, ...)
    or (N, ..., 1), whole numbers from 0 to C - 1.

    >>> import fastnn
    >>> print(fastnn.metrics.SparseCategoricalAccuracy()([0, 1], [[0.9, 0.1], [0.6, 0.4]]))
    0.5
    """

    _direction = "up"
    takes_labels = True

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(name, dtype)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return sparse_categorical_accuracy(y_true, y_pred)


def _is_among_largest(labels, y_pred, k):
    """1 for each row of y_pred (any, C) of whose numbers less than k are larger than that of its
    label, else 0; NaN is the smallest."""
    k = whole_number("top-k accuracy: k", k, 1)
    columns = np.arange(y_pred.shape[1], dtype=np.int64)
    is_label = ops.equal(ops.reshape(labels, (-1, 1)), columns)
    found = ops.max(ops.where(is_label, y_pred, -np.inf), axis=1, keepdims=True)
    found = ops.where(ops.equal(found, found), found, -np.inf)
    larger = ops.sum(_floats(ops.greater(y_pred, found), y_pred), axis=1)
    return _floats(ops.less(larger, float(k)), y_pred)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 for each row where the largest number of y_true stands at one of the k largest of y_pred,
    both (..., C), else 0. Of equal numbers all count."""
    y_pred = as_floats(y_pred)
    labels = ops.argmax(_rows(_as(y_true, y_pred)), axis=1)
    return ops.reshape(_is_among_largest(labels, _rows(y_pred), k), y_pred.shape[:-1])


class TopKCategoricalAccuracy(MeanOfValues):
    """How often the largest number of a row of y_true stands at one of the k largest of y_pred,
    both (N, ..., C).

    >>> import fastnn
    >>> metric = fastnn.metrics.TopKCategoricalAccuracy(k=2)
    >>> print(metric([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0, 0.95]]))
    0.5
    """

    _direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ):
        super().__init__(name, dtype)
        self.k = whole_number(f"{self.name}: k", k, 1)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return top_k_categorical_accuracy(y_true, y_pred, self.k)


@as_declared
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """1 for each row where the label is that of one of the k largest numbers of y_pred (..., C),
    else 0. from_sorted_ids: whether y_pred holds labels, the likeliest first."""
    y_pred = as_floats(y_pred)
    labels, rows = _labels(y_true, "sparse_top_k_categorical_accuracy"), _rows(y_pred)
    if from_sorted_ids:
        first = rows[:, :k]
        is_first = ops.equal(ops.reshape(labels, (-1, 1)).astype(first.dtype), first)
        matches = ops.max(_floats(is_first, first), axis=1)
    else:
        matches = _is_among_largest(labels, rows, k)
    return ops.reshape(matches, y_pred.shape[:-1])


class SparseTopKCategoricalAccuracy(MeanOfValues):
    """How often the label is that of one of the k largest numbers of a row of y_pred (N, ..., C).
    y_true: (N, ...) or (N, ..., 1), whole numbers. from_sorted_ids: whether y_pred holds labels,
    the likeliest first.

    >>> import fastnn
    >>> metric = fastnn.metrics.SparseTopKCategoricalAccuracy(k=2)
    >>> print(metric([2, 1], [[0.1, 0.9, 0.8], [0.05, 0, 0.95]]))
    0.5
    """

    _direction = "up"
    takes_labels = True

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(name, dtype)
        self.k, self.from_sorted_ids = whole_number(f"{self.name}: k", k, 1), from_sorted_ids

    def targets(self, y_true: Any, shape: Any, dtype: Any) -> np.ndarray:
        shape = (*shape[:-1], 1 << 62) if self.from_sorted_ids else shape
        return super().targets(y_true, shape, dtype)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return sparse_top_k_categorical_accuracy(y_true, y_pred, self.k, self.from_sorted_ids)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if not self.from_sorted_ids:
            del config["from_sorted_ids"]
        return config
