"""Sums over dimensions, and their gradients. Any axes are a few of these: neighbouring summed
dimensions are one.

Sums go eight rows or one vector register at a time and in an order that depends on the shape alone.
"""

from ..declare import ANY, T, helper, kernel
from ..intrinsics import stack_array
from .simd.rows import clear, row_copy_past_caches, row_sum
from .threads import FLAT

# Sums over many rows are made of chunks of them: at most so many, of so many rows at least.
SUM_MAX_CHUNKS, SUM_CHUNK_MIN_ROWS = 64, 32


def rows_of_chunk(rows):
    """Rows of which sums are taken together, in eights, as kernels take them."""
    return max(SUM_CHUNK_MIN_ROWS, -(-rows // (8 * SUM_MAX_CHUNKS)) * 8)


def chunks_of(shape):
    """The shape of the sums of (N, C)'s chunks of rows, a row a chunk."""
    return (-(-shape[0] // rows_of_chunk(shape[0])), shape[1])


def sum_of_chunks(call, chunks, out, accumulate=False):
    """The call that joins them: out (C,) = their sum, or out += that."""
    joined = chunks.view((1, *chunks.shape)), 1.0, int(accumulate), out.view((1, *out.shape))
    call(sum_middle, *joined)


@kernel(split=[("A", 4)], x="T[A, R]", scale="float", accumulate="int", out="inout T[A]")
def sum_last(x, scale, accumulate, out, start, stop):
    """out = scale * sum of each row, or out += that."""
    for a in range(stop - start):
        total = row_sum(x[start + a]) * T(scale)
        out[start + a] = total + out[start + a] if accumulate != 0 else total


@helper
def add_rows(x, total):
    """total[j] += sum over rows of x[i, j], in groups of eight: less memory traffic and less
    rounding than one by one."""
    rows = x.shape[0]
    for i in range(0, rows - 7, 8):
        a, b, c, d, e, f, g, h = (
            x[i],
            x[i + 1],
            x[i + 2],
            x[i + 3],
            x[i + 4],
            x[i + 5],
            x[i + 6],
            x[i + 7],
        )
        for j in range(total.size):
            total[j] += ((a[j] + b[j]) + (c[j] + d[j])) + ((e[j] + f[j]) + (g[j] + h[j]))
    for i in range(rows // 8 * 8, rows):
        row = x[i]
        for j in range(total.size):
            total[j] += row[j]


@kernel(
    split=[("A", 1), ("B", FLAT)],
    x="T[A, R, B]",
    scale="float",
    accumulate="int",
    out="inout T[A, B]",
)
def sum_middle(x, scale, accumulate, out, row_start, row_stop, col_start, col_stop):
    """out[a, b] = scale * sum over r of x[a, r, b], or out += that."""
    strip = stack_array(T(0), FLAT)
    for a in range(row_stop - row_start):
        rows, total = (
            x[row_start + a, :, col_start:col_stop],
            out[row_start + a, col_start:col_stop],
        )
        if accumulate != 0 and scale != 1.0:  # what is added to is not scaled
            for begin in range(0, total.size, FLAT):
                own, part = total[begin : begin + FLAT], strip[: min(FLAT, total.size - begin)]
                clear(part)
                add_rows(rows[:, begin : begin + FLAT], part)
                for j in range(own.size):
                    own[j] += part[j] * T(scale)
            continue
        if accumulate == 0:
            clear(total)
        add_rows(rows, total)
        if scale != 1.0:
            for j in range(total.size):
                total[j] *= T(scale)


@kernel(split=[("A", 1), ("R", 1)], dy="T[A, B]", scale="float", dx="out T[A, R, B]")
def spread(dy, scale, dx, row_start, row_stop, col_start, col_stop):
    """The gradient of a sum: dx[a, r, b] = scale * dy[a, b]."""
    for a in range(row_stop - row_start):
        source, block = dy[row_start + a], dx[row_start + a, col_start:col_stop]
        if source.size == 1:
            value = source[0] * T(scale)
            for r in range(block.shape[0]):
                block[r, 0] = value
        else:
            for r in range(block.shape[0]):
                row = block[r]
                for j in range(row.size):
                    row[j] = source[j] * T(scale)


@kernel(split=[("n", FLAT)], x="T[n]", y="inout T[n]")
def add_to(x, y, start, stop):
    """y += x: a second gradient for the same variable."""
    x, y = x[start:stop], y[start:stop]
    for i in range(y.size):
        y[i] += x[i]


@kernel(split=[("n", FLAT)], dtypes=ANY, x="T[n]", y="out T[n]")
def copy(x, y, start, stop):
    """y = x."""
    x, y = x[start:stop], y[start:stop]
    for i in range(y.size):
        y[i] = x[i]


@kernel(split=[("n", FLAT)], x="T[n]", y="out T[n]")
def copy_past_caches(x, y, start, stop):
    """y = x: of a tile in the nearest cache, into memory."""
    row_copy_past_caches(x[start:stop], y[start:stop])


@kernel(split=[("P", 1)], x="T[n]", chunk="int", partial="out T[P]")
def sum_chunks(x, chunk, partial, start, stop):
    """partial[p] = the sum of chunk number p: the first half of a sum of everything."""
    for p in range(start, stop):
        partial[p] = row_sum(x[p * chunk : min((p + 1) * chunk, x.size)])


@kernel(split=[("P", 1)], x="T[R, B]", chunk="int", partial="out T[P, B]")
def sum_row_chunks(x, chunk, partial, start, stop):
    """partial[p] = the sum of chunk number p of the rows: the first half of a sum of many, so that
    each thread reads whole rows."""
    for p in range(start, stop):
        total = partial[p]
        clear(total)
        add_rows(x[p * chunk : min((p + 1) * chunk, x.shape[0])], total)
