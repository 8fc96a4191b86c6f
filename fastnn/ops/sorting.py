"""Order: sorting, the largest of each row, and places among sorted numbers. Indices are int64, as
everywhere here; Keras's are int32."""

from math import inf, prod
from operator import index as as_index
from typing import Any

import numpy as np

from fastnn.dtypes import ANY, INT64
from fastnn.errors import RecordingError, ShapeError, shape_text
from fastnn.kernels.reference import sorting as reference

from .arithmetic import (
    equal,
    greater,
    less,
    less_equal,
    logical_not,
    minimum,
    multiply,
    subtract,
    where,
)
from .arrange import flip
from .composite import composite
from .functions import as_tensor
from .movement import take
from .record import (
    Case,
    Op,
    expect_axis,
    expect_dtype,
    expect_integer,
    expect_shape,
    expect_whole,
)
from .reduce import max, sum
from .shapes import reshape, transpose

# ---- along the last dimension: elements in order, and where they stood

_put = Op(
    "gradient of sort",
    lambda index, dy, *, extent: [((*dy.shape[:-1], extent), dy.dtype)],
    kernels="sorting.put",
    flops=0,
)


def _sorted_gradient(g, dys, inputs, outputs, k=None):
    if dys[0] is not None:
        g.gradient(0, _put, outputs[1], dys[0], extent=inputs[0].shape[-1])


in_order = Op(
    "sort",
    lambda x: [(x.shape, expect_dtype("sort", ANY, x=x)), (x.shape, INT64)],
    kernels="sorting.sort",
    gradient=_sorted_gradient,
    results=2,
    dtypes=ANY,
    flops=lambda i, o, **_: i[0].size * i[0].shape[-1].bit_length(),
)


def _along_last(x, axis):
    """x with an axis as the last one."""
    return x if axis == len(x.shape) - 1 else transpose(x, axes=_swap(x, axis))


def _swap(x, axis):
    axes = list(range(len(x.shape)))
    axes[axis], axes[-1] = axes[-1], axes[axis]
    return axes


def _put_in_order(name, x, axis, result):
    if not x.shape or axis is None:
        x, axis = reshape(x, newshape=(-1,)), 0
    axis = expect_axis(name, axis, x.shape)
    return _along_last(in_order(_along_last(x, axis))[result], axis)


def _drawn(shape, values=None):
    """Numbers some of which are equal."""
    return lambda rng: rng.choice(np.arange(-5, 6) / 2 if values is None else values, shape)


SORTED = [
    ((), -1), ((0,), 0), ((1,), 0), ((17,), 0), ((100,), -1), ((3, 40), 1), ((40, 3), 0),
    ((2, 35, 3), 1), ((3, 0), 1),
]  # fmt: skip
ODD = (np.nan, np.inf, -np.inf, 0.0, 1.0)


@composite(
    reference=reference.sort,
    cases=[Case((s,), {"axis": axis}) for s, axis in SORTED]
    + [Case((_drawn((3, 70)),)), Case((_drawn((3, 70), ODD),))],
    dtypes=ANY,
)
def sort(x: Any, *, axis: Any = -1) -> Any:
    """x in ascending order along axis (None: all as one row): NaN last, equal elements as they
    stood, which matters to their gradients."""
    scalar = not x.shape
    found = _put_in_order("sort", x, axis, 0)
    return reshape(found, newshape=()) if scalar else found


@composite(
    reference=lambda x, axis=-1: np.argsort(x, axis=axis, kind="stable"),
    cases=[Case((s,), {"axis": axis}) for s, axis in SORTED if s]
    + [Case((_drawn((3, 70)),)), Case((_drawn((3, 70), ODD),))],
    constant=(0,),
    dtypes=ANY,
)
def argsort(x: Any, *, axis: Any = -1) -> Any:
    """The indices, int64, that put x in ascending order along axis (None: of all as one row): NaN
    last, equal elements as they stand."""
    return _put_in_order("argsort", x, axis, 1)


@composite(
    reference=lambda x, kth, axis=-1: np.argsort(x, axis=axis, kind="stable"),
    cases=[Case(((5, 17),), {"kth": 3, "axis": axis}) for axis in (0, 1)],
    constant=(0,),
    dtypes=ANY,
)
def argpartition(x: Any, *, kth: int, axis: Any = -1) -> Any:
    """Indices, int64, that put element kth in order along axis (None: of all as one row) in its
    place, smaller ones before it: those of `argsort`, which put all in order."""
    size = prod(x.shape) if axis is None else x.shape[expect_axis("argpartition", axis, x.shape)]
    if not -size <= expect_integer("argpartition", "kth", kth) < size:
        raise ValueError(f"argpartition: kth must be an index of {size} elements; got {kth!r}")
    return argsort(x, axis=axis)


def _top_k_infer(x, *, k, sorted=True):
    expect_dtype("top_k", ANY, x=x)
    if not x.shape:
        raise ShapeError("top_k: x must have at least one dimension; got a number")
    try:
        fits = 0 <= as_index(k) <= x.shape[-1]
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(
            f"top_k: k must be a whole number from 0 to {x.shape[-1]}, the last extent of x, whose "
            f"shape is {shape_text(x.shape)}; got {k!r}"
        )
    shape = (*x.shape[:-1], as_index(k))
    return [(shape, x.dtype), (shape, INT64)]


def _top_k_gradient(g, dys, inputs, outputs, k, sorted=True):
    _sorted_gradient(g, dys, inputs, outputs)


top_k = Op(
    "top_k",
    _top_k_infer,
    kernels="sorting.top_k",
    gradient=_top_k_gradient,
    reference=reference.top_k,
    cases=[
        Case((x,), {"k": k})
        for x, k in [
            ((1,), 1), ((17,), 3), ((3, 40), 5), ((3, 70), 40), ((2, 3, 9), 9), ((4, 5), 0),
            (_drawn((3, 70)), 7), (_drawn((3, 70)), 50), (_drawn((3, 70), ODD), 60),
            (_drawn((5, 9), ODD), 4),
        ]
    ],
    results=2,
    dtypes=ANY,
    doc="The k largest elements along the last dimension, the largest first (whatever `sorted` "
    "says), and their indices, int64: NaN before all others, of equal ones the first. The gradient "
    "goes to the elements found.",
)  # fmt: skip


@composite(
    reference=reference.in_top_k,
    cases=[
        Case((lambda rng, n=n, c=c: rng.integers(0, c, n), (n, c)), {"k": k})
        for n, c, k in [(1, 1, 1), (5, 7, 3), (9, 20, 1), (9, 20, 20), (0, 3, 1)]
    ],
    indices=(0,),
    constant=(0, 1),
)
def in_top_k(targets: Any, predictions: Any, *, k: int) -> Any:
    """Whether fewer than k of a row of predictions (..., C) are greater than that at its target
    (...), int64. A target that is no column, and a prediction NaN, count as the smallest of all."""
    expect_shape("in_top_k", "predictions", predictions.shape, (*targets.shape, None))
    k, columns = expect_whole("in_top_k", "k", k), predictions.shape[-1]
    if not columns:
        return equal(targets, targets)
    is_target = equal(np.arange(columns), reshape(targets, newshape=(*targets.shape, 1)))
    is_number = equal(predictions, predictions)
    low = where(multiply(is_target, is_number), predictions, -inf)
    ahead = sum(greater(predictions, max(low, axis=-1, keepdims=True)), axis=-1)
    return less_equal(ahead, k - 1)


# ---- among sorted numbers


def _searchsorted_infer(sorted_sequence, values, *, side="left"):
    expect_dtype("searchsorted", ANY, sorted_sequence=sorted_sequence, values=values)
    expect_shape("searchsorted", "sorted_sequence", sorted_sequence.shape, (None,))
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right'; got {side!r}")
    return [(values.shape, INT64)]


def _ascending(n):
    return lambda rng: np.sort(rng.integers(-3, 4, n) / 2)


searchsorted = Op(
    "searchsorted",
    _searchsorted_infer,
    kernels="sorting.searchsorted",
    reference=lambda row, values, side="left": np.searchsorted(row, values, side),
    cases=[
        Case((_ascending(n), _drawn(shape)), {"side": side})
        for n, shape in [(1, (3,)), (7, (5, 13)), (40, ()), (0, (4,)), (9, (0,))]
        for side in ("left", "right")
    ],
    dtypes=ANY,
    compares=True,
    flops=0,
    doc="Where values, of any shape, would be put into an ascending sequence (R,) to keep it so, "
    "int64: 'left', before its equals; 'right', behind them. NaN is behind all numbers.",
)


@composite(
    reference=lambda x, bins: np.digitize(x, bins),
    cases=[
        *[Case((_drawn((5, 13)), _ascending(n))) for n in (1, 7)],
        Case((_drawn((5, 13)), lambda rng: _ascending(7)(rng)[::-1])),
    ],
    constant=(0, 1),
    dtypes=ANY,
    compares=True,
)
def digitize(x: Any, bins: Any) -> Any:
    """In which of the bins that numbers (R,) bound x lies, int64: of ascending ones i where
    bins[i - 1] <= x < bins[i], 0 below all of them, R from the last on; of descending ones i where
    bins[i - 1] > x >= bins[i]."""
    expect_shape("digitize", "bins", bins.shape, (None,))
    number = bins.shape[0]
    try:
        steps = np.diff(bins.numpy().astype("f8"))
    except RecordingError:  # computed by a recorded step: it has to look itself
        place = searchsorted(sort(bins), x, side="right")
        is_falling = less(bins[-1], bins[0]) if number else False
        return where(is_falling, subtract(number, place), place)
    if not ((steps >= 0).all() or (steps <= 0).all()):
        raise ValueError("digitize: bins must ascend or descend; these do neither. Sort them.")
    if (steps < 0).any():
        return subtract(number, searchsorted(flip(bins), x, side="right"))
    return searchsorted(bins, x, side="right")


def _is_in(x1, x2, invert=False):
    return np.isin(x1, x2, invert=invert)


@composite(
    reference=_is_in,
    cases=[
        *[
            Case((_drawn((5, 13)), _drawn(s)), {"invert": i})
            for s in ((3,), (2, 4))
            for i in (0, 1)
        ],
        Case((_drawn((5,)), (0,))),
    ],
    constant=(0, 1),
    dtypes=ANY,
    compares=True,
)
def isin(x1: Any, x2: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each element of x1 is one of x2's, or, with invert, is none. NaN is in nothing.
    assume_unique: taken and not needed."""
    among = sort(reshape(x2, newshape=(-1,)))
    if not among.shape[0]:
        found = as_tensor(np.zeros(x1.shape, bool))
    else:
        place = searchsorted(among, x1)
        found = equal(take(among, minimum(place, among.shape[0] - 1)), x1)
    return logical_not(found) if invert else found
