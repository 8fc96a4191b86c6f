"""Every kernel that the GPU can be asked for, by the name of its object code: for tests, and for
those who compile ahead."""

from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from itertools import product
from pkgutil import iter_modules

from fastnn.compile.names import symbol
from fastnn.devices.launchers import launcher
from fastnn.kernels import cuda, scalar
from fastnn.kernels.cuda import (
    convolution,
    gemm,
    gemm_microkernel,
    matmul_gradient,
    normalization,
)
from fastnn.kernels.declare import Kernel
from fastnn.ops.elementwise import gradient_from_output
from fastnn.ops.record import Op

from .code import kept, ptx


def kernels() -> list[Kernel]:
    """Every kernel that can be asked for. Those of a formula are made with its launcher, those of a
    product when one of such a shape is first called."""
    for family in iter_modules(cuda.__path__, "fastnn.kernels.cuda."):
        import_module(family.name)
    for op in list(Op.known):
        if op.kernels is not None:
            with suppress(NotImplementedError):  # of a user's own that has none
                launcher(op, "cuda")
    make_products()
    convolution.convolve(None)
    for name in gradient_from_output:
        normalization.strips_then(scalar.formula(name))  # fusion.py
        if name != "relu":  # a clamp, which all have
            convolution.convolve(scalar.formula(name))
    return [k for k in Kernel.known if k.module.startswith("cuda.")]


def make_products() -> None:
    """Make the kernels of products: of each tile, in every form, and with each activation or its
    derivative that the linear layer and its gradient need."""
    for tile in gemm_microkernel.TILES:
        for transpose_a, transpose_b in product((False, True), repeat=2):
            gemm.gemm(tile, transpose_a, transpose_b)
            gemm.batch_gemm(tile, transpose_a, transpose_b)
        for name, of_output in gradient_from_output.items():
            matmul_gradient.gemm_and_gradient(tile, of_output.derivative)
            if name != "relu":  # a clamp, which all have
                gemm.gemm(tile, False, False, scalar.formula(name))


def forms() -> dict[str, tuple[Kernel, str]]:
    """Every kernel in each of its element types, by symbol."""
    return {
        symbol(k, d): (k, d)
        for k in kernels()
        for d in (k.dtypes if k.element is not None else ("f4",))
    }


def compile_named(architecture: str, names: Sequence[str]) -> None:
    """Compile to PTX those of these that the cache has not; but none of a user's own."""
    known = forms()
    for name in names:
        if name in known and not kept(architecture).has(name):
            ptx(*known[name], name, architecture)
