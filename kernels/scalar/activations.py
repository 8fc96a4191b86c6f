"""Activations and their derivatives, which take x or y, whichever makes them shorter."""

import math

import numpy as np

from ..declare import T, helper
from ..intrinsics import fma
from .elementary import exp, exp_of_negative, expm1_of_negative, log1p_of_fraction, sigmoid


@helper
def sigmoid_gradient(y, dy):
    return dy * y * (T(1) - y)


@helper
def tanh_gradient(y, dy):
    return dy * (T(1) - y * y)


@helper
def sigmoid_and_slope(x):
    """s = sigmoid(x) and s (1 - s), from the smaller of s and 1 - s, so that the slope keeps its
    digits where s is next to 1."""
    small = sigmoid(-abs(x))
    return (small if x < T(0) else T(1) - small), small * (T(1) - small)


# The gelu of tanh: x (1 + tanh u) / 2 = x sigmoid(2 u) with
# 2 u = x (GELU_LINEAR + GELU_CUBIC x^2).
GELU_LINEAR = 2 * math.sqrt(2 / math.pi)


GELU_CUBIC = 0.044715 * GELU_LINEAR


@helper
def gelu_tanh(x):
    return x * sigmoid(x * fma(x * x, T(GELU_CUBIC), T(GELU_LINEAR)))


@helper
def gelu_tanh_gradient(x, dy):
    x = T(30) if x > T(30) else x  # from there on the slope is 1, or 0, and x^3 would overflow
    x = T(-30) if x < T(-30) else x
    square = x * x
    s, slope = sigmoid_and_slope(x * fma(square, T(GELU_CUBIC), T(GELU_LINEAR)))
    return dy * fma(slope, x * fma(square, T(3 * GELU_CUBIC), T(GELU_LINEAR)), s)


@helper
def silu(x):
    return x * sigmoid(x)


@helper
def silu_gradient(x, dy):
    s, slope = sigmoid_and_slope(x)
    return dy * fma(x, slope, s)


@helper
def softplus(x):
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    return (T(0) if x < T(0) else x) + log1p_of_fraction(exp_of_negative(-abs(x)))


@helper
def softplus_gradient(y, dy):
    return -dy * expm1_of_negative(-y)  # sigmoid(x) = 1 - e^-y


@helper
def elu(x, alpha=1.0):
    return T(alpha) * expm1_of_negative(x) if x < T(0) else x  # a zero keeps its sign


@helper
def elu_gradient(y, dy, alpha=1.0):
    return dy if y > T(0) else dy * (y + T(alpha))  # alpha e^x = y + alpha


@helper
def celu(x, alpha=1.0):
    return T(alpha) * expm1_of_negative(x / T(alpha)) if x < T(0) else x


@helper
def celu_gradient(x, dy, alpha=1.0):
    return dy * exp_of_negative(x / T(alpha)) if x < T(0) else dy


# Klambauer et al. (2017): with these a layer's outputs keep mean 0 and variance 1.
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


@helper
def selu(x):
    negative = T(SELU_SCALE * SELU_ALPHA) * expm1_of_negative(x)
    return negative if x < T(0) else T(SELU_SCALE) * x


@helper
def selu_gradient(y, dy):
    return dy * (T(SELU_SCALE) if y > T(0) else y + T(SELU_SCALE * SELU_ALPHA))


@helper
def log_sigmoid(x):
    """-log(1 + e^-x)."""
    return -softplus(-x)


@helper
def log_sigmoid_gradient(x, dy):
    return dy * sigmoid(-x)


@helper
def mish(x):
    """x tanh(log(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2); from 40 on that is x."""
    n = square_of_successor(x)
    return (T(-1000) if x < T(-1000) else x) * (n / (n + T(2)))


@helper
def square_of_successor(x):
    """(1 + e^x)^2 - 1, of 40 at most."""
    e = exp(T(40) if x > T(40) else x)
    return e * (e + T(2))


@helper
def mish_gradient(x, dy):
    """n / (n + 2) + 4 x e^x (1 + e^x) / (n + 2)^2."""
    size = T(40) if x > T(40) else x
    size = T(-1000) if size < T(-1000) else size
    e = exp(size)
    n = e * (e + T(2))
    scale = T(1) / (n + T(2))
    return dy * fma(T(4) * size * e * scale, (T(1) + e) * scale, n * scale)


LARGE = 1e17  # from here on sqrt(x^2 + b) is |x|, whose square might overflow


@helper
def squareplus(x, b=4.0):
    """(x + s) / 2 with s = sqrt(x^2 + b); left of 0 b / 2 / (s - x), which keeps its digits."""
    root = T(np.sqrt(fma(x, x, T(b))))
    s = abs(x) if abs(x) > T(LARGE) else root
    return T(0.5 * b) / (s - x) if x < T(0) else T(0.5) * (x + s)


@helper
def squareplus_gradient(x, dy, b=4.0):
    """(1 + x / s) / 2, left of 0 b / 2 / (s (s - x))."""
    root = T(np.sqrt(fma(x, x, T(b))))
    s = abs(x) if abs(x) > T(LARGE) else root
    right = T(0.5) + T(0.5) * x / (s if s > T(0) else T(1))
    right = T(1) if x > T(LARGE) else right
    return dy * (T(0.5 * b) / (s * (s - x)) if x < T(0) else right)


@helper
def softsign(x):
    return x / (T(1) + abs(x))


@helper
def softsign_gradient(y, dy):
    return dy * ((T(1) - abs(y)) * (T(1) - abs(y)))  # 1 - |y| = 1 / (1 + |x|)


@helper
def hard_sigmoid(x):
    distance = x + T(3)  # exact near -3, so that the result is 0 there and nowhere right of it
    distance = T(6) if distance > T(6) else distance
    return T(0) if distance < T(0) else distance * T(1 / 6)


@helper
def hard_sigmoid_gradient(y, dy):
    return dy * T(1 / 6) if T(0) < y < T(1) else T(0)


@helper
def hard_silu(x):
    y = T(0) if x <= T(-3) else x * ((x + T(3)) * T(1 / 6))
    return x if x >= T(3) else y


@helper
def hard_silu_gradient(x, dy):
    inner = T(0) if x <= T(-3) else dy * fma(x, T(1 / 3), T(0.5))
    return dy if x >= T(3) else inner


@helper
def hard_tanh(x):
    y = T(-1) if x < T(-1) else x
    return T(1) if y > T(1) else y


@helper
def hard_tanh_gradient(x, dy):
    return T(0) if abs(x) > T(1) else dy


@helper
def soft_shrink(x, threshold=0.5):
    y = x - T(threshold) if x > T(0) else x + T(threshold)
    return T(0) if abs(x) <= T(threshold) else y


@helper
def hard_shrink(x, threshold=0.5):
    return T(0) if abs(x) <= T(threshold) else x


@helper
def shrink_gradient(x, dy, threshold=0.5):
    return T(0) if abs(x) <= T(threshold) else dy


@helper
def sparse_plus(x):
    y = T(0) if x <= T(-1) else T(0.25) * (x + T(1)) * (x + T(1))
    return x if x >= T(1) else y


@helper
def sparse_plus_gradient(x, dy):
    inner = T(0) if x <= T(-1) else dy * (T(0.5) * (x + T(1)))
    return dy if x >= T(1) else inner


@helper
def sparse_sigmoid(x):
    y = T(0) if x <= T(-1) else T(0.5) * (x + T(1))
    return T(1) if x >= T(1) else y


@helper
def sparse_sigmoid_gradient(x, dy):
    return T(0) if abs(x) >= T(1) else T(0.5) * dy


@helper
def relu(x):
    # the test lets NaN through, and a product with a mask would turn -inf into NaN
    return T(0) if x < T(0) else x


@helper
def relu_gradient(y, dy):
    return T(0) if y <= T(0) else dy


@helper
def leaky_relu(x, negative_slope=0.2):
    return x if x > T(0) else T(negative_slope) * x


@helper
def leaky_relu_gradient(y, dy, negative_slope=0.2):
    return dy if y > T(0) else T(negative_slope) * dy  # y > 0 where x > 0


@helper
def general_relu(x, negative_slope=0.0, max_value=math.inf, threshold=0.0):
    # not 0 times -inf
    below = T(negative_slope) * (x - T(threshold)) if negative_slope != 0.0 else T(0)
    return below if x <= T(threshold) else T(max_value) if x > T(max_value) else x


@helper
def general_relu_gradient(x, dy, negative_slope=0.0, max_value=math.inf, threshold=0.0):
    below = dy * T(negative_slope) if negative_slope != 0.0 else T(0)
    above = T(0) if T(max_value) < T(math.inf) else dy
    return below if x <= T(threshold) else above if x >= T(max_value) else dy
