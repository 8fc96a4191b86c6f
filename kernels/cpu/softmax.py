"""Softmax and its logarithm, of rows of x (N, C).

    row_max = max of x           which keeps e^x from overflowing
    exp_sum = sum of e^(x - row_max)
    softmax       y = e^(x - row_max) / exp_sum          dx = y (dy - sum of dy y)
    log_softmax   y = (x - row_max) - log(exp_sum)       dx = dy - e^y sum of dy

A row is padded to whole vectors on the stack, so that there is no scalar tail; rows too short for
that go through exp as one long row.
"""

from functools import partial

from ..declare import T, helper, kernel
from ..intrinsics import flat, stack_array
from ..places import by_rows
from ..scalar.elementary import exp_of_negative, log
from ..scalar.normalize import log_softmax_gradient as log_formula
from ..scalar.normalize import softmax_gradient as formula
from .movement import transpose
from .simd.rows import (
    row_dot,
    row_maximum,
    row_scale,
    row_sum,
    streaming_row_copy,
    subtract_and_pad,
)
from .simd.vectors import LANES
from .threads import ROW_GRAIN, STREAMING_TILE_ELEMENTS, ceil_div, streams_rows

STRIP_ELEMENTS = 2048  # of rows that go through each pass together: they stay in L1
STRIP_ROWS = 256  # at most, whose sums go through log together
SOFTMAX_PADDED_MAX_COLUMNS = 256  # of longer rows the scalar tail is below 1 %


@helper
def exp_of_short_rows(x, y, row_max, exp_sum):
    """y = e^(x - row_max) of rows shorter than a vector, element by element: a load is forwarded
    from the store before it only if both are of one size."""
    for i in range(x.shape[0]):
        x_row, y_row, largest = x[i], y[i], x[i, 0]
        for j in range(x_row.size):
            largest = x_row[j] if x_row[j] > largest else largest
        row_max[i] = largest
        for j in range(y_row.size):
            y_row[j] = x_row[j] - largest
    elements = flat(y)
    for i in range(elements.size):
        elements[i] = exp_of_negative(elements[i])
    for i in range(x.shape[0]):
        y_row, total = y[i], T(0)
        for j in range(y_row.size):
            total += y_row[j]
        exp_sum[i] = total


@helper
def softmax_of_short_rows(x, y, row_max, exp_sum):
    exp_of_short_rows(x, y, row_max, exp_sum)
    for i in range(x.shape[0]):
        y_row, scale = y[i], T(1) / exp_sum[i]
        for j in range(y_row.size):
            y_row[j] *= scale


@helper
def exp_of_padded_rows(x, padded, width, row_max, exp_sum):
    """Rows of less than SOFTMAX_PADDED_MAX_COLUMNS columns: e^(x - row_max) of row i in padded[i *
    width : (i + 1) * width], `width` being whole vectors."""
    for i in range(x.shape[0]):
        row_max[i] = row_maximum(x[i])
        subtract_and_pad(x[i], row_max[i], padded[i * width : (i + 1) * width])
    elements = padded[: x.shape[0] * width]
    for i in range(elements.size):
        elements[i] = exp_of_negative(elements[i])
    for i in range(x.shape[0]):
        exp_sum[i] = row_sum(padded[i * width : (i + 1) * width])


@helper
def softmax_of_padded_rows(x, padded, width, y, row_max, exp_sum):
    exp_of_padded_rows(x, padded, width, row_max, exp_sum)
    for i in range(x.shape[0]):
        row_scale(padded[i * width : (i + 1) * width], T(1) / exp_sum[i], y[i])


@helper(reassociate=True)
def exp_and_sum(x, largest, y):
    """y = e^(x - largest), and its sum."""
    total = T(0)
    for i in range(x.size):
        y[i] = exp_of_negative(x[i] - largest)
        total += y[i]
    return total


@helper
def softmax_of_long_row(x, y):
    """One row; returns its row_max and exp_sum."""
    largest = row_maximum(x)
    total = exp_and_sum(x, largest, y)
    row_scale(y, T(1) / total, y)
    return largest, total


@kernel(
    split=[("N", ROW_GRAIN)], x="T[N, C]", y="out T[N, C]", row_max="out T[N]", exp_sum="out T[N]"
)
def softmax(x, y, row_max, exp_sum, start, stop):
    """y = e^(x - row_max) / exp_sum. A loss of y reads row_max and exp_sum."""
    columns = x.shape[1]
    width = ceil_div(columns, LANES) * LANES
    if columns >= SOFTMAX_PADDED_MAX_COLUMNS:
        for i in range(start, stop):
            row_max[i], exp_sum[i] = softmax_of_long_row(x[i], y[i])
    elif columns >= LANES:
        padded, strip = stack_array(T(0), STRIP_ELEMENTS), STRIP_ELEMENTS // width
        for i in range(start, stop, strip):
            j = min(i + strip, stop)
            softmax_of_padded_rows(x[i:j], padded, width, y[i:j], row_max[i:j], exp_sum[i:j])
    else:
        for i in range(start, stop, STRIP_ELEMENTS // LANES):
            j = min(i + STRIP_ELEMENTS // LANES, stop)
            softmax_of_short_rows(x[i:j], y[i:j], row_max[i:j], exp_sum[i:j])


@helper
def subtract_both(x, row_max, exp_sum, y):
    """y = (x - row_max) - log(exp_sum); what belongs to a row goes through log as one long row."""
    for i in range(x.shape[0]):
        exp_sum[i] = log(exp_sum[i])
    for i in range(x.shape[0]):
        x_row, y_row, largest, log_sum = x[i], y[i], row_max[i], exp_sum[i]
        for j in range(y_row.size):
            y_row[j] = (x_row[j] - largest) - log_sum


@kernel(split=[("N", ROW_GRAIN)], x="T[N, C]", y="out T[N, C]")
def log_softmax(x, y, start, stop):
    """y = (x - row_max) - log(exp_sum)."""
    columns = x.shape[1]
    width = ceil_div(columns, LANES) * LANES
    row_max, exp_sum = stack_array(T(0), STRIP_ROWS), stack_array(T(0), STRIP_ROWS)
    padded = stack_array(T(0), STRIP_ELEMENTS)
    strip = min(max(STRIP_ELEMENTS // width, 1), STRIP_ROWS)
    for i in range(start, stop, strip):
        j = min(i + strip, stop)
        top, total = row_max[: j - i], exp_sum[: j - i]
        if columns >= SOFTMAX_PADDED_MAX_COLUMNS:
            for k in range(i, j):
                top[k - i] = row_maximum(x[k])
                total[k - i] = exp_and_sum(x[k], top[k - i], y[k])
        elif columns >= LANES:
            exp_of_padded_rows(x[i:j], padded, width, top, total)
        else:
            exp_of_short_rows(x[i:j], y[i:j], top, total)
        subtract_both(x[i:j], top, total, y[i:j])


@helper
def stream_gradient(y, dy, dx):
    """The gradient by streaming stores."""
    tile = stack_array(T(0), STREAMING_TILE_ELEMENTS)
    for i in range(y.shape[0]):
        inner = row_dot(y[i], dy[i])
        for col_start in range(0, dx.shape[1], STREAMING_TILE_ELEMENTS):
            width = min(STREAMING_TILE_ELEMENTS, dx.shape[1] - col_start)
            y_tile, dy_tile = (
                y[i, col_start : col_start + width],
                dy[i, col_start : col_start + width],
            )
            for j in range(width):
                tile[j] = formula(y_tile[j], dy_tile[j], inner)
            streaming_row_copy(tile[:width], dx[i, col_start : col_start + width])


@kernel(split=[("N", ROW_GRAIN)], y="T[N, C]", dy="T[N, C]", dx="out T[N, C]")
def softmax_gradient(y, dy, dx, start, stop):
    """dx = y (dy - sum of dy y). Its own loop: a short row took twice as long in `row_loop`, which
    takes what belongs to a row from memory."""
    if streams_rows(dx):
        stream_gradient(y[start:stop], dy[start:stop], dx[start:stop])
        return
    for i in range(stop - start):
        y_row, dy_row, dx_row = y[start + i], dy[start + i], dx[start + i]
        inner = row_dot(y_row, dy_row)
        for j in range(dx_row.size):
            dx_row[j] = formula(y_row[j], dy_row[j], inner)


@helper
def exp_into(y, p):
    for i in range(p.size):
        p[i] = exp_of_negative(y[i])


@kernel(split=[("N", ROW_GRAIN)], y="T[N, C]", dy="T[N, C]", dx="out T[N, C]")
def log_softmax_gradient(y, dy, dx, start, stop):
    """dx = dy - e^y sum of dy. Rows go through exp by strips, as one long row."""
    columns = y.shape[1]
    powers = stack_array(T(0), STRIP_ELEMENTS)
    strip = STRIP_ELEMENTS // columns
    if strip == 0:
        for i in range(start, stop):
            total = row_sum(dy[i])
            y_row, dy_row, dx_row = y[i], dy[i], dx[i]
            for j in range(dx_row.size):
                dx_row[j] = log_formula(exp_of_negative(y_row[j]), dy_row[j], total)
        return
    for i in range(start, stop, strip):
        rows = min(strip, stop - i)
        exp_into(flat(y[i : i + rows]), powers[: rows * columns])
        for k in range(rows):
            p_row = powers[k * columns : (k + 1) * columns]
            dy_row, dx_row = dy[i + k], dx[i + k]
            total = row_sum(dy_row)
            for j in range(dx_row.size):
                dx_row[j] = log_formula(p_row[j], dy_row[j], total)


# ---- launchers, of rows along any axes


def softmax_along(call, x, y, row_max, exp_sum, *, axis=-1):
    def of_rows(x, y):
        call(softmax, x, y, row_max, exp_sum)

    by_rows(call, transpose, axis, of_rows, x, y)


def softmax_gradient_along(call, y, dy, dx, *, axis=-1):
    by_rows(call, transpose, axis, partial(call, softmax_gradient), y, dy, dx)


def log_softmax_along(call, x, y, *, axis=-1):
    by_rows(call, transpose, axis, partial(call, log_softmax), x, y)


def log_softmax_gradient_along(call, y, dy, dx, *, axis=-1):
    by_rows(call, transpose, axis, partial(call, log_softmax_gradient), y, dy, dx)
