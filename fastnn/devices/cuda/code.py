"""Machine code of kernels for this GPU: found in the cache, or compiled and kept there.

Two things are kept of a kernel: its PTX, which LLVM makes, and the machine code that the driver
makes of it. Neither Numba nor LLVM is imported for what is found.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from fastnn.compile.names import symbol
from fastnn.compile.object_cache import ObjectCache
from fastnn.compile.object_code import counted, identity
from fastnn.compile.ptx_entry import BATCHED
from fastnn.devices import quota
from fastnn.kernels.declare import Kernel
from fastnn.locks import compiling

from .device import Device, device

# what of the compiler shows in the PTX
COMPILER = ("frontend", "lowering", "resolve", "ptx_entry", "ptx")
# what the processes run that help to compile; they need no GPU
HELPER = (
    "import sys; from fastnn.devices.cuda.catalogue import compile_named as c; "
    "c({!r}, sys.argv[1:])"
)


def function_of(kernel: Kernel, dtype: str, batched: bool = False) -> int:
    """The driver's handle of a kernel for an element type ("f4", "f8", "i8"); or of its entry point
    of several calls."""
    gpu, loaded = device(), kernel.entries.get(dtype)
    if loaded is None or loaded[0] is not gpu:
        loaded = compiling.run(_load, gpu, kernel, dtype)
    return loaded[1 + batched]


def functions_of(forms: Sequence[tuple[Kernel, str]]) -> list[int]:
    """The same of several kernels. Those that are new here are compiled side by side."""
    gpu = device()
    missing = [(k, d) for k, d in dict.fromkeys(forms) if k.entries.get(d, (None,))[0] is not gpu]
    if len(missing) > 1:
        from fastnn.compile.parallel import compile_in_parallel

        helper, n_processes = HELPER.format(gpu.architecture), quota.allowed().number
        compile_in_parallel(missing, function_of, helper, n_processes, kept(gpu.architecture))
    return [function_of(kernel, dtype) for kernel, dtype in forms]


def _load(gpu: Device, kernel: Kernel, dtype: str) -> tuple[Any, ...]:
    kernel.expect(dtype)
    name = symbol(kernel, dtype)
    if name not in gpu.functions:  # else it is the same function under another declaration
        code = machine_code(gpu, kernel, dtype, name)
        names = (name, name + BATCHED) if kernel.batched else (name,)
        gpu.functions[name] = [gpu.function(code, n) for n in names]
    kernel.entries[dtype] = gpu, *gpu.functions[name]
    return kernel.entries[dtype]


def machine_code(gpu: Device, kernel: Kernel, dtype: str, name: str) -> bytes:
    """A cubin with the function `name`."""
    cache, own = kept(gpu.architecture), "{}_{}_by_{}_{}".format(*gpu.capability, *gpu.version)
    code = cache.read(f"{own}_{name}")
    if code is None:
        code = gpu.machine_code(ptx(kernel, dtype, name, gpu.architecture), name)
        cache.write(f"{own}_{name}", code)
    return code


def ptx(kernel: Kernel, dtype: str, name: str, architecture: str) -> bytes:
    """The kernel's PTX."""

    def make() -> bytes:
        from fastnn.compile.ptx import compile_kernel

        with counted(name):
            return compile_kernel(kernel, dtype, name, architecture).encode()

    return kept(architecture).get(name, make)


@cache
def kept(architecture: str) -> ObjectCache:
    """Where the code for an architecture is kept."""
    return ObjectCache(identity(COMPILER, "PTX", architecture))
