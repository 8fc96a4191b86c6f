"""Arrays on the GPU that are shared with other libraries: ours described to them, and theirs to us.

Work on the default stream, where PyTorch and CuPy put theirs unless told otherwise, and work on our
stream are ordered by the driver (`device.BLOCKING`). So what they have written is read right,
and what they write over later is still read as it was.
"""

import ctypes
from math import prod
from typing import Any

import numpy as np

from fastnn.buffer import Buffer
from fastnn.dtypes import ANY, names_of
from fastnn.errors import DTypeError

from .address import DeviceAddress
from .device import device
from .memory import Memory, allocate

DEFAULT_STREAMS = (None, 0, 1)  # of `__cuda_array_interface__`, where none has to be waited for
DEVICE_ORDINAL = 9  # CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL


# ---- ours


def described(buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype) -> dict[str, Any]:
    """A tensor's `__cuda_array_interface__`. What is queued is waited for: PyTorch does not look at
    `stream`."""
    device().wait()
    return {**layout(buffer, shape, dtype), "stream": device().stream}


def layout(buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype) -> dict[str, Any]:
    """What `__array_interface__` and `__cuda_array_interface__` both say of an array."""
    buffer.owner.is_lent = True
    address = buffer.address.value if prod(shape) else 0
    data = {"data": (address, False), "strides": None}
    return {"shape": shape, "typestr": dtype.str, "version": 3, **data}


# ---- theirs


class Borrowed(Memory):
    """Another library's memory, which stays as long as its array does."""

    __slots__ = ("array",)

    def __init__(self, address: int, nbytes: int, array: Any):
        self.address, self.nbytes, self.device, self.array = address, nbytes, device(), array

    def __del__(self):
        """It is not ours to free."""


def borrowed(value: Any, found: dict, name: str) -> tuple[Buffer, tuple[int, ...], np.dtype]:
    """The memory, shape and element type of another library's array, whose
    `__cuda_array_interface__` was `found`. name: whose argument it is, in errors.

    It is shared, but for an array whose work is on a stream of its own: nothing would order what is
    written there later behind our reading, so that one is copied.
    """
    dtype, shape, address = type_of(found, name), tuple(found["shape"]), found["data"][0]
    _expect_in_order(found, dtype, shape, name)
    gpu, nbytes = device(), prod(shape) * dtype.itemsize
    if nbytes:
        number = gpu.asked(ctypes.c_int, "cuPointerGetAttribute", DEVICE_ORDINAL, address).value
        if number != gpu.number:
            raise ValueError(
                f"{name}: it lies on the GPU cuda:{number}; fastnn uses cuda:{gpu.number} alone. "
                f"Copy it there, as PyTorch's x.to('cuda:{gpu.number}') does."
            )
    if "stream" not in found and hasattr(value, "__dlpack__"):
        # PyTorch's interface names none: this lets ours wait for the one that is current there.
        value.__dlpack__(stream=gpu.stream)
    memory = Borrowed(address, nbytes, value)
    buffer = Buffer(DeviceAddress(address), nbytes, memory, 0)
    if (stream := found.get("stream")) in (*DEFAULT_STREAMS, gpu.stream):
        return buffer, shape, dtype
    gpu.call("cuStreamSynchronize", stream)
    copied = allocate(nbytes)
    copied.copy_from(buffer)
    gpu.wait()
    return copied, shape, dtype


def type_of(found: dict, name: str) -> np.dtype:
    """The element type of another library's array, if tensors have it."""
    try:
        dtype = np.dtype(found["typestr"])
    except TypeError:
        dtype = None
    if dtype not in ANY:
        raise DTypeError(
            f"{name}: an array on the GPU must be {names_of(ANY)}; got {found['typestr']!r}. "
            "Convert it first, as CuPy's x.astype('float32') and PyTorch's x.float() do."
        )
    return dtype


def _expect_in_order(found, dtype, shape, name):
    """Raise unless its elements are side by side, in C's order."""
    if found.get("mask") is not None:
        raise ValueError(f"{name}: an array on the GPU with a mask is not taken. Fill it in first.")
    strides = found.get("strides")
    if strides is None or not prod(shape):
        return
    expected, steps = dtype.itemsize, []
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        steps.append(extent == 1 or stride == expected)
        expected *= extent
    if not all(steps):
        raise ValueError(
            f"{name}: an array on the GPU must have its elements side by side, in C's order; got "
            f"shape {tuple(shape)} with strides {tuple(strides)}. Pass a copy, as CuPy's "
            "cupy.ascontiguousarray(x) and PyTorch's x.contiguous() make it."
        )
