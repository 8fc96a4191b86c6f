"""The ops. Each is a record (`record.Op`) that is called like a function, on tensors, arrays and
numbers."""

from importlib import import_module

from fastnn.errors import nearest

from .record import Op, registry

for _family in (
    "activations",
    "arithmetic",
    "elementary",
    "losses",
    "matmul",
    "metrics",
    "movement",
    "normalization",
    "random",
    "reduce",
    "shape",
    "updates",
):
    import_module(f"{__name__}.{_family}")

__all__ = sorted(registry)  # every op with a reference: a record is all it takes to be here
globals().update(registry)


def __getattr__(name: str) -> Op:
    raise AttributeError(f"fastnn.ops has no {name!r}; {nearest(name, registry)}")
