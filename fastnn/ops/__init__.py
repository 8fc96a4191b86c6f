"""The ops. Each is a record (`record.Op`) that is called like a function, on tensors, arrays and
numbers."""

from collections.abc import Callable
from importlib import import_module

from fastnn.errors import nearest

from .record import Op, functions, registry

for _family in (
    "activations",
    "arithmetic",
    "composite",
    "elementary",
    "losses",
    "matmul",
    "metrics",
    "movement",
    "normalization",
    "random",
    "reduce",
    "scans",
    "shape",
    "sorting",
    "statistics",
    "updates",
):
    import_module(f"{__name__}.{_family}")

# Every op with a reference: a record is all it takes to be here.
_names = registry | functions | {alias: op for op in registry.values() for alias in op.aliases}
__all__ = sorted(_names)
globals().update(_names)


def __getattr__(name: str) -> Op | Callable:
    raise AttributeError(f"fastnn.ops has no {name!r}; {nearest(name, _names)}")
