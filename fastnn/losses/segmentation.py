"""Losses of overlap, for segmentation, and of similarity, for embeddings."""

from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.convert import as_array
from fastnn.declared import as_declared
from fastnn.dtypes import INT64
from fastnn.errors import ShapeError, shape_text
from fastnn.targets import Shape, as_labels, whole_numbers
from fastnn.tensor import Tensor, operand

from .base import EPSILON, BuiltIn, alike


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Tensor:
    """1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred) + 1e-7) along an axis, several, or None
    for all.

    >>> import fastnn
    >>> round(fastnn.losses.dice([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.5
    """
    y_true, y_pred = alike(y_true, y_pred, "dice")
    both = ops.sum(y_true * y_pred, axis=axis)
    total = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + EPSILON
    return 1.0 - 2.0 * both / total


class Dice(BuiltIn, of=dice):
    """1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred) + 1e-7): how little two areas overlap.

    y_true, y_pred: (N, ...), from 0 to 1. axis: of the sums, one or several; None for all of the
    batch, as Keras has it: for each row by itself name all axes but the first.

    >>> import fastnn
    >>> round(fastnn.losses.Dice()([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return dice(y_true, y_pred, self.axis)


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Tensor:
    """1 - both / (both + alpha wrong + beta missed + 1e-7), the sums along an axis, several, or
    None for all, of y_true y_pred, y_pred (1 - y_true) and y_true (1 - y_pred).

    >>> import fastnn
    >>> round(fastnn.losses.tversky([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.5
    """
    y_true, y_pred = alike(y_true, y_pred, "tversky")
    both = ops.sum(y_true * y_pred, axis=axis)
    wrong = ops.sum(y_pred * (1.0 - y_true), axis=axis)
    missed = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    alpha = checks.not_negative("tversky: alpha", alpha)
    beta = checks.not_negative("tversky: beta", beta)
    return 1.0 - both / (both + wrong * alpha + missed * beta + EPSILON)


class Tversky(BuiltIn, of=tversky):
    """1 - both / (both + alpha wrong + beta missed + 1e-7), the sums of y_true y_pred, y_pred (1 -
    y_true) and y_true (1 - y_pred): `Dice`, where what is found wrongly and what is missed count
    differently. Salehi and others, "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks", 2017; up to 3.15, Keras exchanges alpha and beta.

    y_true, y_pred: (N, ...), from 0 to 1. alpha, beta: from 0 on. axis: as in `Dice`.

    >>> import fastnn
    >>> round(fastnn.losses.Tversky(alpha=1.0, beta=0.0)([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.5
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.alpha = checks.not_negative("Tversky: alpha", alpha)
        self.beta, self.axis = checks.not_negative("Tversky: beta", beta), axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return tversky(y_true, y_pred, self.alpha, self.beta, self.axis)


def _column(labels, rows, name, argument):
    """Labels (N,) or (N, 1) as (N, 1), int64."""
    labels = as_labels(labels, name)
    if labels.shape not in ((rows,), (rows, 1)):
        raise ShapeError(
            f"{name}: {argument} must hold a label for each embedding, shape "
            f"{shape_text((rows,))}; got {shape_text(labels.shape)}"
        )
    return ops.reshape(labels, (rows, 1))


def _log_sum_exp(x, counts):
    """log(sum of e^x) of each row, of what counts; and whether anything does."""
    some = ops.max(counts, axis=1)
    largest = ops.max(ops.where(counts, x, -np.inf), axis=1, keepdims=True)
    largest = ops.where(ops.reshape(some, (-1, 1)), largest, 0.0)
    # in two steps, so that there is no infinity whose gradient would be NaN
    total = ops.sum(ops.where(counts, ops.exp(ops.where(counts, x - largest, 0.0)), 0.0), axis=1)
    return ops.reshape(largest, (-1,)) + ops.log(ops.where(some, total, 1.0)), some


@as_declared
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """The circle loss of each embedding (N, D) among others, (N,): see `Circle`. ref_labels,
    ref_embeddings: of the others, (M,) and (M, D); None for those of the batch.

    >>> import fastnn
    >>> x = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]
    >>> fastnn.losses.circle([0, 0, 1], x, gamma=1).numpy().round(4)
    array([0.6163, 0.9617, 0.    ], dtype=float32)
    """
    gamma, margin = checks.positive("circle: gamma", gamma), checks.real("circle: margin", margin)
    y_pred = operand(y_pred, name="y_pred")
    if y_pred.ndim != 2:
        raise ShapeError(
            f"circle: y_pred must hold embeddings, shape (any, any); got {shape_text(y_pred.shape)}"
        )
    others = (
        y_pred
        if ref_embeddings is None
        else operand(ref_embeddings, y_pred.dtype, "circle: ref_embeddings")
    )
    rows = y_pred.shape[0]
    labels = _column(y_true, rows, "circle", "y_true")
    other_labels = (
        labels
        if ref_labels is None
        else _column(ref_labels, others.shape[0], "circle", "ref_labels")
    )
    distance = ops.maximum(1.0 - ops.matmul(y_pred, others, transpose_b=True), 0.0)
    same = labels == ops.reshape(other_labels, (1, -1))
    other = ops.where(same, False, True)
    if remove_diagonal:
        same = ops.multiply(same, np.eye(rows, others.shape[0]) == 0)
    of_same = ops.maximum(distance + margin, 0.0) * (distance - margin) * float(gamma)
    of_other = ops.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance) * float(gamma)
    (near, some_near), (far, some_far) = _log_sum_exp(of_same, same), _log_sum_exp(of_other, other)
    values = ops.where(ops.multiply(some_near, some_far), ops.softplus(near + far), 0.0)
    values._keras_mask = values > 0.0
    return values


class Circle(BuiltIn, of=circle):
    """log(1 + sum of e^(gamma a (d - margin)) sum of e^(gamma b (1 - margin - d))), the first sum
    over the embeddings of the row's class, the second over the others, d = 1 - the dot product of
    both, a = d + margin, b = 1 + margin - d. Sun and others, "Circle loss: a unified perspective of
    pair similarity optimization", 2020. Rows whose loss is 0 do not count in a mean.

    y_true: (N,) or (N, 1), labels, any whole numbers; y_pred: (N, D), rows of length 1. gamma: the
    scale, 80. margin: between 0 and 1. remove_diagonal: leave out an embedding's pair with itself.

    >>> import fastnn
    >>> x = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]
    >>> round(fastnn.losses.Circle(gamma=1.0)([0, 0, 1], x).item(), 4)
    0.789
    """

    takes_labels = True

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.gamma, self.remove_diagonal = checks.positive("Circle: gamma", gamma), remove_diagonal
        self.margin = checks.fraction("Circle: margin", margin, one=True)

    def targets(self, y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
        y = whole_numbers(as_array(y_true, None, "y"), self.name)
        return np.ascontiguousarray(y.reshape(self._target_shape(y.shape, shape)), INT64)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return circle(y_true, y_pred, None, None, self.remove_diagonal, self.gamma, self.margin)
