"""`kernels/cpu/` and `kernels/cuda/` have the same families, and launchers of the same names and
arguments."""

import inspect
from importlib import import_module
from pkgutil import iter_modules

import pytest

from fastnn.kernels import cpu, cuda
from fastnn.kernels.declare import Kernel
from fastnn.ops.record import Op

# Files that one tree alone has, and why.
CPU_ALONE = {
    "depthwise": "a group for each channel is a convolution like others on a GPU",
    "gemv": "a product of one row or column is a tile like others on a GPU",
    "pack": "shared memory takes the place of packed panels",
    "peaks": "bench/gpu measures a GPU's",
    "simd": "vector registers",
    "threads": "a grid takes the place of ranges",
}
CUDA_ALONE = {
    "grid": "which thread a kernel is run by; shared memory, barriers, shuffles",
    "gemm_microkernel": "the CPU's is in simd/",
    "reduction_forms": "which threads make a reduction",
    "reductions": "sums over the threads of a warp or a block",
    "strips": "columns of batch norm that a block has; the CPU's are ranges",
    "transpose": "the CPU's is in simd/",
}


def files(package):
    return {m.name for m in iter_modules(package.__path__)}


def test_families_are_the_same():
    assert files(cpu) - files(cuda) == set(CPU_ALONE)
    assert files(cuda) - files(cpu) == set(CUDA_ALONE)


def found(device, op):
    family, _, name = op.kernels.rpartition(".")
    return getattr(import_module(f"fastnn.kernels.{device}.{family}"), name)


def arguments(launcher):
    """What an op's launcher is called with: that of a kernel is called as its record says."""
    if isinstance(launcher, Kernel):
        return "those of the record"
    return [(p.name, p.kind, p.default) for p in inspect.signature(launcher).parameters.values()]


def is_on_both(op):
    return op.kernels is not None and op.kernels.rpartition(".")[0] not in CPU_ALONE


OPS = sorted(filter(is_on_both, Op.known), key=lambda op: op.name)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_an_ops_launcher_takes_the_same_on_both(op):
    here, there = (arguments(found(device, op)) for device in ("cpu", "cuda"))
    if "those of the record" not in (here, there):
        assert here == there


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_a_launchers_defaults_are_the_records(op, device):
    """What shape the result has is inferred with those of the record; its type it has by then."""
    launcher = found(device, op)
    if op.formula is not None or isinstance(launcher, Kernel):
        return
    parameters = inspect.signature(launcher).parameters.values()
    own = {p.name: p.default for p in parameters if p.name in {*op.defaults} - {"dtype"}}
    assert own == {name: op.defaults[name] for name in own}
