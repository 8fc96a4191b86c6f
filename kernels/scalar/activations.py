"""Activations and their derivatives, which take x or y, whichever makes them shorter."""

import math

from ..declare import T, helper
from ..intrinsics import fma
from .elementary import exp_of_negative, expm1_of_negative, log1p_of_fraction, sigmoid


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
