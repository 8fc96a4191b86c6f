"""What all losses share: targets beside predictions, weights and masks, and the one number that is
made of their values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import ops, tree
from fastnn.convert import as_array
from fastnn.dtypes import FLOATS, INT64, expected
from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.ops.elementwise import broadcast_shape
from fastnn.registry import Configured, Kind, snake_case
from fastnn.targets import Shape, aligned_shape, expect_rows, labels, value_weights
from fastnn.tensor import Tensor, mask_of, operand
from fastnn.watch import Watched

# a function of (y_true, y_pred) stands for itself, as in Keras; `loss_of` makes a loss of one
KIND = Kind("loss", "losses", wrap=lambda function: function)
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
REDUCTIONS = (*MEANS, "sum", "none")
STRUCTURES = (list, tuple, dict)
EPSILON = 1e-7  # Keras's
FUNCTIONS: list[tuple[Callable, Any]] = []  # of the library, each with its class


class Loss(Watched, Configured):
    """A number for how far predictions are from targets, made of the values that
    `call(y_true, y_pred)` gives, for each row or part of one. Arguments and defaults are Keras's.

    `loss(y_true, y_pred, sample_weight)`: values times weights, and of these, by `reduction`,
    "sum_over_batch_size" or "mean": their sum over their number; "mean_with_sample_weight": over
    the sum of the weights; "sum"; "none" or None: all of them.

    Of a class of one's own `call` may be given lists or dictionaries of tensors, as of a model with
    several outputs whose `compute_loss` is one's own.

    sample_weight: one number; (N,) or (N, 1), one for each row; or one for each value, as (N, T) of
    time steps. Weights may be negative, as advantages in reinforcement learning are. Of predictions
    (N,) each is then a row (Keras weights the mean of all). Where predictions or values have a
    mask, booleans that are their `_keras_mask`, what is False counts for nothing and a mean is of
    the rest.

    dtype: "float32" or "float64", to compute in; None is the predictions' (Keras: `floatx`).

    takes_labels: whether targets are labels, integers (N,), instead of values of the prediction's
    shape; for a class of one's own, values may have any shape.

    >>> import fastnn
    >>> class Absolute(fastnn.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return fastnn.ops.mean(abs(y_true - y_pred), axis=-1)
    >>> Absolute(reduction="sum")([[1.0], [2.0]], [[1.5], [3.0]], [1.0, 2.0]).item()
    2.5
    """

    _kind = KIND
    takes_labels = False
    unwritten = ("dtype",)
    axis: Any = -1  # along which predictions have classes, or elements are averaged

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        self.name = name or snake_case(type(self).__name__)
        if reduction is not None and reduction not in REDUCTIONS:
            raise ValueError(
                f"{self.name}: unknown reduction {reduction!r}; {nearest(reduction, REDUCTIONS)}"
            )
        self.reduction = reduction
        self.dtype = None if dtype is None else expected(dtype, self.name, FLOATS).name

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not define call(y_true, y_pred)")

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Values whose mean is that of what `call` gives: one for each element, if that is less to
        compute."""
        return self.call(y_true, y_pred)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        if y_pred.__class__ in STRUCTURES and self._takes_structure(y_pred):
            return self._of_structure(y_true, y_pred, sample_weight)
        y_pred, weights = operand(y_pred, name=f"{self.name}: y_pred"), sample_weight
        mask = mask_of(y_pred)
        if self.dtype is not None and y_pred.dtype != self.dtype:
            y_pred = y_pred.astype(self.dtype)
        is_weighted = weights is not None or mask is not None
        if is_weighted:
            y_pred = self._rows(y_pred)
        y_true = self._targets_for(y_true, y_pred)
        is_mean = self.reduction in MEANS and not is_weighted
        values = operand((self.elements if is_mean else self.call)(y_true, y_pred), y_pred.dtype)
        if weights is not None:
            weights = value_weights(weights, values.shape, values.dtype, f"{self.name}: ")
        masks = [m for m in (mask, mask_of(values)) if m is not None]
        if masks:
            weights = _masked(weights, masks, values, self.reduction, f"{self.name}: ")
        return reduced(values, weights, self.reduction)

    def _takes_structure(self, y_pred):
        """Whether a loss of one's own is given predictions of several outputs, which are no rows of
        numbers."""
        return tree.children(y_pred) is not None

    def _of_structure(self, y_true, y_pred, weights):
        """The loss of lists or dictionaries of tensors, which `call` is given as they are."""
        y_pred = tree.map(lambda p: operand(p, self.dtype), y_pred)
        dtype = tree.flatten(y_pred)[0].dtype

        def target(y):
            if isinstance(y, Tensor):
                return y
            y = as_array(y, None, "y")
            return operand(y, dtype if y.dtype.kind == "f" else y.dtype)

        values = operand(self.call(tree.map(target, y_true), y_pred), dtype)
        if weights is not None:
            weights = value_weights(weights, values.shape, values.dtype, f"{self.name}: ")
        return reduced(values, weights, self.reduction)

    def _rows(self, y_pred):
        """Predictions whose values are weighted."""
        return y_pred

    def _targets_for(self, y_true, y_pred):
        """Targets as a tensor beside these predictions."""
        shape, dtype = y_pred.shape, INT64 if self.takes_labels else y_pred.dtype
        if not isinstance(y_true, Tensor):
            if isinstance(y_true, list | tuple):  # numbers as a tensor of them has, and a tape
                y_true = as_array(y_true, None, "y")
            y_true = operand(self.targets(y_true, shape, y_pred.dtype), dtype)
        wanted = self._target_shape(y_true.shape, shape)
        expect_rows(wanted, shape, self.name)
        if y_true.dtype != dtype:
            y_true = y_true.astype(dtype)
        return y_true if wanted == y_true.shape else ops.reshape(y_true, wanted)

    def targets(self, y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
        """Targets as the kernels take them, for predictions of this shape (its first extent may be
        any), checked."""
        y = as_array(y_true, None if self.takes_labels else dtype, "y")
        y = y.reshape(self._target_shape(y.shape, shape))
        if not self.takes_labels:
            return y
        return labels(y, shape[self.axis] or 0, self.name, getattr(self, "ignore_class", None))

    def _target_shape(self, y_shape, shape):
        """The shape that targets get."""
        try:
            return aligned_shape(y_shape, shape, self.takes_labels, self.name, self.axis)
        except ShapeError:
            if self.takes_labels:
                raise
            return tuple(y_shape)


class BuiltIn(Loss, aliases=None):
    """A loss of the library: what its function gives. Targets must have the shape that it wants."""

    def __init_subclass__(
        cls, of: Callable | None = None, aliases: tuple[str, ...] | None = (), **named: Any
    ) -> None:
        """of: its function, which is found by its name and the aliases, in either case."""
        super().__init_subclass__(aliases=aliases if of is None else (), **named)
        if of is not None:
            KIND.add(of, *(aliases or ()))
            KIND.spellings.update({a.upper(): of for a in aliases or ()})
            FUNCTIONS.append((of, cls))

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def _target_shape(self, y_shape, shape):
        return aligned_shape(y_shape, shape, self.takes_labels, self.name, self.axis)

    def _takes_structure(self, y_pred):
        return isinstance(y_pred, dict)  # to be refused; arrays in a list are rows


class Elementwise(BuiltIn, aliases=None):
    """A loss that is a mean over an axis of what `elements` gives."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.mean(self.elements(y_true, y_pred), axis=self.axis)

    def _rows(self, y_pred):
        return ops.reshape(y_pred, (-1, 1)) if y_pred.ndim == 1 else y_pred


class FunctionLoss(Loss):
    """What is made of the values that a function of (y_true, y_pred) gives: what
    `compile(loss=function)` makes of one."""

    def __init__(
        self,
        function: Callable[[Tensor, Tensor], Tensor],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name or getattr(function, "__name__", "loss"), reduction, dtype)
        self.function = function

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        found = self.function(y_true, y_pred)
        if found is None:
            raise TypeError(
                f"loss {self.name}: the function returned None; it must return a tensor, made of "
                "y_pred by fastnn.ops"
            )
        return found


del KIND.names[snake_case(FunctionLoss.__name__)]  # no name that users need


def loss_of(identifier: Any, argument: str) -> Loss | None:
    """The loss to train with that an identifier stands for, as `get` has it, where a function's is
    the class that has it."""
    found = KIND.get(identifier, argument)
    if found is None or isinstance(found, Loss):
        if found is not None and found.reduction in (None, "none"):
            raise ValueError(
                f"{argument}: {found.name} has the reduction {found.reduction!r} and gives many "
                "numbers; to train there must be one, as by 'sum_over_batch_size' or 'sum'"
            )
        return found
    for function, cls in FUNCTIONS:
        if function is found:
            return cls(name=function.__name__)
    return FunctionLoss(found)


# ---- one number of many


def reduced(values: Tensor, weights: Any, reduction: str | None) -> Tensor:
    """Values times weights, and what the reduction makes of them; a mean of none, or over weights
    whose sum is 0, is 0."""
    if weights is not None:
        values = values * weights
    if not values.ndim or reduction in (None, "none"):
        return values
    if reduction == "sum" or not values.size:
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weights is not None:
        return _ratio(ops.sum(values), ops.sum(operand(weights, values.dtype)))
    return ops.mean(values)


def _masked(weights, masks, values, reduction, owner):
    """Weights, or ones, times the masks; for a mean of values, over the share that is left."""
    shape, dtype = values.shape, values.dtype
    found = [operand(value_weights(m, shape, dtype, owner), dtype) for m in masks]
    mask = found[0] if len(found) == 1 else found[0] * found[1]
    if reduction in ("mean", "sum_over_batch_size"):
        mask = mask * _ratio(float(mask.size), ops.sum(mask))
    return mask if weights is None else mask * weights


def _ratio(x, y):
    """x / y, 0 where y is."""
    is_zero = y == 0.0
    return ops.where(is_zero, 0.0, x / ops.where(is_zero, 1.0, y))


# ---- what functions of (y_true, y_pred) begin with


def pair(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Targets and predictions as tensors of one element type, and where the one has a last
    dimension of 1 more than the other, as in Keras, without it, or, of rows (N,), both with it."""
    y_pred = operand(y_pred, name="y_pred")
    if isinstance(y_true, Tensor):
        y_true = y_true if y_true.dtype == y_pred.dtype else y_true.astype(y_pred.dtype)
    y_true = operand(y_true, y_pred.dtype, name="y_true")
    more = y_true.ndim - y_pred.ndim
    if more == 1 and y_true.shape[-1] == 1:
        if y_pred.ndim == 1:
            return y_true, ops.reshape(y_pred, (*y_pred.shape, 1))
        return ops.reshape(y_true, y_true.shape[:-1]), y_pred
    if more == -1 and y_pred.shape[-1] == 1:
        if y_true.ndim == 1:
            return ops.reshape(y_true, (*y_true.shape, 1)), y_pred
        return y_true, ops.reshape(y_pred, y_pred.shape[:-1])
    broadcast_shape("y_true and y_pred", y_true.shape, y_pred.shape)
    return y_true, y_pred


def pair_of_rows(name: str, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """The same, of what is to be summed along an axis."""
    y_true, y_pred = pair(y_true, y_pred)
    if not y_true.ndim or not y_pred.ndim:
        raise ShapeError(
            f"{name}: y_true and y_pred must have a dimension or more; got shapes "
            f"{shape_text(y_true.shape)} and {shape_text(y_pred.shape)}"
        )
    return y_true, y_pred


def alike(y_true: Any, y_pred: Any, name: str) -> tuple[Tensor, Tensor]:
    """The same, which must then have one shape."""
    y_true, y_pred = pair(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise ShapeError(
            f"{name}: y_true must have the shape of y_pred, {shape_text(y_pred.shape)}; got "
            f"{shape_text(y_true.shape)}"
        )
    return y_true, y_pred


def made_by(op: Any, prediction: Tensor) -> Any:
    """The call that made a prediction, if it was one of this op."""
    node = prediction.node
    return node if node is not None and node.op is op else None


def made_by_softmax(prediction: Tensor, axis: int) -> Any:
    """The call of softmax along this dimension that made a prediction, if it was one."""
    node = made_by(ops.softmax, prediction)
    own = -1 if node is None else node.attributes.get("axis", -1)
    is_one = isinstance(own, int) and own % prediction.ndim == axis % prediction.ndim
    return node if is_one else None
