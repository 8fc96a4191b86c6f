"""Random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
2011).

A number is a function of the generator's key, the number of the draw and the element, never of a
thread or of what was drawn before. `generator` is (key, draws so far); `draw_offset` counts the
draws of the same step that come before this one.

    uniform    low + (high - low) u, u from 24 or 53 bits
    normal     mean + deviation sqrt(-2 log(1 - u)) cos(2 pi v), of Box and Muller
    dropout    y = x / (1 - rate) or 0, dx = dy / (1 - rate) or 0 where y is
"""

import math

import numpy as np

from ..declare import T, by_dtype, helper, kernel
from ..intrinsics import fma, stack_array
from ..scalar.elementary import log

PHILOX_BLOCK_GRAIN = 16  # threads get whole multiples of so many Philox blocks


@helper
def philox(low, high, draw_low, draw_high, key_low, key_high):
    """Four 32-bit words (as 64-bit numbers) for a 128-bit counter and a 64-bit key."""
    mask = np.uint64(0xFFFFFFFF)
    a, b, c, d = np.uint64(low), np.uint64(high), np.uint64(draw_low), np.uint64(draw_high)
    k, m = np.uint64(key_low), np.uint64(key_high)
    for _round in range(10):
        p, q = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b, c, d = (q >> np.uint64(32)) ^ b ^ k, q & mask, (p >> np.uint64(32)) ^ d ^ m, p & mask
        k, m = (k + np.uint64(0x9E3779B9)) & mask, (m + np.uint64(0xBB67AE85)) & mask
    return a, b, c, d


@helper
def words_of(generator, draw_offset, block):
    """The four words of block number `block` of this draw."""
    key, draw = np.uint64(generator[0]), np.uint64(generator[1] + draw_offset)
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    index = np.uint64(block)
    return philox(index & mask, index >> half, draw & mask, draw >> half, key & mask, key >> half)


@helper
def fraction_24(word, _next):
    return np.float32(np.int32(word >> np.uint64(8))) * np.float32(2.0**-24)


@helper
def fraction_53(word, following):
    return np.float64(np.int64(((word << np.uint64(32)) | following) >> np.uint64(11))) * 2.0**-53


# in [0, 1), from one word or from two; both take a pair, so that the streams are alike
fraction = by_dtype(fraction_24, fraction_53)


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


@helper
def cosine_of_turns(u):
    """cos(2 pi u) for u in [0, 1), to 3e-11: the Taylor series on the nearest eighth of the
    circle."""
    quarter = np.floor(u * T(4) + T(0.5))
    angle = (u - quarter * T(0.25)) * T(2 * math.pi)
    z = angle * angle
    cosine = T(2.08767569878681e-9)
    for coefficient in (
        -2.755731922398589e-7,
        2.48015873015873e-5,
        -1.388888888888889e-3,
        4.1666666666666664e-2,
        -0.5,
        1.0,
    ):
        cosine = fma(cosine, z, T(coefficient))
    sine = T(-2.505210838544172e-8)
    for coefficient in (
        2.7557319223985893e-6,
        -1.984126984126984e-4,
        8.333333333333333e-3,
        -0.16666666666666666,
        1.0,
    ):
        sine = fma(sine, z, T(coefficient))
    sine *= angle
    if quarter == T(0) or quarter == T(4):
        return cosine
    if quarter == T(1):
        return -sine
    return -cosine if quarter == T(2) else sine


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
        radius = T(np.sqrt(T(-2) * log(T(1) - fraction(a, b))))
        out[i] = fma(T(deviation), radius * cosine_of_turns(fraction(c, d)), T(mean))


# Each Philox block decides about eight elements of dropout, with half a word for each. The
# words of a tile are made at once, by a vectorised loop over its blocks.
DROPOUT_TILE_BLOCKS = 64
DROPOUT_HALF_TILE_ELEMENTS = 4 * DROPOUT_TILE_BLOCKS
DROPOUT_TILE_ELEMENTS = 2 * DROPOUT_HALF_TILE_ELEMENTS


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
    """y = x / (1 - rate), or 0 with probability `rate`, taken to the nearest 16 bits; or dx of dy.
    Of each tile the low halves of the words decide about the first half, the high halves about the
    second. Making the words is four fifths of the time."""
    threshold, words = (
        min(int(rate * 65536.0 + 0.5), 65535),
        stack_array(np.uint32(0), DROPOUT_HALF_TILE_ELEMENTS),
    )
    scale, limit = T(1.0 / (1.0 - threshold / 65536.0)), np.uint32(threshold << 16)
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
