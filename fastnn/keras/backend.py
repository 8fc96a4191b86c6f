"""The few names that `keras.backend` has in Keras 3."""

from typing import Any

from fastnn import config, dtypes, registry
from fastnn.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from fastnn.utils import clear_session, is_keras_tensor, standardize_dtype

PYTHON = {int: int, float: float, bool: bool, "int": int, "float": float, "bool": bool}


def result_type(*dtypes_: Any) -> str:
    """The element type of what is computed of these: names, types, tensors, or Python's int and
    float, which are weak. float32 and float64 together, which give float64 in Keras, are refused.

    >>> import fastnn.keras as keras
    >>> keras.backend.result_type("int32", float)
    'float32'
    """
    given = [getattr(t, "dtype", t) for t in dtypes_]
    kinds = [PYTHON[t] if t in PYTHON else dtypes.expected(t, "result_type") for t in given]
    return dtypes.result_type(*kinds, floatx=config.floatx()).name


def is_float_dtype(dtype: Any) -> bool:
    """Whether an element type is one of floats.

    >>> import fastnn.keras as keras
    >>> keras.backend.is_float_dtype("float64")
    True
    """
    return standardize_dtype(dtype).startswith(("float", "bfloat"))


def is_int_dtype(dtype: Any) -> bool:
    """Whether an element type is one of integers; bool is none.

    >>> import fastnn.keras as keras
    >>> keras.backend.is_int_dtype("uint8")
    True
    """
    return standardize_dtype(dtype).startswith(("int", "uint"))


def get_uid(prefix: str = "") -> int:
    """1, 2, ...: how often it was asked for with this prefix.

    >>> import fastnn.keras as keras
    >>> keras.backend.get_uid("fold"), keras.backend.get_uid("fold")
    (1, 2)
    """
    name = registry.unique_name(f"uid {prefix}")
    return int(name.rpartition("_")[2]) + 1 if name != f"uid {prefix}" else 1
