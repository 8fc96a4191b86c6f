"""Cumulative sums and products along a dimension, products of all along it, and their gradients.

    cumsum      y[a, r, b] = sum over s <= r of x[a, s, b], or over s >= r if `reverse`
    cumprod     y[a, r, b] = product over s <= r of x[a, s, b]
    prod        y[a, b] = product over r of x[a, r, b]

Of y = cumprod(x), with p[r] the product of what stands before x[r],

    dx[r] = p[r] s[r],    s[r] = dy[r] + x[r + 1] s[r + 1]

for prod, s[r] is dy times the product of what stands behind. A thread goes through a column, in the
CPU's order, so scans have its bits. Many columns keep a GPU busy; a single long one waits for its
loads, one after the other. `prod` is a reduction as sums are (`reduce.py`).
"""

from ..declare import T, helper, kernel
from ..intrinsics import flat
from ..places import around
from ..scalar.arithmetic import multiply
from .extremes import kernels_of
from .grid import block_index, natural, thread_index
from .reduce import element, one_pass
from .reduction_forms import Combination, divided

THREADS = 128
# A thread a column: of the threads that there are for all elements the first, which is simplest.
BY_ELEMENT = [("n", THREADS)]
SCANNED = "f4", "f8", "i8", "i4"


@helper
def column_of(x):
    """Where this thread's column (a, b) begins in x (A, R, B), and its number; -1 if there is
    none."""
    q, rows, columns = block_index() * THREADS + thread_index(), x.shape[1], x.shape[2]
    if q >= x.shape[0] * columns:
        return 0, -1
    a, b = divided(q, columns)
    return a * rows * columns + b, q


@kernel(
    threads=THREADS,
    split=BY_ELEMENT,
    dtypes=SCANNED,
    x="T[A, R, B]",
    reverse="int",
    y="out T[n]",
)
def cumsum_columns(x, reverse, y):
    (place, q), rows, step, total, r = column_of(x), x.shape[1], x.shape[2], T(0), 0
    if q < 0:
        return
    if reverse != 0:
        place, step = place + (rows - 1) * step, -step
    while r < rows:
        total += flat(x)[natural(place)]
        y[natural(place)] = total
        place, r = place + step, r + 1


@kernel(threads=THREADS, split=BY_ELEMENT, dtypes=SCANNED, x="T[A, R, B]", y="out T[n]")
def cumprod_columns(x, y):
    (place, q), rows, step, total, r = column_of(x), x.shape[1], x.shape[2], T(1), 0
    if q < 0:
        return
    while r < rows:
        total *= flat(x)[natural(place)]
        y[natural(place)] = total
        place, r = place + step, r + 1


@helper
def products_before(x, place, step, rows, out):
    """out = the product of what stands before, along a column; and the place behind it."""
    total, r = T(1), 0
    while r < rows:
        out[natural(place)] = total
        total *= x[natural(place)]
        place, r = place + step, r + 1
    return place


@kernel(threads=THREADS, split=BY_ELEMENT, x="T[A, R, B]", dy="T[A, R, B]", dx="inout T[n]")
def cumprod_gradient_columns(x, dy, dx):
    (place, q), rows, step, behind, r = column_of(x), x.shape[1], x.shape[2], T(0), 0
    if q < 0:
        return
    place = products_before(flat(x), place, step, rows, dx)
    while r < rows:
        place, r = place - step, r + 1
        value = flat(dy)[natural(place)] + behind
        dx[natural(place)] *= value
        behind = flat(x)[natural(place)] * value


@kernel(threads=THREADS, split=BY_ELEMENT, x="T[A, R, B]", dy="T[m]", dx="inout T[n]")
def prod_gradient_columns(x, dy, dx):
    """dx[a, r, b] = dy[a, b] times the product over all s but r of x[a, s, b]."""
    (place, q), rows, step, r = column_of(x), x.shape[1], x.shape[2], 0
    if q < 0:
        return
    place, behind = products_before(flat(x), place, step, rows, dx), dy[natural(q)]
    while r < rows:
        place, r = place - step, r + 1
        dx[natural(place)] *= behind
        behind *= flat(x)[natural(place)]


@helper
def from_one(x, found, place, q):
    return T(1), T(1)


PROD = kernels_of(Combination(from_one, element, multiply), "prod", SCANNED)


# ---- launchers


def _along(x, axis):
    return x.view(around(x.shape, axis))


def cumsum(call, x, y, *, axis, reverse=False):
    call(cumsum_columns, _along(x, axis), int(reverse), y.flat())


def cumprod(call, x, y, *, axis):
    call(cumprod_columns, _along(x, axis), y.flat())


def cumprod_gradient(call, x, dy, dx, *, axis):
    call(cumprod_gradient_columns, _along(x, axis), _along(dy, axis), dx.flat())


def prod(call, x, y):
    """x (A, R, B), y (A, B)."""
    one_pass(call, PROD, x, x.shape, (), (), y)


def prod_gradient(call, x, dy, dx):
    call(prod_gradient_columns, x, dy.flat(), dx.flat())
