"""The launchers of a matrix product, and of the linear layer, as kernels/cpu/matmul.py has them:

    C = A B                      dA = dC B^T, dB = A^T dC
    y = activation(x w + bias)   dz = dy activation'(y), dx = dz w^T, dw = x^T dz,
                                 dbias = sum of dz's rows

Every product is made by gemm.py. The tile is chosen by C's shape; it changes no bit.
"""

import math
from functools import cache

import numpy as np

from .. import scalar
from .gemm import gemm
from .gemm_microkernel import tile_for


@cache
def empty(constant, dtype):
    """The argument for a bias that is not there."""
    return constant(np.empty(0, dtype))


def matmul(
    call, a, b, c, *, transpose_a=False, transpose_b=False, accumulate=False, bias=None,
    clamp_min=-math.inf,
):  # fmt: skip
    """C = max(clamp_min, A B + bias), or with accumulate max(clamp_min, A B + C), A and B
    transposed first if so said."""
    _multiply(call, a, b, c, (transpose_a, transpose_b), accumulate, bias, clamp_min)


def linear(call, x, w, bias, y, *, activation=None):
    """y = activation(x w + bias). A ReLU is the product's clamp; others are computed by the formula
    of their name in kernels/scalar/, before an element is stored."""
    if activation in (None, "relu"):
        _multiply(call, x, w, y, bias=bias, clamp_min=0.0 if activation == "relu" else -math.inf)
    else:
        _multiply(call, x, w, y, bias=bias, activation=scalar.formula(activation))


def _multiply(
    call, a, b, c, transposed=(False, False), accumulate=False, bias=None, clamp_min=-math.inf,
    activation=None,
):  # fmt: skip
    tile = tile_for(*c.shape, c.dtype.itemsize)
    bias = empty(call.constant, c.dtype) if bias is None else bias
    multiply = gemm(tile, *map(bool, transposed), activation)
    call(multiply, a, b, bias, clamp_min, int(accumulate), c)
