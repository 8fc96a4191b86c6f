"""Every CUDA kernel in each element type, and what it compiles to."""

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import NamedTuple

from fastnn.compile import ptx
from fastnn.devices.cuda import catalogue
from fastnn.kernels.declare import Helper, Intrinsic, Kernel, by_dtype, global_values

ARCHITECTURES = ("sm_80", "sm_90")
# by names such as loops.exp-f4; but no test's own, which have a digest in their symbols
FORMS: dict[str, tuple[Kernel, str]] = {
    f"{k.module.removeprefix('cuda.')}.{k.symbol}-{dtype}": (k, dtype)
    for symbol, (k, dtype) in sorted(catalogue.forms().items())
    if symbol == f"fastnn_{k.module.replace('.', '_')}_{k.symbol}_{dtype}"
}


class Listing(NamedTuple):
    """A kernel's PTX, and how many fused multiply-adds its optimised LLVM IR has."""

    text: str
    fused: int

    def instructions(self) -> Counter[str]:
        """How often each occurs, such as mul.rn.ftz.f32."""
        return Counter(re.findall(r"^\s+(?:@!?%p\d+ )?([a-z][\w.:]*)[^\n;]*;", self.text, re.M))


def listing(form: str, architecture: str) -> Listing:
    """What one of FORMS compiles to."""
    kernel, dtype = FORMS[form]
    machine, module = ptx.optimised(kernel, dtype, "entry", architecture)
    fused = re.findall(r"\bcall .*@llvm\.fma\.", str(module))
    return Listing(machine.emit_assembly(module), len(fused))


def begun(executor: Executor) -> Callable[[str, str], Future[Listing]]:
    """`listing`, in other processes: what is called begins it, once."""
    made: dict[tuple[str, str], Future[Listing]] = {}

    def begin(*which: str) -> Future[Listing]:
        if which not in made:
            made[which] = executor.submit(listing, *which)
        return made[which]

    return begin


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
