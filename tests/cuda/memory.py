"""Both sides of the double's copies: the GPU's memory, of which freed pieces are nobody's, and the
host's, which must be there when a copy is made."""

import bisect
import ctypes
import weakref

import numpy as np

from tests.ptx import GLOBAL_BASE, Device

FIRST, RED_ZONE, ALIGNMENT = 4096, 256, 256


class DeviceMemory(Device):
    """Memory that the interpreter's kernels use, of `total` bytes. What was freed is given out
    again only when there is nothing else, so that whoever still uses it is found."""

    def __init__(self, total):
        super().__init__(2 * total + (1 << 16))
        self.total, self.used, self.sizes = total, 0, {}  # sizes: of each address given out

    def allocate(self, nbytes):
        """An address, or None."""
        start = self._room(nbytes) if self.used + nbytes <= self.total else None
        if start is None:
            return None
        stop = start + nbytes
        n = bisect.bisect(self.starts, start)
        self.starts.insert(n, start)
        self.ends.insert(n, stop)
        self.init[start:stop] = False
        self.used += nbytes
        self.sizes[start + GLOBAL_BASE] = nbytes
        return start + GLOBAL_BASE

    def _room(self, nbytes):
        last = self.mem.size - nbytes - RED_ZONE
        start = _aligned(self.top)
        if start <= last:
            self.top = start + nbytes + RED_ZONE
            return start
        ends = [FIRST, *[_aligned(end + RED_ZONE) for end in self.ends]]
        starts = [*self.starts, self.mem.size]
        gaps = zip(ends, starts, strict=True)
        return next((end for end, start in gaps if end + nbytes + RED_ZONE <= start), None)

    def free(self, address):
        """Whether there was something to free."""
        if address not in self.sizes:
            return False
        self.used -= self.sizes.pop(address)
        n = self.starts.index(address - GLOBAL_BASE)
        del self.starts[n], self.ends[n]
        return True

    def span(self, address, nbytes):
        """Where bytes of one allocation lie in `mem`, or None."""
        start = address - GLOBAL_BASE
        n = bisect.bisect(self.starts, start) - 1
        return slice(start, start + nbytes) if n >= 0 and start + nbytes <= self.ends[n] else None


def _aligned(place):
    return -(-place // ALIGNMENT) * ALIGNMENT


class HostMemory:
    """The host's side of a copy, of which a driver is given an array's `ctypes`."""

    def __init__(self, pointer, nbytes):
        array = pointer._arr
        assert nbytes <= array.nbytes
        self.address, self.nbytes = array.ctypes.data, nbytes
        while isinstance(array.base, np.ndarray):
            array = array.base
        self.owner = weakref.ref(array)

    def bytes(self):
        assert self.owner() is not None, "the host's memory of a copy in flight was let go"
        return np.frombuffer((ctypes.c_ubyte * self.nbytes).from_address(self.address), np.uint8)
