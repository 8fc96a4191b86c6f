"""Random numbers that every device draws alike: Philox4x32-10 (Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3", 2011), and what is made of its words.

A number is a function of the generator's key, the number of the draw and the element, never of a
thread or of what was drawn before. `generator` is (key, draws so far); `draw_offset` counts the
draws of the same step that come before this one.
"""

import math

import numpy as np

from .declare import T, by_dtype, helper
from .intrinsics import fma
from .scalar.elementary import log


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


@helper
def standard_normal(a, b, c, d):
    """sqrt(-2 log(1 - u)) cos(2 pi v), of Box and Muller, u and v uniform in [0, 1)."""
    radius = T(np.sqrt(T(-2) * log(T(1) - fraction(a, b))))
    return radius * cosine_of_turns(fraction(c, d))


# Each Philox block decides about eight elements of dropout, with half a word for each: of a tile
# the low halves of the words decide about the first half, the high halves about the second; in each
# half word w of the tile's block i decides about element w * DROPOUT_TILE_BLOCKS + i.
DROPOUT_TILE_BLOCKS = 64
DROPOUT_HALF_TILE_ELEMENTS = 4 * DROPOUT_TILE_BLOCKS
DROPOUT_TILE_ELEMENTS = 2 * DROPOUT_HALF_TILE_ELEMENTS


@helper
def dropout_limit(rate):
    """The smallest word, of 16 bits shifted up by 16, that keeps its element, and what that is
    multiplied with: `rate` taken to the nearest 16 bits."""
    threshold = min(int(rate * 65536.0 + 0.5), 65535)
    return np.uint32(threshold << 16), T(1.0 / (1.0 - threshold / 65536.0))
