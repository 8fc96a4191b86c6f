"""What normalisation and softmax compute of an element of a row: the formulas of their loops over
rows (`kernels/cpu/row_loops.py`). What belongs to a column (gamma) or to a row (its mean) is a
number here; the loop finds it. What depends on the row alone, mean_lo rstd, LLVM computes once a
row.
"""

from ..declare import helper
from ..intrinsics import fma


@helper
def scale_and_shift(x, mean, scale, shift):
    return fma(x - mean, scale, shift)


@helper
def add_products_and_sums(x, mean, dy, products, sums):
    """products + dy (x - mean), sums + dy."""
    return fma(x - mean, dy, products), sums + dy


@helper
def scale_and_shift_gradient(x, mean, scale, coefficient, constant, dy):
    """scale dy + coefficient (x - mean) + constant."""
    return fma(scale, dy, fma(coefficient, x - mean, constant))


@helper
def normalise(x, mean, mean_lo, rstd, gamma, beta):
    """gamma xhat + beta with xhat = (x - mean - mean_lo) rstd."""
    return fma(fma(x - mean, rstd, -mean_lo * rstd), gamma, beta)


@helper
def normalise_gradient(x, mean, mean_lo, rstd, gamma, mean_g, mean_gx, dy):
    """rstd (dy gamma - mean_g - xhat mean_gx)."""
    return rstd * fma(-mean_gx, fma(x - mean, rstd, -mean_lo * rstd), fma(dy, gamma, -mean_g))


@helper
def softmax_gradient(y, dy, inner):
    """inner = sum of dy y over the row."""
    return y * (dy - inner)


@helper
def log_softmax_gradient(p, dy, total):
    """p = e^y; total = sum of dy over the row."""
    return fma(-p, total, dy)
