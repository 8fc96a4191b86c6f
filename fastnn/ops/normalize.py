"""Keras's functions of normalisation, made of reductions: no kernels of their own, but for layer
normalisation of the last dimension."""

from collections.abc import Sequence
from math import inf, prod
from numbers import Integral
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.errors import ShapeError, shape_text

from .arithmetic import add, divide, maximum, minimum, multiply, square, subtract
from .composite import composite
from .elementary import rsqrt
from .functions import as_tensor, public
from .normalization import layer_norm
from .record import Case, expect_axis
from .reduce import checked_axes, mean, sum
from .shapes import reshape
from .statistics import norm, var


def _at_least(name, epsilon):
    if epsilon is not None:
        return checks.not_negative(f"{name}: epsilon", epsilon)
    from fastnn import config

    return config.epsilon()


def _moments(x, axes, keepdims=False):
    centre = np.mean(x, axis=axes, keepdims=True)
    variance = np.mean((x - centre) ** 2, axis=axes, keepdims=keepdims)
    return np.mean(x, axis=axes, keepdims=keepdims), variance


@composite(
    reference=_moments,
    cases=[
        Case(((5, 7),), {"axes": (0,)}, terms=40),
        Case(((3, 4, 5),), {"axes": (0, 2), "keepdims": True}, terms=90),
    ],
    results=2,
)
def moments(x: Any, *, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    """The mean and the (biased) variance of x along axes: an integer, several, or None for all;
    keepdims keeps them with extent 1. synchronized: taken, and of no meaning in one process."""
    checked_axes("moments", x.shape, axes)
    return mean(x, axis=axes, keepdims=keepdims), var(x, axis=axes, keepdims=keepdims)


def _normalize(x, axis=-1, order=2, epsilon=1e-7):
    size = (np.where(np.real(x) < 0, -x, x) ** order).sum(axis=axis, keepdims=True) ** (1 / order)
    return x / np.where(np.real(size) > epsilon, size, epsilon)


@composite(
    reference=_normalize,
    cases=[
        Case(((5, 7),), terms=20),
        Case(((5, 7),), {"axis": 0, "order": 1}, terms=20),
        Case(((3, 4, 5),), {"axis": 1, "order": 3}, terms=20),
        Case(((7,),), {"epsilon": 100.0}, terms=20),
    ],
)
def normalize(x: Any, *, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """x over its norm of this order along axis, which counts as epsilon (None: config.epsilon())
    at least."""
    if isinstance(order, bool) or not isinstance(order, Integral) or order < 1:
        raise ValueError(f"normalize: order must be a whole number from 1 on; got {order!r}")
    smallest = _at_least("normalize", epsilon)
    x = reshape(x, newshape=(1,)) if not x.shape else x
    checked_axes("normalize", x.shape, axis)
    if order == 2:
        scale = rsqrt(sum(square(x), axis=axis, keepdims=True))
        return multiply(x, minimum(scale, 1 / smallest if smallest else inf))
    return divide(x, maximum(norm(x, ord=order, axis=axis, keepdims=True), smallest))


def _along(name: str, argument: str, v: Any, shape: Sequence[int], axes: Sequence[int]) -> Any:
    """A weight of the extents along axes, so that it broadcasts with x."""
    v = as_tensor(v)
    wanted = tuple([shape[a] for a in axes])
    is_last = axes == (len(shape) - 1,) and len(v.shape) > 1 and v.shape[-1] in (1, shape[-1])
    if len(v.shape) == len(shape) or is_last:  # it broadcasts as it is
        return v
    if prod(v.shape) not in (1, prod(wanted)):
        raise ShapeError(
            f"{name}: {argument} must have shape {shape_text(wanted)}, the extents of x along "
            f"axis; got {shape_text(v.shape)}"
        )
    if v.size == 1:
        return reshape(v, newshape=())
    return reshape(v, newshape=[e if d in axes else 1 for d, e in enumerate(shape)])


def _scaled(y, scale, offset):
    y = y if scale is None else multiply(y, scale)
    return y if offset is None else add(y, offset)


@public()
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Any:
    """scale (x - mean) / sqrt(variance + epsilon) + offset, all of the extent of x along axis:
    batch normalisation by given statistics (Ioffe and Szegedy 2015), with gradients of them too.

    >>> from fastnn import ops
    >>> print(ops.batch_normalization([[1.0, 5.0]], [1.0, 3.0], [1.0, 1.0], -1, epsilon=0.0))
    [[0. 2.]]
    """
    x = as_tensor(x)
    axes = (expect_axis("batch_normalization", axis, x.shape),)
    given = {"mean": mean, "variance": variance, "offset": offset, "scale": scale}
    mean, variance, offset, scale = (
        None if v is None else _along("batch_normalization", n, v, x.shape, axes)
        for n, v in given.items()
    )
    return _scaled(multiply(subtract(x, mean), rsqrt(add(variance, epsilon))), scale, offset)


@public()
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance those along axis (an
    integer or several), of whose extents gamma and beta are (Ba et al. 2016). epsilon: None is
    config.epsilon().

    >>> from fastnn import ops
    >>> print(ops.round(ops.layer_normalization([[1.0, 2.0, 3.0]]), 2))
    [[-1.22  0.    1.22]]
    """
    x = as_tensor(x)
    axes = checked_axes("layer_normalization", x.shape, axis)
    epsilon = _at_least("layer_normalization", epsilon)
    gamma, beta = (
        None if v is None else _along("layer_normalization", n, v, x.shape, axes)
        for n, v in (("gamma", gamma), ("beta", beta))
    )
    last = axes == (len(x.shape) - 1,) and x.size
    if last and gamma is not None and beta is not None and gamma.size == beta.size == x.shape[-1]:
        rows = reshape(x, newshape=(-1, x.shape[-1]))
        weights = [reshape(v, newshape=(-1,)) for v in (gamma, beta)]
        return reshape(layer_norm(rows, *weights, epsilon=epsilon), newshape=x.shape)
    centred = subtract(x, mean(x, axis=axes, keepdims=True))
    variance = mean(square(centred), axis=axes, keepdims=True)
    return _scaled(multiply(centred, rsqrt(add(variance, epsilon))), gamma, beta)


@public()
def rms_normalization(
    x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """scale x / sqrt(mean of x^2 + epsilon), the mean along axis (an integer or several) (Zhang and
    Sennrich 2019). epsilon: None is config.epsilon().

    >>> from fastnn import ops
    >>> print(ops.round(ops.rms_normalization([[3.0, 4.0]]), 2))
    [[0.85 1.13]]
    """
    x = as_tensor(x)
    x = reshape(x, newshape=(1,)) if not x.shape else x
    axes = checked_axes("rms_normalization", x.shape, axis)
    epsilon = _at_least("rms_normalization", epsilon)
    y = multiply(x, rsqrt(add(mean(square(x), axis=axes, keepdims=True), epsilon)))
    return y if scale is None else multiply(y, scale)
