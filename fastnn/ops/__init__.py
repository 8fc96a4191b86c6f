"""The ops. Each is a record (`record.Op`) that is called like a function, on tensors, arrays and
numbers."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from fastnn import registry as registry_of_names

from .functions import functions
from .record import Op, registry

for _family in (
    "activations",
    "arithmetic",
    "arrange",
    "attention",
    "categories",
    "composite",
    "control",
    "conv_transpose",
    "convolution",
    "counts",
    "create",
    "crossentropy",
    "decompositions",
    "depthwise",
    "einsum",
    "embedding",
    "elementary",
    "indices",
    "integers",
    "join",
    "losses",
    "matmul",
    "metrics",
    "movement",
    "nan_statistics",
    "normalization",
    "normalize",
    "pixels",
    "pointwise",
    "pooling",
    "products",
    "quantiles",
    "random",
    "rearrange",
    "reduce",
    "rounding",
    "scans",
    "segments",
    "series",
    "shapes",
    "sorting",
    "statistics",
    "trigonometric",
    "updates",
):
    import_module(f"{__name__}.{_family}")

# Every op with a reference, for a record is all it takes to be here; and functions of ops.
_names: dict[str, Any] = registry | {alias: op for op in registry.values() for alias in op.aliases}
_names |= functions
registry_of_names.functions.update(_names)
__all__ = sorted(_names)
globals().update(_names)


class _Namespace(ModuleType):
    """`keras.ops.nn` and its like: all ops by their names."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.modules[__package__], name)


for _name in ("linalg", "nn", "numpy"):
    globals()[_name] = sys.modules[f"{__name__}.{_name}"] = _Namespace(f"{__name__}.{_name}")
