"""Arrays, numbers and nested lists as contiguous arrays of an element type that tensors have."""

from typing import Any

import numpy as np

from fastnn import config, frames
from fastnn.devices.cpu.memory import LETTERS
from fastnn.errors import ShapeError

INDEX = np.dtype("int64")


def as_array(value: Any, dtype: Any, name: str) -> np.ndarray:
    """`value` as a contiguous array of `dtype` (None: whichever of float32, float64, int64 and bool
    is nearest), not copied if it is one."""
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
    if dtype == np.float64 and not has_type:
        return np.dtype(config.floatx())
    if dtype in LETTERS and dtype.kind != "u":
        return dtype
    return INDEX if dtype.kind in "iu" else np.dtype("float32")
