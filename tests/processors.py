"""Kernels made for other processors than this one, whose instructions it has too."""

import platform
import re
from functools import cache

import numpy as np
import pytest

from fastnn.compile.target import Processor
from fastnn.devices.cpu import INTERPRETED, call_once, elf
from fastnn.kernels.declare import Target

ON_X86_64 = pytest.mark.skipif(
    INTERPRETED or platform.machine() not in ("x86_64", "AMD64"),
    reason="the processors compiled for are x86-64's",
)
# KC and bytes of caches: far fewer than there are, so that a small matrix crosses their edges. L1
# holds a tile and a panel of float32, but with AVX-512 none of float64.
KC, L1, L2 = 8, 800, 1024
AVX_512 = "skylake-avx512", "+avx512f,+avx512vl,+avx512dq,+avx512bw,+fma,-prefer-256-bit"
AVX2 = "haswell", "+avx2,+fma"
PROCESSORS = {
    "AVX-512, two": Processor(*AVX_512, Target(64, 32, "x86_64", KC, 2, L1, L2)),
    "AVX-512": Processor(*AVX_512, Target(64, 32, "x86_64", KC)),
    "AVX2, two": Processor(*AVX2, Target(32, 16, "x86_64", KC, 2, L1, L2)),
    "AVX2, two, tiles": Processor(*AVX2, Target(32, 16, "x86_64", KC, 2, 64, L2)),
    "AVX2": Processor(*AVX2, Target(32, 16, "x86_64", KC)),
    "128 bits": Processor("x86-64", "+avx,+fma,+prefer-128-bit", Target(16, 16, "x86_64", KC)),
}
NEEDS = {
    "AVX-512": "avx512vl",
    "AVX-512, two": "avx512vl",
    "AVX2": "avx2",
    "AVX2, two": "avx2",
    "AVX2, two, tiles": "avx2",
    "128 bits": "fma",
}


@cache
def compiled(kernel, dtype, name):
    """The address of a kernel made for another processor, whose instructions this one has too."""
    from llvmlite import binding

    from fastnn.compile.backend import compile_kernel
    from fastnn.devices.cpu.loader import MEMORY_ADDRESSES

    if not binding.get_host_cpu_features().get(NEEDS[name]):
        pytest.skip(f"this processor has no {NEEDS[name]}")
    symbol = f"test_{kernel.name}_{dtype}_{re.sub(r'[^a-z0-9]', '_', name.lower())}"
    return elf.load(
        compile_kernel(kernel, dtype, symbol, PROCESSORS[name]),
        symbol,
        MEMORY_ADDRESSES,
    )


def call(kernel, name, *arguments):
    dtype = arguments[kernel.element].dtype.str[1:]
    call_at(compiled(kernel, dtype, name), kernel, *arguments)


def call_at(address, kernel, *arguments):
    """Call a kernel that was loaded by hand."""
    fields = []
    for a in arguments:
        fields += [a.ctypes.data, *a.shape] if isinstance(a, np.ndarray) else [a]
    assert call_once(address, kernel.block.pack(*fields)) == 0
