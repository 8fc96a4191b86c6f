"""Cumulative sums and products along a dimension, products of all along it, and their gradients.

    cumsum      y[a, r, b] = sum over s <= r of x[a, s, b], or over s >= r if `reverse`
    cumprod     y[a, r, b] = product over s <= r of x[a, s, b]
    prod        y[a, b] = product over r of x[a, r, b]

Of y = cumprod(x), with p[r] the product of what stands before x[r],

    dx[r] = p[r] s[r],    s[r] = dy[r] + x[r + 1] s[r + 1]

which divides by nothing, so that zeros are numbers like others; for prod, s[r] is dy times the
product of what stands behind. A column is gone through in the order of r by one thread; columns
that lie side by side, together.
"""

from ..declare import T, helper, kernel
from ..intrinsics import as_read, flat, stack_array
from ..places import around
from .simd.rows import clear
from .threads import ELEMENT_GRAIN, ROW_GRAIN

SCANNED = "f4", "f8", "i8", "i4"
BY_COLUMN = [("A", 1), ("B", ELEMENT_GRAIN)]
SIDE_BY_SIDE = 16  # independent products of a row: four or two vectors, which hide the latency


@kernel(split=BY_COLUMN, dtypes=SCANNED, x="T[A, R, B]", reverse="int", y="out T[A, R, B]")
def cumsum_columns(x, reverse, y, row_start, row_stop, col_start, col_stop):
    rows = x.shape[1]
    step, first = (-1, rows - 1) if reverse != 0 else (1, 0)
    for a in range(row_start, row_stop):
        if x.shape[2] == 1:
            source, target, r, total = flat(x[a]), flat(y[a]), first, T(0)
            for _ in range(rows if col_start < col_stop else 0):
                total += source[r]
                target[r] = total
                r += step
            continue
        source, target, r = x[a, :, col_start:col_stop], y[a, :, col_start:col_stop], first
        for i in range(rows):
            row, out, before = source[r], target[r], target[r if i == 0 else r - step]
            if i == 0:
                for j in range(out.size):
                    out[j] = row[j]
            else:
                for j in range(out.size):
                    out[j] = before[j] + row[j]
            r += step


@kernel(split=BY_COLUMN, dtypes=SCANNED, x="T[A, R, B]", y="out T[A, R, B]")
def cumprod_columns(x, y, row_start, row_stop, col_start, col_stop):
    for a in range(row_start, row_stop):
        if x.shape[2] == 1:
            source, target, total = flat(x[a]), flat(y[a]), T(1)
            for r in range(source.size if col_start < col_stop else 0):
                total *= source[r]
                target[r] = total
            continue
        for r in range(x.shape[1]):
            row, out = x[a, r, col_start:col_stop], y[a, r, col_start:col_stop]
            before = y[a, r if r == 0 else r - 1, col_start:col_stop]
            if r == 0:
                for j in range(out.size):
                    out[j] = row[j]
            else:
                for j in range(out.size):
                    out[j] = before[j] * row[j]


@helper
def start_with_ones(x):
    for j in range(x.size):
        x[j] = T(1)


@helper
def products_before(x, out):
    """out[r] = the product of the rows of x before r, for rows of a strip."""
    for r in range(x.shape[0]):
        row = out[r]
        if r == 0:
            start_with_ones(row)
        else:
            factor, before = x[r - 1], out[r - 1]
            for j in range(row.size):
                row[j] = before[j] * factor[j]


@kernel(split=BY_COLUMN, x="T[A, R, B]", dy="T[A, R, B]", dx="out T[A, R, B]")
def cumprod_gradient_columns(x, dy, dx, row_start, row_stop, col_start, col_stop):
    rows, behind = x.shape[1], stack_array(T(0), ELEMENT_GRAIN)
    for a in range(row_start, row_stop):
        for strip in range(col_start, col_stop, ELEMENT_GRAIN):
            end = min(strip + ELEMENT_GRAIN, col_stop)
            factors, out, total = x[a, :, strip:end], dx[a, :, strip:end], behind[: end - strip]
            products_before(factors, out)
            clear(total)
            for n in range(rows):
                r = rows - 1 - n
                factor, row, dy_row = factors[r], out[r], dy[a, r, strip:end]
                for j in range(total.size):
                    value = dy_row[j] + as_read(total[j])
                    row[j] *= value
                    total[j] = factor[j] * value


@kernel(split=BY_COLUMN, x="T[A, R, B]", dy="T[A, B]", dx="out T[A, R, B]")
def prod_gradient_columns(x, dy, dx, row_start, row_stop, col_start, col_stop):
    """dx[a, r, b] = dy[a, b] times the product over all s but r of x[a, s, b]."""
    rows, behind = x.shape[1], stack_array(T(0), ELEMENT_GRAIN)
    for a in range(row_start, row_stop):
        for strip in range(col_start, col_stop, ELEMENT_GRAIN):
            end = min(strip + ELEMENT_GRAIN, col_stop)
            factors, out, total = x[a, :, strip:end], dx[a, :, strip:end], behind[: end - strip]
            products_before(factors, out)
            dy_row = dy[a, strip:end]
            for j in range(total.size):
                total[j] = dy_row[j]
            for n in range(rows):
                r = rows - 1 - n
                factor, row = factors[r], out[r]
                for j in range(total.size):
                    row[j] *= as_read(total[j])
                    total[j] *= factor[j]


@helper
def row_product(x):
    several = stack_array(T(0), SIDE_BY_SIDE)
    start_with_ones(several)
    for start in range(0, x.size - SIDE_BY_SIDE + 1, SIDE_BY_SIDE):
        part = x[start : start + SIDE_BY_SIDE]
        for j in range(SIDE_BY_SIDE):
            several[j] *= part[j]
    tail = x[x.size // SIDE_BY_SIDE * SIDE_BY_SIDE :]
    for j in range(tail.size):
        several[j] *= tail[j]
    found = T(1)
    for j in range(SIDE_BY_SIDE):
        found *= several[j]
    return found


@kernel(split=[("A", ROW_GRAIN)], dtypes=SCANNED, x="T[A, R]", y="out T[A]")
def prod_rows(x, y, start, stop):
    """y = the product of each row, 1 of none."""
    for a in range(start, stop):
        y[a] = row_product(x[a])


@kernel(split=BY_COLUMN, dtypes=SCANNED, x="T[A, R, B]", y="out T[A, B]")
def prod_columns(x, y, row_start, row_stop, col_start, col_stop):
    for a in range(row_start, row_stop):
        total = y[a, col_start:col_stop]
        start_with_ones(total)
        for r in range(x.shape[1]):
            row = x[a, r, col_start:col_stop]
            for j in range(total.size):
                total[j] *= row[j]


# ---- launchers


def _along(x, axis):
    return x.view(around(x.shape, axis))


def cumsum(call, x, y, *, axis, reverse=False):
    call(cumsum_columns, _along(x, axis), int(reverse), _along(y, axis))


def cumprod(call, x, y, *, axis):
    call(cumprod_columns, _along(x, axis), _along(y, axis))


def cumprod_gradient(call, x, dy, dx, *, axis):
    call(cumprod_gradient_columns, _along(x, axis), _along(dy, axis), _along(dx, axis))


def prod(call, x, y):
    """x (A, R, B), y (A, B)."""
    if x.shape[2] == 1:
        call(prod_rows, x.view(x.shape[:2]), y.flat())
    else:
        call(prod_columns, x, y)


def prod_gradient(call, x, dy, dx):
    call(prod_gradient_columns, x, dy, dx)
