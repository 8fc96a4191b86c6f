"""Means and sums of values, and metrics that are means of what a function gives."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from fastnn import losses, ops
from fastnn.losses.base import FUNCTIONS, mask_of
from fastnn.ops.metrics import accumulate
from fastnn.registry import deserialize, serialize
from fastnn.targets import checked_weights, weights_shape
from fastnn.tensor import Tensor, operand

from .base import Metric, as_floats, into


def weights_for(values: Tensor, sample_weight: Any, owner: str) -> Tensor:
    """Weights as a tensor whose shape begins as that of the values, in which 1 stands for any
    extent."""
    owner = f"{owner}: "
    weights = operand(checked_weights(sample_weight, values.dtype, owner), values.dtype)
    shape = weights_shape(weights.shape, values.shape, owner)
    return weights if shape == weights.shape else ops.reshape(weights, shape)


def with_dimensions(weights: Tensor, count: int) -> Tensor:
    """Weights with as many dimensions, those that they lack of extent 1."""
    more = count - weights.ndim
    return weights if more <= 0 else ops.reshape(weights, (*weights.shape, *(1,) * more))


def masked(sample_weight: Any, y_pred: Any, values: Tensor, owner: str) -> Any:
    """Weights times the masks that predictions and, if there are weights, values bear."""
    mask, own, weights = mask_of(y_pred), mask_of(values), sample_weight
    masks = [] if mask is None else [mask]
    if (weights is not None or masks) and own is not None and own is not mask:
        masks.append(own)
    for mask in masks:
        kept = weights_for(values, mask, owner)
        if weights is None:
            weights = kept
            continue
        weights = with_dimensions(weights_for(values, weights, owner), kept.ndim) * kept
    return weights


class Sum(Metric):
    """The sum of values, each times its weight: `update_state(values, sample_weight)`. There is a
    weight for each value, or for all of a row.

    >>> import fastnn
    >>> print(fastnn.metrics.Sum()([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0]))
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(dtype, name)
        self.total = self.add_variable((), dtype="float64", name="total")

    def measure(self, values: Any, sample_weight: Any = None) -> tuple:
        values = as_floats(values, f"metric {self.name!r}: values")
        if sample_weight is None:
            return values, None
        weights = weights_for(values, sample_weight, f"metric {self.name!r}")
        if values.ndim > max(1, weights.ndim):
            values = ops.sum(values, axis=tuple(range(max(1, weights.ndim), values.ndim)))
        return values, broadcast(weights, values.shape)

    def add(self, values: Tensor, weights: Tensor | None) -> None:
        values = values.astype("float64")
        self.total.assign_add(
            ops.sum(values if weights is None else values * weights.astype("float64"))
        )

    def value(self) -> Tensor:
        return self.total


class Mean(Metric):
    """The mean of values, weighted: the sum of weights times values over the sum of weights; 0 of
    nothing. `update_state(values, sample_weight)`: of values (N, ...) the mean of each row counts
    once, or, with weights (N,), as often as its weight says; weights of more dimensions are first
    multiplied with the values, and of both the means of rows are taken. A weight that is one number
    is that of each row (Keras: of the batch, whatever its size).

    >>> import fastnn
    >>> mean = fastnn.metrics.Mean()
    >>> mean.update_state([1.0, 2.0])
    >>> mean.update_state([6.0])
    >>> print(mean.result())
    3.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(dtype, name)
        self.total = self.add_variable((), dtype="float64", name="total")
        self.count = self.add_variable((), dtype="float64", name="count")

    def measure(self, values: Any, sample_weight: Any = None) -> tuple:
        values, weights, kept = as_floats(values, f"metric {self.name!r}: values"), None, 1
        if sample_weight is not None:
            weights = weights_for(values, sample_weight, f"metric {self.name!r}")
            kept = max(1, weights.ndim)
        if values.ndim > kept:
            values = ops.mean(values, axis=tuple(range(kept, values.ndim)))
        if weights is not None:
            weights = broadcast(weights, values.shape)
        return values, weights, 1.0 / max(1, prod(values.shape[1:]))

    def add(self, values: Tensor, weights: Tensor | None, scale: float) -> None:
        given = (values,) if weights is None else (values, weights)
        into(accumulate, given, {"scale": scale}, self.total, self.count)

    def value(self) -> Tensor:
        return ops.divide_no_nan(self.total, self.count)


def broadcast(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x in this shape, in which its extents of 1 are repeated."""
    return x if x.shape == shape else x + operand(np.zeros(shape, x.dtype), x.dtype)


class MeanOfValues(Mean, aliases=None):
    """The mean of what `values(y_true, y_pred)` gives, for a row each or several, as `Mean` takes
    them. A mask that predictions bear is a weight."""

    takes_labels: bool | None = False
    # whether predictions (N,) are rows of one number, as (N, 1) are, or one row
    one_number_a_row = False

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise TypeError(f"metric {self.name!r} does not define values(y_true, y_pred)")

    def measure(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> tuple:
        values = self.values(*self.operands(y_true, y_pred))
        return self.weighted(values, y_pred, sample_weight)

    def weighted(self, values: Tensor, y_pred: Any, sample_weight: Any) -> tuple:
        """What `add` is given of such values, of predictions as they came, with their mask."""
        weights = masked(sample_weight, y_pred, values, f"metric {self.name!r}")
        return super().measure(values, weights)

    def operands(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        y_pred = as_floats(y_pred)
        if self.one_number_a_row and y_pred.ndim == 1:
            y_pred = ops.reshape(y_pred, (-1, 1))
        return super().operands(y_true, y_pred)


class MeanMetricWrapper(MeanOfValues):
    """The mean of the values that fn(y_true, y_pred, ...) gives, as `Mean` takes them: for a row
    each, or several. A mask that predictions bear is a weight.

    fn: a function of tensors, made of ops. What else is given by name is passed on to it.

    >>> import fastnn
    >>> def distance(y_true, y_pred):
    ...     return abs(y_true - y_pred)
    >>> print(fastnn.metrics.MeanMetricWrapper(distance)([1.0, 2.0], [1.5, 2.0]))
    0.25
    """

    takes_labels = None

    def __init__(
        self,
        fn: Callable[..., Tensor],
        name: str | None = None,
        dtype: Any = None,
        **arguments: Any,
    ):
        if not callable(fn):
            raise TypeError(f"MeanMetricWrapper: fn must be a function; got {fn!r}")
        super().__init__(name, dtype)
        self.fn, self.arguments = fn, arguments
        if any([fn is of_loss for of_loss, _ in FUNCTIONS]):
            self._direction = "down"

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.fn(y_true, y_pred, **self.arguments)

    def operands(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        """As they are: the function knows what fits."""
        y_pred = operand(y_pred)
        return operand(y_true, y_pred.dtype), y_pred

    def get_config(self) -> dict[str, Any]:
        config = {"name": self.name, "dtype": self.dtype.name, "fn": serialize(self.fn)}
        return config | {name: serialize(value) for name, value in self.arguments.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        given = {n: deserialize(v) if isinstance(v, dict) else v for n, v in config.items()}
        return cls(**(given | {"fn": losses.get(config["fn"])}))
