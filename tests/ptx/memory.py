"""A GPU's global memory."""

from bisect import insort
from math import prod

import numpy as np

from .dtypes import f4, i8, u1

GLOBAL_BASE = 0x2_0000_0000  # above 2**32: an address that lost its upper half is caught
SHARED_BASE = 1 << 40  # where shared memory lies among generic addresses
MODULE_BYTES = 4096  # at the start of every device: the variables of a kernel's module
RED_ZONE = 256  # bytes between allocations


class DeviceArray:
    """An array in a device's memory, in C order."""

    def __init__(self, device, ptr, shape, dtype):
        self.device, self.ptr, self.shape, self.dtype = device, ptr, tuple(shape), np.dtype(dtype)
        self.nbytes = prod(self.shape) * self.dtype.itemsize

    @property
    def span(self):
        start = self.ptr - GLOBAL_BASE
        return slice(start, start + self.nbytes)

    def view(self):
        return self.device.mem[self.span].view(self.dtype).reshape(self.shape)

    def to_host(self):
        return self.view().copy()

    def is_initialised(self):
        return bool(self.device.init[self.span].all())


class Device:
    """Global memory: its bytes, which of them were written, and the allocations, apart from each
    other, so that what is beyond one is in none."""

    def __init__(self, capacity=1 << 28, alignment=256):
        self.mem = np.zeros(capacity, u1)
        self.init = np.zeros(capacity, np.bool_)
        self.top, self.alignment = MODULE_BYTES, alignment
        self.starts, self.ends = [], []  # of the allocations, sorted; offsets into `mem`

    def alloc(self, nbytes):
        """The address of new memory, never written."""
        start = -(-self.top // self.alignment) * self.alignment
        if start + nbytes + RED_ZONE > self.mem.size:
            raise MemoryError("the device's memory is full; give Device a larger capacity")
        self.top = start + nbytes + RED_ZONE
        insort(self.starts, start)
        insort(self.ends, start + nbytes)
        return start + GLOBAL_BASE

    def free(self, address):
        """From now on any use of the memory is out of bounds; it is not given out again."""
        n = self.starts.index(address - GLOBAL_BASE)
        del self.starts[n], self.ends[n]

    def bounds(self):
        """The allocations' starts and ends, as arrays that are never empty."""
        return np.array([0, *self.starts], i8), np.array([0, *self.ends], i8)

    def empty(self, shape, dtype=f4):
        shape = (shape,) if np.isscalar(shape) else shape
        nbytes = prod(shape) * np.dtype(dtype).itemsize
        return DeviceArray(self, self.alloc(nbytes), shape, dtype)

    def empty_like(self, array):
        return self.empty(array.shape, array.dtype)

    def zeros(self, shape, dtype=f4):
        return self.to_device(np.zeros(shape, dtype))

    def to_device(self, host):
        host = np.asarray(host)
        array = self.empty(host.shape, host.dtype)
        array.view()[...] = host
        self.init[array.span] = True
        return array
