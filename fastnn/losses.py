"""Losses: classes that models train with, which also work on arrays by themselves."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.convert import as_array
from fastnn.dtypes import INT64
from fastnn.errors import ShapeError, shape_text, warn
from fastnn.frames import not_finite
from fastnn.registry import Configured, Kind, snake_case
from fastnn.tensor import Tensor, operand
from fastnn.watch import Watched

Shape = Sequence[int | None]  # None for any extent


KIND = Kind("loss", "losses")


class Loss(Watched, Configured):
    """A number for how far predictions are from targets: the mean of `call(y_true, y_pred)`, which
    gives a value for every row or element. With `sample_weight`, (N,), (N, 1) or one number for
    all, each row's mean is multiplied by its weight before the N rows are averaged, as in Keras.
    Weights may be negative, as advantages in reinforcement learning are.

    takes_labels: whether targets are labels, integers (N,), instead of values of the prediction's
    shape.
    """

    _kind = KIND
    takes_labels = False

    def __init__(self, name: str | None = None):
        self.name = name or snake_case(type(self).__name__)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not define call(y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        y_pred = operand(y_pred)
        if not isinstance(y_true, Tensor):
            y_true = operand(
                self.targets(y_true, y_pred.shape, y_pred.dtype),
                INT64 if self.takes_labels else y_pred.dtype,
            )
        values = self.call(aligned(y_true, y_pred.shape, self.takes_labels, self.name), y_pred)
        if sample_weight is None:
            return ops.mean(values)
        if values.ndim > 1:
            values = ops.mean(values, axis=tuple(range(1, values.ndim)))
        return ops.mean(
            values * row_weights(sample_weight, values.size, values.dtype, f"{self.name}: ")
        )

    def targets(self, y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
        """Targets as the kernels take them, for predictions of this shape (its first extent may be
        any), checked."""
        return targets(y_true, shape, dtype, self.takes_labels, self.name)


def row_weights(sample_weight: Any, rows: int, dtype: Any, owner: str = "") -> Any:
    """Weights of rows as (N,), an array or, of a tensor, a tensor: given so, as (N, 1) or as one
    number for all. Raises where an array's are not finite."""
    given = (
        sample_weight
        if isinstance(sample_weight, Tensor)
        else as_array(sample_weight, dtype, f"{owner}sample_weight")
    )
    if given.shape not in ((), (rows,), (rows, 1)):
        raise ShapeError(
            f"{owner}sample_weight must have shape {shape_text((rows,))}, one for each row, or "
            f"{shape_text((rows, 1))}, or be one "
            f"number for all; got {shape_text(given.shape)}"
        )
    if isinstance(given, Tensor):
        weights = given if given.dtype == dtype else given.astype(dtype)
        return ops.reshape(weights, (rows,)) if weights.ndim else weights * np.ones(rows, dtype)
    if not np.isfinite(given).all():
        raise not_finite(given, f"{owner}sample_weight", sample_weight)
    return np.ascontiguousarray(np.broadcast_to(given.reshape(-1), (rows,)))


def targets(y_true: Any, shape: Shape, dtype: Any, takes_labels: bool, name: str) -> np.ndarray:
    """Values as `dtype`, of the predictions' shape; or labels as int64, whole numbers from 0 to
    their columns less one."""
    y = as_array(y_true, None if takes_labels else dtype, "y")
    y = y.reshape(aligned_shape(y.shape, shape, takes_labels, name))
    if not takes_labels:
        return y
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (np.floor(y) == y)
        if not whole.all():
            place = tuple(int(i) for i in np.argwhere(~whole)[0])
            raise ValueError(
                f"{name}: labels must be whole numbers; got {y[place]} at {place}. One-hot rows "
                "are y.argmax(-1)."
            )
    classes = shape[-1] or 0
    if y.size and (y.min() < 0 or y.max() >= classes):
        outside = (y < 0) | (y >= classes)
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ValueError(
            f"{name}: labels must lie between 0 and {classes - 1}, for predictions of {classes} "
            f"columns; got {y[place]} at "
            f"{place}. Number the classes from 0, or give the last layer more units."
        )
    # only now: of what is too large for the type this would make anything
    return np.ascontiguousarray(y, INT64)


def aligned_shape(
    y_shape: Sequence[int], shape: Shape, takes_labels: bool, name: str
) -> tuple[int, ...]:
    """The shape that targets must have for predictions of `shape`; theirs, but for a last extent of
    1 that is left out or one too many. Nothing else is broadcast: a target (N,) against predictions
    (N, 1) would silently become (N, N)."""
    inner: tuple[Any, ...] = tuple(shape[1:-1] if takes_labels else shape[1:])
    y_shape = tuple(y_shape)
    if y_shape[1:] == inner:
        return y_shape
    if (*y_shape[1:], 1) == inner or y_shape[1:] == (*inner, 1):
        return (*y_shape[:1], *inner)
    kind = "labels" if takes_labels else "values"
    hint = (
        " One-hot rows are y.argmax(-1)."
        if takes_labels and y_shape[1:] == tuple(shape[1:])
        else ""
    )
    raise ShapeError(
        f"{name}: y must hold {kind} of shape {shape_text((None, *inner))} for predictions of "
        f"{shape_text((None, *shape[1:]))}; "
        f"got {shape_text(y_shape)}.{hint}"
    )


def aligned(y: Tensor, shape: Shape, takes_labels: bool, name: str) -> Tensor:
    """The same for a tensor."""
    wanted = aligned_shape(y.shape, shape, takes_labels, name)
    if wanted[:1] != tuple(shape[:1]):
        raise ShapeError(
            f"{name}: y has {wanted[0] if wanted else 0} rows, the predictions have {shape[0]}"
        )
    return y if wanted == y.shape else ops.reshape(y, wanted)


class MeanSquaredError(Loss, aliases=("mse",)):
    """(y_true - y_pred)^2.

    y_true, y_pred: (N, ...), float.

    >>> import fastnn
    >>> fastnn.losses.MeanSquaredError()([[1.0], [2.0]], [[1.5], [2.0]]).item()
    0.125
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.squared_difference(y_pred, y_true)


class MeanAbsoluteError(Loss, aliases=("mae",)):
    """|y_true - y_pred|; its gradient where both are equal is 0.

    y_true, y_pred: (N, ...), float.

    >>> import fastnn
    >>> fastnn.losses.MeanAbsoluteError()([[1.0], [2.0]], [[1.5], [2.0]]).item()
    0.25
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.absolute(y_pred - y_true)


class BinaryCrossentropy(Loss, aliases=("bce",)):
    """-y_true log(y_pred) - (1 - y_true) log(1 - y_pred).

    y_true: (N, ...), 0, 1 or between (other values are taken, with a warning); y_pred: the same
    shape, probabilities, or, with from_logits=True, what a sigmoid would make them of. Where y_pred
    is the result of a sigmoid, the loss is computed from what that was given, exactly; other
    probabilities are kept 1e-7 away from 0 and 1, as Keras does.

    >>> import fastnn
    >>> round(fastnn.losses.BinaryCrossentropy()([[1.0], [0.0]], [[0.9], [0.2]]).item(), 4)
    0.1643
    """

    def __init__(self, from_logits: bool = False, name: str | None = None):
        super().__init__(name)
        self.from_logits = from_logits

    def targets(self, y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
        y = super().targets(y_true, shape, dtype)
        if y.size and (y.min() < 0 or y.max() > 1):
            warn(
                f"{self.name}: targets should lie between 0 and 1; got values from {y.min():g} to "
                f"{y.max():g}. The loss then has "
                "no lower bound. For numbers use 'mse'; classes 0 and 1 are made by a comparison, "
                "as in y > 0."
            )
        return y

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if self.from_logits:
            return ops.sigmoid_cross_entropy(y_pred, y_true)
        node = _made_by(ops.sigmoid, y_pred)
        if node is not None:
            return ops.sigmoid_cross_entropy(node.inputs[0], y_true)
        return ops.binary_crossentropy(y_pred, y_true)


class SparseCategoricalCrossentropy(Loss):
    """-log(y_pred[label]), where label is the row's class.

    y_true: (N,) or (N, 1), whole numbers from 0 to C - 1; y_pred: (N, C), probabilities, or, with
    from_logits=True, what a softmax would make them of. Where y_pred is the result of a softmax,
    the loss is computed from what that was given, exactly; other probabilities are kept 1e-7 away
    from 0 and 1, as Keras does, and divided by their sum.

    >>> import fastnn
    >>> loss = fastnn.losses.SparseCategoricalCrossentropy()
    >>> round(loss([0, 1], [[0.9, 0.1], [0.2, 0.8]]).item(), 4)
    0.1643
    """

    takes_labels = True

    def __init__(self, from_logits: bool = False, name: str | None = None):
        super().__init__(name)
        self.from_logits = from_logits

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        node = None if self.from_logits else _made_by(ops.softmax, y_pred)
        if node is not None:
            return ops.softmax_cross_entropy(node.inputs[0], y_true, *node.outputs_as_tensors())
        function = (
            ops.softmax_cross_entropy if self.from_logits else ops.sparse_categorical_crossentropy
        )
        if y_pred.ndim == 2:
            return function(y_pred, y_true)
        values = function(ops.reshape(y_pred, (-1, y_pred.shape[-1])), ops.reshape(y_true, (-1,)))
        return ops.reshape(values, y_true.shape)


class FunctionLoss(Loss):
    """The mean of what a function of (y_true, y_pred) gives: what `compile(loss=function)` makes of
    one."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]):
        super().__init__(getattr(function, "__name__", "loss"))
        self.function = function

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.function(y_true, y_pred)


def _made_by(op, prediction):
    node = prediction.node
    return node if node is not None and node.op is op else None


KIND.wrap_functions(FunctionLoss)
get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
