"""Constraints: what weights are made to be after each update."""

from typing import Any

from fastnn import checks, ops
from fastnn.registry import Configured, Kind
from fastnn.tensor import Tensor, operand
from fastnn.watch import Watched

# any function of a tensor that gives one of its shape will do
KIND = Kind("constraint", "constraints", wrap=lambda function: function)
EPSILON = 1e-7  # Keras's: added to norms


class Constraint(Watched, Configured):
    """What a weight becomes after an update: `constraint(w)`, of its shape. Layers take one for
    each of their weights (`kernel_constraint`, ...); it is a part of the optimizer's step, which
    changes everything or nothing.

    >>> import fastnn
    >>> layer = fastnn.layers.Dense(1, kernel_constraint="non_neg")
    >>> model = fastnn.Sequential([fastnn.Input((2,)), layer])
    >>> model.compile("sgd", "mse")
    >>> _ = model.fit([[1.0, 1.0]], [[-9.0]], epochs=9, verbose=0)
    >>> bool((layer.kernel.numpy() == 0).all())
    True
    """

    _kind = KIND

    def __call__(self, w: Any) -> Tensor:
        return operand(w)


def _norms(w, axis):
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """w max_value / norm where the norm along an axis is above max_value. Of a kernel (inputs,
    outputs) axis 0, the default, is the weights of an output. Srivastava and others, "Dropout: a
    simple way to prevent neural networks from overfitting", 2014. Defaults are Keras's.

    axis: an integer, or several. max_value: a number from 0 on.

    >>> import fastnn
    >>> fastnn.constraints.MaxNorm(1.0)([[3.0], [4.0]]).numpy().round(3)
    array([[0.6],
           [0.8]], dtype=float32)
    """

    def __init__(self, max_value: float = 2, axis: Any = 0):
        checks.not_negative("MaxNorm: max_value", max_value)
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Tensor:
        w = operand(w)
        norms = _norms(w, self.axis)
        return w * (ops.minimum(norms, float(self.max_value)) / (EPSILON + norms))


class NonNeg(Constraint):
    """max(w, 0).

    >>> import fastnn
    >>> fastnn.constraints.NonNeg()([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """

    def __call__(self, w: Any) -> Tensor:
        return ops.maximum(w, 0.0)


class UnitNorm(Constraint):
    """w over its norm along an axis, 0 unless another is named.

    >>> import fastnn
    >>> fastnn.constraints.UnitNorm()([[3.0], [4.0]]).numpy().round(3)
    array([[0.6],
           [0.8]], dtype=float32)
    """

    def __init__(self, axis: Any = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = operand(w)
        return w / (EPSILON + _norms(w, self.axis))


class MinMaxNorm(Constraint):
    """w with its norm along an axis moved into [min_value, max_value], or, with a rate below 1, by
    that share of the way. Defaults are Keras's.

    >>> import fastnn
    >>> fastnn.constraints.MinMaxNorm(0.0, 1.0, rate=0.5)([[3.0], [4.0]]).numpy().round(3)
    array([[1.8],
           [2.4]], dtype=float32)
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
    ):
        checks.not_negative("MinMaxNorm: min_value", min_value)
        checks.not_negative("MinMaxNorm: max_value", max_value)
        checks.fraction("MinMaxNorm: rate", rate, one=True)
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Tensor:
        w = operand(w)
        norms = _norms(w, self.axis)
        wanted = ops.minimum(ops.maximum(norms, float(self.min_value)), float(self.max_value))
        wanted = self.rate * wanted + (1.0 - self.rate) * norms
        return w * (wanted / (EPSILON + norms))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
