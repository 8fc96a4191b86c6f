"""Order: sorting, the largest of each row, medians and quantiles, and places among sorted numbers.
Indices are int64, as everywhere here; Keras's are int32."""

from math import inf
from operator import index as as_index
from typing import Any

import numpy as np

from fastnn.dtypes import ANY, FLOATS, INT64
from fastnn.errors import DTypeError, RecordingError, ShapeError, shape_text
from fastnn.kernels.reference import sorting as reference

from .arithmetic import add, equal, greater, less_equal, multiply, subtract, where
from .composite import composite
from .functions import public
from .movement import copy, slice_copy, take
from .record import Case, Op, expect_dtype, expect_shape
from .reduce import checked_axes, max, sum
from .scans import one_axis
from .shapes import reshape, transpose

# ---- sorting along the last dimension

_put = Op(
    "gradient of sort",
    lambda index, dy, *, extent: [((*dy.shape[:-1], extent), dy.dtype)],
    kernels="sorting.put",
    flops=0,
)


def _sorted_gradient(g, dys, inputs, outputs, k=None):
    if dys[0] is not None:
        g.gradient(0, _put, outputs[1], dys[0], extent=inputs[0].shape[-1])


_sort = Op(
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


def _in_order(name, x, axis, result):
    if not x.shape or axis is None:
        x, axis = reshape(x, newshape=(-1,)), 0
    axis = one_axis(name, x.shape, axis)
    return _along_last(_sort(_along_last(x, axis))[result], axis)


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
    found = _in_order("sort", x, axis, 0)
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
    return _in_order("argsort", x, axis, 1)


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
    """Whether fewer than k of a row of predictions (N, C) are greater than that at its target (N,),
    int64. A target that is no column, and a prediction NaN, count as the smallest of all."""
    expect_shape("in_top_k", "predictions", predictions.shape, (None, None))
    expect_shape("in_top_k", "targets", targets.shape, predictions.shape[:1])
    columns = np.arange(predictions.shape[1], dtype=np.int64)
    is_target = equal(columns, reshape(targets, newshape=(-1, 1)))
    is_number = equal(predictions, predictions)
    if not predictions.size:
        return equal(targets, -1)
    low = where(multiply(is_target, is_number), predictions, -inf)
    ahead = sum(greater(predictions, max(low, axis=1, keepdims=True)), axis=1)
    return less_equal(ahead, _whole("in_top_k", "k", k) - 1)


def _whole(name, argument, value, low=1):
    try:
        if as_index(value) >= low:
            return as_index(value)
    except TypeError:
        pass
    raise ValueError(f"{name}: {argument} must be a whole number from {low} on; got {value!r}")


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
    cases=[Case((_drawn((5, 13)), _ascending(n))) for n in (1, 7)],
    constant=(0, 1),
    dtypes=ANY,
    compares=True,
)
def digitize(x: Any, bins: Any) -> Any:
    """In which of the bins that ascending numbers (R,) bound x lies, int64: i where bins[i - 1] <=
    x < bins[i], 0 below all of them, R from the last on."""
    expect_shape("digitize", "bins", bins.shape, (None,))
    return searchsorted(bins, x, side="right")


# ---- medians and quantiles

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(name, x, q, axis, method, keepdims):
    """Between the elements on both sides of place q (n - 1) in order."""
    axes = checked_axes(name, x.shape, axis)
    if method not in METHODS:
        raise ValueError(f"{name}: method must be one of {', '.join(METHODS)}; got {method!r}")
    rest = [d for d in range(len(x.shape)) if d not in axes]
    shape = [x.shape[d] for d in rest]
    row = transpose(x, axes=(*rest, *axes)) if axes != tuple(range(len(x.shape))) else x
    count = int(np.prod([x.shape[d] for d in axes], dtype=np.int64))
    if not count:
        raise ShapeError(f"{name}: x, whose shape is {shape_text(x.shape)}, has no elements there")
    row = _sort(reshape(row, newshape=(*shape, count)))[0]
    places = np.asarray(q, np.float64) * (count - 1)
    if places.ndim > 1 or not ((places >= 0) & (places <= count - 1)).all():
        raise ValueError(f"{name}: q must be a number from 0 to 1, or a row of them; got {q!r}")
    below, above = np.floor(places).astype(np.int64), np.ceil(places).astype(np.int64)
    part = {"linear": places - below, "midpoint": 0.5 * (above > below)}.get(method)
    if part is None:
        at = {"lower": below, "higher": above, "nearest": np.rint(places).astype(np.int64)}[method]
        found = take(row, at, axis=-1)
    else:
        low, high = take(row, below, axis=-1), take(row, above, axis=-1)
        between = add(low, multiply(subtract(high, low), np.asarray(part, x.dtype)))
        found = where(equal(low, high), low, between)  # infinity less infinity is NaN
    last = slice_copy(row, key=(..., slice(-1, None)))  # NaN, if there is one
    last = last if places.ndim else reshape(last, newshape=shape)
    found = where(equal(last, last), found, last)
    if places.ndim:  # along the first dimension
        found = transpose(found, axes=(len(rest), *range(len(rest))))
    if keepdims:
        kept = [1 if d in axes else e for d, e in enumerate(x.shape)]
        found = reshape(found, newshape=(*places.shape, *kept))
    return found


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
    return _quantile("quantile", x, q, axis, method, keepdims)


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
    return _quantile("median", x, 0.5, axis, "linear", keepdims)


# ---- what depends on values: eagerly only


def _values(name, x):
    try:
        return np.asarray(x)
    except RecordingError:
        raise RecordingError(
            f"{name}: how large its result is depends on values, but a recorded step has fixed "
            "shapes. Call it before the step, and pass what it gives."
        ) from None


@public()
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
) -> Any:
    """The different elements of x in ascending order (whatever `sorted` says), or its different
    slices along axis; each NaN is one of its own. With return_index, return_inverse,
    return_counts also where each stands first, which of them each element is, and how often each
    is there, int64, in a tuple. Eagerly only: a recorded step has fixed shapes. No gradient.

    >>> from fastnn import ops
    >>> print(ops.unique([3, 1, 3], return_counts=True)[1])
    [1 2]
    """
    options: Any = {
        "return_index": return_index, "return_inverse": return_inverse,
        "return_counts": return_counts, "axis": axis, "equal_nan": False,
    }  # fmt: skip
    found = np.unique(_values("unique", x), **options)
    return tuple([copy(f) for f in found]) if isinstance(found, tuple) else copy(found)


@public()
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each whole number from 0 on is in x (N,), int32, or the sums of its weights (N,);
    of x (M, N), row by row. The result has max(x) + 1 elements, or minlength if that is more.
    Eagerly only: a recorded step has fixed shapes. No gradient. sparse: False.

    >>> from fastnn import ops
    >>> print(ops.bincount([0, 2, 2], minlength=4))
    [1 0 2 0]
    """
    if sparse:
        raise ValueError("bincount: there are no sparse tensors; pass sparse=False")
    numbers = _values("bincount", x)
    if numbers.dtype.kind not in "biu" and numbers.size:
        raise DTypeError(f"bincount: x must hold whole numbers; got {numbers.dtype}")
    if numbers.ndim not in (1, 2) or (numbers < 0).any():
        what = (
            "a number below 0" if numbers.ndim in (1, 2) else f"shape {shape_text(numbers.shape)}"
        )
        raise ValueError(
            f"bincount: x must be rows (N,) or (M, N) of numbers from 0 on; got {what}"
        )
    size = int(numbers.max(initial=-1)) + 1
    size = size if size > minlength else _whole("bincount", "minlength", minlength, 0)
    rows = numbers.astype(np.int64).reshape(-1, numbers.shape[-1])
    given = None if weights is None else _values("bincount", weights)
    if given is not None:
        expect_shape("bincount", "weights", given.shape, numbers.shape)
        given = given.reshape(rows.shape)
    counts = [
        np.bincount(row, None if given is None else given[n], size) for n, row in enumerate(rows)
    ]
    dtype = np.int32 if given is None else given.dtype if given.dtype in FLOATS else np.float32
    return copy(np.array(counts, dtype).reshape(*numbers.shape[:-1], size))
