"""DLPack, by which libraries share arrays: capsules of our memory.

A capsule is NumPy's for an array of that memory. So its deleter is compiled code, good in any
thread and while a process ends. What it lets go of is the array, and with that the memory.
"""

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.buffer import Buffer

PLACES = {"cpu": (1, 0), "cuda": (2, 0)}  # DLPack's kind of device, and its number
UNKNOWN, DEFAULT_STREAM, NO_ORDER = 0, 1, -1  # streams; the last: nobody has to wait
# where DLManagedTensor and DLManagedTensorVersioned have the device, in bytes, by the capsule's
# name
OFFSETS = {b"dltensor": 8, b"dltensor_versioned": 40}

_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype, _name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def device_at(place: tuple[int, int]) -> str:
    """The device that DLPack calls so."""
    for device, own in PLACES.items():
        if own == tuple(place):
            return device
    raise BufferError(f"__dlpack__: device {place} is neither the CPU, (1, 0), nor the GPU, (2, 0)")


def capsule(
    buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype, stream: Any, max_version: Any
) -> Any:
    """A capsule of a tensor's memory, for work on a consumer's stream."""
    if buffer.device == "cpu":
        if stream is not None:
            raise ValueError(f"__dlpack__: a tensor on the CPU has no streams; got {stream!r}")
        return _numpys(buffer.array(shape, dtype), max_version)
    if stream is not None and stream == UNKNOWN:
        raise ValueError("__dlpack__: stream 0 may mean two; pass 1 for the default stream")
    from fastnn.devices.cuda import arrays

    layout = arrays.layout(buffer, shape, dtype)
    if stream not in (None, DEFAULT_STREAM, NO_ORDER):  # the driver has the default one wait
        arrays.device().wait()
    # an array at that address, which nobody reads on the CPU
    claimed = SimpleNamespace(__array_interface__=layout, memory=buffer.owner)
    made = _numpys(np.asarray(claimed), max_version)
    name = _name_of(made)
    device = (ctypes.c_int32 * 2).from_address(_pointer_of(made, name) + OFFSETS[name])
    device[0], device[1] = PLACES["cuda"]
    return made


def _numpys(array, max_version):
    try:
        return array.__dlpack__(max_version=max_version)
    except TypeError:  # NumPy 2.0, which has the first version alone
        return array.__dlpack__()
