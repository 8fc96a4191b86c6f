"""Exponentials and logarithms beside 1, of other bases, and the hyperbolic functions' inverses,
made of those in elementary.py.

    arcsinh(x) = ln(x + sqrt(x^2 + 1))       arccosh(x) = ln(x + sqrt(x^2 - 1))
    arctanh(x) = ln((1 + x) / (1 - x)) / 2   logaddexp(x, y) = ln(e^x + e^y)
"""

import math

import numpy as np

from ..declare import T, by_dtype, helper
from ..intrinsics import fma
from .elementary import (
    exp_of_negative,
    expm1_of_remainder,
    log,
    log1p_of_fraction,
    power_of_two,
    range_reduction,
    sigmoid,
    split_32,
    split_64,
)
from .power import copy_sign, exp_max

split = by_dtype(split_32, split_64)


@helper
def expm1(x):
    """e^x - 1 = 2 (2^(n - 1) (e^r - 1) + 2^(n - 1) - 1 / 2): half of it does not overflow where n
    is 128, and a small x keeps its digits."""
    clamped = T(-40) if x < T(-40) else x
    clamped = exp_max() if clamped > exp_max() else clamped
    rounded, _, r = range_reduction(clamped)
    half_scale = power_of_two(rounded - T(1))
    half = fma(expm1_of_remainder(r), half_scale, half_scale - T(0.5))
    y = half + half
    y = y if x <= exp_max() else x + T(math.inf)
    return x if abs(x) < T(1e-30) else y  # half of which may be subnormal


@helper
def expm1_gradient(y, dy):
    return dy * (y + T(1))


@helper
def log1p(x):
    """ln(1 + x) = ln u + (x - (u - 1)) / u, u being 1 + x rounded: what rounding took comes
    back."""
    u = T(1) + x
    y = log(u)
    y = y + (x - (u - T(1))) / u if abs(y) < T(math.inf) else y
    return x if x == T(0) else y


@helper
def log1p_gradient(x, dy):
    return dy / (T(1) + x)


@helper
def log2(x):
    """n + ln(1 + f) / ln 2, x = 2^n (1 + f): exact where f is 0."""
    n, f = split(x)
    y = n + log(T(1) + f) * T(1 / math.log(2))
    return y if (x > T(0)) & (x < T(math.inf)) else log(x)


@helper
def log2_gradient(x, dy):
    return dy / (x * T(math.log(2)))


@helper
def logaddexp(x, y):
    """max(x, y) + ln(1 + e^-|x - y|)."""
    top, low = x if x >= y else y, y if x >= y else x
    distance = low - top if low < top else T(0)  # not inf - inf
    z = top + log1p_of_fraction(exp_of_negative(distance))
    return z if (x == x) & (y == y) else x + y


@helper
def logaddexp_gradient_x(x, y, dz):
    return dz * (sigmoid(x - y) if x != y else T(0.5))


@helper
def logaddexp_gradient_y(x, y, dz):
    return dz * (sigmoid(y - x) if x != y else T(0.5))


LARGE = 1e17  # from here on x^2 + 1 is x^2, whose square root needs no x^2


@helper
def arcsinh(x):
    """ln(1 + a + a^2 / (1 + sqrt(1 + a^2))) of a = |x|, with x's sign."""
    a = abs(x)
    square = a * a
    is_large = a > T(LARGE)
    above = a if is_large else a + square / (T(1) + T(np.sqrt(T(1) + square)))
    y = log1p(above)
    return copy_sign(y + T(math.log(2)) if is_large else y, x)


@helper
def arcsinh_gradient(x, dy):
    a = abs(x)
    return dy / a if a > T(LARGE) else dy / T(np.sqrt(T(1) + x * x))


@helper
def arccosh(x):
    """ln(1 + t + sqrt(t (t + 2))) of t = x - 1; NaN below 1."""
    t = x - T(1)
    is_large = t > T(LARGE)
    above = t if is_large else t + T(np.sqrt(t * (t + T(2))))
    y = log1p(above)
    y = y + T(math.log(2)) if is_large else y
    return y if x >= T(1) else T(math.nan)


@helper
def arccosh_gradient(x, dy):
    return dy / (T(np.sqrt(x - T(1))) * T(np.sqrt(x + T(1))))


@helper
def arctanh(x):
    """ln(1 + 2 a / (1 - a)) / 2 of a = |x|, with x's sign; infinite at 1, NaN from there on."""
    a = abs(x)
    return copy_sign(T(0.5) * log1p((a + a) / (T(1) - a)), x)


@helper
def arctanh_gradient(x, dy):
    return dy / ((T(1) - x) * (T(1) + x))
