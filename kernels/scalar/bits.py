"""Operations on the bits of whole numbers, and their greatest common divisor."""

from ..declare import helper

WIDEST = 64  # bits of the integers that Numba computes in


@helper
def bitwise_and(x, y):
    return x & y


@helper
def bitwise_or(x, y):
    return x | y


@helper
def bitwise_xor(x, y):
    return x ^ y


@helper
def left_shift(x, y):
    """0 where all bits are shifted out, and where y is negative."""
    return x << (y & (WIDEST - 1)) if 0 <= y < WIDEST else 0


@helper
def right_shift(x, y):
    """The sign's bits where all others are shifted out, and where y is negative."""
    return x >> (y if 0 <= y < WIDEST else WIDEST - 1)


@helper
def gcd(x, y):
    """Euclid's algorithm."""
    a, b = abs(x), abs(y)
    while b != 0:
        a, b = b, a % b
    return a
