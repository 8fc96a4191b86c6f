"""Random numbers: Philox4x32-10, and what is drawn with it."""

import math

import numpy as np


def dropout(x, state, rate, draw_offset=0):
    key, draw = int(state[0]) % (1 << 64), int(state[1]) + draw_offset
    threshold, kept = int(rate * (1 << 16) + 0.5), np.zeros(x.size, bool)
    for n in range(x.size):
        # a tile is 64 blocks of four words: first the low half of each decides, then the high half
        tile, place = divmod(n, 512)
        half, place = divmod(place, 256)
        word, block = divmod(place, 64)
        words = philox(
            (tile * 64 + block, 0, draw & 0xFFFFFFFF, draw >> 32), (key & 0xFFFFFFFF, key >> 32)
        )
        kept[n] = (words[word] >> 16 * half & 0xFFFF) >= threshold
    return np.where(kept.reshape(x.shape), x / (1 - threshold / (1 << 16)), 0)


def _words(state, draw_offset, count):
    """The first words of a draw."""
    key, draw = int(state[0]) % (1 << 64), int(state[1]) + draw_offset
    blocks = [
        philox((n, 0, draw & 0xFFFFFFFF, draw >> 32), (key & 0xFFFFFFFF, key >> 32))
        for n in range(math.ceil(count / 4))
    ]
    return np.array(blocks, np.uint64).reshape(-1)


def _fractions(state, draw_offset, count, dtype):
    """Numbers in [0, 1), each of two words, of which float32 takes 24 bits and float64 53."""
    words = _words(state, draw_offset, 2 * count)[: 2 * count].astype(object)
    if np.dtype(dtype) == np.float32:
        return np.array([w >> 8 for w in words[::2]], float) * 2.0**-24
    pairs = zip(words[::2], words[1::2], strict=True)
    return np.array([(a << 32 | b) >> 11 for a, b in pairs], float) * 2.0**-53


def uniform(state, shape, low=0.0, high=1.0, draw_offset=0, dtype="float32"):
    u = _fractions(state, draw_offset, math.prod(shape), dtype)
    return (low + (high - low) * u).reshape(shape)


def normal(state, shape, mean=0.0, deviation=1.0, draw_offset=0, dtype="float32"):
    u = _fractions(state, draw_offset, 2 * math.prod(shape), dtype)
    z = np.sqrt(-2 * np.log(1 - u[::2])) * np.cos(2 * np.pi * u[1::2])
    return (mean + deviation * z).reshape(shape)


def permutation(state, words, order, cursor, draw_offset=0):
    words, order = _words(state, draw_offset, len(words)), np.arange(len(order))
    for i in range(len(order) - 1, 0, -1):
        j = int(words[i]) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return words.astype(np.uint32), order, np.zeros_like(cursor)


def philox(counter, key, rounds=10):
    """Philox4x32: four words for a counter of four words and a key of two, as Python integers."""
    mask, (a, b, c, d), (k, m) = 0xFFFFFFFF, counter, key
    for _ in range(rounds):
        p, q = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (q >> 32) ^ b ^ k, q & mask, (p >> 32) ^ d ^ m, p & mask
        k, m = (k + 0x9E3779B9) & mask, (m + 0xBB67AE85) & mask
    return a, b, c, d
