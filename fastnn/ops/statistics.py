"""Statistics along any axes, made of reductions: no kernels of their own."""

from math import inf, prod
from numbers import Real
from typing import Any

import numpy as np

from fastnn.dtypes import ANY, BOOL, NUMBERS
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.reference import reduce as reference

from . import elementary
from .arithmetic import abs as absolute
from .arithmetic import (
    add,
    cast,
    divide,
    equal,
    less,
    multiply,
    not_equal,
    square,
    squared_difference,
    subtract,
    where,
)
from .composite import composite, detached
from .functions import public
from .pointwise import isclose
from .record import Case
from .reduce import SHAPES_AND_AXES, checked_axes, max, mean, min, sum
from .shapes import reshape, transpose

SOME = [(s, a) for s, a in SHAPES_AND_AXES if 0 not in s]


def _cases(shapes_and_axes=SOME, scale=1, **given):
    return [
        Case((s,), {"axis": axis, "keepdims": keep}, terms=scale * prod(s), **given)
        for s, axis in shapes_and_axes
        for keep in (False, True)
    ]


def _variance(x, axis=None, keepdims=False):
    return np.mean((x - np.mean(x, axis=axis, keepdims=True)) ** 2, axis=axis, keepdims=keepdims)


@composite(reference=_variance, cases=_cases(scale=4))
def var(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean of (x - mean of x)^2, a float also of integers; NaN of none. axis: an integer,
    several, or None for all; keepdims keeps them with extent 1."""
    axes = checked_axes("var", x.shape, axis)
    # the deviations add up to nothing: no gradient need go through the mean
    centre = detached(mean(x, axis=axes, keepdims=True))
    return mean(squared_difference(x, centre), axis=axes, keepdims=keepdims)


@composite(
    reference=lambda x, axis=None, keepdims=False: np.sqrt(_variance(x, axis, keepdims)),
    cases=_cases([(s, a) for s, a in SOME if prod(s) > 1 and 1 not in s], scale=4),
)
def std(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The square root of `var`. axis: an integer, several, or None for all; keepdims keeps them
    with extent 1."""
    checked_axes("std", x.shape, axis)
    return elementary.sqrt(var(x, axis=axis, keepdims=keepdims))


@composite(
    reference=lambda x, axis=None, keepdims=False: (
        reference.largest(x, axis=axis, keepdims=keepdims)
        - reference.smallest(x, axis=axis, keepdims=keepdims)
    ),
    cases=_cases(SOME[5:10]),
    dtypes=NUMBERS,
)
def ptp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest element of x less the smallest. axis: an integer, several, or None for all;
    keepdims keeps them with extent 1."""
    return subtract(max(x, axis=axis, keepdims=keepdims), min(x, axis=axis, keepdims=keepdims))


def _logsumexp(x, axis=None, keepdims=False):
    top = np.max(np.real(x), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis)


@composite(
    reference=_logsumexp,
    cases=[
        *_cases(domain=(-1e3, 1e3)),
        *_cases([((9, 7), 1)]),
        Case((lambda rng: rng.choice((-np.inf, -700.0, 700.0), (9, 4)),), {"axis": 1}, terms=4),
    ],
)
def logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum of e^x), which does not overflow where e^x does. axis: an integer, several, or None
    for all; keepdims keeps them with extent 1."""
    axes = checked_axes("logsumexp", x.shape, axis)
    if not prod([x.shape[d] for d in axes]):
        return elementary.log(sum(elementary.exp(x), axis=axes, keepdims=keepdims))
    top = detached(max(x, axis=axes, keepdims=True))
    top = where(less(absolute(top), inf), top, 0.0)  # infinity less infinity is NaN
    total = elementary.log(sum(elementary.exp(subtract(x, top)), axis=axes, keepdims=keepdims))
    return add(total, reshape(top, newshape=total.shape))


def _bits(shape):
    return lambda rng: rng.integers(0, 2, shape).astype(float)


BITS = [
    Case((_bits(s),), {"axis": a, "keepdims": keep})
    for s, a in SHAPES_AND_AXES
    for keep in (False, True)
]


@composite(
    reference=lambda x, axis=None, keepdims=False: np.any(x, axis=axis, keepdims=keepdims),
    cases=BITS,
    constant=(0,),
    dtypes=ANY,
)
def any(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether some element is not 0: of none, False. NaN is not 0. axis: an integer, several, or
    None for all; keepdims keeps them with extent 1."""
    axes, truth = checked_axes("any", x.shape, axis), _truth(x)
    if prod([x.shape[d] for d in axes]):
        return max(truth, axis=axes, keepdims=keepdims)
    return not_equal(sum(truth, axis=axes, keepdims=keepdims), 0)


@composite(
    reference=lambda x, axis=None, keepdims=False: np.all(x, axis=axis, keepdims=keepdims),
    cases=BITS,
    constant=(0,),
    dtypes=ANY,
)
def all(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether no element is 0: of none, True. axis: an integer, several, or None for all; keepdims
    keeps them with extent 1."""
    axes, truth = checked_axes("all", x.shape, axis), _truth(x)
    if prod([x.shape[d] for d in axes]):
        return min(truth, axis=axes, keepdims=keepdims)
    return equal(sum(truth, axis=axes, keepdims=keepdims), 0)


def _truth(x):
    return x if x.dtype == BOOL else not_equal(x, np.zeros((), x.dtype))


@composite(
    reference=lambda x, axis=None: np.asarray(np.count_nonzero(x, axis=axis)).astype(np.int32),
    cases=[Case((_bits(s),), {"axis": a}) for s, a in SHAPES_AND_AXES],
    constant=(0,),
    dtypes=ANY,
)
def count_nonzero(x: Any, *, axis: Any = None) -> Any:
    """How many elements are not 0, int32. axis: an integer, several, or None for all."""
    return sum(_truth(x), axis=checked_axes("count_nonzero", x.shape, axis))


# ---- weighted means, norms


@composite(name="average")
def _average(x, weights=None, *, axis=None):
    axes = checked_axes("average", x.shape, axis)
    if weights is None:
        return mean(x, axis=axes)
    if weights.shape != x.shape:
        if len(axes) != 1 or weights.shape != (x.shape[axes[0]],):
            raise ShapeError(
                f"average: weights must have x's shape {shape_text(x.shape)}, or be one row along "
                f"one axis; got {shape_text(weights.shape)} and axis {axis!r}"
            )
        along = [x.shape[d] if d == axes[0] else 1 for d in range(len(x.shape))]
        weights = reshape(weights, newshape=along)
    total = sum(multiply(x, weights), axis=axes)
    return divide(total, sum(weights, axis=axes if len(weights.shape) > 1 else None))


@public()
def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """The mean of x along axis (an integer, several, or None for all), weighted: sum of x weights
    divided by sum of weights. weights: of x's shape, or one row along axis; None: all are 1. A
    float also of integers.

    >>> from fastnn import ops
    >>> print(ops.average([1.0, 2.0, 4.0], weights=[1.0, 1.0, 0.0]))
    1.5
    """
    return _average(x, weights, axis=axis)


VECTOR_NORMS = "a number, inf or -inf"
MATRIX_NORMS = "None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf"


def _norm(x, ord=None, axis=None, keepdims=False):
    a = np.sqrt(x * x)  # |x|, also beside the real axis
    if isinstance(axis, tuple) and len(axis) == 2 and ord not in (None, "fro"):
        column, row = axis
        summed, over = (column, row) if abs(ord) == 1 else (row, column)
        found = np.sum(a, axis=summed, keepdims=True)
        choose = reference.largest if ord > 0 else reference.smallest
        found = choose(found, axis=over, keepdims=True)
        return found if keepdims else np.squeeze(found, axis)
    if ord in (None, "fro", 2):
        return np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))
    if ord in (np.inf, -np.inf):
        choose = reference.largest if ord > 0 else reference.smallest
        return choose(a, axis=axis, keepdims=keepdims)
    if ord == 0:
        return (x != 0).sum(axis=axis, keepdims=keepdims).astype(x.dtype)
    return (a**ord).sum(axis=axis, keepdims=keepdims) ** (1 / ord)


NORMS = [
    ((9,), None, None), ((3, 5), None, None), ((5, 7), None, 1), ((5, 7), 1, 0), ((5, 7), 2, -1),
    ((5, 7), 3, 1), ((5, 7), 0.5, 1), ((5, 7), -1, 1), ((5, 7), inf, 1), ((5, 7), -inf, 0),
    ((3, 4, 5), "fro", (0, 2)), ((3, 4, 5), 1, (0, 2)), ((3, 4, 5), -1, (2, 1)),
    ((3, 4, 5), inf, (1, 2)), ((3, 4, 5), -inf, (1, 2)), ((3, 4, 5), None, (0, 1)),
]  # fmt: skip


@composite(
    reference=_norm,
    cases=[
        Case((s,), {"ord": o, "axis": a, "keepdims": keep}, terms=100)
        for s, o, a in NORMS
        for keep in (False, True)
    ],
)
def norm(x: Any, *, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """A norm of vectors along axis, of matrices along two axes, or of all of x.

    Of vectors: None and 2, sqrt(sum of x^2); 1, sum of |x|; inf and -inf, the largest and smallest
    |x|; 0, how many are not 0; another p, (sum of |x|^p)^(1/p). Of matrices: None and "fro",
    sqrt(sum of x^2); 1 and -1, the largest and smallest sum of |x| over rows; inf and -inf, those
    over columns; 2, -2 and "nuc", the largest, the smallest and the sum of the singular values,
    eagerly only. axis None: with ord None, of all elements; else x must have one dimension or two.
    As in NumPy and Keras."""
    axes = _norm_axes(x.shape, ord, axis)
    of_matrices = len(axes) == 2 and (axis is not None or ord is not None)
    if of_matrices and ord not in (None, "fro"):
        return _matrix_norm(x, ord, axes, keepdims)
    if ord is None or ord == "fro" or ord == 2:
        return elementary.sqrt(sum(square(x), axis=axes, keepdims=keepdims))
    size = absolute(x)
    if ord in (inf, -inf):
        return (max if ord > 0 else min)(size, axis=axes, keepdims=keepdims)
    if ord == 0:
        there = cast(not_equal(x, 0.0), dtype=x.dtype)
        return sum(there, axis=axes, keepdims=keepdims)
    if ord == 1:
        return sum(size, axis=axes, keepdims=keepdims)
    total = sum(elementary.power(size, float(ord)), axis=axes, keepdims=keepdims)
    return elementary.power(total, 1.0 / ord)


def _norm_axes(shape, ord, axis):
    """The axes in the order in which they are given; raises where there is no such norm."""
    checked = checked_axes("norm", shape, axis)
    axes = checked
    if isinstance(axis, tuple | list):
        axes = tuple([a % len(shape) for a in axis])
    if len(axes) > 2 and axis is not None:
        raise ShapeError(f"norm: axis must be one or two dimensions, or None; got {axis!r}")
    if len(axes) not in (1, 2) and ord is not None:
        raise ShapeError(
            f"norm: of all of x, with ord {ord!r}, x must have one or two dimensions; got shape "
            f"{shape_text(shape)}. Name the axis."
        )
    if len(axes) == 1 and not (ord is None or isinstance(ord, Real)):
        raise ValueError(f"norm: ord of vectors must be {VECTOR_NORMS}; got {ord!r}")
    if len(axes) == 2 and ord not in (None, "fro", "nuc", 1, -1, 2, -2, inf, -inf):
        raise ValueError(f"norm: ord of matrices must be {MATRIX_NORMS}; got {ord!r}")
    return axes


def _matrix_norm(x, ord, axes, keepdims):
    """The largest or smallest sum of |x| over rows (1) or columns (inf)."""
    column, row = axes
    if ord in (2, -2, "nuc"):
        from .decompositions import svd  # imported after this

        order = [*[d for d in range(len(x.shape)) if d not in axes], *axes]
        values = svd(transpose(x, axes=order), compute_uv=False)
        found = {2: max, -2: min, "nuc": sum}[ord](values, axis=-1)
        shape = [1 if d in axes else e for d, e in enumerate(x.shape)]
        return reshape(found, newshape=shape) if keepdims else found
    summed, over = (column, row) if ord in (1, -1) else (row, column)
    sums = sum(absolute(x), axis=summed, keepdims=True)
    found = (max if ord > 0 else min)(sums, axis=over, keepdims=True)
    if keepdims:
        return found
    return reshape(found, newshape=[e for d, e in enumerate(found.shape) if d not in axes])


@composite(
    reference=lambda x, y, rtol=1e-5, atol=1e-8, equal_nan=False: np.allclose(
        x, y, rtol, atol, equal_nan
    ),
    cases=[Case(((5, 7), (7,))), Case(((5, 7), (7,)), {"atol": 10.0})],
    constant=(0, 1),
)
def allclose(
    x: Any, y: Any, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Whether all elements are close: `all` of `isclose`."""
    return all(isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan))
