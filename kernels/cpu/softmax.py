"""Softmax of rows. A row is padded to whole vectors on the stack, so that nothing is left over for
single elements; many rows too short for that are taken as one long one by exp."""

from ..declare import T, helper, kernel
from ..intrinsics import flat, stack_array
from ..scalar.elementary import exp_of_negative
from .simd.rows import (
    row_copy_past_caches,
    row_distance,
    row_dot,
    row_maximum,
    row_multiple,
    row_sum,
)
from .simd.vectors import LANES
from .threads import TILE, past_caches

STRIP = 2048  # elements worked on at a time: they stay in the nearest cache between the passes
LONG = 256  # elements of a row from which on its end, element by element, is not felt


@helper
def softmax_of_short_rows(x, y, largest, total):
    """Rows shorter than a vector. A load finds what was stored before at once if both are of one
    size, so element by element."""
    for i in range(x.shape[0]):
        x_row, y_row, top = x[i], y[i], x[i, 0]
        for j in range(x_row.size):
            top = x_row[j] if x_row[j] > top else top
        largest[i] = top
        for j in range(y_row.size):
            y_row[j] = x_row[j] - top
    elements = flat(y)
    for i in range(elements.size):
        elements[i] = exp_of_negative(elements[i])
    for i in range(x.shape[0]):
        y_row, row_total = y[i], T(0)
        for j in range(y_row.size):
            row_total += y_row[j]
        total[i] = row_total
        for j in range(y_row.size):
            y_row[j] *= T(1) / row_total


@helper
def softmax_of_rows(x, padded, width, y, largest, total):
    """Rows of less than LONG elements, row i meanwhile in padded[i * width : (i + 1) * width],
    `width` being whole vectors."""
    for i in range(x.shape[0]):
        largest[i] = row_maximum(x[i])
        row_distance(x[i], largest[i], padded[i * width : (i + 1) * width])
    elements = padded[: x.shape[0] * width]
    for i in range(elements.size):
        elements[i] = exp_of_negative(elements[i])
    for i in range(x.shape[0]):
        row = padded[i * width : (i + 1) * width]
        total[i] = row_sum(row)
        row_multiple(row, T(1) / total[i], y[i])


@helper(reassociate=True)
def exps_of_row(x, top, y):
    """y = e^(x - top), and its sum."""
    total = T(0)
    for i in range(x.size):
        y[i] = exp_of_negative(x[i] - top)
        total += y[i]
    return total


@helper
def softmax_of_long_row(x, y):
    """One row; returns its largest element and its total."""
    top = row_maximum(x)
    total = exps_of_row(x, top, y)
    row_multiple(y, T(1) / total, y)
    return top, total


@kernel(split=[("N", 4)], x="T[N, C]", y="out T[N, C]", largest="out T[N]", total="out T[N]")
def softmax(x, y, largest, total, start, stop):
    """y = e^(x - largest) / total, with the row's largest element and total = sum of e^(x -
    largest) kept for a loss."""
    columns = x.shape[1]
    width = (columns + LANES - 1) // LANES * LANES
    if columns >= LONG:
        for i in range(start, stop):
            largest[i], total[i] = softmax_of_long_row(x[i], y[i])
    elif columns >= LANES:
        padded, strip = stack_array(T(0), STRIP), STRIP // width
        for i in range(start, stop, strip):
            j = min(i + strip, stop)
            softmax_of_rows(x[i:j], padded, width, y[i:j], largest[i:j], total[i:j])
    else:
        for i in range(start, stop, STRIP // LANES):
            j = min(i + STRIP // LANES, stop)
            softmax_of_short_rows(x[i:j], y[i:j], largest[i:j], total[i:j])


@helper
def gradient_past_caches(y, dy, dx):
    """Rows of a large array, as in share.py."""
    tile = stack_array(T(0), TILE)
    for i in range(y.shape[0]):
        inner = row_dot(y[i], dy[i])
        for begin in range(0, dx.shape[1], TILE):
            width = min(TILE, dx.shape[1] - begin)
            part, above = y[i, begin : begin + width], dy[i, begin : begin + width]
            for j in range(width):
                tile[j] = part[j] * (above[j] - inner)
            row_copy_past_caches(tile[:width], dx[i, begin : begin + width])


@kernel(split=[("N", 4)], y="T[N, C]", dy="T[N, C]", dx="out T[N, C]")
def softmax_gradient(y, dy, dx, start, stop):
    """dx = y (dy - sum of dy y)."""
    if past_caches(dx):
        gradient_past_caches(y[start:stop], dy[start:stop], dx[start:stop])
        return
    for i in range(stop - start):
        y_row, dy_row, dx_row = y[start + i], dy[start + i], dx[start + i]
        inner = row_dot(y_row, dy_row)
        for j in range(dx_row.size):
            dx_row[j] = y_row[j] * (dy_row[j] - inner)
