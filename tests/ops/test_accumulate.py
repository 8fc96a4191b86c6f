"""Kernels that add to what is there: nothing else that they do to their own result is done to
that."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.emit import emit
from fastnn.kernels.cpu import gemm, gemv, reduce
from fastnn.kernels.declare import Kernel
from fastnn.ops.record import Op
from tests.oracle import DTYPES

N = 71  # columns: more than a vector, and not whole ones
# (kernel, shapes of its arrays, of what is added to): every way of making the sum.
SCALED = [
    (reduce.sum_last, (9, 37), (9,)),
    (reduce.sum_middle, (3, 5, 7), (3, 7)),
    (reduce.sum_middle, (1, 19, 2 * N), (1, 2 * N)),
    (reduce.sum_middle, (2, 8, N), (2, N)),
    (reduce.sum_middle, (2, 0, N), (2, N)),
]
CLAMPED = [
    (gemm.gemm, [(5, 9), (9, N)], (5, N)),
    (gemm.gemm, [(3, 1100), (1100, N)], (3, N)),  # in blocks
    (gemv.gemm_dots, [(5, 40), (3, 40)], (5, 3)),
    (gemv.gemm_dots, [(5, 40), (1, 40)], (5, 1)),
    (gemv.gemv, [(9,), (9, 33)], (33,)),
    (gemv.gemv, [(70,), (70, 1024)], (1024,)),  # row after row
]


def draw(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [fastnn.tensor(rng.uniform(-1, 1, shape).astype(dtype)) for shape in shapes]


def made(kernel, *arguments):
    """What the kernel makes of its last argument, and what stood there."""
    before = arguments[-1].numpy()
    emit(kernel.name, kernel, arguments)
    return before, arguments[-1].numpy()


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize(("kernel", "shape", "result"), SCALED, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_scaled_sum_is_added_to_is_not_scaled(kernel, shape, result, scale, dtype):
    x, start = draw(dtype, shape, result)
    _, alone = made(kernel, x, scale, 0, fastnn.tensor(start.numpy()))
    before, got = made(kernel, x, scale, 1, start)
    np.testing.assert_allclose(got, before + alone, atol=32 * np.finfo(dtype).eps)
    if scale != 1:
        np.testing.assert_array_equal(got, before + alone)


@pytest.mark.parametrize(("kernel", "shapes", "result"), CLAMPED, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_that_is_added_is_clamped_with_what_it_is_added_to(kernel, shapes, result, dtype):
    """The bias's place is taken by what is there."""
    *factors, bias, start = draw(dtype, *shapes, (0,), result)
    flags = [0, 0] if kernel is gemm.gemm else []
    a, b = (f.numpy().astype("f8") for f in factors)
    before, got = made(kernel, *factors, bias, *flags, 0.0, 1, start)
    exact = np.maximum(0, before + (a @ b.T if kernel is gemv.gemm_dots else a @ b))
    np.testing.assert_allclose(got, exact, atol=8 * np.finfo(dtype).eps * a.shape[-1] ** 0.5)
    assert (got == 0).any()
    assert (got > 0).any()


def test_every_kernel_that_adds_and_does_something_else_is_tested():
    both = {
        k.name
        for k in Kernel.known
        if k.module.startswith("cpu.")
        and {"accumulate", "float"}
        <= {p.name for p in k.parameters} | {p.dtype for p in k.parameters}
    }
    # the same code as gemm
    assert both == {k.name for k, *_ in (*SCALED, *CLAMPED)} | {"gemm_transposed_a"}


def test_a_second_gradient_that_is_a_mean_leaves_the_first_as_it_was():
    """A rule may make a gradient with any op that accumulates."""
    repeat = Op(
        "rows alike",
        lambda x, *, shape, axis, mean: [(shape, x.dtype)],
        kernels="reduce.sum_gradient",
        gradient=lambda g, dys, *_, **__: g.gradient(0, ops.mean, dys[0], axis=0),
    )
    rows_alike = {"axis": (0,), "mean": False}
    variable = fastnn.Variable(np.zeros(N))
    first, second = draw("f4", (6, N), (4, N))
    repeat(variable, shape=(6, N), **rows_alike).backward(first)
    repeat(variable, shape=(4, N), **rows_alike).backward(second)
    expected = first.numpy().mean(axis=0) + second.numpy().mean(axis=0)
    np.testing.assert_allclose(variable.gradient.numpy(), expected, atol=1e-6)
