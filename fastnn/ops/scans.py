"""Products along dimensions, cumulative sums and products, and differences of neighbours."""

from typing import Any

import numpy as np

from fastnn.dtypes import ANY, SUMMED
from fastnn.kernels.reduction_passes import passes

from .arithmetic import cast, not_equal, subtract
from .composite import composite
from .movement import slice_copy
from .record import Case, Op, expect_axis, expect_dtype, expect_whole
from .reduce import SHAPES_AND_AXES, checked_axes
from .shapes import reshape


def _along(name, reverses=False):
    """What is inferred for a scan: x, and the attributes that its kernels take."""

    def plain(x, *, axis):
        return [(x.shape, expect_dtype(name, SUMMED, x=x))]

    def reversible(x, *, axis, reverse=False):
        return [(x.shape, expect_dtype(name, SUMMED, x=x))]

    return reversible if reverses else plain


def _cumsum_gradient(g, dys, inputs, outputs, axis, reverse=False):
    g.gradient(0, _cumsum, dys[0], axis=axis, reverse=not reverse)


# Along one axis; the public ops take None for all as well, and an element type.
_cumsum: Op = Op(
    "cumsum",
    _along("cumsum", reverses=True),
    kernels="scans.cumsum",
    gradient=_cumsum_gradient,
    dtypes=SUMMED,
)
_cumprod_gradient = Op(
    "gradient of cumprod",
    lambda x, dy, *, axis: [(x.shape, x.dtype)],
    kernels="scans.cumprod_gradient",
    flops=4,
)
_cumprod = Op(
    "cumprod",
    _along("cumprod"),
    kernels="scans.cumprod",
    gradient=lambda g, dys, inputs, outputs, axis: g.gradient(
        0, _cumprod_gradient, inputs[0], dys[0], axis=axis
    ),
    dtypes=SUMMED,
)
_prod_gradient = Op(
    "gradient of prod",
    lambda x, dy: [(x.shape, x.dtype)],
    kernels="scans.prod_gradient",
    flops=4,
)
# Of x (A, R, B), over R.
_prod = Op(
    "prod",
    lambda x: [((x.shape[0], x.shape[2]), expect_dtype("prod", SUMMED, x=x))],
    kernels="scans.prod",
    gradient=lambda g, dys, inputs, outputs: g.gradient(0, _prod_gradient, inputs[0], dys[0]),
    dtypes=SUMMED,
    flops=lambda i, o, **_: i[0].size,
)


@composite(
    reference=lambda x, axis=None, keepdims=False: np.prod(x, axis, x.dtype, keepdims=keepdims),
    cases=[
        Case((shape,), {"axis": axis, "keepdims": keep}, terms=16, domain=(0.7, 1.4))
        for shape, axis in SHAPES_AND_AXES
        for keep in (False, True)
        if shape != (9000,)
    ] + [Case((lambda rng: rng.choice((0.0, 1.5, -2.0), (7, 5)),), {"axis": axis})
         for axis in (0, 1, None)],
    dtypes=SUMMED,
)  # fmt: skip
def prod(x: Any, *, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """The product of x, 1 of none: int32 of booleans and of uint8. Its gradient divides by nothing,
    so that zeros are numbers like others. axis: an integer, several, or None for all; keepdims
    keeps them with extent 1; dtype: to which x is cast before."""
    axes, shape = checked_axes("prod", x.shape, axis), x.shape
    kept = tuple([1 if d in axes else e for d, e in enumerate(shape)])
    found = x if dtype is None else cast(x, dtype=dtype)
    for extents in passes(shape, axes):
        found = _prod(reshape(found, newshape=extents))
    kept = kept if keepdims else tuple([e for d, e in enumerate(shape) if d not in axes])
    return reshape(found, newshape=kept)


def _cumulative(name, x, axis, dtype, op):
    if dtype is not None:
        x = cast(x, dtype=dtype)
    if axis is None:
        return op(reshape(x, newshape=(-1,)), axis=0)
    return op(x, axis=expect_axis(name, axis, x.shape))


SCANS = [
    ((), None), ((0,), 0), ((1,), 0), ((65,), 0), ((3, 5), None), ((5, 7), 0), ((5, 7), -1),
    ((5, 131), 0), ((2, 3, 70), 1), ((3, 4, 5), 2), ((0, 3), 1), ((3, 0), 0),
]  # fmt: skip


@composite(
    reference=lambda x, axis=None: np.cumsum(x, axis=axis),
    cases=[Case((s,), {"axis": axis}, terms=max(s, default=1) or 1) for s, axis in SCANS],
    dtypes=SUMMED,
)
def cumsum(x: Any, *, axis: Any = None, dtype: Any = None) -> Any:
    """The sums of x up to each element, along axis; None: of all as one row. int32 of booleans and
    of uint8. dtype: to which x is cast before."""
    return _cumulative("cumsum", x, axis, dtype, _cumsum)


@composite(
    reference=lambda x, axis=None: np.cumprod(x, axis, x.dtype),
    cases=[Case((s,), {"axis": axis}, terms=70, domain=(0.7, 1.4)) for s, axis in SCANS]
    + [Case((lambda rng: rng.choice((0.0, 1.5, -2.0), (7, 5)),), {"axis": axis})
       for axis in (0, 1)],
    dtypes=SUMMED,
)  # fmt: skip
def cumprod(x: Any, *, axis: Any = None, dtype: Any = None) -> Any:
    """The products of x up to each element, along axis; None: of all as one row. Its gradient
    divides by nothing. dtype: to which x is cast before."""
    return _cumulative("cumprod", x, axis, dtype, _cumprod)


@composite(
    reference=lambda x, n=1, axis=-1: np.diff(x, n, axis),
    cases=[
        Case((s,), {"n": n, "axis": axis}, terms=1 << n)
        for s, n, axis in [((5,), 1, -1), ((5, 7), 1, 0), ((5, 7), 2, 1), ((3, 4, 5), 3, 1),
                           ((5, 7), 0, 0), ((2,), 3, 0), ((0, 3), 1, 0)]
    ],
    dtypes=ANY,
)  # fmt: skip
def diff(x: Any, *, n: int = 1, axis: int = -1) -> Any:
    """x[i + 1] - x[i] along axis, n times; of booleans, whether they are unequal."""
    times, axis = expect_whole("diff", "n", n, 0), expect_axis("diff", axis, x.shape)
    ahead = (slice(None),) * axis
    for _ in range(min(times, x.shape[axis])):  # after that there is nothing left
        after = slice_copy(x, key=(*ahead, slice(1, None)))
        before = slice_copy(x, key=(*ahead, slice(None, -1)))
        x = not_equal(after, before) if x.dtype == bool else subtract(after, before)
    return x
