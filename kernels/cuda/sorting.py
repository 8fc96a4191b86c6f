"""Rows in order, the largest of each, and where numbers stand among others.

    sort            y[a, r] in ascending order, x[a, index[a, r]] = y[a, r]; equals as they stood
    put             dx[a, index[a, r]] = dy[a, r], 0 elsewhere: the gradient
    searchsorted    how many of a row are less than a value, or at most

NaN stands behind all others. A thread to each element counts how many come before it, which is its
place: so it takes the square of a row's length, and rows of more than MAX_COLUMNS are the CPU's.
"""

from math import prod

from ..declare import ANY, helper, kernel
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .grid import block_index, natural, thread_index
from .movement import zero
from .reduction_forms import divided

THREADS = 256
BY_ELEMENT = [("n", THREADS)]
MAX_COLUMNS = 1 << 16


@helper
def stands_before(x, y):
    """Whether x comes before y, for another reason than where they stood."""
    return x < y or (y != y and x == x)


@kernel(
    threads=THREADS,
    split=BY_ELEMENT,
    dtypes=ANY,
    x="T[n]",
    columns="int",
    descending="int",
    k="int",
    y="inout T[Y]",
    index="inout i8[Y]",
)
def sort_rows(x, columns, descending, k, y, index):
    """The first k of each row in order."""
    i, place, j = block_index() * THREADS + thread_index(), 0, 0
    if i >= x.size:
        return
    a, r = divided(i, columns)
    value = x[natural(i)]
    while j < columns:
        other = x[natural(a * columns + j)]
        is_before = stands_before(value, other) if descending != 0 else stands_before(other, value)
        is_after = stands_before(other, value) if descending != 0 else stands_before(value, other)
        if is_before or (j < r and not is_after):
            place += 1
        j += 1
    if place < k:
        y[natural(a * k + place)] = value
        index[natural(a * k + place)] = r


@kernel(threads=THREADS, split=BY_ELEMENT, index="i8[n]", dy="T[n]", k="int", dx="inout T[A, R]")
def put_elements(index, dy, k, dx):
    """dx[a, index[a, j]] = dy[a, j], of rows of k."""
    i, status = block_index() * THREADS + thread_index(), 0
    if i < dy.size:
        a, _ = divided(i, k)
        place = index[natural(i)]
        if 0 <= place < dx.shape[1]:
            dx[natural(a), natural(place)] = dy[natural(i)]
        else:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, a)
    return status


@kernel(
    threads=THREADS,
    split=BY_ELEMENT,
    dtypes=ANY,
    row="T[R]",
    values="T[n]",
    right="int",
    out="out i8[n]",
)
def search_elements(row, values, right, out):
    i, low, high = block_index() * THREADS + thread_index(), 0, row.size
    if i >= out.size:
        return
    value = values[natural(i)]
    while low < high:
        middle = (low + high) // 2
        other = row[natural(middle)]
        is_before = stands_before(other, value)
        if right != 0:
            is_before = not stands_before(value, other)
        if is_before:
            low = middle + 1
        else:
            high = middle
    out[i] = low


# ---- launchers: of x (..., R), along the last dimension


def _sort(call, x, y, index, k, descending):
    columns = x.shape[-1]
    if columns > MAX_COLUMNS:
        raise NotImplementedError(
            f"sort: on the GPU rows have {MAX_COLUMNS} elements at most; got {columns}. Sort on "
            "the CPU: move what is sorted there by x.to('cpu')."
        )
    call(sort_rows, x.flat(), columns, int(descending), k, y.flat(), index.flat())


def sort(call, x, y, index):
    _sort(call, x, y, index, x.shape[-1], False)


def top_k(call, x, y, index, *, k, sorted=True):
    _sort(call, x, y, index, k, True)


def put(call, index, dy, dx, *, extent):
    call(zero, dx.flat())
    rows = dx.view((prod(dx.shape[:-1]), extent))
    call(put_elements, index.flat(), dy.flat(), dy.shape[-1], rows)


def searchsorted(call, row, values, out, *, side="left"):
    call(search_elements, row, values.flat(), int(side == "right"), out.flat())
