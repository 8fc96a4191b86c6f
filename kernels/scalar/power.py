"""x^y for float32 and float64: within two units in the last place, wherever the result lies.

x^y = e^(y ln x), and a relative error of the logarithm is multiplied by y ln x, up to 700. So ln x
is computed as the sum of two numbers, half as precise again as one; so is its product with y, whose
smaller part is multiplied with e^larger at the end.
"""

import math

import numpy as np

from ..declare import T, by_dtype, helper
from ..intrinsics import fma
from .elementary import (
    LN2_HIGH_32,
    LN2_HIGH_64,
    LN2_LOW_32,
    LN2_LOW_64,
    copy_sign_32,
    copy_sign_64,
    exp,
    log,
    split_32,
    split_64,
)

split = by_dtype(split_32, split_64)
copy_sign = by_dtype(copy_sign_32, copy_sign_64)


@helper
def n_ln2_32(n):
    """n ln 2 in two parts; the first is exact."""
    return n * LN2_HIGH_32, n * LN2_LOW_32


@helper
def n_ln2_64(n):
    return n * LN2_HIGH_64, n * LN2_LOW_64


n_ln2 = by_dtype(n_ln2_32, n_ln2_64)


@helper
def third_of_32(z):
    """z / 3 in two parts."""
    high = z * np.float32(1 / 3)
    return high, fma(z, np.float32(1 / 3), -high) + z * np.float32(1 / 3 - float(np.float32(1 / 3)))


@helper
def third_of_64(z):
    high = z * (1 / 3)
    return high, fma(z, 1 / 3, -high) + z * 1.850371707708594e-17


third_of = by_dtype(third_of_32, third_of_64)


@helper
def atanh_tail_32(z):
    """(atanh(s) / s - 1 - z / 3) / z^2 of z = s^2 <= 1 / 25; times z^2 within 2^-34."""
    return fma(fma(np.float32(0.11937557), z, np.float32(0.14262742)), z, np.float32(0.20000197))


@helper
def atanh_tail_64(z):
    """The same within 2^-69."""
    p = fma(0.062884208612364540772, z, 0.057957396889114088164)
    p = fma(p, z, 0.06670601547871093572)
    p = fma(p, z, 0.076922022926726486836)
    p = fma(p, z, 0.090909107835531286046)
    p = fma(p, z, 0.11111111095396095083)
    p = fma(p, z, 0.14285714285789938102)
    return fma(p, z, 0.19999999999999859613)


atanh_tail = by_dtype(atanh_tail_32, atanh_tail_64)


@helper
def log_in_two(x):
    """ln x as a sum of two, for ordinary x > 0: n ln 2 + 2 atanh(s) with x = 2^n (1 + f) and s = f
    / (2 + f). Each line keeps what rounding the one before it lost."""
    n, f = split(x)
    divisor = T(2) + f
    s = f / divisor
    s_low = fma(-s, f - (divisor - T(2)), fma(-s, divisor, f)) / divisor
    z = s * s
    z_low = fma(s + s, s_low, fma(s, s, -z))
    third, third_low = third_of(z)
    tail = z * z * atanh_tail(z)
    factor = third + tail  # 2 atanh(s) = 2 s + 2 s factor
    factor_low = ((third - factor) + tail) + fma(z_low, T(1 / 3), third_low)
    double, double_low = s + s, s_low + s_low
    product = double * factor
    product_low = fma(double, factor, -product) + fma(double, factor_low, double_low * factor)
    high = double + product
    low = ((double - high) + product) + (product_low + double_low)
    whole, whole_low = n_ln2(n)
    total = whole + high
    low = ((whole - total) + high) + (low + whole_low)
    return total + low, (total - (total + low)) + low


@helper
def exp_max_32():
    """The largest x whose e^x is finite."""
    return np.float32(88.72283)


@helper
def exp_max_64():
    return 709.782712893384


exp_max = by_dtype(exp_max_32, exp_max_64)


@helper
def has_fraction_32(size):
    """Whether a number from 0 on is not whole. (`and` would be a branch, and the loop not
    vectorised.)"""
    return (size < np.float32(8388608.0)) & (
        (size + np.float32(8388608.0)) - np.float32(8388608.0) != size
    )


@helper
def has_fraction_64(size):
    return (size < 4503599627370496.0) & ((size + 4503599627370496.0) - 4503599627370496.0 != size)


has_fraction = by_dtype(has_fraction_32, has_fraction_64)


@helper(inline=True)
def power_of_floats(x, y):
    """x^y with all the special cases of IEEE 754 and C: 0^0 = 1, a negative x has whole powers
    only, and so on."""
    size, exponent = abs(x), abs(y)
    high, low = log_in_two(size)
    high = high if size < T(math.inf) else size  # infinity and NaN
    high = T(-math.inf) if size == T(0) else high
    argument = y * high
    argument_low = fma(y, high, -argument) + y * low
    result = exp(argument)
    result = fma(result, argument_low, result) if abs(argument) <= exp_max() else result
    result = (T(1) if y == y else y) if size == T(1) else result  # 1^inf
    is_odd = has_fraction(exponent * T(0.5)) != has_fraction(exponent)
    result = copy_sign(result, x) if is_odd else result
    is_undefined = (x < T(0)) & (size < T(math.inf)) & has_fraction(exponent)
    result = T(math.nan) if is_undefined else result
    result = T(1) if y == T(0) else result
    return T(1) if x == T(1) else result


@helper
def power_of_integers(x, y):
    """By squares. Of a negative y it is 1 / x^-y without its fraction; what is too large keeps its
    last bits."""
    result, square, rest = T(1), T(x), y if y > T(0) else -y
    while rest > T(0):
        result = T(result * square) if rest & T(1) != T(0) else result
        square, rest = T(square * square), rest >> T(1)
    is_one = (result == T(1)) | (x * x == T(1))
    return result if (y > T(0)) | (y == T(0)) | is_one else T(0)


power = by_dtype(power_of_floats, others=power_of_integers)


@helper(inline=True)
def power_gradient_x(x, y, dz):
    return T(0) if y == T(0) else dz * y * power_of_floats(x, y - T(1))


@helper(inline=True)
def power_gradient_y(x, y, dz):
    """x^y ln x; 0 where x is not positive, as in TensorFlow: there the power is not a function of
    y."""
    z = power_of_floats(x, y)
    slope = T(0) if x <= T(0) else z * log(x)
    return dz * (z if z == T(0) else slope)
