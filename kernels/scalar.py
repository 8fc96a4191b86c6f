"""Every pointwise formula and its derivative, written once, for float32 and float64 and for every
device.

A formula takes and returns one number; the derivative below it takes what the formula's record
saves (its input x or its output y; both inputs of a function of two) and the gradient that comes
from above, and returns the gradient of the input. Both take the formula's attributes last; where
they have defaults, these are what it is fused into other kernels with. What takes a polynomial
stands in `elementary.py` and `normal.py`.
"""

import math

import numpy as np

from .elementary import exp as exp
from .elementary import exp_of_negative, expm1_of_negative, log1p_of_fraction, sigmoid
from .elementary import log as log
from .elementary import tanh as tanh
from .marks import T, helper
from .normal import erf as erf
from .normal import gelu as gelu
from .normal import tail_ratio
from .power import power as power
from .power import power_gradient_x as power_gradient_x
from .power import power_gradient_y as power_gradient_y
from .primitives import fma


@helper
def exp_gradient(y, dy):
    return dy * y  # d e^x = e^x


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
def sigmoid_gradient(y, dy):
    return dy * y * (T(1) - y)


@helper
def tanh_gradient(y, dy):
    return dy * (T(1) - y * y)


@helper
def erf_gradient(x, dy):
    return dy * T(2 / math.sqrt(math.pi)) * exp_of_negative(-x * x)


@helper
def gelu_gradient(x, dy):
    """dy (Phi(x) + x phi(x)); left of zero that is Q - |x| phi, right of it one less that."""
    size = abs(x)
    size = T(39) if size > T(39) else size
    slope = exp_of_negative(T(-0.5) * size * size) * fma(
        size, T(-1 / math.sqrt(2 * math.pi)), tail_ratio(size)
    )
    return dy * (slope if x < T(0) else T(1) - slope)


@helper
def sigmoid_and_slope(x):
    """s = sigmoid(x) and s (1 - s), from the smaller of s and 1 - s, so that the slope keeps its
    digits where s is next to 1."""
    small = sigmoid(-abs(x))
    return (small if x < T(0) else T(1) - small), small * (T(1) - small)


# The gelu of tanh: x (1 + tanh u) / 2 = x sigmoid(2 u) with 2 u = x (LINEAR + CUBIC x^2).
LINEAR = 2 * math.sqrt(2 / math.pi)
CUBIC = 0.044715 * LINEAR


@helper
def gelu_tanh(x):
    return x * sigmoid(x * fma(x * x, T(CUBIC), T(LINEAR)))


@helper
def gelu_tanh_gradient(x, dy):
    x = T(30) if x > T(30) else x  # from there on the slope is 1, or 0, and x^3 would overflow
    x = T(-30) if x < T(-30) else x
    square = x * x
    s, slope = sigmoid_and_slope(x * fma(square, T(CUBIC), T(LINEAR)))
    return dy * fma(slope, x * fma(square, T(3 * CUBIC), T(LINEAR)), s)


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
def general_relu(x, negative_slope, max_value, threshold):
    # not 0 times -inf
    below = T(negative_slope) * (x - T(threshold)) if negative_slope != 0.0 else T(0)
    return below if x <= T(threshold) else T(max_value) if x > T(max_value) else x


@helper
def general_relu_gradient(x, dy, negative_slope, max_value, threshold):
    below = dy * T(negative_slope) if negative_slope != 0.0 else T(0)
    above = T(0) if T(max_value) < T(math.inf) else dy
    return below if x <= T(threshold) else above if x >= T(max_value) else dy


@helper
def negative(x):
    return -x


@helper
def negative_gradient(y, dy):
    return -dy


@helper
def absolute(x):
    return abs(x)


@helper
def absolute_gradient(x, dy):
    # 0 at 0, as Keras and PyTorch have it; NaN of NaN
    at_zero, elsewhere = x * T(0), dy if x > T(0) else -dy
    return elsewhere if abs(x) > T(0) else at_zero


@helper
def square(x):
    return x * x


@helper
def square_gradient(x, dy):
    return dy * (x + x)


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


# Comparisons of two numbers, of any element type.


@helper
def equal(x, y):
    return x == y


@helper
def not_equal(x, y):
    return x != y


@helper
def less(x, y):
    return x < y


@helper
def less_equal(x, y):
    return x <= y
