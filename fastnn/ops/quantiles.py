"""Medians, quantiles and percentiles: what stands at a place of elements in order."""

from math import prod
from typing import Any

import numpy as np

from fastnn.dtypes import FLOAT64, INT64
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.reference import sorting as reference

from .arithmetic import (
    add,
    cast,
    equal,
    greater,
    maximum,
    multiply,
    subtract,
    where,
)
from .composite import composite
from .indices import take_along_axis
from .movement import slice_copy, take
from .record import Case
from .reduce import checked_axes, sum
from .shapes import reshape, transpose
from .sorting import in_order

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantiles(
    name: str, x: Any, q: Any, axis: Any, method: str, keepdims: bool, passes_nan: bool = False
) -> Any:
    """Between the elements on both sides of place q (n - 1) in order. n is how many there are or,
    if NaN is passed over, how many of them are numbers."""
    axes = checked_axes(name, x.shape, axis)
    if method not in METHODS:
        raise ValueError(f"{name}: method must be one of {', '.join(METHODS)}; got {method!r}")
    q = np.asarray(q, np.float64)
    if q.ndim > 1 or not ((q >= 0) & (q <= 1)).all():
        raise ValueError(f"{name}: q must be a number from 0 to 1, or a row of them; got {q}")
    rest = [d for d in range(len(x.shape)) if d not in axes]
    shape, count = [x.shape[d] for d in rest], prod([x.shape[d] for d in axes])
    if not count:
        raise ShapeError(f"{name}: x, whose shape is {shape_text(x.shape)}, has no elements there")
    row = x if [*rest, *axes] == list(range(len(x.shape))) else transpose(x, axes=(*rest, *axes))
    row = in_order(reshape(row, newshape=(*shape, count)))[0]
    if passes_nan:
        found = _among_numbers(row, q.reshape(-1), method)
    else:
        found = _at_places(row, q.reshape(-1) * (count - 1), method)
    if q.ndim:  # along the first dimension
        found = transpose(found, axes=(len(rest), *range(len(rest))))
    kept = [1 if d in axes else e for d, e in enumerate(x.shape)] if keepdims else shape
    return reshape(found, newshape=(*q.shape, *kept))


def _at_places(row, places, method):
    """What stands at places of rows in order, or between them; NaN of a row that has one."""
    below, above = np.floor(places).astype(np.int64), np.ceil(places).astype(np.int64)
    part = {"linear": places - below, "midpoint": 0.5 * (above > below)}.get(method)
    if part is None:
        at = {"lower": below, "higher": above, "nearest": np.rint(places).astype(np.int64)}[method]
        found = take(row, at, axis=-1)
    else:
        low, high = take(row, below, axis=-1), take(row, above, axis=-1)
        found = _between(low, high, np.asarray(part, row.dtype))
    last = slice_copy(row, key=(..., slice(-1, None)))  # NaN, if there is one
    return where(equal(last, last), found, last)


def _between(low, high, part):
    """low + part (high - low); where they are equal low, for infinity less infinity is NaN."""
    return where(equal(low, high), low, add(low, multiply(subtract(high, low), part)))


def _among_numbers(row, q, method):
    """The same of the numbers alone, which stand ahead of NaN: each row has its own places."""
    last = subtract(sum(equal(row, row), axis=-1, keepdims=True), 1)
    places = maximum(multiply(cast(last, dtype=FLOAT64), q), 0.0)
    below = cast(places, dtype=INT64)  # towards zero
    part = subtract(places, cast(below, dtype=FLOAT64))
    above = add(below, cast(greater(part, 0.0), dtype=INT64))
    low, high = take_along_axis(row, below, axis=-1), take_along_axis(row, above, axis=-1)
    if method in ("lower", "higher"):
        return low if method == "lower" else high
    if method == "nearest":  # of two as near the even one
        half = cast(multiply(cast(below, dtype=FLOAT64), 0.5), dtype=INT64)
        is_odd = cast(subtract(below, multiply(half, 2)), dtype=FLOAT64)
        return where(greater(add(part, multiply(is_odd, 2.0**-40)), 0.5), high, low)
    if method == "midpoint":
        return _between(low, high, multiply(cast(greater(part, 0.0), dtype=row.dtype), 0.5))
    return _between(low, high, cast(part, dtype=row.dtype))


QUANTILES = [
    ((9,), None, 0.3), ((10,), 0, 0.5), ((5, 8), 1, 0.25), ((5, 8), 0, (0.0, 0.4, 1.0)),
    ((3, 4, 5), (0, 2), 0.7), ((3, 4), None, 1.0),
]  # fmt: skip


@composite(
    reference=reference.quantile,
    cases=[
        Case((s,), {"q": q, "axis": axis, "keepdims": keep}, terms=4)
        for s, axis, q in QUANTILES
        for keep in (False, True)
    ]
    + [Case(((5, 8),), {"q": 0.3, "axis": 1, "method": m}, terms=4) for m in METHODS],
)
def quantile(
    x: Any, *, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The q-quantile of x: of n elements in order the one at place q (n - 1), counted from 0.

    method: "linear", between its neighbours in proportion; "lower", "higher", "nearest", one of
    them; "midpoint", their mean. NaN where x has one; a float also of integers. q: a number from 0
    to 1, or a row of them, which is then the result's first dimension. axis: an integer, several,
    or None for all; keepdims keeps them with extent 1."""
    return quantiles("quantile", x, q, axis, method, keepdims)


@composite(
    reference=lambda x, q, **given: reference.quantile(x, np.divide(q, 100), **given),
    cases=[Case(((5, 8),), {"q": q, "axis": 1}, terms=4) for q in (30, (0, 50, 100.0))],
)
def percentile(
    x: Any, *, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The q-th percentile of x, q from 0 to 100: `quantile` of q / 100."""
    return quantiles("percentile", x, np.divide(q, 100), axis, method, keepdims)


@composite(
    reference=lambda x, axis=None, keepdims=False: reference.quantile(x, 0.5, axis, keepdims),
    cases=[
        Case((s,), {"axis": axis, "keepdims": keep}, terms=4)
        for s, axis, _ in QUANTILES
        for keep in (False, True)
    ],
)
def median(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle one of x in order, or the mean of the two in the middle; NaN where x has one.
    axis: an integer, several, or None for all; keepdims keeps them with extent 1."""
    return quantiles("median", x, 0.5, axis, "linear", keepdims)
