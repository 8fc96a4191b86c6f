"""The tiled product: the loops around the micro-kernel.

    C = max(clamp_min, A B + initial)     C (M, N), A (M, K), B (K, N), either stored transposed
    C = activation(A B + initial)

    grid      a block makes a tile of C
    stages    K goes by in stages, of a tile of A and one of B in shared memory: while one is
              multiplied the next are copied, by cp.async: no thread waits, no register is used
    thread    the micro-kernel adds a stage's products to a micro-tile of C in registers

What a tile has outside of A or B is zero, so the inner loop tests nothing. Rows that do not begin
at multiples of 16 bytes are copied element by element.

K is not split: an element is one chain of multiply-adds in the order of K, whatever the tile. So a
result depends neither on the tile nor on how many rows are made with it, and has the bits of the
CPU's blocked product. With the smallest tile each multiprocessor has work even of 128 x 512. What
is left then is the latency of a multiply-add: 4 cycles times K, 1.8 us for 784 at 1.75 GHz. Cut
into four quarters, which would cost the equal bits, K would take 0.5 (both estimated).
"""

from functools import cache

from ..declare import T, by_dtype, helper, kernel
from ..intrinsics import flat, stack_array
from .gemm_microkernel import (
    by_vector,
    multiply_of,
    next_row_of,
    place_in_c,
    repeat_row_of,
    row_or_column,
)
from .grid import (
    VECTOR,
    afresh,
    barrier,
    block_index,
    block_index_y,
    commit_copies,
    copy_one,
    copy_vector,
    is_vectorised,
    load_vector,
    natural,
    shared_array,
    store_vector,
    thread_index,
    wait_for_copies,
)


def copy_of(operand, threads):
    """The helper that begins to copy a stage's tile of an operand to shared memory."""
    k_major, own_threads, place = operand.k_major, operand.threads, row_or_column(operand)
    vectors, pitch = by_vector(operand.vectors), by_vector(operand.pitch)
    turns = operand.extent * operand.depth // threads
    lines = by_vector(lambda vector: threads // operand.vectors(vector))  # of a turn

    @helper
    def copy_tile(x, start, k, target, begin):
        """target[begin:] = x from row or column `start` of C and step k on."""
        rows, columns, elements = x.shape[0], x.shape[1], flat(x)
        line, offset = thread_index() // vectors, thread_index() % vectors * VECTOR
        at_once, to, turn = is_vectorised(x, columns), begin + line * pitch + offset, 0
        while turn < turns:
            if k_major:  # lines in the order in which threads read them
                i, j = start + place(line % own_threads, line // own_threads), k + offset
            else:
                i, j = k + line, start + offset
            source, count = i * columns + j, columns - j if i < rows else 0
            if at_once:
                copy_vector(target, to, elements, source, min(max(count, 0), VECTOR))
            else:
                for e in range(VECTOR):
                    copy_one(target, to + e, elements, source + e, 1 if e < count else 0)
            line, to, turn = line + lines, to + lines * pitch, turn + 1

    return copy_tile


@cache
def add_products_of(tile, transpose_a, transpose_b):
    """The helper: sums = A B + initial, a thread's micro-tile of C, of which the block has tile
    (x, y)."""
    a_operand, b_operand = tile.operands(transpose_a, transpose_b)
    copy_a, copy_b = copy_of(a_operand, tile.threads), copy_of(b_operand, tile.threads)
    place_of, start_sums = (
        place_in_c(tile),
        start_of(tile, row_or_column(a_operand), row_or_column(b_operand)),
    )
    multiply = multiply_of(tile, a_operand, b_operand)
    a_start, b_start = by_vector(a_operand.start), by_vector(b_operand.start)
    a_step, b_step = by_vector(a_operand.step), by_vector(b_operand.step)
    a_size, b_size = by_vector(a_operand.size), by_vector(b_operand.size)
    a_memory = by_vector(lambda vector: tile.stages * a_operand.size(vector))
    b_memory = by_vector(lambda vector: tile.stages * b_operand.size(vector))
    steps = by_vector(lambda vector: tile.depth * vector)
    stages, ahead, others_under_way = tile.stages, tile.stages - 1, tile.stages - 2
    unroll, turns, k_axis = tile.unroll, tile.depth // tile.unroll, 0 if transpose_a else 1

    @helper
    def add_products(sums, a, b, bias, accumulate, c, x, y):
        row, col, down, across = place_of(thread_index(), x, y)
        a_tiles, b_tiles = shared_array(T(0), a_memory), shared_array(T(0), b_memory)
        depth, put, get, k = a.shape[k_axis], 0, 0, 0
        while put < ahead:
            if put * steps < depth:
                copy_a(a, row, put * steps, a_tiles, put * a_size)
                copy_b(b, col, put * steps, b_tiles, put * b_size)
            commit_copies()
            put += 1
        start_sums(sums, bias, accumulate, c, row, col, down, across)
        while k < depth:
            wait_for_copies(others_under_way)
            barrier()  # all see this stage, and nobody reads the one before any more
            if k + ahead * steps < depth:
                copy_a(a, row, k + ahead * steps, a_tiles, put * a_size)
                copy_b(b, col, k + ahead * steps, b_tiles, put * b_size)
            commit_copies()
            a_at, b_at, turn = get * a_size + down * a_start, get * b_size + across * b_start, 0
            while turn < turns:
                multiply(sums, a_tiles, a_at, b_tiles, b_at)
                a_at, b_at, turn = a_at + unroll * a_step, b_at + unroll * b_step, turn + 1
            k, put, get = k + steps, get, get + 1 if get + 1 < stages else 0

    return add_products


def start_of(tile, row_place, col_place):
    """The helper: sums = C, the bias, or zero where there is none."""
    next_row, repeat_row = next_row_of(tile), repeat_row_of(tile)
    rows, columns = tile.rows, tile.columns

    @helper
    def start_sums(sums, bias, accumulate, c, row, col, down, across):
        if accumulate == 0:
            start_row(sums, bias, 0, bias.size, bias.size, col, across)
            repeat_row(sums)
            return
        width, i = c.shape[1], 0
        while i < rows:
            line = row + row_place(down, i)
            count = width if line < c.shape[0] else 0
            start_row(sums, flat(c), line * width, count, width, col, across)
            next_row(sums)
            i += 1

    @helper
    def start_row(sums, source, place, count, width, col, across):
        """Of the first `count` elements of a row of `width` that begins at source[place]."""
        at_once, n = is_vectorised(source, width), 0
        while n < columns:
            j = col + col_place(across, n)
            put_vector(sums, n, load_vector(source, place + j, count - j, at_once))
            n += VECTOR

    return start_sums


def finish_of(tile, transpose_a, epilogue):
    """The helper: C = epilogue(sum, other) of a thread's micro-tile, in tile (x, y). `other` is
    what the epilogue takes it for: it is called with vectors of sums, and the place in C where they
    begin."""
    place_of, next_row, rows, columns = place_in_c(tile), next_row_of(tile), tile.rows, tile.columns
    row_place, col_place = (row_or_column(operand) for operand in tile.operands(transpose_a, False))

    @helper
    def finish(sums, other, c, x, y):
        thread, x, y = afresh(thread_index()), afresh(x), afresh(y)
        (row, col, down, across), i = place_of(thread, x, y), 0
        while i < rows:
            line = row + row_place(down, i)
            if line < c.shape[0]:
                finish_vector(sums, 0, other, c, line, col + col_place(across, 0))
                if columns > VECTOR:  # no loop: LLVM may leave one, and then n is a variable
                    j = col + col_place(across, VECTOR)
                    finish_vector(sums, VECTOR, other, c, line, j)
            next_row(sums)
            i += 1

    @helper
    def finish_vector(sums, n, other, c, line, j):
        width = c.shape[1]
        place, count, at_once = line * width + j, width - j, is_vectorised(c, width)
        values = epilogue(vector_at(sums, n), other, place, count)
        store_vector(flat(c), place, values, count, at_once)

    return finish


@helper
def put_vector_32(sums, n, values):
    sums[n], sums[n + 1], sums[n + 2], sums[n + 3] = values


@helper
def put_vector_64(sums, n, values):
    sums[n], sums[n + 1] = values


@helper
def vector_at_32(sums, n):
    return sums[n], sums[n + 1], sums[n + 2], sums[n + 3]


@helper
def vector_at_64(sums, n):
    return sums[n], sums[n + 1]


put_vector = by_dtype(put_vector_32, put_vector_64)
vector_at = by_dtype(vector_at_32, vector_at_64)


def of_vectors(function):
    """The helper: function(x, y) of the elements of two vectors."""

    @helper
    def of_vectors_32(x, y):
        return (
            function(x[0], y[0]),
            function(x[1], y[1]),
            function(x[2], y[2]),
            function(x[3], y[3]),
        )

    @helper
    def of_vectors_64(x, y):
        return function(x[0], y[0]), function(x[1], y[1])

    return by_dtype(of_vectors_32, of_vectors_64)


@helper
def clamp(total, clamp_min):
    return clamp_min if total < clamp_min else total


@helper
def fill_32(x):
    return x, x, x, x


@helper
def fill_64(x):
    return x, x


fill = by_dtype(fill_32, fill_64)


@cache
def gemm(tile, transpose_a, transpose_b, activation=None):
    """The kernel of C = max(clamp_min, A B + bias) or, with accumulate, max(clamp_min, A B + C); or
    of C = activation(A B + bias).

    bias: (N,), or empty for none. clamp_min: -inf, or 0 for a ReLU.
    """
    add_products, sums_count = add_products_of(tile, transpose_a, transpose_b), tile.sums
    finished = of_vectors(clamp if activation is None else activated(activation))

    @helper
    def epilogue(totals, clamp_min, _place, _count):
        return finished(totals, fill(clamp_min))

    finish = finish_of(tile, transpose_a, epilogue)

    @kernel(
        threads=tile.threads,
        resident_blocks=tile.resident_blocks,
        dtypes=tile.dtypes,
        split=tile.split,
        name=tile.kernel_name(transpose_a, transpose_b, activation),
        a="T[P, Q]",
        b="T[R, S]",
        bias="T[B]",
        clamp_min="float",
        accumulate="int",
        c="inout T[M, N]",
    )
    def multiply(a, b, bias, clamp_min, accumulate, c):
        sums = stack_array(T(0), sums_count)
        add_products(sums, a, b, bias, accumulate, c, block_index(), block_index_y())
        finish(sums, T(clamp_min), c, block_index(), block_index_y())

    return multiply


@cache
def batch_gemm(tile, transpose_a, transpose_b):
    """The kernel of C[p] = A[q] B[s], or C[p] += that, of stacks of matrices. Block x has a row of
    `tiles`: p, q, s, and which tile of C[p]'s rows it makes."""
    add_products, sums_count = add_products_of(tile, transpose_a, transpose_b), tile.sums

    @helper
    def epilogue(totals, _other, _place, _count):
        return totals

    finish = finish_of(tile, transpose_a, epilogue)

    @kernel(
        threads=tile.threads,
        resident_blocks=tile.resident_blocks,
        dtypes=tile.dtypes,
        split=[("X", 1), ("N", tile.extents[1])],
        name=f"batch_{tile.kernel_name(transpose_a, transpose_b)}",
        a="T[Q, D, E]",
        b="T[S, F, G]",
        tiles="i8[X, Y]",
        accumulate="int",
        c="inout T[P, M, N]",
    )
    def multiply(a, b, tiles, accumulate, c):
        sums, x = stack_array(T(0), sums_count), block_index()
        own, a, b = c[natural(tiles[x, 0])], a[natural(tiles[x, 1])], b[natural(tiles[x, 2])]
        row = tiles[x, 3]
        add_products(sums, a, b, flat(own)[:0], accumulate, own, row, block_index_y())
        finish(sums, 0, own, row, block_index_y())

    return multiply


def activated(activation):
    """The helper: activation(total). A clamp is another epilogue's."""

    @helper
    def activated(total, _clamp_min):
        return activation(total)

    return activated
