"""Rounding to whole numbers; division with a whole quotient, and what it leaves.

floor_divide(x, y) = floor(x / y)
mod(x, y) = x - floor(x / y) y, of the sign of y, as in Python and NumPy
"""

import numpy as np

from ..declare import T, by_dtype, helper
from ..intrinsics import bits_of, float_of, fma
from .power import copy_sign

# A float has no fraction from here on. What is added to a smaller size and taken away again rounds
# it: an instruction every processor has.
WHOLE_FROM_32, WHOLE_FROM_64 = np.float32(2.0**23), np.float64(2.0**52)


@helper
def nearest_size_32(size):
    """A number from 0 on, rounded to the nearest whole one, of two to the even one."""
    return (size + WHOLE_FROM_32) - WHOLE_FROM_32 if size < WHOLE_FROM_32 else size


@helper
def nearest_size_64(size):
    return (size + WHOLE_FROM_64) - WHOLE_FROM_64 if size < WHOLE_FROM_64 else size


nearest_size = by_dtype(nearest_size_32, nearest_size_64)


@helper
def rint(x):
    return copy_sign(nearest_size(abs(x)), x)


@helper
def floor(x):
    nearest = rint(x)
    return nearest - (T(1) if nearest > x else T(0))


@helper
def ceil(x):
    return -floor(-x)


@helper
def trunc(x):
    size = abs(x)
    nearest = nearest_size(size)
    return copy_sign(nearest - (T(1) if nearest > size else T(0)), x)


@helper
def sign(x):
    positive = T(1) if x > T(0) else T(0)
    return x - x if x != x else positive - (T(1) if x < T(0) else T(0))


@helper
def signbit_of_floats(x):
    return bits_of(x) < 0


@helper
def signbit_of_integers(x):
    return x < T(0)


signbit = by_dtype(signbit_of_floats, others=signbit_of_integers)

# The remainder of floats is exact, as fmod's is. Each step takes a quotient of few digits, so that
# what it leaves is a float; the largest quotients take many steps, most take one.


@helper
def leading_digits_32(q):
    """q cut off after 12 binary digits."""
    return float_of(bits_of(q) & np.int32(-0x1000))


@helper
def leading_digits_64(q):
    """q cut off after 11 binary digits: with these the product of the quotient and the divisor is
    exact in the interpreter too."""
    return float_of(bits_of(q) & np.int64(-0x40000000000))


leading_digits = by_dtype(leading_digits_32, leading_digits_64)


@helper
def infinite_quotients_32():
    """A scale by which a divisor of too large a quotient is multiplied, with no overflow."""
    return np.float32(2.0**127)


@helper
def infinite_quotients_64():
    return np.float64(2.0**1023)


infinite_quotients = by_dtype(infinite_quotients_32, infinite_quotients_64)
MOST_STEPS = 220  # 2^2098, float64's largest quotient, takes 210 of 10 digits


@helper
def remainder(a, b):
    """a - floor(a / b) b of a, b from 0 on; NaN where that is not defined."""
    rest = a
    for _ in range(MOST_STEPS):
        if not abs(rest) >= b:
            break
        quotient, divisor = rest / b, b
        if not abs(quotient) < T(np.inf):
            divisor = b * infinite_quotients()
            quotient = rest / divisor
        rest = fma(-trunc(leading_digits(quotient)), divisor, rest)
    rest = rest + b if rest < T(0) else rest
    return rest if b == b else b


@helper
def mod_of_floats(x, y):
    rest = remainder(abs(x), abs(y))
    if rest == T(0):
        return copy_sign(T(0), y)
    rest = -rest if x < T(0) else rest
    return rest + y if (rest < T(0)) != (y < T(0)) else rest


@helper
def floor_divide_of_floats(x, y):
    if y == T(0):
        return x / y
    rest = copy_sign(remainder(abs(x), abs(y)), x)
    whole = (x - rest) / y
    whole = whole - T(1) if (rest != T(0)) & ((rest < T(0)) != (y < T(0))) else whole
    nearest = rint(whole)
    return copy_sign(T(0), x / y) if nearest == T(0) else nearest


# Of integers 0 is what NumPy gives of a division by 0. The processor's division stops the program
# there, and at the smallest number over -1.


@helper
def mod_of_integers(x, y):
    is_safe = (y != T(0)) & (y + T(1) != T(0))
    divisor = y if is_safe else T(1)
    return x % divisor


@helper
def floor_divide_of_integers(x, y):
    is_safe = (y != T(0)) & (y + T(1) != T(0))
    divisor = y if is_safe else T(1)
    quotient = -x if y + T(1) == T(0) else x // divisor
    return quotient if y != T(0) else x - x


mod = by_dtype(mod_of_floats, others=mod_of_integers)
floor_divide = by_dtype(floor_divide_of_floats, others=floor_divide_of_integers)


@helper
def mod_gradient_y(x, y, dz):
    return -dz * floor_divide_of_floats(x, y)
