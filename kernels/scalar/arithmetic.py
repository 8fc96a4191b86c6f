"""Sums, products, comparisons and their like, and their derivatives."""

import numpy as np

from ..declare import T, helper


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


# Functions of two numbers. Their gradients take both inputs and the upstream gradient.


@helper
def add(x, y):
    return x + y


@helper
def second(x, y):
    return y


@helper
def subtract(x, y):
    return x - y


@helper
def subtract_gradient_y(x, y, dz):
    return -dz


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
def minimum(x, y):
    return x if x <= y or x != x else y  # NaN if either is


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
def minimum_gradient_x(x, y, dz):
    return dz if x <= y else T(0)


@helper
def minimum_gradient_y(x, y, dz):
    return T(0) if x <= y else dz


@helper
def squared_difference(x, y):
    return (x - y) * (x - y)


@helper
def squared_difference_gradient_x(x, y, dz):
    return T(2) * (x - y) * dz


@helper
def squared_difference_gradient_y(x, y, dz):
    return T(2) * (y - x) * dz


@helper
def where(condition, x, y):
    return x if condition else y


@helper
def where_gradient_x(condition, x, y, dz):
    return dz if condition else T(0)


@helper
def where_gradient_y(condition, x, y, dz):
    return T(0) if condition else dz


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


@helper
def greater(x, y):
    return x > y


@helper
def greater_equal(x, y):
    return x >= y


# What a float is, and what booleans are together.


@helper
def isnan(x):
    return x != x


@helper
def isinf(x):
    return abs(x) == T(np.inf)


@helper
def isfinite(x):
    return abs(x) < T(np.inf)


@helper
def logical_and(x, y):
    return x & y


@helper
def logical_or(x, y):
    return x | y


@helper
def logical_xor(x, y):
    return x ^ y


@helper
def logical_not(x):
    return not x


@helper
def rsqrt(x):
    return T(1) / T(np.sqrt(x))


@helper
def rsqrt_gradient(y, dy):
    return T(-0.5) * dy * y * y * y  # d x^(-1/2) = -x^(-3/2) / 2


@helper
def hypot(x, y):
    """The larger size times sqrt(1 + (smaller / larger)^2), which does not overflow."""
    a, b = abs(x), abs(y)
    large, small = a if a >= b else b, b if a >= b else a
    ratio = small / (large if large > T(0) else T(1))
    z = large * T(np.sqrt(T(1) + ratio * ratio))
    z = z if (x == x) & (y == y) else x + y
    return T(np.inf) if (a == T(np.inf)) | (b == T(np.inf)) else z


@helper
def hypot_gradient_x(x, y, z, dz):
    return dz * x / z if z > T(0) else T(0)


@helper
def hypot_gradient_y(x, y, z, dz):
    return dz * y / z if z > T(0) else T(0)
