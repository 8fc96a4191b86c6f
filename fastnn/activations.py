"""Activation functions by Keras's names, for layers and standing alone."""

from collections.abc import Callable
from typing import Any

from fastnn import ops
from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.tensor import Tensor, operand


def linear(x: Any) -> Tensor:
    """x itself."""
    return operand(x)


def relu(x: Any) -> Tensor:
    """max(x, 0).

    >>> import fastnn
    >>> fastnn.activations.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """
    return ops.relu(x)


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
    """x, or alpha (e^x - 1) where x is negative."""
    y = ops.elu(x)
    return y if alpha == 1 else ops.relu(y) - alpha * ops.relu(-y)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x Phi(x), Phi being the share of the normal distribution below x.

    approximate: take x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 instead, which is within 5e-4 of it and no faster.

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
    """x / 6 + 1 / 2, but 0 at least and 1 at most."""
    return ops.hard_sigmoid(x)


def softmax(x: Any) -> Tensor:
    """e^x over its sum along the last dimension. x: two dimensions or more, as in Keras.

    >>> import fastnn
    >>> fastnn.activations.softmax([[0.0, 0.0]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """
    x = operand(x)
    if x.ndim < 2:
        raise ShapeError(f"softmax: x must have two dimensions or more; got shape {shape_text(x.shape)}. Use reshape first.")
    if x.ndim == 2:
        return ops.softmax(x)
    return ops.reshape(ops.softmax(ops.reshape(x, (-1, x.shape[-1]))), x.shape)


FUNCTIONS = (linear, relu, sigmoid, tanh, exponential, elu, gelu, silu, softplus, softsign, hard_sigmoid, softmax)
KNOWN = {f.__name__: f for f in FUNCTIONS} | {"swish": silu}


def get(identifier: Any) -> Callable[[Any], Tensor]:
    """An activation by its name, None for `linear`, or the function given."""
    if identifier is None:
        return linear
    if callable(identifier):
        return identifier
    if isinstance(identifier, str) and identifier in KNOWN:
        return KNOWN[identifier]
    raise ValueError(f"unknown activation {identifier!r}; {nearest(identifier, KNOWN)}")
