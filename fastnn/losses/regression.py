"""Losses of numbers."""

from math import log
from typing import Any

from fastnn import checks, ops
from fastnn.tensor import Tensor

from .base import EPSILON, BuiltIn, Elementwise, pair, pair_of_rows


def _squares(y_true, y_pred):
    return ops.squared_difference(y_pred, y_true)


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of (y_true - y_pred)^2 along the last dimension: (..., C) gives (...).

    >>> import fastnn
    >>> fastnn.losses.mean_squared_error([[1.0, 2.0]], [[2.0, 4.0]]).numpy()
    array([2.5], dtype=float32)
    """
    return ops.mean(_squares(*pair(y_true, y_pred)), axis=-1)


class MeanSquaredError(Elementwise, of=mean_squared_error, aliases=("mse",)):
    """(y_true - y_pred)^2.

    y_true, y_pred: (N, ...), float.

    >>> import fastnn
    >>> fastnn.losses.MeanSquaredError()([[1.0], [2.0]], [[1.5], [2.0]]).item()
    0.125
    """

    elements = staticmethod(_squares)


def _absolute(y_true, y_pred):
    return ops.absolute(y_pred - y_true)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of |y_true - y_pred| along the last dimension: (..., C) gives (...).

    >>> import fastnn
    >>> fastnn.losses.mean_absolute_error([[1.0, 2.0]], [[2.0, 4.0]]).numpy()
    array([1.5], dtype=float32)
    """
    return ops.mean(_absolute(*pair(y_true, y_pred)), axis=-1)


class MeanAbsoluteError(Elementwise, of=mean_absolute_error, aliases=("mae",)):
    """|y_true - y_pred|; its gradient where both are equal is 0.

    y_true, y_pred: (N, ...), float.

    >>> import fastnn
    >>> fastnn.losses.MeanAbsoluteError()([[1.0], [2.0]], [[1.5], [2.0]]).item()
    0.25
    """

    elements = staticmethod(_absolute)


def _percentages(y_true, y_pred):
    relative = (y_true - y_pred) / ops.maximum(ops.absolute(y_true), EPSILON)
    return 100.0 * ops.absolute(relative)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of 100 |y_true - y_pred| / max(|y_true|, 1e-7) along the last dimension: (..., C)
    gives (...).

    >>> import fastnn
    >>> fastnn.losses.mean_absolute_percentage_error([[1.0, 2.0]], [[2.0, 4.0]]).numpy()
    array([100.], dtype=float32)
    """
    return ops.mean(_percentages(*pair(y_true, y_pred)), axis=-1)


class MeanAbsolutePercentageError(
    Elementwise, of=mean_absolute_percentage_error, aliases=("mape",)
):
    """100 |y_true - y_pred| / max(|y_true|, 1e-7).

    y_true, y_pred: (N, ...), float.

    >>> import fastnn
    >>> fastnn.losses.MeanAbsolutePercentageError()([[1.0], [2.0]], [[1.5], [2.0]]).item()
    25.0
    """

    elements = staticmethod(_percentages)


def _squared_logarithms(y_true, y_pred):
    return ops.squared_difference(
        ops.log(ops.maximum(y_pred, EPSILON) + 1.0), ops.log(ops.maximum(y_true, EPSILON) + 1.0)
    )


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of (log(1 + y_true) - log(1 + y_pred))^2 along the last dimension, both from 1e-7
    on: (..., C) gives (...).

    >>> import fastnn
    >>> fastnn.losses.mean_squared_logarithmic_error([[1.0]], [[3.0]]).numpy().round(4)
    array([0.4805], dtype=float32)
    """
    return ops.mean(_squared_logarithms(*pair(y_true, y_pred)), axis=-1)


class MeanSquaredLogarithmicError(
    Elementwise, of=mean_squared_logarithmic_error, aliases=("msle",)
):
    """(log(1 + y_true) - log(1 + y_pred))^2, where what is below 1e-7 is taken for that.

    y_true, y_pred: (N, ...), float, from 0 on.

    >>> import fastnn
    >>> round(fastnn.losses.MeanSquaredLogarithmicError()([[1.0]], [[3.0]]).item(), 4)
    0.4805
    """

    elements = staticmethod(_squared_logarithms)


def _huber(y_true, y_pred, delta):
    size = ops.absolute(y_pred - y_true)
    return ops.where(size <= delta, 0.5 * ops.square(size), delta * size - 0.5 * delta * delta)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """The mean along the last dimension of e^2 / 2, or, where |e| = |y_true - y_pred| is above
    delta, delta |e| - delta^2 / 2: (..., C) gives (...).

    >>> import fastnn
    >>> fastnn.losses.huber([[0.0, 0.0]], [[1.0, 3.0]]).numpy()
    array([1.5], dtype=float32)
    """
    delta = checks.positive("huber: delta", delta)
    return ops.mean(_huber(*pair(y_true, y_pred), delta), axis=-1)


class Huber(Elementwise, of=huber):
    """e^2 / 2, or, where |e| = |y_true - y_pred| is above delta, delta |e| - delta^2 / 2: far away
    it grows no faster than |e|. Huber, "Robust estimation of a location parameter", 1964.

    y_true, y_pred: (N, ...), float. delta: a number above 0.

    >>> import fastnn
    >>> fastnn.losses.Huber()([[0.0, 0.0]], [[1.0, 3.0]]).item()
    1.5
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.delta = checks.positive("Huber: delta", delta)

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return _huber(y_true, y_pred, self.delta)


def _log_cosh(y_true, y_pred):
    error = y_pred - y_true
    return error + ops.softplus(-2.0 * error) - log(2.0)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of log(cosh(y_pred - y_true)) along the last dimension: (..., C) gives (...).

    >>> import fastnn
    >>> fastnn.losses.log_cosh([[0.0, 0.0]], [[1.0, 3.0]]).numpy().round(4)
    array([1.3716], dtype=float32)
    """
    return ops.mean(_log_cosh(*pair(y_true, y_pred)), axis=-1)


class LogCosh(Elementwise, of=log_cosh, aliases=("logcosh",)):
    """log(cosh(y_pred - y_true)): e^2 / 2 of small errors, |e| - log 2 of large ones.

    y_true, y_pred: (N, ...), float.

    >>> import fastnn
    >>> round(fastnn.losses.LogCosh()([[0.0, 0.0]], [[1.0, 3.0]]).item(), 4)
    1.3716
    """

    elements = staticmethod(_log_cosh)


def _normalized(x, axis):
    """x over its norm along an axis, 0 where all of it is."""
    square = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x / ops.sqrt(ops.maximum(square, 1e-24))


def cosine_similarity(y_true: Any, y_pred: Any, axis: Any = -1) -> Tensor:
    """-(y_true . y_pred) / (|y_true| |y_pred|) along an axis, 0 where a norm is: -1 where both have
    one direction. (..., C) gives (...).

    >>> import fastnn
    >>> fastnn.losses.cosine_similarity([[0.0, 1.0]], [[3.0, 4.0]]).numpy().round(4)
    array([-0.8], dtype=float32)
    """
    y_true, y_pred = pair_of_rows("cosine_similarity", y_true, y_pred)
    return -ops.sum(_normalized(y_true, axis) * _normalized(y_pred, axis), axis=axis)


class CosineSimilarity(BuiltIn, of=cosine_similarity):
    """-(y_true . y_pred) / (|y_true| |y_pred|) along an axis, 0 where a norm is: -1 where both have
    one direction, 1 where they are opposite.

    y_true, y_pred: (N, ...), float. axis: an integer, or several.

    >>> import fastnn
    >>> round(fastnn.losses.CosineSimilarity()([[0.0, 1.0]], [[3.0, 4.0]]).item(), 4)
    -0.8
    """

    def __init__(
        self,
        axis: Any = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return cosine_similarity(y_true, y_pred, self.axis)
