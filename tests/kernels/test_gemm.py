"""Matrix products, and streaming stores, with the vectors, registers and blocks of other
processors than this one: on x86-64 they run, for the others they are compiled."""

import itertools
import math
import re
from math import inf

import numpy as np
import pytest

from fastnn.compile.target import Processor
from fastnn.kernels.cpu import gemm, gemv, matmul_gradient, movement
from fastnn.kernels.declare import Target
from fastnn.kernels.scalar import activations
from tests.processors import ON_X86_64, PROCESSORS, call

pytestmark = ON_X86_64
# Around MR (14, 6), LANES (2 to 16), NR, half of LANES, a tile of dot products, and KC.
SIZES = [
    (1, 1, 1),
    (2, 9, 3),
    (5, 16, 7),
    (6, 8, 16),
    (7, 17, 17),
    (13, 3, 33),
    (15, 24, 40),
    (28, 7, 4),
    (31, 25, 65),
]
# MR rows and two more, which are halved, with a tile before or none
SIZES += [(8, 4, 5), (14, 5, 6), (16, 5, 17), (30, 9, 33)]
SIZES += [(3, 20, 9), (1, 40, 13), (1, 18, 37)]  # tiles of dot products that differ in width
SIZES += [(9, 10, 10), (15, 20, 512)]  # the last: rows of B with cache-set conflicts
SIZES += [(31, 1024, 9), (1030, 20, 5)]  # rows of A with them, and of A^T


def operands(size, dtype, transpose_a, transpose_b):
    (m, k, n), rng = size, np.random.default_rng(sum(size))
    shapes = (k, m) if transpose_a else (m, k), (n, k) if transpose_b else (k, n), (n,), (m, n)
    return [rng.uniform(-1, 1, s).astype(dtype) for s in shapes]


def expected(a, b, transpose_a, transpose_b):
    a, b = a.astype("f8"), b.astype("f8")
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def check(got, reference, depth):
    """Sums of `depth` products of numbers below 1."""
    bound = 4 * np.finfo(got.dtype).eps * np.sqrt(depth) * (1 + np.abs(reference))
    assert (np.abs(got - reference) <= bound).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", PROCESSORS)
def test_gemm(name, dtype):
    """Each operand stored either way; bias and ReLU, and accumulating into C."""
    for size, transpose_a, transpose_b in itertools.product(SIZES, (0, 1), (0, 1)):
        a, b, bias, before = operands(size, dtype, transpose_a, transpose_b)
        product, c, added = (
            expected(a, b, transpose_a, transpose_b),
            np.full_like(before, np.nan),
            before.copy(),
        )
        call(gemm.gemm, name, a, b, bias, transpose_a, transpose_b, 0.0, 0, c)
        call(gemm.gemm, name, a, b, bias[:0], transpose_a, transpose_b, -inf, 1, added)
        check(c, np.maximum(product + bias, 0), size[1])
        check(added, product + before, size[1])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", PROCESSORS)
def test_gemm_and_gradient(name, dtype):
    """In one chunk of rows and in several; sums alone and accumulated."""
    kernel = matmul_gradient.gemm_and_gradient(activations.tanh_gradient)
    for size in [*SIZES, (56, 3, 34), (121, 9, 50), (7, 0, 5)]:
        a, b, before, y = operands(size, dtype, 0, 1)
        product = expected(a, b, 0, 1) * (1 - y.astype("f8") ** 2)
        for chunk in (size[0], 4, 60):
            sums = np.stack([before] * math.ceil(size[0] / chunk))
            expected_sums = np.add.reduceat(product, range(0, size[0], chunk))
            dx, alone, added = np.full_like(y, np.nan), np.full_like(sums, np.nan), sums.copy()
            call(kernel, name, a, b, y, chunk, 0, dx, alone)
            call(kernel, name, a, b, y, chunk, 1, dx, added)
            check(dx, product, max(size[1], 1))
            check(alone, expected_sums, size[0] * max(size[1], 1))
            check(added, expected_sums + before, size[0] * max(size[1], 1))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", PROCESSORS)
def test_gemm_dots(name, dtype):
    """A row's bits do not depend on the rows and columns beside it: with them the tile's shape
    changes."""
    for size in [*SIZES, (1, 40, 19), (19, 40, 1)]:
        a, b, bias, before = operands(size, dtype, 0, 1)
        product, c, added = expected(a, b, 0, 1), np.full_like(before, np.nan), before.copy()
        call(gemv.gemm_dots, name, a, b, bias, 0.0, 0, c)
        call(gemv.gemm_dots, name, a, b, bias[:0], -inf, 1, added)
        check(c, np.maximum(product + bias, 0), size[1])
        check(added, product + before, size[1])
        row, column = c[-1:].copy(), np.ascontiguousarray(c[:, -1:])
        call(gemv.gemm_dots, name, a[-1:].copy(), b, bias, 0.0, 0, row)
        call(gemv.gemm_dots, name, a, b[-1:].copy(), bias[-1:].copy(), 0.0, 0, column)
        np.testing.assert_array_equal(row, c[-1:])
        np.testing.assert_array_equal(column, c[:, -1:])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", PROCESSORS)
def test_gemv(name, dtype):
    """The bits are those of gemm, however the matrix is read: panel by panel, or row by row where
    it is out of L2 or its rows conflict in a cache's sets."""
    for size in [
        *[(1, k, n) for _, k, n in SIZES],
        (1, 9, 130),
        (1, 40, 67),
        (1, 20, 512),
        (1, 300, 1001),
    ]:
        x, w, bias, before = operands(size, dtype, 0, 0)
        product = expected(x, w, 0, 0)
        y, added, tiles = np.full_like(before, np.nan), before.copy(), np.full_like(before, np.nan)
        call(gemv.gemv, name, x[0], w, bias, 0.0, 0, y[0])
        call(gemv.gemv, name, x[0], w, bias[:0], -inf, 1, added[0])
        call(gemm.gemm, name, x, w, bias, 0, 0, 0.0, 0, tiles)
        check(y, np.maximum(product + bias, 0), size[1])
        check(added, product + before, size[1])
        np.testing.assert_array_equal(y, tiles)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    "kernel",
    [gemm.gemm, gemv.gemm_dots, movement.transpose_matrix, gemv.gemv],
    ids=lambda k: k.name,
)
def test_arm_has_vector_instructions(kernel, dtype):
    from llvmlite import binding

    from fastnn.compile.backend import optimised

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    arm = Processor("generic", "+neon", Target(16, 32, "aarch64"), "aarch64-unknown-linux-gnu")
    machine, module = optimised(kernel, dtype, "entry", arm)
    text = machine.emit_assembly(module)
    vectorised = r"\b(fmla|zip[12]|trn[12]|ext)\s+v\d+\.(4s|2d|16b)"
    assert len(re.findall(vectorised, text)) >= 2
    own = "gemm_microkernel|gemv_microkernel|dot_microkernel|transpose_tile|mem(?:set|cpy|move)"
    assert not re.search(rf"\bbl\s+(?!{own})", text), "calls something"


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_streaming_copy_begins_and_ends_anywhere(dtype, name):
    """Streaming stores are of whole vectors at vectors' addresses, and fail at any other."""
    for start, size in itertools.product((0, 1, 5, 15, 16), (0, 1, 3, 15, 16, 17, 31, 64, 97)):
        x, around = (
            np.random.default_rng(size).normal(size=size).astype(dtype),
            np.zeros(256, dtype),
        )
        first = -around.ctypes.data % 64 // around.itemsize + start
        call(movement.streaming_copy, name, x, around[first : first + size])
        np.testing.assert_array_equal(around[first : first + size], x)
        assert not around[:first].any()
        assert not around[first + size :].any()
