"""Softmax of rows of x (N, C).

    row_max = max of x           which keeps e^x from overflowing
    exp_sum = sum of e^(x - row_max)
    y = e^(x - row_max) / exp_sum
    dx = y (dy - sum of dy y)

A row is padded to whole vectors on the stack, so that there is no scalar tail; rows too short for
that go through exp as one long row.
"""

from ..declare import T, helper, kernel
from ..intrinsics import flat, stack_array
from ..scalar.elementary import exp_of_negative
from ..scalar.normalize import softmax_gradient as formula
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
SOFTMAX_PADDED_MAX_COLUMNS = 256  # of longer rows the scalar tail is below 1 %


@helper
def softmax_of_short_rows(x, y, row_max, exp_sum):
    """Rows shorter than a vector, element by element: a load is forwarded from the store before it
    only if both are of one size."""
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
        for j in range(y_row.size):
            y_row[j] *= T(1) / total


@helper
def softmax_of_padded_rows(x, padded, width, y, row_max, exp_sum):
    """Rows of less than SOFTMAX_PADDED_MAX_COLUMNS columns. Row i is worked on in padded[i * width
    : (i + 1) * width], `width` being whole vectors."""
    for i in range(x.shape[0]):
        row_max[i] = row_maximum(x[i])
        subtract_and_pad(x[i], row_max[i], padded[i * width : (i + 1) * width])
    elements = padded[: x.shape[0] * width]
    for i in range(elements.size):
        elements[i] = exp_of_negative(elements[i])
    for i in range(x.shape[0]):
        row = padded[i * width : (i + 1) * width]
        exp_sum[i] = row_sum(row)
        row_scale(row, T(1) / exp_sum[i], y[i])


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
