"""Products of stacks of matrices: which matrices are multiplied, for every device.

    C[p] = A[a_index[p]] B[b_index[p]]

Leading dimensions broadcast as in NumPy; a vector is a row on the left and a column on the right.
"""

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """A product of stacks: the shapes in which a and b are stored, with all stacks' dimensions as
    one, and the result's; which of them is stored transposed; the result's leading dimensions."""

    a: tuple[int, int, int]
    b: tuple[int, int, int]
    c: tuple[int, int, int]
    transpose_a: bool
    transpose_b: bool
    leading: tuple[int, ...]
    shape: tuple[int, ...]  # the result's own
    is_one: bool  # whether the rows of all of A are multiplied with one B, as one matrix


@lru_cache(maxsize=1024)
def batch_of(a, b, transpose_a=False, transpose_b=False):
    """The Batch of shapes; None where the matrices do not fit, ValueError where the leading
    dimensions do not broadcast."""
    a_is_vector, b_is_vector = len(a) == 1, len(b) == 1
    if a_is_vector:
        a, transpose_a = (1, *a), False
    if b_is_vector:
        b, transpose_b = (*b, 1), False
    (rows, depth), (other, columns) = (
        s[:-3:-1] if t else s[-2:] for s, t in ((a, transpose_a), (b, transpose_b))
    )
    if depth != other:
        return None
    leading = np.broadcast_shapes(a[:-2], b[:-2])
    shape = (*leading, *[rows] * (not a_is_vector), *[columns] * (not b_is_vector))
    is_one = prod(b[:-2]) == 1 and not transpose_a
    a_3, b_3 = (prod(a[:-2]), *a[-2:]), (prod(b[:-2]), *b[-2:])
    c_3 = prod(leading), rows, columns
    if is_one:
        a_3, c_3 = (1, a_3[0] * rows, depth), (1, c_3[0] * rows, columns)
    return Batch(a_3, b_3, c_3, transpose_a, transpose_b, leading, shape, is_one)


@lru_cache(maxsize=1024)
def places_of(constant, a, b):
    """The tables a_index and b_index of leading dimensions, by `constant` what kernels read."""
    leading = np.broadcast_shapes(a, b)
    return tuple(
        constant(np.broadcast_to(np.arange(prod(s)).reshape(s), leading).flatten()) for s in (a, b)
    )
