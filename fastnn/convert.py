"""Arrays, numbers and nested lists as contiguous arrays of an element type that tensors have."""

from typing import Any

import numpy as np

from fastnn import config, frames
from fastnn.dtypes import ANY, FLOAT32, FLOATS, INT64
from fastnn.errors import ShapeError


def as_array(value: Any, dtype: Any, name: str) -> np.ndarray:
    """`value` as a contiguous array of `dtype` (None: of its own or the nearest that tensors have),
    not copied if it is one."""
    array = as_numbers(value, name)
    if dtype is None:
        dtype = nearest_type(array.dtype, isinstance(value, np.ndarray | np.generic))
    # what is too large for the type becomes infinite, which those who mind look for
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.dtype(dtype)).reshape(array.shape)


def as_numbers(value: Any, name: str) -> np.ndarray:
    """`value` as NumPy takes it, if that is numbers."""
    try:
        array = np.asarray(value)
    # NumPy's words for nested lists of different lengths are long and do not say which argument
    except ValueError:
        raise ShapeError(f"{name}: its rows are not of one length, so it has no shape") from None
    if array.dtype.kind not in "biuf":
        array = frames.numbers(array, value, name)
    elif type(value) is not np.ndarray:
        frames.expect_no_dates(value, name)
    return array


def nearest_type(dtype: np.dtype, has_type: bool) -> np.dtype:
    """The element type of a tensor that is made of an array, or, unless it `has_type`, of numbers
    without one of their own."""
    if dtype.kind == "f" and not has_type:
        return np.dtype(config.floatx())
    if dtype in ANY:
        return dtype.newbyteorder("=")
    return INT64 if dtype.kind in "iu" else FLOAT32


def promoted_type(value: Any, name: str) -> Any:
    """What `dtypes.result_type` is told of an operand that is no tensor: an array's element type,
    or Python's bool, int or float, of which NumPy's floats are one."""
    if isinstance(value, bool | int | float):
        return bool if isinstance(value, bool) else int if isinstance(value, int) else float
    dtype = as_numbers(value, name).dtype
    if dtype.kind == "f" and not (isinstance(value, np.ndarray) and value.dtype in FLOATS):
        return float
    return nearest_type(dtype, True)
