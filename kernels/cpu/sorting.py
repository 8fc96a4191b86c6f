"""Rows in order, the largest of each, and where numbers stand among others.

    sort            y[a, r] in ascending order, x[a, index[a, r]] = y[a, r]; equals as they stood
    put             dx[a, index[a, r]] = dy[a, r], 0 elsewhere: the gradient
    searchsorted    how many of a row are less than a value, or at most

NaN stands behind all others. Sorting is by merging: runs of RUN elements are put in order by
insertion, then runs are merged two by two, until one is left; equal elements keep their order. A
thread sorts whole rows.
"""

from math import prod

from ..declare import ANY, helper, kernel
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .simd.rows import clear
from .threads import ELEMENT_GRAIN

RUN = 16


@helper
def stands_before(x, y):
    """Whether x comes before y, for another reason than where they stood."""
    return x < y or (y != y and x == x)


@helper
def insert_run(x, index, start, stop):
    """Elements start to stop in order, by insertion."""
    for i in range(start + 1, stop):
        value, place, j = x[i], index[i], i
        while j > start and stands_before(value, x[j - 1]):
            x[j], index[j] = x[j - 1], index[j - 1]
            j -= 1
        x[j], index[j] = value, place


@helper
def merge_runs(x, index, start, middle, stop, y, y_index):
    """y = the runs x[start : middle] and x[middle : stop], merged."""
    i, j = start, middle
    for k in range(start, stop):
        if j >= stop or (i < middle and not stands_before(x[j], x[i])):
            y[k], y_index[k] = x[i], index[i]
            i += 1
        else:
            y[k], y_index[k] = x[j], index[j]
            j += 1


@helper
def merge_all(x, index, run, y, y_index):
    for start in range(0, x.size, 2 * run):
        middle, stop = min(start + run, x.size), min(start + 2 * run, x.size)
        if middle == stop or not stands_before(x[middle], x[middle - 1]):  # in order already
            for k in range(start, stop):
                y[k], y_index[k] = x[k], index[k]
        else:
            merge_runs(x, index, start, middle, stop, y, y_index)


@kernel(
    split=[("A", 1)],
    dtypes=ANY,
    x="T[A, R]",
    descending="int",
    y="out T[A, R]",
    index="out i8[A, R]",
    other="out T[A, R]",
    other_index="out i8[A, R]",
)
def sort_rows(x, descending, y, index, other, other_index, start, stop):
    """Each row in ascending order, or in descending, in which NaN is first; `other` is scratch."""
    for a in range(start, stop):
        values, places, size = y[a], index[a], x.shape[1]
        for r in range(size):
            # descending is ascending from the back: what stood last of equals is first then
            from_place = size - 1 - r if descending != 0 else r
            values[r], places[r] = x[a, from_place], from_place
        for run_start in range(0, size, RUN):
            insert_run(values, places, run_start, min(run_start + RUN, size))
        run, in_other = RUN, False
        while run < size:
            if in_other:
                merge_all(other[a], other_index[a], run, values, places)
            else:
                merge_all(values, places, run, other[a], other_index[a])
            in_other = not in_other
            run *= 2
        if in_other:
            for r in range(size):
                values[r], places[r] = other[a, r], other_index[a, r]
        if descending != 0:
            for r in range(size // 2):
                last = size - 1 - r
                values[r], values[last] = values[last], values[r]
                places[r], places[last] = places[last], places[r]


@kernel(split=[("A", 1)], dtypes=ANY, x="T[A, R]", k="int", y="out T[A, K]", index="out i8[A, K]")
def largest_rows(x, k, y, index, start, stop):
    """The k largest of each row, the largest first, NaN before all; of equals the first. For a
    small k: a row is gone through once, what is larger than the last of those found is inserted."""
    for a in range(start, stop):
        values, places, found = y[a], index[a], 0
        for r in range(x.shape[1]):
            value = x[a, r]
            if found == k and not stands_before(values[k - 1], value):
                continue
            j = found if found < k else k - 1
            found = min(found + 1, k)
            while j > 0 and stands_before(values[j - 1], value):
                values[j], places[j] = values[j - 1], places[j - 1]
                j -= 1
            values[j], places[j] = value, r


@kernel(
    split=[("A", 1)],
    dtypes=ANY,
    y="T[A, R]",
    index="i8[A, R]",
    k="int",
    out="out T[A, K]",
    out_index="out i8[A, K]",
)
def first_columns(y, index, k, out, out_index, start, stop):
    for a in range(start, stop):
        for r in range(k):
            out[a, r], out_index[a, r] = y[a, r], index[a, r]


@kernel(split=[("A", 1)], index="i8[A, K]", dy="T[A, K]", dx="out T[A, R]")
def put_rows(index, dy, dx, start, stop):
    """dx[a, index[a, k]] = dy[a, k], and 0 where no index points; each points elsewhere."""
    status = 0
    for a in range(start, stop):
        clear(dx[a])
        for k in range(dy.shape[1]):
            place = index[a, k]
            if 0 <= place < dx.shape[1]:
                dx[a, place] = dy[a, k]
            else:
                status = lowest_place(status, INDEX_OUT_OF_RANGE, a)
    return status


@kernel(
    split=[("n", ELEMENT_GRAIN)],
    dtypes=ANY,
    row="T[R]",
    values="T[n]",
    right="int",
    out="out i8[n]",
)
def search_elements(row, values, right, out, start, stop):
    """out = how many of an ascending row stand before the value, or, if `right`, are not behind
    it."""
    for i in range(start, stop):
        value, low, high = values[i], 0, row.size
        while low < high:
            middle = (low + high) // 2
            if right != 0:
                is_before = not stands_before(value, row[middle])
            else:
                is_before = stands_before(row[middle], value)
            if is_before:
                low = middle + 1
            else:
                high = middle
        out[i] = low


# ---- launchers: of x (..., R), along the last dimension

# So many of the largest at most are found without sorting.
FEW_LARGEST = 32


def _rows(x):
    return x.view((prod(x.shape[:-1]), x.shape[-1]))


def _sort(call, x, y, index, descending):
    x, y, index = _rows(x), _rows(y), _rows(index)
    other, other_index = call.scratch(x.shape, y.dtype), call.scratch(x.shape, index.dtype)
    call(sort_rows, x, int(descending), y, index, other, other_index)


def sort(call, x, y, index):
    _sort(call, x, y, index, False)


def top_k(call, x, y, index, *, k, sorted=True):
    if k == 0:
        return
    if k <= FEW_LARGEST:
        call(largest_rows, _rows(x), k, _rows(y), _rows(index))
        return
    all_y, all_index = call.scratch(x.shape, y.dtype), call.scratch(x.shape, index.dtype)
    _sort(call, x, all_y, all_index, True)
    call(first_columns, _rows(all_y), _rows(all_index), k, _rows(y), _rows(index))


def put(call, index, dy, dx, *, extent):
    call(put_rows, _rows(index), _rows(dy), _rows(dx))


def searchsorted(call, row, values, out, *, side="left"):
    call(search_elements, row, values.flat(), int(side == "right"), out.flat())
