"""Activation functions by Keras's names, for layers and standing alone."""

from math import inf
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.errors import ShapeError, shape_text
from fastnn.ops.functions import of_symbolic
from fastnn.registry import Kind
from fastnn.tensor import Tensor, copied, operand


def linear(x: Any) -> Tensor:
    """x itself."""
    return x if isinstance(x, Tensor) else copied(operand(x))


def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """max(x, 0); with other arguments than the defaults x, but max_value at most, and up to the
    threshold negative_slope (x - threshold). All are numbers from 0 on; max_value may be None, for
    no maximum.

    The gradient at 0, or at the threshold, is negative_slope, and from max_value on it is 0.

    >>> import fastnn
    >>> fastnn.activations.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    >>> fastnn.activations.relu([-1.0, 2.0, 9.0], negative_slope=0.5, max_value=6.0).numpy()
    array([-0.5,  2. ,  6. ], dtype=float32)
    """
    if negative_slope == 0 and max_value is None and threshold == 0:
        return ops.relu(x)
    return ops.general_relu(x, negative_slope, inf if max_value is None else max_value, threshold)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^-x)."""
    return ops.sigmoid(x)


def tanh(x: Any) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x)."""
    return ops.tanh(x)


def exponential(x: Any) -> Tensor:
    """e^x."""
    return ops.exp(x)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x, or alpha (e^x - 1) where x is negative; its gradient at 0 is alpha, a number from 0 on.

    >>> import fastnn
    >>> fastnn.activations.elu([-1.0, 2.0], alpha=0.5).numpy().round(4)
    array([-0.3161,  2.    ], dtype=float32)
    """
    return ops.elu(x, alpha)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x Phi(x), Phi being the CDF of the normal distribution.

    approximate: take x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 instead, which is within
    5e-4 of it and no faster.

    >>> import fastnn
    >>> fastnn.activations.gelu([-1.0, 0.0, 1.0]).numpy().round(4)
    array([-0.1587,  0.    ,  0.8413], dtype=float32)
    """
    return ops.gelu_tanh(x) if approximate else ops.gelu(x)


def silu(x: Any) -> Tensor:
    """x sigmoid(x), also called swish."""
    return ops.silu(x)


def softplus(x: Any) -> Tensor:
    """log(1 + e^x)."""
    return ops.softplus(x)


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return ops.softsign(x)


def hard_sigmoid(x: Any) -> Tensor:
    """(x + 3) / 6, but 0 at least and 1 at most; its gradient at -3 and 3 is 0."""
    return ops.hard_sigmoid(x)


@of_symbolic
def softmax(x: Any, axis: int = -1) -> Tensor:
    """e^x over its sum along a dimension, the last unless `axis` names another. x: one dimension or
    more.

    >>> import fastnn
    >>> fastnn.activations.softmax([0.0, 0.0]).numpy()
    array([0.5, 0.5], dtype=float32)
    """
    x = operand(x)
    if (
        isinstance(axis, bool)
        or not isinstance(axis, int | np.integer)
        or not -x.ndim <= axis < x.ndim
    ):
        raise ShapeError(
            "softmax: axis must be one of the dimensions of x, whose shape is "
            f"{shape_text(x.shape)}; got {axis!r}"
        )
    if axis not in (-1, x.ndim - 1):
        order = [*range(x.ndim)]
        order[axis], order[-1] = order[-1], order[axis]
        return ops.transpose(softmax(ops.transpose(x, order)), order)
    if x.ndim == 2:
        return ops.softmax(x)
    return ops.reshape(ops.softmax(ops.reshape(x, (-1, x.shape[-1]))), x.shape)


FUNCTIONS = (
    linear,
    relu,
    sigmoid,
    tanh,
    exponential,
    elu,
    gelu,
    silu,
    softplus,
    softsign,
    hard_sigmoid,
    softmax,
)
KIND = Kind("activation", "activations", wrap=lambda function: function, nothing=linear)
for _function in FUNCTIONS:
    KIND.add(_function, *{silu: ("swish",)}.get(_function, ()))
get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
