"""Softmax of rows. A row is padded to whole vectors on the stack, so that nothing is left over for
single elements; many rows too short for that are taken as one long one by exp."""

from ..marks import T, helper, kernel
from ..primitives import flat, stack
from ..scalar import exp_of_negative
from .register_tile import WIDTH
from .rows import row_copy_past_caches, row_distance, row_dot, row_maximum, row_multiple, row_sum
from .share import TILE, past_caches, share

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
def softmax(x, y, largest, total, lane, lanes):
    """y = e^(x - largest) / total, with the row's largest element and total = sum of e^(x -
    largest) kept for a loss."""
    first, last = share(x.shape[0], 4, lane, lanes)
    columns = x.shape[1]
    width = (columns + WIDTH - 1) // WIDTH * WIDTH
    if columns >= LONG:
        for i in range(first, last):
            largest[i], total[i] = softmax_of_long_row(x[i], y[i])
    elif columns >= WIDTH:
        padded, strip = stack(T(0), STRIP), STRIP // width
        for i in range(first, last, strip):
            j = min(i + strip, last)
            softmax_of_rows(x[i:j], padded, width, y[i:j], largest[i:j], total[i:j])
    else:
        for i in range(first, last, STRIP // WIDTH):
            j = min(i + STRIP // WIDTH, last)
            softmax_of_short_rows(x[i:j], y[i:j], largest[i:j], total[i:j])


@helper
def gradient_past_caches(y, dy, dx):
    """Rows of a large array, as in share.py."""
    tile = stack(T(0), TILE)
    for i in range(y.shape[0]):
        inner = row_dot(y[i], dy[i])
        for begin in range(0, dx.shape[1], TILE):
            width = min(TILE, dx.shape[1] - begin)
            part, above = y[i, begin : begin + width], dy[i, begin : begin + width]
            for j in range(width):
                tile[j] = part[j] * (above[j] - inner)
            row_copy_past_caches(tile[:width], dx[i, begin : begin + width])


@kernel(split=[("N", 4)], y="T[N, C]", dy="T[N, C]", dx="out T[N, C]")
def softmax_gradient(y, dy, dx, lane, lanes):
    """dx = y (dy - sum of dy y)."""
    first, last = share(y.shape[0], 4, lane, lanes)
    if past_caches(dx):
        gradient_past_caches(y[first:last], dy[first:last], dx[first:last])
        return
    for i in range(last - first):
        y_row, dy_row, dx_row = y[first + i], dy[first + i], dx[first + i]
        inner = row_dot(y_row, dy_row)
        for j in range(dx_row.size):
            dx_row[j] = y_row[j] * (dy_row[j] - inner)
