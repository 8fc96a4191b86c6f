"""How columns of x (N, C) are summed: a block has a strip of COLUMNS neighbouring columns, LINES
rows at a time, of all rows or of a chunk of them.

Up to ONE_LAUNCH_ROWS rows there is one chunk. Of more rows there are too few strips to fill a GPU:
then a second kernel joins what the chunks found, in their order. Of n rows of N with mean a and sum
of squares s about it, whether a thread's or a chunk's, all have

    mean = sum of n a / N        squares = sum of (s + n (a - mean)^2)
"""

from ..declare import T, helper, kernel
from ..intrinsics import fma
from ..scalar.normalize import add_products_and_sums
from .grid import block_index, flat, natural, shared_array, thread_index
from .reductions import COLUMN_PARTIAL, COLUMN_THREADS, COLUMNS, LINES, column_sum

STRIPS = [("C", COLUMNS)]
STRIPS_OF_CHUNKS = [("C", COLUMNS), ("P", 1)]
# Above it 64 blocks (512 columns) would take longer than two more launches; an estimate: a thread
# then has 64 rows, four at a time, so it waits for memory 16 times.
ONE_LAUNCH_ROWS = 2048
CHUNK_MIN_ROWS = 4 * LINES  # four rows to a thread
CHUNK_BLOCKS = 2048  # of all strips and chunks: what a large GPU runs at a time, twice


def rows_of_chunk(rows, columns):
    """Rows of a chunk, a multiple of LINES. It depends on the shape alone, and so do the bits of
    sums."""
    if rows <= ONE_LAUNCH_ROWS:
        return max(rows, 1)
    lines_of_strips = -(-rows // LINES) * -(-columns // COLUMNS)
    return max(CHUNK_MIN_ROWS, -(-lines_of_strips // CHUNK_BLOCKS) * LINES)


def chunks_of(x):
    """(P, C) for the chunks of x (N, C), and how many rows each has. There is one of no rows."""
    rows, columns = x.shape
    chunk = rows_of_chunk(rows, columns)
    return (max(1, -(-rows // chunk)), columns), chunk


@helper
def column_of_thread(columns):
    """This thread's column, and whether there is one. Threads beyond the last column work on it
    too, as all must reach the barriers, and write nothing."""
    column = block_index() * COLUMNS + thread_index() % COLUMNS
    return natural(min(column, columns - 1)), column < columns


@helper
def line_of_thread():
    """Which line of its block this thread is: it has the rows of a multiple of LINES after it."""
    return thread_index() // COLUMNS


@helper
def places_of_thread(columns, j, start, stop):
    """Where, in the elements of (N, columns), this thread's rows of column j are, of those from
    `start` to `stop`: the first place, where they end, and how far apart they are."""
    first = (natural(start) + line_of_thread()) * columns + j
    return natural(first), stop * columns, LINES * columns


@helper
def statistics(x, first, start, stop, step):
    """Of x - first at the places start, start + step, ... before stop: their number, mean, and sum
    of squares about it. As kernels/cpu/normalization.py has it, by groups of four."""
    count, offset, squares, i = T(0), T(0), T(0), start
    while i + 3 * step < stop:
        base = x[i]
        b, c, d = x[i + step] - base, x[i + 2 * step] - base, x[i + 3 * step] - base
        total = (b + c) + d
        mean = total * T(0.25)
        base_squares = fma(b, b, fma(c, c, d * d))
        delta = ((base - first) - offset) + mean
        new_fraction = T(4) / (count + T(4))
        squares += fma(delta * delta, count * new_fraction, fma(-total, mean, base_squares))
        offset = fma(delta, new_fraction, offset)
        count += T(4)
        i += 4 * step
    while i < stop:
        new_fraction = T(1) / (count + T(1))
        delta = (x[i] - first) - offset
        squares = fma(delta * delta, count * new_fraction, squares)
        offset = fma(delta, new_fraction, offset)
        count += T(1)
        i += step
    return count, offset, squares


@helper
def joined(count, offset, squares, rows, partial):
    """The mean of all threads of a column and the sum of squares about it, from their own."""
    mean = column_sum(count * offset, partial) / rows
    delta = offset - mean
    return mean, column_sum(fma(delta * delta, count, squares), partial)


@helper
def gradient_sums(x, mean, dy, start, stop, step, partial):
    """The sums of dy (x - mean) and of dy over the block's rows of a column, of which this thread
    has the places start, start + step, ... before stop."""
    products, sums, i = T(0), T(0), start
    while i + 3 * step < stop:  # the loads of four rows go on at the same time
        j, k, m = i + step, i + 2 * step, i + 3 * step
        products, sums = add_products_and_sums(x[i], mean, dy[i], products, sums)
        products, sums = add_products_and_sums(x[j], mean, dy[j], products, sums)
        products, sums = add_products_and_sums(x[k], mean, dy[k], products, sums)
        products, sums = add_products_and_sums(x[m], mean, dy[m], products, sums)
        i += 4 * step
    while i < stop:
        products, sums = add_products_and_sums(x[i], mean, dy[i], products, sums)
        i += step
    return column_sum(products, partial), column_sum(sums, partial)


@helper
def sum_of_chunks(sums, j, partial):
    """The sum of sums[p, j] over p, known to all threads of the column."""
    (place, end, step), total = places_of_thread(sums.shape[1], j, 0, sums.shape[0]), T(0)
    sums = flat(sums)
    while place < end:
        total += sums[place]
        place += step
    return column_sum(total, partial)


@kernel(
    threads=COLUMN_THREADS,
    split=STRIPS,
    dgammas="T[P, C]",
    dbetas="T[P, C]",
    dgamma="out T[C]",
    dbeta="out T[C]",
)
def join_chunks(dgammas, dbetas, dgamma, dbeta):
    """dgamma and dbeta, the sums of those of the chunks."""
    partial = shared_array(T(0), COLUMN_PARTIAL)
    j, is_inside = column_of_thread(dgamma.size)
    of_gamma, of_beta = sum_of_chunks(dgammas, j, partial), sum_of_chunks(dbetas, j, partial)
    if is_inside and line_of_thread() == 0:
        dgamma[j], dbeta[j] = of_gamma, of_beta


# ---- for launchers


def sums_by_chunks(call, x, dgamma, dbeta, sum_chunks):
    """dgamma and dbeta by `sum_chunks(chunk, dgammas, dbetas)`, a call for the chunks of x's
    rows."""
    partial, chunk = chunks_of(x)
    if partial[0] == 1:
        sum_chunks(chunk, dgamma.view(partial), dbeta.view(partial))
        return
    chunks = call.scratch(partial, x.dtype), call.scratch(partial, x.dtype)
    sum_chunks(chunk, *chunks)
    call(join_chunks, *chunks, dgamma, dbeta)
