"""A matrix product fused with the start of the layer below's gradient.

    forward     y = activation(z), z = x w + bias
    backward    dz = activation'(y) (a b^T), dbias = sum of dz's rows

a b^T is the gradient of y, made by the layer above: a = its dz, b = its w. The derivative is the
product's epilogue; the rows are summed afterwards.
"""

from functools import cache

from ..declare import T, helper, kernel
from ..intrinsics import flat, stack_array
from .gemm import add_products_of, finish_of, of_vectors
from .gemm_microkernel import tile_for
from .grid import block_index, block_index_y, is_vectorised, load_vector
from .reduce import sum


@cache
def gemm_and_gradient(tile, derivative):
    """The kernel of dx = derivative(y, A B^T)."""
    add_products, sums_count = add_products_of(tile, False, True), tile.sums
    derived = of_vectors(derivative)

    @helper
    def epilogue(totals, y, place, count):
        at_once = is_vectorised(y, y.shape[1])
        return derived(load_vector(flat(y), place, count, at_once), totals)

    finish = finish_of(tile, False, epilogue)

    @kernel(
        threads=tile.threads,
        resident_blocks=tile.resident_blocks,
        dtypes=tile.dtypes,
        split=tile.split,
        name=tile.kernel_name(False, True, derivative),
        a="T[M, K]",
        b="T[N, K]",
        y="T[M, N]",
        dx="out T[M, N]",
    )
    def multiply(a, b, y, dx):
        sums = stack_array(T(0), sums_count)
        add_products(sums, a, b, flat(y)[:0], 0, dx, block_index(), block_index_y())
        finish(sums, y, dx, block_index(), block_index_y())

    return multiply


@cache
def matmul_and_gradient(derivative):
    """The launcher of dx = derivative(y, a b^T)."""

    def launch(call, y, a, b, dx):
        tile = tile_for(*y.shape, y.dtype.itemsize)
        call(gemm_and_gradient(tile, derivative), a, b, y, dx)

    return launch


@cache
def matmul_and_gradient_and_sums(derivative):
    """The launcher of dx = derivative(y, a b^T) and the sums of its columns, or sums += them."""
    product = matmul_and_gradient(derivative)

    def launch(call, y, a, b, dx, sums, *, accumulate=False):
        product(call, y, a, b, dx)
        sum(call, dx, sums, axis=0, accumulate=accumulate)

    return launch
