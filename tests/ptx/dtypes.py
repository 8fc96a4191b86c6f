"""PTX's types and NumPy's."""

import numpy as np

u1, u2, u4, u8 = np.uint8, np.uint16, np.uint32, np.uint64
i1, i2, i4, i8 = np.int8, np.int16, np.int32, np.int64
f4, f8 = np.float32, np.float64

TYPES = {"pred": np.bool_, "f32": f4, "f64": f8}
TYPES |= {"b8": u1, "b16": u2, "b32": u4, "b64": u8}
TYPES |= {"u8": u1, "u16": u2, "u32": u4, "u64": u8}
TYPES |= {"s8": i1, "s16": i2, "s32": i4, "s64": i8}
UNSIGNED = {1: u1, 2: u2, 4: u4, 8: u8}


def size_of(kind):
    """The bytes of a PTX type."""
    return np.dtype(TYPES[kind]).itemsize


def is_float(dtype):
    return np.dtype(dtype).kind == "f"


def held_as(kind):
    """How a register of a PTX type is held: as what it is, if that is certain, else as bits."""
    dtype = TYPES[kind]
    return dtype if dtype in (np.bool_, f4, f8) else UNSIGNED[size_of(kind)]


def bits_of(number, dtype):
    """A whole number's lowest bits, as a NumPy scalar of `dtype`."""
    size = np.dtype(dtype).itemsize
    return np.array([number % (1 << 8 * size)], UNSIGNED[size]).view(dtype)[0]
