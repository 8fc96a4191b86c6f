"""Random numbers, of Philox's words (`kernels/philox.py`).

uniform    low + (high - low) u, u from 24 or 53 bits
normal     mean + deviation sqrt(-2 log(1 - u)) cos(2 pi v), of Box and Muller
dropout    y = x / (1 - rate) or 0, dx = dy / (1 - rate) or 0 where y is
"""

import numpy as np

from ..declare import T, helper, kernel
from ..intrinsics import fma, stack_array
from ..philox import (
    DROPOUT_HALF_TILE_ELEMENTS,
    DROPOUT_TILE_BLOCKS,
    DROPOUT_TILE_ELEMENTS,
    dropout_limit,
    fraction,
    standard_normal,
    words_of,
)

PHILOX_BLOCK_GRAIN = 16  # threads get whole multiples of so many Philox blocks


@helper
def uniform_pairs(generator, draw_offset, first_block, base, width, out):
    for i in range(out.size // 2):
        a, b, c, d = words_of(generator, draw_offset, first_block + i)
        out[2 * i], out[2 * i + 1] = (
            fma(width, fraction(a, b), base),
            fma(width, fraction(c, d), base),
        )


@kernel(
    split=[("n", 2 * PHILOX_BLOCK_GRAIN)],
    generator="i8[g]",
    draw_offset="int",
    low="float",
    high="float",
    out="out T[n]",
)
def uniform_elements(generator, draw_offset, low, high, out, start, stop):
    """out = low + (high - low) u, u uniform in [0, 1)."""
    base, width, whole = T(low), T(high - low), stop // 2
    uniform_pairs(generator, draw_offset, start // 2, base, width, out[start : 2 * whole])
    if 2 * whole < stop:
        pair = stack_array(T(0), 2)
        uniform_pairs(generator, draw_offset, whole, base, width, pair)
        out[2 * whole] = pair[0]


@kernel(
    split=[("n", PHILOX_BLOCK_GRAIN)],
    generator="i8[g]",
    draw_offset="int",
    mean="float",
    deviation="float",
    out="out T[n]",
)
def normal_elements(generator, draw_offset, mean, deviation, out, start, stop):
    """out = mean + deviation sqrt(-2 log(1 - u)) cos(2 pi v), u and v uniform in [0, 1)."""
    out = out[start:stop]
    for i in range(out.size):
        a, b, c, d = words_of(generator, draw_offset, start + i)
        out[i] = fma(T(deviation), standard_normal(a, b, c, d), T(mean))


@helper
def words_of_tile(generator, draw_offset, tile, words):
    """words (DROPOUT_HALF_TILE_ELEMENTS,): word w of the tile's block i at
    w * DROPOUT_TILE_BLOCKS + i, so that the loop over blocks is vectorised."""
    first, second = (
        words[:DROPOUT_TILE_BLOCKS],
        words[DROPOUT_TILE_BLOCKS : 2 * DROPOUT_TILE_BLOCKS],
    )
    third, fourth = (
        words[2 * DROPOUT_TILE_BLOCKS : 3 * DROPOUT_TILE_BLOCKS],
        words[3 * DROPOUT_TILE_BLOCKS :],
    )
    for i in range(DROPOUT_TILE_BLOCKS):
        a, b, c, d = words_of(generator, draw_offset, tile * DROPOUT_TILE_BLOCKS + i)
        first[i], second[i], third[i], fourth[i] = (
            np.uint32(a),
            np.uint32(b),
            np.uint32(c),
            np.uint32(d),
        )


@kernel(
    split=[("n", DROPOUT_TILE_ELEMENTS)],
    x="T[n]",
    generator="i8[g]",
    draw_offset="int",
    rate="float",
    y="out T[n]",
)
def dropout_elements(x, generator, draw_offset, rate, y, start, stop):
    """y = x / (1 - rate), or 0 with probability `rate`; or dx of dy. The words of a tile are made
    at once, by a vectorised loop over its blocks; making them is four fifths of the time."""
    words = stack_array(np.uint32(0), DROPOUT_HALF_TILE_ELEMENTS)
    limit, scale = dropout_limit(rate)
    for tile_start in range(start, stop, DROPOUT_TILE_ELEMENTS):
        words_of_tile(generator, draw_offset, tile_start // DROPOUT_TILE_ELEMENTS, words)
        for half_start in range(
            tile_start, min(tile_start + DROPOUT_TILE_ELEMENTS, stop), DROPOUT_HALF_TILE_ELEMENTS
        ):
            x_half, y_half = (
                x[half_start : min(half_start + DROPOUT_HALF_TILE_ELEMENTS, stop)],
                y[half_start : min(half_start + DROPOUT_HALF_TILE_ELEMENTS, stop)],
            )
            unused = np.uint32(16 if half_start == tile_start else 0)
            for i in range(y_half.size):
                y_half[i] = x_half[i] * scale if np.uint32(words[i] << unused) >= limit else T(0)


@kernel(
    generator="i8[g]", draw_offset="int", words="out u4[W]", order="out i8[n]", cursor="out i8[s]"
)
def permutation(generator, draw_offset, words, order, cursor):
    """order = a permutation of 0 to n - 1, each as likely as any other, by Fisher and Yates from
    the identity, so that it is a function of the draw alone; cursor = 0. The random words come
    first, in a loop that is vectorised; `words` has room for those of whole blocks."""
    cursor[0] = 0
    for block in range(words.size // 4):
        a, b, c, d = words_of(generator, draw_offset, block)
        words[4 * block], words[4 * block + 1] = np.uint32(a), np.uint32(b)
        words[4 * block + 2], words[4 * block + 3] = np.uint32(c), np.uint32(d)
    for i in range(order.size):
        order[i] = i
    for i in range(order.size - 1, 0, -1):
        j = np.int64((np.uint64(words[i]) * np.uint64(i + 1)) >> np.uint64(32))
        order[i], order[j] = order[j], order[i]


# ---- launchers


def uniform(call, state, out, *, shape, low=0.0, high=1.0, draw_offset=0, dtype=None):
    call(uniform_elements, state, draw_offset, float(low), float(high), out.flat())


def normal(call, state, out, *, shape, mean=0.0, deviation=1.0, draw_offset=0, dtype=None):
    call(normal_elements, state, draw_offset, float(mean), float(deviation), out.flat())


def dropout(call, x, state, y, *, rate, draw_offset=0):
    call(dropout_elements, x.flat(), state, draw_offset, float(rate), y.flat())
