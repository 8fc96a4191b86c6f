"""Softmax of rows. x is taken flat with the number of columns, so that exp runs over many short rows as over one long one:
ten classes do not fill a vector register."""

from ..marks import T, helper, kernel
from ..primitives import flat
from ..scalar import exp
from .matmul import dot
from .reduce import sum_of
from .share import share

STRIP = 2048  # elements worked on at a time: they stay in the nearest cache between the three passes


@helper
def largest_of(row):
    largest = row[0]
    for j in range(row.size):
        if row[j] > largest:
            largest = row[j]
    return largest


@kernel(split=[("N", 4)], x="T[N, C]", y="out T[N, C]", largest="out T[N]", total="out T[N]")
def softmax(x, y, largest, total, lane, lanes):
    """y = e^(x - largest) / total, with the row's largest element and total = sum of e^(x - largest) kept for a loss."""
    columns = x.shape[1]
    first, last = share(x.shape[0], 4, lane, lanes)
    strip = max(1, STRIP // columns)
    for start in range(first, last, strip):
        stop = min(start + strip, last)
        for i in range(stop - start):
            x_row, y_row = x[start + i], y[start + i]
            top = largest_of(x_row)
            largest[start + i] = top
            for j in range(y_row.size):
                y_row[j] = x_row[j] - top
        block = flat(y[start:stop])
        for i in range(block.size):
            block[i] = exp(block[i])
        for i in range(stop - start):
            y_row = y[start + i]
            row_total = sum_of(y_row)
            total[start + i] = row_total
            factor = T(1) / row_total
            for j in range(y_row.size):
                y_row[j] *= factor


@kernel(split=[("N", 4)], y="T[N, C]", dy="T[N, C]", dx="out T[N, C]")
def softmax_gradient(y, dy, dx, lane, lanes):
    """dx = y (dy - sum of dy y)."""
    first, last = share(y.shape[0], 4, lane, lanes)
    for i in range(last - first):
        y_row, dy_row, dx_row = y[first + i], dy[first + i], dx[first + i]
        inner = dot(y_row, dy_row)
        for j in range(dx_row.size):
            dx_row[j] = y_row[j] * (dy_row[j] - inner)
