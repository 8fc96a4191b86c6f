"""What batch and layer normalisation compute of a whole column or row, on every device; of an
element, see scalar/normalize.py.

Sums are taken of x less the first element of its column or row, and the rounding error of the mean
that follows is kept (mean_lo): kernels/cpu/normalization.py says why.
"""

import numpy as np

from .declare import T, helper
from .intrinsics import fma


@helper
def reciprocal_deviation(variance, epsilon):
    return T(1) / T(np.sqrt(variance + T(epsilon)))


@helper
def two_sum(a, b):
    """(a + b rounded, its rounding error): Knuth's."""
    total = a + b
    added = total - a
    return total, (a - (total - added)) + (b - added)


@helper
def gradient_coefficients(gamma, mean_lo, rstd, products, sums, one_over_n):
    """dgamma = sum of dy (x - mean - mean_lo) rstd, from products = sum of dy (x - mean) and sums =
    sum of dy; and the coefficients of

    dx = gamma rstd (dy - dbeta / N - xhat dgamma / N)
       = scale dy + coefficient (x - mean) + constant
    """
    dgamma = fma(-mean_lo, sums, products) * rstd
    scale = gamma * rstd
    coefficient = -scale * rstd * dgamma * one_over_n
    constant = -fma(coefficient, mean_lo, scale * sums * one_over_n)
    return dgamma, scale, coefficient, constant
