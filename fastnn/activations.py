"""Activation functions by Keras's names, for layers and standing alone."""

from math import inf
from typing import Any

from fastnn import ops
from fastnn.checks import flag
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


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x, or negative_slope x where x is negative; its gradient at 0 is negative_slope, a number
    from 0 on.

    >>> import fastnn
    >>> fastnn.activations.leaky_relu([-1.0, 2.0]).numpy()
    array([-0.2,  2. ], dtype=float32)
    """
    return ops.leaky_relu(x, negative_slope)


def relu6(x: Any) -> Tensor:
    """max(x, 0), but 6 at most."""
    return ops.relu6(x)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x, or alpha (e^x - 1) where x is negative; its gradient at 0 is alpha, a number from 0 on
    (Clevert et al., 2016).

    >>> import fastnn
    >>> fastnn.activations.elu([-1.0, 2.0], alpha=0.5).numpy().round(4)
    array([-0.3161,  2.    ], dtype=float32)
    """
    return ops.elu(x, alpha)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x, or alpha (e^(x / alpha) - 1) where x is negative, alpha from 0 on (Barron, 2017).

    >>> import fastnn
    >>> fastnn.activations.celu([-1.0, 2.0], alpha=0.5).numpy().round(4)
    array([-0.4323,  2.    ], dtype=float32)
    """
    return ops.celu(x, alpha)


def selu(x: Any) -> Tensor:
    """1.0507009873554805 elu(x, 1.6732632423543772), which keeps mean 0 and variance 1 from layer
    to layer with weights of "lecun_normal" (Klambauer et al., 2017).

    >>> import fastnn
    >>> fastnn.activations.selu([-1.0, 2.0]).numpy().round(4)
    array([-1.1113,  2.1014], dtype=float32)
    """
    return ops.selu(x)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x Phi(x), Phi being the CDF of the normal distribution (Hendrycks and Gimpel, 2016).

    approximate: take x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 instead, which is within
    5e-4 of it and no faster.

    >>> import fastnn
    >>> fastnn.activations.gelu([-1.0, 0.0, 1.0]).numpy().round(4)
    array([-0.1587,  0.    ,  0.8413], dtype=float32)
    """
    if approximate is not False and flag("gelu: approximate", approximate):
        return ops.gelu_tanh(x)
    return ops.gelu_erf(x)


def silu(x: Any) -> Tensor:
    """x sigmoid(x), also called swish (Ramachandran et al., 2017)."""
    return ops.silu(x)


def mish(x: Any) -> Tensor:
    """x tanh(softplus(x)) (Misra, 2019)."""
    return ops.mish(x)


def glu(x: Any, axis: int = -1) -> Tensor:
    """a sigmoid(b), a and b being the halves of x along axis (Dauphin et al., 2017).

    >>> import fastnn
    >>> fastnn.activations.glu([1.0, 2.0, 0.0, 0.0]).numpy()
    array([0.5, 1. ], dtype=float32)
    """
    return ops.glu(x, axis)


def softplus(x: Any) -> Tensor:
    """log(1 + e^x)."""
    return ops.softplus(x)


def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2, b from 0 on (Barron, 2021).

    >>> import fastnn
    >>> fastnn.activations.squareplus([-1.5, 0.0]).numpy()
    array([0.5, 1. ], dtype=float32)
    """
    return ops.squareplus(x, b)


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return ops.softsign(x)


def sparse_plus(x: Any) -> Tensor:
    """0 up to -1, x from 1 on, (x + 1)^2 / 4 between."""
    return ops.sparse_plus(x)


def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x nearer to 0 by the threshold, 0 within it; NaN stays, which in Keras is 0."""
    return ops.soft_shrink(x, threshold)


def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x, but 0 where |x| is at most the threshold; NaN stays, which in Keras is 0."""
    return ops.hard_shrink(x, threshold)


def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    return ops.tanh_shrink(x)


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where it is above the threshold, default_value elsewhere.

    >>> import fastnn
    >>> fastnn.activations.threshold([0.5, 2.0], 1.0, -1.0).numpy()
    array([-1.,  2.], dtype=float32)
    """
    return ops.threshold(x, threshold, default_value)


def hard_sigmoid(x: Any) -> Tensor:
    """(x + 3) / 6, but 0 at least and 1 at most; its gradient at -3 and 3 is 0."""
    return ops.hard_sigmoid(x)


def hard_silu(x: Any) -> Tensor:
    """x hard_sigmoid(x), also called hard_swish (Howard et al., 2019)."""
    return ops.hard_silu(x)


def hard_tanh(x: Any) -> Tensor:
    """x, but -1 at least and 1 at most."""
    return ops.hard_tanh(x)


def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)) = -log(1 + e^-x)."""
    return ops.log_sigmoid(x)


def sparse_sigmoid(x: Any) -> Tensor:
    """0 up to -1, 1 from 1 on, (x + 1) / 2 between (Blondel et al., 2019)."""
    return ops.sparse_sigmoid(x)


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """e^x over its sum along axis: the last dimension, another, several, or None for all. x: one
    dimension or more.

    >>> import fastnn
    >>> fastnn.activations.softmax([0.0, 0.0]).numpy()
    array([0.5, 0.5], dtype=float32)
    """
    return ops.softmax(x) if axis == -1 else ops.softmax(x, axis)


def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """The logarithm of softmax(x, axis), without overflow.

    >>> import fastnn
    >>> fastnn.activations.log_softmax([0.0, 0.0]).numpy().round(4)
    array([-0.6931, -0.6931], dtype=float32)
    """
    return ops.log_softmax(x, axis)


def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """max(x - level, 0), the level such that the sum along axis is 1 (Martins and Astudillo, 2016).
    In Keras 3.15 it is 1 only where one element is left: there the level is made of the sum of all
    running sums.

    >>> import fastnn
    >>> fastnn.activations.sparsemax([1.0, 0.5, -1.0]).numpy()
    array([0.75, 0.25, 0.  ], dtype=float32)
    """
    return ops.sparsemax(x, axis)


# By name, with other names that some have.
FUNCTIONS = {
    **dict.fromkeys(
        (
            linear, relu, leaky_relu, relu6, elu, celu, selu, gelu, mish, glu, sigmoid, tanh,
            exponential, softplus, squareplus, softsign, sparse_plus, soft_shrink, hard_shrink,
            tanh_shrink, threshold, hard_sigmoid, hard_tanh, log_sigmoid, sparse_sigmoid, softmax,
            log_softmax, sparsemax,
        ),
        (),
    ),
    silu: ("swish",),
    hard_silu: ("hard_swish",),
}  # fmt: skip
KIND = Kind("activation", "activations", wrap=lambda function: function, nothing=linear)
for _function, _aliases in FUNCTIONS.items():
    KIND.add(_function, *_aliases)
swish, hard_swish = silu, hard_silu
get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
