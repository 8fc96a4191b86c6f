"""Arithmetic on whole numbers, and on bits, that NumPy has no word for."""

import numpy as np

from .dtypes import i8, u4, u8

LOWER_HALF, HALF = u8(0xFFFFFFFF), u8(32)


def divide(a, b):
    """a / b, rounded towards zero."""
    quotient = np.floor_divide(a, b)
    if np.issubdtype(a.dtype, np.signedinteger):
        rounded_down = (quotient * b != a) & ((a < 0) != (b < 0))
        return quotient + rounded_down.astype(a.dtype)
    return quotient


def high_product_unsigned(a, b):
    """The upper 64 bits of a product of two words of 64."""
    a0, a1, b0, b1 = a & LOWER_HALF, a >> HALF, b & LOWER_HALF, b >> HALF
    middle = a1 * b0 + ((a0 * b0) >> HALF)
    rest = a0 * b1 + (middle & LOWER_HALF)
    return a1 * b1 + (middle >> HALF) + (rest >> HALF)


def high_product_signed(a, b):
    x, y = a.view(u8), b.view(u8)
    high = high_product_unsigned(x, y)
    high = high - np.where(a < 0, y, u8(0)) - np.where(b < 0, x, u8(0))
    return high.view(i8)


def leading_zeros(x, bits):
    y, n = x.astype(u8), np.zeros(np.shape(x), u4)
    for shift in (32, 16, 8, 4, 2, 1):
        upper = y >= (u8(1) << u8(shift))
        n = n + np.where(upper, u4(shift), u4(0))
        y = np.where(upper, y >> u8(shift), y)
    return np.where(x == 0, u4(bits), u4(bits - 1) - n)


def reverse_bits(x, bits):
    kind = x.dtype.type
    found = np.zeros_like(x)
    for n in range(bits):
        found = found | (((x >> kind(n)) & kind(1)) << kind(bits - 1 - n))
    return found


def extract_bits(a, start, count, signed, bits):
    """`count` bits of a from `start` on; of a signed number the last one is repeated."""
    kind = a.dtype.type
    start, count = (start & u4(255)).astype(i8), (count & u4(255)).astype(i8)
    mask = np.where(count >= bits, i8(-1), (i8(1) << np.minimum(count, 63)) - i8(1))
    if not signed:
        return ((a.astype(u8) >> start.view(u8)) & mask.view(u8)).astype(kind)
    wide = a.astype(i8)
    found = (wide >> start) & mask
    sign = (wide >> np.minimum(start + count - 1, bits - 1)) & 1
    found = np.where(sign != 0, found | ~mask, found)
    return np.where(count > 0, found, 0).astype(kind)


def insert_bits(a, b, start, count, bits):
    """b, in which `count` bits from `start` on are the lowest of a."""
    kind = b.dtype.type
    start, count = (start & u4(255)).astype(u8), (count & u4(255)).astype(u8)
    mask = np.where(count >= u8(bits), ~u8(0), (u8(1) << count) - u8(1)) << start
    return ((b.astype(u8) & ~mask) | ((a.astype(u8) << start) & mask)).astype(kind)


def permute_bytes(a, b, selectors):
    """Four of the eight bytes of b:a; the 8 of a selector repeats the byte's sign instead."""
    both, found = (b.astype(u8) << HALF) | a.astype(u8), u8(0)
    for n in range(4):
        which = (selectors.astype(u8) >> u8(4 * n)) & u8(15)
        byte = (both >> ((which & u8(7)) * u8(8))) & u8(255)
        sign = np.where(byte & u8(128), u8(255), u8(0))
        found = found | (np.where(which & u8(8), sign, byte) << u8(8 * n))
    return found.astype(u4)


def logic(a, b, c, table):
    """Bit for bit what the table of eight has for the bits of a, b, c."""
    found = a & u4(0)
    for n in range(8):
        if table >> n & 1:
            found = found | ((a if n & 4 else ~a) & (b if n & 2 else ~b) & (c if n & 1 else ~c))
    return found


def funnel_shift(a, b, count, left, wrap):
    """Half of b:a, shifted."""
    count = (count & u4(31)).astype(u8) if wrap else np.minimum(count, u4(32)).astype(u8)
    both = (b.astype(u8) << HALF) | a.astype(u8)
    return ((both << count) >> HALF).astype(u4) if left else (both >> count).astype(u4)


ROUNDED = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def from_float(x, dtype, mode):
    """A float as the nearest whole number of `dtype` in that direction; NaN is 0."""
    x, limits = ROUNDED[mode](x.astype(np.float64)), np.iinfo(dtype)
    low, high = float(limits.min), float(limits.max)
    found = np.where((x >= low) & (x < high), x, 0).astype(dtype)
    found = np.where(x >= high, dtype(limits.max), found)
    found = np.where(x < low, dtype(limits.min), found)
    return found if found.ndim else found[()]
