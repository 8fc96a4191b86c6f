"""A function of one float32 as a piecewise polynomial, whose coefficients, of 32 pieces, AVX-512
keeps in registers: a table lookup of 16 numbers is one instruction. That takes no division, which
alone keeps an Intel processor busy for ten cycles a vector."""

import numpy as np

from ..avx512 import TABLE_SIZE

DEGREE = 5
# of a float32's bits: the exponent is left and two more, so that there are four pieces from 2^n to
# 2^(n + 1)
PIECE_SHIFT = 21


def piecewise_polynomials(function, first_piece):
    """Centres and coefficients, (2 + DEGREE, TABLE_SIZE), of an odd function. Its pieces have the
    numbers from `first_piece` on, which are the bits of their floats shifted; but the first one
    reaches down to zero."""
    numbers = np.arange(first_piece, first_piece + TABLE_SIZE + 1, dtype=np.uint32)
    edges = (numbers << PIECE_SHIFT).view(np.float32).astype(np.float64)
    edges[0] = 0
    centres = ((edges[1:] + edges[:-1]) / 2).astype(np.float32).astype(np.float64)
    centres[0] = 0
    radii = edges[1:] - centres
    nodes = np.cos((np.arange(DEGREE + 1)[:, None] + 0.5) * np.pi / (DEGREE + 1))  # Chebyshev's
    powers = np.arange(DEGREE + 1)[:, None]
    coefficients = (
        np.linalg.solve(nodes**powers.T, function(centres + radii * nodes)) / radii**powers
    )
    # but for rounding they are: zero keeps its neighbours' relative error small
    coefficients[::2, 0] = 0
    table = np.empty((2 + DEGREE, TABLE_SIZE), np.float32)
    table[:, numbers[:-1] % TABLE_SIZE] = [centres, *coefficients]
    return table
