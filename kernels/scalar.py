"""Every pointwise formula and its derivative, written once, for float32 and float64 and for every device.

A formula takes and returns one number; the derivative below it takes what the formula's record saves (its input x or its
output y; both inputs of a function of two) and the gradient that comes from above, and returns the gradient of the input.

The elementary functions are branch-free, so that a loop over them becomes packed instructions; the machine's own are scalar
calls, ten times slower. Steps: split off a power of two, evaluate a minimax polynomial on what is left with fused
multiply-adds, put the power back. NaN goes through every comparison unchanged because the tests are written `x > limit`.
Coefficients are from a Remez exchange weighted for relative error; `tests/test_elementary.py` measures what is left of it.
"""

import math

import numpy as np

from .marks import T, by_dtype, helper
from .primitives import bits_of, float_of, fma

# A float32 plus 1.5 * 2^23 is rounded to an integer that then stands in the sum's low bits: no conversion to integer, which
# is undefined for NaN, is needed. For float64 the number is 1.5 * 2^52.
ROUNDER_32, ROUNDER_32_BITS = np.float32(12582912.0), np.int32(0x4B400000)
ROUNDER_64, ROUNDER_64_BITS = np.float64(6755399441055744.0), np.int64(0x4338000000000000)
LOG2E_32, LOG2E_64 = np.float32(1.4426950408889634), np.float64(1.4426950408889634)
# ln 2 in two parts, the first with trailing zeros, so that n * LN2_HIGH is exact for every n in use.
LN2_HIGH_32, LN2_LOW_32 = np.float32(0.693145751953125), np.float32(1.42860677e-06)
LN2_HIGH_64, LN2_LOW_64 = np.float64(0.6931471803691238), np.float64(1.9082149292705877e-10)


@helper
def power_of_two_32(n):
    return float_of((n + np.int32(127)) << np.int32(23))


@helper
def power_of_two_64(n):
    return float_of((n + np.int64(1023)) << np.int64(52))


@helper
def exp_tail_32(r):
    """(e^r - 1 - r) / r^2 for |r| <= ln(2) / 2, so good that e^r is within 0.05 of a unit in the last place."""
    q = fma(np.float32(0.00139504919511), r, np.float32(0.00836888935142))
    q = fma(q, r, np.float32(0.0416662057895))
    q = fma(q, r, np.float32(0.166665188397))
    return fma(q, r, np.float32(0.500000009519))


@helper
def exp_tail_64(r):
    q = fma(2.5110049895858716253e-8, r, 2.7632655759330148167e-7)
    q = fma(q, r, 2.7557242336680357124e-6)
    q = fma(q, r, 2.4801487326012342125e-5)
    q = fma(q, r, 1.984126988659099934e-4)
    q = fma(q, r, 1.3888888947820891412e-3)
    q = fma(q, r, 8.3333333333222072959e-3)
    q = fma(q, r, 4.166666666652199074e-2)
    q = fma(q, r, 1.666666666666667453e-1)
    return fma(q, r, 5.0000000000000102245e-1)


@helper
def one_plus(r, tail):
    """1 + r + tail r^2, with what 1 + r loses put back before the last rounding."""
    total = T(1) + r
    return total + fma(tail, r * r, r - (total - T(1)))


@helper
def exp_32(x):
    # 2^n is put back in two factors, so that results next to overflow are reached through finite numbers.
    x = np.float32(89.0) if x > np.float32(89.0) else x
    x = np.float32(-104.0) if x < np.float32(-104.0) else x
    rounded = fma(x, LOG2E_32, ROUNDER_32)
    n = rounded - ROUNDER_32
    r = fma(n, -LN2_LOW_32, fma(n, -LN2_HIGH_32, x))
    k = bits_of(rounded) - ROUNDER_32_BITS
    half = k >> np.int32(1)
    return one_plus(r, exp_tail_32(r)) * power_of_two_32(half) * power_of_two_32(k - half)


@helper
def exp_64(x):
    x = 710.0 if x > 710.0 else x
    x = -746.0 if x < -746.0 else x
    rounded = fma(x, LOG2E_64, ROUNDER_64)
    n = rounded - ROUNDER_64
    r = fma(n, -LN2_LOW_64, fma(n, -LN2_HIGH_64, x))
    k = bits_of(rounded) - ROUNDER_64_BITS
    half = k >> np.int64(1)
    return one_plus(r, exp_tail_64(r)) * power_of_two_64(half) * power_of_two_64(k - half)


exp = by_dtype(exp_32, exp_64)


@helper
def exp_gradient(y, dy):
    return dy * y  # d e^x = e^x


@helper
def expm1_of_positive_32(x):
    """e^x - 1 for 0 <= x <= 30: 2^n (e^r - 1) + (2^n - 1), which keeps the digits of a small x."""
    rounded = fma(x, LOG2E_32, ROUNDER_32)
    n = rounded - ROUNDER_32
    r = fma(n, -LN2_LOW_32, fma(n, -LN2_HIGH_32, x))
    scale = power_of_two_32(bits_of(rounded) - ROUNDER_32_BITS)
    return fma(fma(exp_tail_32(r), r * r, r), scale, scale - np.float32(1))


@helper
def expm1_of_positive_64(x):
    rounded = fma(x, LOG2E_64, ROUNDER_64)
    n = rounded - ROUNDER_64
    r = fma(n, -LN2_LOW_64, fma(n, -LN2_HIGH_64, x))
    scale = power_of_two_64(bits_of(rounded) - ROUNDER_64_BITS)
    return fma(fma(exp_tail_64(r), r * r, r), scale, scale - 1.0)


expm1_of_positive = by_dtype(expm1_of_positive_32, expm1_of_positive_64)


@helper
def log_32(x):
    """ln(x) = n ln 2 + ln(1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); ln(1 + f) = f - f^2 / 2 + f^3 P(f)."""
    shifted = bits_of(x) - np.int32(0x3F3504F3)
    n = np.float32(shifted >> np.int32(23))
    f = float_of((shifted & np.int32(0x7FFFFF)) + np.int32(0x3F3504F3)) - np.float32(1)
    p = fma(np.float32(0.0693730622759), f, np.float32(-0.118467435093))
    p = fma(p, f, np.float32(0.118887974127))
    p = fma(p, f, np.float32(-0.123774855872))
    p = fma(p, f, np.float32(0.142171175841))
    p = fma(p, f, np.float32(-0.166694837365))
    p = fma(p, f, np.float32(0.200021872766))
    p = fma(p, f, np.float32(-0.249999838449))
    p = fma(p, f, np.float32(0.333333140401))
    square = f * f
    tail = fma(p * f, square, fma(np.float32(-0.5), square, n * LN2_LOW_32))
    y = fma(n, LN2_HIGH_32, f + tail)
    return log_edges(x, y)


@helper
def log_64(x):
    """As above with ln(1 + f) = f - f^2 / 2 + s (f^2 / 2 + R(s^2)), s = f / (2 + f): the series of FreeBSD's e_log.c."""
    shifted = bits_of(x) - np.int64(0x3FE6A09E667F3BCD)
    n = np.float64(shifted >> np.int64(52))
    f = float_of((shifted & np.int64(0xFFFFFFFFFFFFF)) + np.int64(0x3FE6A09E667F3BCD)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = fma(1.479819860511658591e-1, z, 1.531383769920937332e-1)
    p = fma(p, z, 1.818357216161805012e-1)
    p = fma(p, z, 2.222219843214978396e-1)
    p = fma(p, z, 2.857142874366239149e-1)
    p = fma(p, z, 3.999999999940941908e-1)
    p = fma(p, z, 6.666666666666735130e-1)
    half_square = 0.5 * f * f
    y = n * LN2_HIGH_64 - ((half_square - fma(s, fma(p, z, half_square), n * LN2_LOW_64)) - f)
    return log_edges(x, y)


@helper
def log_edges(x, y):
    """-inf at zero, NaN below it and for NaN, inf at inf. A subnormal x counts as zero, as everywhere in native code."""
    y = x if x == T(math.inf) else y
    y = T(-math.inf) if x == T(0) else y
    return y if x >= T(0) else T(math.nan)


log = by_dtype(log_32, log_64)


@helper
def log_gradient(x, dy):
    return dy / x


@helper
def sqrt(x):
    return T(np.sqrt(x))


@helper
def sqrt_gradient(y, dy):
    return dy / (y + y)  # d sqrt(x) = 1 / (2 sqrt(x))


@helper
def sigmoid(x):
    """1 / (1 + e) or, for a negative x, e / (1 + e), with e = e^-|x|. `lost` is what rounding 1 + e took, `rest` what rounding
    the quotient took: with both put back only exp's own error and the last rounding remain, and two units suffice."""
    e = exp(-abs(x))
    total = T(1) + e
    lost = e - (total - T(1))
    y = T(1) / total
    rest = y * fma(-y, lost, fma(-y, total, T(1)))
    return y + rest if x >= T(0) else fma(e, y, e * rest)


@helper
def sigmoid_gradient(y, dy):
    return dy * y * (T(1) - y)


@helper
def tanh(x):
    """sign(x) e / (e + 2) with e = e^(2 |x|) - 1; from |x| = 15 (float64: 22) on it is 1 to the last bit."""
    size = abs(x)
    size = T(22) if size > T(22) else size
    e = expm1_of_positive(size + size)
    total = e + T(2)
    lost = min(e, T(2)) - (total - max(e, T(2)))  # put back below, as in sigmoid
    inverse = T(1) / total
    y = e * inverse
    y = fma(fma(-y, lost, fma(-y, total, e)), inverse, y)
    # The sign bit is x's; a zero keeps it, which `-y if x < 0` would not give.
    return copy_sign(y, x)


@helper
def tanh_gradient(y, dy):
    return dy * (T(1) - y * y)


@helper
def copy_sign_32(size, x):
    return float_of(bits_of(size) | (bits_of(x) & np.int32(-0x80000000)))


@helper
def copy_sign_64(size, x):
    return float_of(bits_of(size) | (bits_of(x) & np.int64(-0x8000000000000000)))


copy_sign = by_dtype(copy_sign_32, copy_sign_64)


@helper
def relu(x):
    return T(0) if x < T(0) else x  # the test lets NaN through, and a product with a mask would turn -inf into NaN


@helper
def relu_gradient(y, dy):
    return T(0) if y <= T(0) else dy


@helper
def negative(x):
    return -x


@helper
def negative_gradient(y, dy):
    return -dy


# Functions of two numbers. Their gradients take both inputs and the gradient from above.


@helper
def add(x, y):
    return x + y


@helper
def subtract(x, y):
    return x - y


@helper
def multiply(x, y):
    return x * y


@helper
def divide(x, y):
    return x / y


@helper
def maximum(x, y):
    return x if x >= y or x != x else y  # NaN if either is


@helper
def pass_gradient(x, y, dz):
    return dz


@helper
def negate_gradient(x, y, dz):
    return -dz


@helper
def multiply_gradient_x(x, y, dz):
    return dz * y


@helper
def multiply_gradient_y(x, y, dz):
    return dz * x


@helper
def divide_gradient_x(x, y, dz):
    return dz / y


@helper
def divide_gradient_y(x, y, dz):
    return -dz * (x / y) / y


@helper
def maximum_gradient_x(x, y, dz):
    return dz if x >= y else T(0)  # where they are equal the first has it all, as in TensorFlow


@helper
def maximum_gradient_y(x, y, dz):
    return T(0) if x >= y else dz


@helper
def squared_difference(x, y):
    return (x - y) * (x - y)


@helper
def squared_difference_gradient_x(x, y, dz):
    return T(2) * (x - y) * dz


@helper
def squared_difference_gradient_y(x, y, dz):
    return T(2) * (y - x) * dz
