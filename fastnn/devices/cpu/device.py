"""The CPU as a device: every kernel that it can be asked for."""

from importlib import import_module

from fastnn.devices.launchers import launcher
from fastnn.kernels import cpu
from fastnn.kernels.declare import Kernel
from fastnn.kernels.scalar import formula
from fastnn.ops.elementwise import gradient_from_output
from fastnn.ops.record import Op


def kernels() -> list[Kernel]:
    """Every kernel that can be asked for. Those of a formula are made with its launcher; those of
    the activations that `linear` fuses, when it is first called with one."""
    from pkgutil import iter_modules

    for family in iter_modules(cpu.__path__, "fastnn.kernels.cpu."):
        import_module(family.name)
    for op in list(Op.known):
        if op.kernels is not None:
            launcher(op, "cpu")
    matmul = import_module("fastnn.kernels.cpu.matmul")
    for activation in gradient_from_output:
        matmul.activate(formula(activation))
    return [k for k in Kernel.known if not k.threads]
