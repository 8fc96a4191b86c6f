"""Every kernel that the CPU can be asked for, by the name of its object code: for those who compile
ahead."""

from collections.abc import Sequence
from functools import cache

from fastnn.compile.names import symbol
from fastnn.compile.object_code import current_cache
from fastnn.kernels.declare import Kernel

from . import entry
from .device import kernels


@cache
def forms() -> dict[str, tuple[Kernel, str]]:
    """Every kernel in each of its element types, by symbol."""
    return {
        symbol(k, d): (k, d)
        for k in kernels()
        for d in (k.dtypes if k.element is not None else ("f4",))
    }


def compile_named(names: Sequence[str]) -> None:
    """Compile those of these that the cache has not; but none of a user's own."""
    for name in names:
        if name in forms() and not current_cache().has(name):
            entry(*forms()[name])
