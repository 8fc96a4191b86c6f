"""Regularizers: numbers that grow with weights, or with what a layer gives, added to the loss."""

from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.registry import Configured, Kind
from fastnn.tensor import Tensor, operand
from fastnn.watch import Watched

# any function of a tensor that gives one number will do
KIND = Kind("regularizer", "regularizers", wrap=lambda function: function)


class Regularizer(Watched, Configured):
    """A number of a tensor: `regularizer(x)`. Layers take one for each of their weights
    (`kernel_regularizer`, ...), and for their results (`activity_regularizer`, divided by the
    number of rows); the loss that is trained has the sum of all added, as Keras does it.

    >>> import fastnn
    >>> layer = fastnn.layers.Dense(1, kernel_initializer="ones", kernel_regularizer="l2")
    >>> layer([[1.0, 2.0]]).item(), [round(loss.item(), 4) for loss in layer.losses]
    (3.0, [0.02])
    """

    _kind = KIND

    def __call__(self, x: Any) -> Any:
        return 0.0


class L1(Regularizer):
    """l1 times the sum of |x|: weights that are of little use become 0. Default 0.01, Keras's.

    >>> import fastnn
    >>> fastnn.regularizers.L1(0.5)([1.0, -3.0]).item()
    2.0
    """

    def __init__(self, l1: float = 0.01):
        self.l1 = checks.not_negative("L1: l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any) -> Tensor:
        return self.l1 * ops.sum(ops.absolute(x))


class L2(Regularizer):
    """l2 times the sum of x^2: weights stay small, as by weight decay with plain SGD. Default 0.01,
    Keras's.

    >>> import fastnn
    >>> fastnn.regularizers.L2(0.5)([1.0, -3.0]).item()
    5.0
    """

    def __init__(self, l2: float = 0.01):
        self.l2 = checks.not_negative("L2: l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any) -> Tensor:
        return self.l2 * ops.sum(ops.square(x))


class L1L2(Regularizer, aliases=("l1_l2",)):
    """l1 times the sum of |x|, and l2 times the sum of x^2. Defaults 0, Keras's.

    >>> import fastnn
    >>> fastnn.regularizers.L1L2(l1=0.5, l2=0.5)([1.0, -3.0]).item()
    7.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1 = checks.not_negative("L1L2: l1", 0.0 if l1 is None else l1)
        self.l2 = checks.not_negative("L1L2: l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Any) -> Tensor:
        x = operand(x)
        return ops.sum(self.l1 * ops.absolute(x) + self.l2 * ops.square(x))


MODES = ("rows", "columns")


class OrthogonalRegularizer(Regularizer):
    """factor times the mean |cosine| between any two rows, or columns, of a matrix: they become
    orthogonal. Default 0.01, Keras's.

    >>> import fastnn
    >>> fastnn.regularizers.OrthogonalRegularizer(1.0)([[1.0, 0.0], [2.0, 0.0]]).item()
    1.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = checks.not_negative("OrthogonalRegularizer: factor", factor)
        if mode not in MODES:
            raise ValueError(
                f"OrthogonalRegularizer: unknown mode {mode!r}; {nearest(mode, MODES)}"
            )
        self.mode = mode

    def __call__(self, x: Any) -> Tensor:
        x = operand(x)
        if x.ndim != 2:
            raise ShapeError(
                f"OrthogonalRegularizer: takes a matrix, two dimensions; got {shape_text(x.shape)}"
            )
        axis, of_rows = (1, True) if self.mode == "rows" else (0, False)
        x = x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), 1e-24))
        product = ops.matmul(x, x, transpose_a=not of_rows, transpose_b=of_rows)
        size = product.shape[0]
        others = ops.absolute(product) * (1.0 - np.eye(size))
        return self.factor * ops.sum(others) / max(size * (size - 1), 1)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
