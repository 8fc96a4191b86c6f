"""Metrics: means over rows, kept in memory that kernels add to."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from fastnn import config, ops
from fastnn.apply import apply
from fastnn.autograd import no_grad
from fastnn.devices.arena import own_copy
from fastnn.devices.cpu.memory import reserve
from fastnn.dtypes import FLOAT64, FLOATS, INT64
from fastnn.ops import metrics as means
from fastnn.registry import Configured, Kind, snake_case
from fastnn.targets import Shape, aligned, row_weights, targets
from fastnn.tensor import Tensor, operand
from fastnn.watch import Watched

TOTAL_WORDS = 2  # a mean's memory: the sum so far and the sum of the weights, in float64


def totals(count: int) -> Tensor:
    """Memory for `count` means, zero: (count, 2)."""
    return Tensor(reserve(8 * TOTAL_WORDS * count), (count, TOTAL_WORDS), FLOAT64)


def total_of(block: Tensor, number: int) -> Tensor:
    """One mean's part of such a block."""
    size = 8 * TOTAL_WORDS
    return Tensor(block.buffer.part(number * size, size), (TOTAL_WORDS,), block.dtype)


def accumulate(
    values: Tensor, into: Tensor, scale: float = 1.0, weights: Tensor | None = None
) -> None:
    """Add values (with their weights) and their number to a mean, both times `scale`."""
    given = (values,) if weights is None else (values, weights)
    apply(means.accumulate, given, {"scale": scale}, (into,))


KIND = Kind("metric", "metrics")


class Metric(Watched, Configured):
    """A mean over rows of `measure(y_true, y_pred)`, which gives a value for each row.

    takes_labels: as for losses, whether targets are labels.
    """

    _kind = KIND
    takes_labels = False

    def __init__(self, name: str | None = None):
        self.name = name or snake_case(type(self).__name__)
        self.totals = total_of(totals(1), 0)

    __copy__ = own_copy

    def measure(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise TypeError(f"metric {self.name!r} does not define measure(y_true, y_pred)")

    def targets(self, y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
        """Targets as the kernels take them, as `Loss.targets`."""
        return targets(y_true, shape, dtype, self.takes_labels, self.name)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the rows of a batch, each with its weight or 1. sample_weight: (N,), (N, 1) or one
        number; the mean is the weighted one, the sum of weights times values over the sum of
        weights."""
        with no_grad():
            y_pred = operand(y_pred)
            y_pred = _rows(y_pred) if y_pred.ndim == 1 else y_pred
            if not isinstance(y_true, Tensor):
                y_true = operand(
                    self.targets(y_true, y_pred.shape, y_pred.dtype),
                    INT64 if self.takes_labels else y_pred.dtype,
                )
            y_true = aligned(y_true, y_pred.shape, self.takes_labels, self.name)
            self._add(self.measure(y_true, y_pred), sample_weight)

    def _add(self, values, sample_weight):
        weights = sample_weight
        if weights is not None:
            weights = operand(
                row_weights(weights, values.size, values.dtype, f"metric {self.name!r}: "),
                values.dtype,
            )
        accumulate(values, self.totals, 1.0, weights)

    def result(self) -> float:
        """The mean so far; 0 of nothing, as in Keras."""
        total, weight = self.totals.numpy()
        return float(total / weight) if weight else 0.0

    def reset_state(self) -> None:
        """Begin again."""
        self.totals.buffer.array((TOTAL_WORDS,), np.float64)[:] = 0

    def __call__(self, *arguments: Any, **named: Any) -> float:
        self.update_state(*arguments, **named)
        return self.result()


def _rows(x):
    """Rows of the last dimension, (any, C); of one dimension, rows of one number."""
    return x if x.ndim == 2 else ops.reshape(x, (-1, 1 if x.ndim == 1 else x.shape[-1]))


class Mean(Metric):
    """The mean of numbers: `update_state(values, sample_weight)`. There is a weight for each
    number, or for each row, whose means are then taken.

    >>> import fastnn
    >>> mean = fastnn.metrics.Mean()
    >>> mean.update_state([1.0, 2.0])
    >>> mean.update_state([6.0])
    >>> mean.result()
    3.0
    """

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        with no_grad():
            values = operand(values)
            values = values if values.dtype in FLOATS else values.astype(config.floatx())
            if sample_weight is not None and values.ndim > 1:
                if np.size(sample_weight) == values.size:
                    sample_weight = ops.reshape(operand(sample_weight, values.dtype), (-1,))
                else:
                    values = ops.mean(values, axis=tuple(range(1, values.ndim)))
            self._add(ops.reshape(values, (-1,)), sample_weight)


class BinaryAccuracy(Metric):
    """How many targets equal 1 where the prediction is above `threshold` and 0 elsewhere. y_true,
    y_pred: (N, C).

    >>> import fastnn
    >>> fastnn.metrics.BinaryAccuracy()([[1.0], [0.0]], [[0.9], [0.7]])
    0.5
    """

    def __init__(self, name: str | None = None, threshold: float = 0.5):
        super().__init__(name)
        self.threshold = threshold

    def measure(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.binary_accuracy(_rows(y_pred), _rows(y_true), threshold=self.threshold)


class CategoricalAccuracy(Metric):
    """How many rows of y_true and y_pred, both (N, C), have their largest number at the same
    place."""

    def measure(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.categorical_accuracy(_rows(y_pred), _rows(y_true))


class SparseCategoricalAccuracy(Metric):
    """How many rows of y_pred (N, C) have their largest number at the label. y_true: (N,), whole
    numbers from 0 to C - 1.

    >>> import fastnn
    >>> fastnn.metrics.SparseCategoricalAccuracy()([0, 1], [[0.9, 0.1], [0.6, 0.4]])
    0.5
    """

    takes_labels = True

    def measure(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.sparse_categorical_accuracy(
            _rows(y_pred), y_true if y_true.ndim == 1 else ops.reshape(y_true, (-1,))
        )


class MeanSquaredError(Metric, aliases=("mse",)):
    """The mean of (y_true - y_pred)^2."""

    def measure(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.mean(ops.squared_difference(y_pred, y_true), axis=tuple(range(1, y_pred.ndim)))


class MeanAbsoluteError(Metric, aliases=("mae",)):
    """The mean of |y_true - y_pred|."""

    def measure(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.mean(ops.absolute(y_pred - y_true), axis=tuple(range(1, y_pred.ndim)))


class FunctionMetric(Metric):
    """The mean of what a function of (y_true, y_pred) gives: what `compile(metrics=[function])`
    makes of one."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], takes_labels: bool = False):
        super().__init__(getattr(function, "__name__", "metric"))
        self.function, self.takes_labels = function, takes_labels

    def measure(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        values = self.function(y_true, y_pred)
        return ops.mean(values, axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values


KIND.wrap_functions(FunctionMetric)
get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
ACCURACY = ("accuracy", "acc")  # which accuracy depends on targets and predictions


def for_targets(
    identifier: Any, takes_labels: bool, columns: int, argument: str = "metrics"
) -> Metric:
    """A metric by its name, which it then bears, or as `get` has it; "accuracy" is the one for such
    targets and such a number of columns."""
    if isinstance(identifier, str):
        if identifier in ACCURACY:
            kind: Any = (
                SparseCategoricalAccuracy
                if takes_labels
                else BinaryAccuracy
                if columns == 1
                else CategoricalAccuracy
            )
        else:
            kind = KIND.find(identifier, argument, ACCURACY)
        return (
            kind(name=identifier) if isinstance(kind, type) else FunctionMetric(kind, takes_labels)
        )
    if isinstance(identifier, FunctionType):
        return FunctionMetric(identifier, takes_labels)
    return KIND.get(identifier, argument)
