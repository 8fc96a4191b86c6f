"""Reductions that pass over NaN, as NumPy's: made of those that do not. Of integers, which have no
NaN, they are what those are."""

from math import inf
from typing import Any

import numpy as np

from fastnn.dtypes import ANY, FLOATS, SUMMED
from fastnn.kernels.reference import reduce as reference
from fastnn.kernels.reference import sorting

from .arithmetic import cast, divide, equal, logical_not, squared_difference, where
from .composite import composite, detached
from .elementary import sqrt
from .quantiles import quantiles
from .record import Case
from .reduce import argmax, argmin, checked_axes, max, min, sum
from .scans import cumprod, cumsum, prod
from .statistics import any

SHAPES = [((9,), None), ((5, 7), 0), ((5, 7), -1), ((3, 4, 5), (0, 2))]


def _some_nan(shape):
    return lambda rng: np.where(rng.integers(0, 3, shape) == 0, np.nan, rng.uniform(-2, 2, shape))


def _cases(*, keeps=True, shapes=SHAPES, **attributes):
    """Without NaN, for the gradient, and with."""
    return [
        Case((x,), {"axis": axis, **({"keepdims": True} if keep else {}), **attributes}, 40)
        for shape, axis in shapes
        for x, keep in ((shape, keeps), (_some_nan(shape), False))
    ]


def _is_number(x):
    return equal(x, x)


def _without(x, value):
    """x with a number where it is NaN."""
    return where(_is_number(x), x, value) if x.dtype in FLOATS else x


def _of_numbers(op, x, axis, keepdims, lost, if_none):
    """op of x with `lost` in the place of NaN; `if_none` where all are NaN."""
    found = op(_without(x, lost), axis=axis, keepdims=keepdims)
    if x.dtype not in FLOATS:
        return found
    none = logical_not(any(_is_number(x), axis=axis, keepdims=keepdims))
    return where(none, np.asarray(if_none, found.dtype), found)


@composite(reference=np.nansum, cases=_cases(), dtypes=SUMMED)
def nansum(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """`sum` of what is not NaN: 0 of nothing."""
    return sum(_without(x, 0.0), axis=axis, keepdims=keepdims)


@composite(
    reference=lambda x, axis=None, keepdims=False: np.nanprod(x, axis, x.dtype, keepdims=keepdims),
    cases=_cases(),
    dtypes=SUMMED,
)
def nanprod(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """`prod` of what is not NaN: 1 of nothing."""
    return prod(_without(x, 1.0), axis=axis, keepdims=keepdims)


def _nanmean(x, axis=None, keepdims=False):
    number = x == x
    count = number.sum(axis=axis, keepdims=keepdims)
    return np.where(number, x, 0).sum(axis=axis, keepdims=keepdims) / count


@composite(reference=_nanmean, cases=_cases())
def nanmean(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """`mean` of what is not NaN: NaN of nothing. A float also of integers."""
    axes = checked_axes("nanmean", x.shape, axis)
    count = sum(cast(_is_number(x), dtype=x.dtype), axis=axes, keepdims=keepdims)
    return divide(nansum(x, axis=axes, keepdims=keepdims), count)


def _nanvar(x, axis=None, keepdims=False):
    return _nanmean((x - _nanmean(x, axis, True)) ** 2, axis, keepdims)


@composite(reference=_nanvar, cases=_cases())
def nanvar(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """`var` of what is not NaN: NaN of nothing. A float also of integers."""
    axes = checked_axes("nanvar", x.shape, axis)
    centre = detached(nanmean(x, axis=axes, keepdims=True))
    return nanmean(squared_difference(x, centre), axis=axes, keepdims=keepdims)


@composite(
    reference=lambda x, axis=None, keepdims=False: np.sqrt(_nanvar(x, axis, keepdims)),
    cases=_cases(),
)
def nanstd(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The square root of `nanvar`."""
    return sqrt(nanvar(x, axis=axis, keepdims=keepdims))


def _nanmax(x, axis=None, keepdims=False):
    filled = np.where(np.isnan(x), -inf, x)
    return reference.largest(filled, axis=axis, keepdims=keepdims)


@composite(reference=_nanmax, cases=_cases(), dtypes=ANY)
def nanmax(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """`max` of what is not NaN: NaN if all are."""
    axes = checked_axes("nanmax", x.shape, axis)
    return _of_numbers(max, x, axes, keepdims, -inf, np.nan)


def _nanmin(x, axis=None, keepdims=False):
    filled = np.where(np.isnan(x), inf, x)
    return reference.smallest(filled, axis=axis, keepdims=keepdims)


@composite(reference=_nanmin, cases=_cases(), dtypes=ANY)
def nanmin(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """`min` of what is not NaN: NaN if all are."""
    axes = checked_axes("nanmin", x.shape, axis)
    return _of_numbers(min, x, axes, keepdims, inf, np.nan)


@composite(reference=np.nanargmax, cases=_cases(shapes=SHAPES[:3]), constant=(0,), dtypes=ANY)
def nanargmax(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """`argmax` of what is not NaN: -1 if all are, as in Keras; NumPy raises."""
    return _of_numbers(argmax, x, axis, keepdims, -inf, -1)


@composite(reference=np.nanargmin, cases=_cases(shapes=SHAPES[:3]), constant=(0,), dtypes=ANY)
def nanargmin(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """`argmin` of what is not NaN: -1 if all are, as in Keras; NumPy raises."""
    return _of_numbers(argmin, x, axis, keepdims, inf, -1)


@composite(reference=np.nancumsum, cases=_cases(shapes=SHAPES[:3], keeps=False), dtypes=SUMMED)
def nancumsum(x: Any, *, axis: Any = None, dtype: Any = None) -> Any:
    """`cumsum` with 0 in the place of NaN."""
    return cumsum(_without(x, 0.0), axis=axis, dtype=dtype)


@composite(
    reference=lambda x, axis=None: np.nancumprod(x, axis, x.dtype),
    cases=_cases(shapes=SHAPES[:3], keeps=False),
    dtypes=SUMMED,
)
def nancumprod(x: Any, *, axis: Any = None, dtype: Any = None) -> Any:
    """`cumprod` with 1 in the place of NaN."""
    return cumprod(_without(x, 1.0), axis=axis, dtype=dtype)


def _nanquantile(x, q, axis=None, method="linear", keepdims=False):
    if np.iscomplexobj(x):  # beside the real axis there is no NaN
        return sorting.quantile(x, q, axis, keepdims, method)
    return np.nanquantile(x, q, axis, method=method, keepdims=keepdims)


@composite(
    reference=_nanquantile,
    cases=[
        *_cases(q=0.3), *_cases(q=(0.0, 0.4, 1.0), shapes=SHAPES[1:3]),
        *[c for m in ("lower", "higher", "midpoint", "nearest")
          for c in _cases(q=0.5, method=m, shapes=SHAPES[1:3])],
    ],
)  # fmt: skip
def nanquantile(
    x: Any, *, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """`quantile` of what is not NaN: NaN if all are."""
    return quantiles("nanquantile", x, q, axis, method, keepdims, passes_nan=True)


@composite(
    reference=lambda x, q, **given: _nanquantile(x, np.divide(q, 100), **given),
    cases=_cases(q=30, shapes=SHAPES[1:2]),
)
def nanpercentile(
    x: Any, *, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """`percentile` of what is not NaN: NaN if all are."""
    q = np.divide(q, 100)
    return quantiles("nanpercentile", x, q, axis, method, keepdims, passes_nan=True)


@composite(reference=lambda x, **given: _nanquantile(x, 0.5, **given), cases=_cases())
def nanmedian(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """`median` of what is not NaN: NaN if all are."""
    return quantiles("nanmedian", x, 0.5, axis, "linear", keepdims, passes_nan=True)
