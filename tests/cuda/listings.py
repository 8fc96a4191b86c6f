"""Every CUDA kernel in each element type, and what it compiles to."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple
from unittest import mock

from fastnn.compile import ptx
from fastnn.devices.cuda import catalogue
from fastnn.kernels.declare import Helper, Intrinsic, Kernel, by_dtype, global_values

ARCHITECTURES = ("sm_80", "sm_90")
# by names such as loops.exp-f4; but no test's own, which have two digests in their symbols
FORMS: dict[str, tuple[Kernel, str]] = {
    f"{k.module.removeprefix('cuda.')}.{k.symbol}-{dtype}": (k, dtype)
    for symbol, (k, dtype) in sorted(catalogue.forms().items())
    if symbol.rpartition("_")[0] == f"fastnn_{k.module.replace('.', '_')}_{k.symbol}_{dtype}"
}


class Listing(NamedTuple):
    """A kernel's PTX, and how many fused multiply-adds its optimised LLVM IR has."""

    text: str
    fused: int

    def instructions(self) -> Counter[str]:
        """How often each occurs, such as mul.rn.ftz.f32."""
        return Counter(re.findall(r"^\s+(?:@!?%p\d+ )?([a-z][\w.:]*)[^\n;]*;", self.text, re.M))


def listings_of(form: str, architectures: Sequence[str]) -> dict[str, Listing]:
    """What one of FORMS compiles to, by architecture. Numba types it once for all."""
    kernel, dtype = FORMS[form]
    llvm_ir = cache(ptx.llvm_ir)
    with mock.patch.object(ptx, "llvm_ir", llvm_ir):
        return {a: _listing(kernel, dtype, a) for a in architectures}


def _listing(kernel, dtype, architecture):
    machine, module = ptx.optimised(kernel, dtype, "entry", architecture)
    fused = re.findall(r"\bcall .*@llvm\.fma\.", str(module))
    return Listing(machine.emit_assembly(module), len(fused))


def intrinsics(form: str) -> set[str]:
    """The names of those that a kernel is made of, by way of its helpers too."""
    kernel, dtype = FORMS[form]
    found: set[str] = set()
    seen: set[object] = set()

    def walk(function):
        if function in seen:
            return
        seen.add(function)
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        closed = dict(zip(function.__code__.co_freevars, cells, strict=True))
        for declared in [*global_values(function).values(), *closed.values()]:
            if isinstance(declared, by_dtype):
                declared = declared.choices.get(dtype)
            if isinstance(declared, Intrinsic):
                found.add(declared.name)
            elif isinstance(declared, Helper):
                walk(declared.function)

    walk(kernel.function)
    return found
