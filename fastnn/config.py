"""Settings of the process: the element type of new tensors and layers."""

import numpy as np

from fastnn.errors import nearest

_floatx = np.dtype("float32")


def floatx() -> str:
    """The element type that layers and converted numbers have unless told otherwise: "float32" or "float64".

    >>> import fastnn
    >>> fastnn.keras.config.floatx()
    'float32'
    """
    return str(_floatx)


def set_floatx(value: str) -> None:
    """Set what `floatx` returns. Layers already built keep their type."""
    global _floatx
    if value not in ("float32", "float64"):
        raise ValueError(f"set_floatx: expected 'float32' or 'float64'; got {value!r}; {nearest(value, ['float32', 'float64'])}")
    _floatx = np.dtype(value)
