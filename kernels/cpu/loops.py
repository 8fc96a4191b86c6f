"""Kernels made of a scalar function and a loop.

Loops run from 0 over slices: a loop from a run-time start keeps the test for a negative index in
its body, does not vectorise and was measured five to ten times slower. No fast-math flag is set:
`contract` merges one operation's multiply with the next one's add, and a chain of kernels would
then give other bits than the same chain in one loop.
"""

from functools import cache

from ..declare import FLOATS, T, helper, kernel
from ..intrinsics import flat, stack_array
from .reduce import add_rows, chunks_of, rows_of_chunk, sum_of_chunks
from .simd.rows import clear, row_copy_past_caches
from .threads import FLAT, TILE, columns_past_caches, together

# Fewer elements are summed sooner by columns than in chunks of rows.
COLUMN_SUMS_MIN_ELEMENTS = 1 << 13
# a formula's attributes, of which it may have fewer
NUMBERS = {"first": "float", "second": "float", "third": "float"}


@cache
def unary(function):
    """y = function(x)."""

    @kernel(split=[("n", FLAT)], name=function.name, x="T[n]", y="out T[n]")
    def pointwise(x, y, start, stop):
        x, y = x[start:stop], y[start:stop]
        for i in range(x.size):
            y[i] = function(x[i])

    return pointwise


# from each type to which others
CASTS = {"f4": ("f8",), "f8": ("f4",), "i8": FLOATS, "b1": ("f4", "f8", "i8")}


@cache
def cast_from(letter):
    """y = x, of another element type."""

    @kernel(
        split=[("n", FLAT)],
        dtypes=CASTS[letter],
        name=f"cast_from_{letter}",
        x=f"{letter}[n]",
        y="out T[n]",
    )
    def pointwise(x, y, start, stop):
        x, y = x[start:stop], y[start:stop]
        for i in range(x.size):
            y[i] = T(x[i])

    return pointwise


@cache
def unary_by(function, numbers):
    """y = function(x, first, ...), with so many of NUMBERS."""

    @kernel(split=[("n", FLAT)], name=f"{function.name}_by", x="T[n]", **NUMBERS, y="out T[n]")
    def pointwise(x, first, second, third, y, start, stop):
        x, y, attributes = x[start:stop], y[start:stop], (first, second, third)[:numbers]
        for i in range(x.size):
            y[i] = function(x[i], *attributes)

    return pointwise


@cache
def unary_gradient(derivative):
    """dx = derivative(saved, dy); saved is the function's input or its output."""

    @kernel(split=[("n", FLAT)], name=derivative.name, saved="T[n]", dy="T[n]", dx="out T[n]")
    def pointwise(saved, dy, dx, start, stop):
        saved, dy, dx = saved[start:stop], dy[start:stop], dx[start:stop]
        for i in range(saved.size):
            dx[i] = derivative(saved[i], dy[i])

    return pointwise


@cache
def unary_gradient_by(derivative, numbers):
    """dx = derivative(saved, dy, first, ...)."""

    @kernel(
        split=[("n", FLAT)],
        name=f"{derivative.name}_by",
        saved="T[n]",
        dy="T[n]",
        **NUMBERS,
        dx="out T[n]",
    )
    def pointwise(saved, dy, first, second, third, dx, start, stop):
        saved, dy, dx, attributes = (
            saved[start:stop],
            dy[start:stop],
            dx[start:stop],
            (first, second, third)[:numbers],
        )
        for i in range(saved.size):
            dx[i] = derivative(saved[i], dy[i], *attributes)

    return pointwise


@cache
def unary_gradient_and_sums(derivative):
    """dx = derivative(y, dy), and the sums of its columns, or sums += them: what a layer needs of
    its activation, y, and the gradient of its bias. Of few elements, that stay in the nearest
    cache."""

    @helper
    def strip(y, dy, dx, sums):
        """FLAT columns, their sums in registers: a third of the time of two passes, if rows are
        short. Of longer ones each strip would lie on other pages."""
        total = stack_array(T(0), FLAT)
        for j in range(FLAT):
            total[j] = sums[j]
        for i in range(y.shape[0]):
            y_row, dy_row, dx_row = y[i, :FLAT], dy[i, :FLAT], dx[i, :FLAT]
            for j in range(FLAT):
                value = derivative(y_row[j], dy_row[j])
                dx_row[j] = value
                total[j] += value
        for j in range(FLAT):
            sums[j] = total[j]

    @helper
    def row(y, dy, dx):
        for j in range(dx.size):
            dx[j] = derivative(y[j], dy[j])

    @kernel(
        split=[("C", FLAT)],
        name=f"{derivative.name}_and_sums",
        y="T[N, C]",
        dy="T[N, C]",
        accumulate="int",
        dx="out T[N, C]",
        sums="inout T[C]",
    )
    def gradient_and_sums(y, dy, accumulate, dx, sums, start, stop):
        rows, columns = y.shape
        own = sums[start:stop]
        if accumulate == 0:
            clear(own)
        if columns == FLAT and stop == FLAT:
            strip(y, dy, dx, sums)
            return
        if stop - start == columns:  # whole rows are one
            row(flat(y), flat(dy), flat(dx))
        else:
            for i in range(rows):
                row(y[i, start:stop], dy[i, start:stop], dx[i, start:stop])
        add_rows(dx[:, start:stop], own)

    return gradient_and_sums


@cache
def unary_gradient_and_chunk_sums(derivative):
    """The same of many elements, with the sums of each `chunk` rows: threads share out rows, as the
    products around it do."""

    @helper
    def row(y, dy, dx, sums):
        for j in range(dx.size):
            value = derivative(y[j], dy[j])
            dx[j] = value
            sums[j] += value

    @helper
    def rows_past_caches(y, dy, dx, sums):
        """Rows of a large array, as in share.py."""
        tile = stack_array(T(0), TILE)
        for i in range(y.shape[0]):
            for begin in range(0, sums.size, TILE):
                end = min(begin + TILE, sums.size)
                part, above, total = y[i, begin:end], dy[i, begin:end], sums[begin:end]
                for j in range(total.size):
                    tile[j] = derivative(part[j], above[j])
                    total[j] += tile[j]
                row_copy_past_caches(tile[: total.size], dx[i, begin:end])

    @helper
    def two_rows(y, dy, dx, sums):
        a, b, da, db, p, q = y[0], y[1], dy[0], dy[1], dx[0], dx[1]
        for j in range(sums.size):
            p[j], q[j] = derivative(a[j], da[j]), derivative(b[j], db[j])
            sums[j] += p[j] + q[j]

    @kernel(
        split=[("P", 1)],
        name=f"{derivative.name}_and_chunk_sums",
        y="T[N, C]",
        dy="T[N, C]",
        chunk="int",
        dx="out T[N, C]",
        sums="out T[P, C]",
    )
    def gradient_and_sums(y, dy, chunk, dx, sums, start, stop):
        for p in range(start, stop):
            own, first, last = sums[p], p * chunk, min((p + 1) * chunk, y.shape[0])
            clear(own)
            if columns_past_caches(dx):
                rows_past_caches(y[first:last], dy[first:last], dx[first:last], own)
                continue
            pairs = together(y, first, last, 2)
            for i in range(first, pairs, 2):
                two_rows(y[i:], dy[i:], dx[i:], own)
            for i in range(pairs, last):
                row(y[i], dy[i], dx[i], own)

    return gradient_and_sums


@cache
def gradient_and_sums(derivative):
    """The launcher of dx = derivative(y, dy), (N, C), and of the sums of its columns, (C,)."""
    of_few = unary_gradient_and_sums(derivative)
    of_chunks = unary_gradient_and_chunk_sums(derivative)

    def launch(call, y, dy, dx, sums, *, accumulate=False):
        rows, columns = dx.shape
        if rows * columns < COLUMN_SUMS_MIN_ELEMENTS:
            call(of_few, y, dy, int(accumulate), dx, sums)
            return
        chunks = call.scratch(chunks_of(dx.shape), dx.dtype)
        call(of_chunks, y, dy, rows_of_chunk(rows), dx, chunks)
        sum_of_chunks(call, chunks, sums, accumulate)

    return launch


# Functions of two arrays broadcast. The result is seen as rows, in each of which an input either
# runs along (step 1) or stands still (step 0); `outer` says where the inputs' rows begin: (extent,
# step of x, step of y) of each outer dimension.


@helper
def row_offsets(outer, row):
    x_offset, y_offset = 0, 0
    for d in range(outer.shape[0] - 1, -1, -1):
        index = row % outer[d, 0]
        row //= outer[d, 0]
        x_offset += index * outer[d, 1]
        y_offset += index * outer[d, 2]
    return x_offset, y_offset


ROWS_OR_COLUMNS = [("R", 1), ("C", FLAT)]
BROADCAST = {"x": "T[X]", "y": "T[Y]", "outer": "i8[D, E]", "x_step": "int", "y_step": "int"}


@cache
def in_one_row(kernel, x_step, y_step):
    """The kernel for a result of one row: inputs that run along with it are touched by a thread's
    own shares only, so threads need not wait for each other between it and a function of one
    array."""
    along = {name: "T[C]" for name, step in (("x", x_step), ("y", y_step)) if step == 1}
    return kernel.declared(kernel.name, **along)


@cache
def binary(function, result="T", dtypes=FLOATS):
    """z = function(x, y). A comparison's result is "b1", true or false."""

    @kernel(
        split=ROWS_OR_COLUMNS,
        dtypes=dtypes,
        name=function.name,
        **BROADCAST,
        z=f"out {result}[R, C]",
    )
    def pointwise(x, y, outer, x_step, y_step, z, row_start, row_stop, col_start, col_stop):
        for i in range(row_stop - row_start):
            a, b = row_offsets(outer, row_start + i)
            row = z[row_start + i, col_start:col_stop]
            if x_step == 0:
                value, y_row = x[a], y[b + col_start : b + col_stop]
                for j in range(row.size):
                    row[j] = function(value, y_row[j])
            elif y_step == 0:
                x_row, value = x[a + col_start : a + col_stop], y[b]
                for j in range(row.size):
                    row[j] = function(x_row[j], value)
            else:
                x_row, y_row = x[a + col_start : a + col_stop], y[b + col_start : b + col_stop]
                for j in range(row.size):
                    row[j] = function(x_row[j], y_row[j])

    return pointwise


@cache
def binary_gradient(derivative):
    """out = derivative(x, y, dz), in the shape of dz; what was broadcast is summed afterwards."""

    @kernel(
        split=ROWS_OR_COLUMNS, name=derivative.name, **BROADCAST, dz="T[R, C]", out="out T[R, C]"
    )
    def pointwise(x, y, outer, x_step, y_step, dz, out, row_start, row_stop, col_start, col_stop):
        for i in range(row_stop - row_start):
            a, b = row_offsets(outer, row_start + i)
            row, dz_row = (
                out[row_start + i, col_start:col_stop],
                dz[row_start + i, col_start:col_stop],
            )
            if x_step == 0:
                value, y_row = x[a], y[b + col_start : b + col_stop]
                for j in range(row.size):
                    row[j] = derivative(value, y_row[j], dz_row[j])
            elif y_step == 0:
                x_row, value = x[a + col_start : a + col_stop], y[b]
                for j in range(row.size):
                    row[j] = derivative(x_row[j], value, dz_row[j])
            else:
                x_row, y_row = x[a + col_start : a + col_stop], y[b + col_start : b + col_stop]
                for j in range(row.size):
                    row[j] = derivative(x_row[j], y_row[j], dz_row[j])

    return pointwise
