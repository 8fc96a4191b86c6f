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


KNOWN = {f.__name__: f for f in (linear, relu, sigmoid, tanh, exponential, softmax)}


def get(identifier: Any) -> Callable[[Any], Tensor]:
    """An activation by its name, None for `linear`, or the function given."""
    if identifier is None:
        return linear
    if callable(identifier):
        return identifier
    if isinstance(identifier, str) and identifier in KNOWN:
        return KNOWN[identifier]
    raise ValueError(f"unknown activation {identifier!r}; {nearest(identifier, KNOWN)}")
