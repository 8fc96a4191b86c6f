"""Rows in order, the largest of each, and where numbers stand among others.

    sort            y[a, r] in ascending order, x[a, index[a, r]] = y[a, r]; equals as they stood
    put             dx[a, index[a, r]] = dy[a, r], 0 elsewhere: the gradient
    searchsorted    how many of a row are less than a value, or at most

NaN stands behind all others. Short rows are sorted by merging: runs of RUN elements are put in
order by insertion, then runs are merged two by two, until one is left; long ones by radix. Equal
elements keep their order. A thread sorts whole rows.
"""

from math import prod

import numpy as np

from ..declare import ANY, FLOATS, T, by_dtype, helper, kernel
from ..intrinsics import bits_of, stack_array
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


@helper
def key_of_float_32(x):
    """An int64 in whose order floats stand: the bits of negative ones are turned round, -0.0 is
    0.0, NaN is above all."""
    bits = np.int64(bits_of(x + T(0)))
    return bits ^ ((bits >> 63) & 0x7FFFFFFF) if x == x else 0x7FFFFFFF


@helper
def key_of_float_64(x):
    bits = np.int64(bits_of(x + T(0)))
    return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF) if x == x else 0x7FFFFFFFFFFFFFFF


@helper
def key_of_integer(x):
    return np.int64(x)


key_of_float = by_dtype(key_of_float_32, key_of_float_64)


def radix_sort_by(key, name, dtypes):
    """The kernel that sorts long rows by radix: byte by byte of the keys, the lowest first, each
    into the places that a histogram of the byte gives. Bytes that all keys share are left out."""

    @kernel(
        split=[("A", 1)],
        dtypes=dtypes,
        name=name,
        x="T[A, R]",
        n_bytes="int",
        is_signed="int",
        descending="int",
        y="out T[A, R]",
        index="out i8[A, R]",
        keys="out i8[A, R]",
        other_keys="out i8[A, R]",
        other_index="out i8[A, R]",
    )
    def radix_sort(
        x, n_bytes, is_signed, descending, y, index, keys, other_keys, other_index, start, stop
    ):
        size = x.shape[1]
        places = stack_array(size, 256)
        for a in range(start, stop):
            own_keys, own_index, to_keys, to_index = (
                keys[a],
                index[a],
                other_keys[a],
                other_index[a],
            )
            for r in range(size):
                own_keys[r], own_index[r] = key(x[a, r]), r
            moved = 0
            for n in range(n_bytes):
                # in descending order a byte counts from above; the sign is in the last one
                turn = 255 if descending != 0 else 0
                if n == n_bytes - 1 and is_signed != 0:
                    turn ^= 128
                for d in range(256):
                    places[d] = 0
                for r in range(size):
                    places[((own_keys[r] >> (8 * n)) & 255) ^ turn] += 1
                if places[((own_keys[0] >> (8 * n)) & 255) ^ turn] == size:
                    continue
                before = 0
                for d in range(256):
                    count = places[d]
                    places[d] = before
                    before += count
                for r in range(size):
                    d = ((own_keys[r] >> (8 * n)) & 255) ^ turn
                    place = places[d]
                    places[d] = place + 1
                    to_keys[place], to_index[place] = own_keys[r], own_index[r]
                own_keys, to_keys = to_keys, own_keys
                own_index, to_index = to_index, own_index
                moved += 1
            if moved % 2 == 1:
                for r in range(size):
                    index[a, r] = own_index[r]
            for r in range(size):
                y[a, r] = x[a, index[a, r]]

    return radix_sort


radix_sort_floats = radix_sort_by(key_of_float, "radix_sort_floats", FLOATS)
radix_sort_integers = radix_sort_by(key_of_integer, "radix_sort_integers", ANY[len(FLOATS) :])


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
# Rows of at least so many elements are sorted by radix, which took 34 ns for each of 1,000 float32
# where merging took 220 (Xeon); below, histograms of 256 places for each byte take longer.
RADIX_MIN_COLUMNS = 48


def _rows(x):
    return x.view((prod(x.shape[:-1]), x.shape[-1]))


def _sort(call, x, y, index, descending):
    x, y, index = _rows(x), _rows(y), _rows(index)
    other_index = call.scratch(x.shape, index.dtype)
    if x.shape[1] < RADIX_MIN_COLUMNS:
        other = call.scratch(x.shape, y.dtype)
        call(sort_rows, x, int(descending), y, index, other, other_index)
        return
    kind, keys = x.dtype.kind, [call.scratch(x.shape, index.dtype) for _ in range(2)]
    kernel = radix_sort_floats if kind == "f" else radix_sort_integers
    given = x.dtype.itemsize, int(kind in "fi"), int(descending)
    call(kernel, x, *given, y, index, *keys, other_index)


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
