"""Arrays, numbers and nested lists as contiguous arrays of an element type that tensors have."""

from typing import Any

import numpy as np

from fastnn import config, frames
from fastnn.dtypes import ANY, FLOAT32, FLOATS, INT64
from fastnn.errors import DTypeError, ShapeError


def as_array(value: Any, dtype: Any, name: str) -> np.ndarray:
    """`value` as a contiguous array of `dtype` (None: of its own or the nearest that tensors have),
    not copied if it is one."""
    array = as_numbers(value, name)
    if dtype is None:
        dtype = nearest_type(array.dtype, isinstance(value, np.ndarray | np.generic))
    dtype = np.dtype(dtype)
    if dtype.kind == "i" and array.dtype.kind in "uf":
        expect_whole(array, name)
    # what is too large for the type becomes infinite, which those who mind look for
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype).reshape(array.shape)


def expect_whole(array: np.ndarray, name: str) -> None:
    """Raise for what no integer of 64 bits is: NaN, infinity, numbers from 2^63 on, which would
    become other ones."""
    fits = abs(array) < 2.0**63 if array.dtype.kind == "f" else array < 2**63
    if not fits.all():
        place = tuple(map(int, np.argwhere(~fits)[0]))
        spot = f" at {place}" if place else ""
        raise ValueError(f"{name}: {array[place]}{spot} is no integer of 64 bits (int64)")


def as_numbers(value: Any, name: str) -> np.ndarray:
    """`value` as NumPy takes it, if that is numbers."""
    try:
        array = np.asarray(value)
    # NumPy's words for nested lists of different lengths are long and do not say which argument
    except ValueError:
        raise ShapeError(f"{name}: its rows are not of one length, so it has no shape") from None
    except TypeError:  # CuPy, and PyTorch where it is on the GPU, leave this to the user
        if on_gpu(value) is None:
            raise
        return _elsewhere(value, name)
    if array.dtype.kind not in "biuf":
        found = _elsewhere(value, name) if array.dtype == object and not array.shape else None
        array = frames.numbers(array, value, name) if found is None else found
    elif type(value) is not np.ndarray:
        frames.expect_no_dates(value, name)
    return array


def on_gpu(value: Any) -> dict[str, Any] | None:
    """What another library says of its array on the GPU (`__cuda_array_interface__`); None of
    anything else."""
    # asked of the type first, for a frame looks for a column of that name; PyTorch's type has it,
    # its tensors on the CPU do not
    if not hasattr(type(value), "__cuda_array_interface__"):
        return None
    return getattr(value, "__cuda_array_interface__", None)


def _elsewhere(value, name):
    """An array that NumPy does not take as it is: copied from the GPU, or known by DLPack alone;
    None if it is neither."""
    if (found := on_gpu(value)) is not None:
        from fastnn.devices.cuda.arrays import borrowed

        buffer, shape, dtype = borrowed(value, found, name)
        return buffer.array(shape, dtype)
    if not hasattr(type(value), "__dlpack__"):
        return None
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError) as error:
        raise DTypeError(f"{name}: NumPy cannot take a {type(value).__name__}: {error}") from None


def nearest_type(dtype: np.dtype, has_type: bool) -> np.dtype:
    """The element type of a tensor that is made of an array, or, unless it `has_type`, of numbers
    without one of their own."""
    if dtype.kind == "f" and not has_type:
        return np.dtype(config.floatx())
    if dtype in ANY:
        return dtype.newbyteorder("=")
    return INT64 if dtype.kind in "iu" else FLOAT32


def own_type(value: Any, name: str) -> np.dtype:
    """The element type that an array or a number has by itself."""
    found = on_gpu(value)
    if found is not None:
        return _type_on_gpu(found, name)
    return as_array(np.asarray(value), None, name).dtype


def _type_on_gpu(found, name):
    from fastnn.devices.cuda.arrays import type_of

    return type_of(found, name)


def promoted_type(value: Any, name: str) -> Any:
    """What `dtypes.result_type` is told of an operand that is no tensor: an array's element type,
    or Python's bool, int or float, of which NumPy's floats are one."""
    if isinstance(value, bool | int | float):
        return bool if isinstance(value, bool) else int if isinstance(value, int) else float
    if (found := on_gpu(value)) is not None:
        return _type_on_gpu(found, name)
    dtype = as_numbers(value, name).dtype
    if dtype.kind == "f" and not (isinstance(value, np.ndarray) and value.dtype in FLOATS):
        return float
    return nearest_type(dtype, True)
