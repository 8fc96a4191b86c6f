"""Memory of the GPU: allocations, and where on the GPU copies of the host's memory lie.

What a kernel is given lies on the GPU, or on the host: counters, a learning rate, rows of data.
Of the latter there is a copy, of the bytes that are touched: sent before, and fetched back where it
is written to.
"""

import ctypes
import sys
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from fastnn.buffer import Buffer
from fastnn.errors import DeviceMemoryError

from .address import DeviceAddress
from .device import Device, device

LINE = 256  # bytes, of which allocations are multiples
# of freed allocations that are kept for others of their size, at most
MAX_KEPT_BYTES = 1 << 28

# by device, and by size: addresses
_kept: WeakKeyDictionary[Device, dict[int, list[int]]] = WeakKeyDictionary()


class Memory:
    """An allocation, freed with its last user. All work is queued one after another, so memory that
    is freed while a kernel that was queued before uses it may be given to one that is queued
    later."""

    __slots__ = ("__weakref__", "address", "device", "is_lent", "nbytes")

    def __init__(self, nbytes: int):
        self.address = 0  # nothing to free, should there be no GPU
        self.device = device()
        # Whether another library may use it, in any stream: to free it waits for all, to keep it
        # for others would not.
        self.is_lent = False
        self.nbytes = -(-max(nbytes, 1) // LINE) * LINE
        kept = _kept.setdefault(self.device, {})
        if kept.get(self.nbytes):
            self.address = kept[self.nbytes].pop()
            return
        try:
            self.address = self.device.allocate(self.nbytes)
        except DeviceMemoryError:
            release_kept()
            self.address = self.device.allocate(self.nbytes)

    def __del__(self):
        if not self.address or sys.is_finalizing():
            return
        kept = _kept.get(self.device, {})
        held = sum([n * len(addresses) for n, addresses in kept.items()])
        if not self.is_lent and held < MAX_KEPT_BYTES:
            kept.setdefault(self.nbytes, []).append(self.address)
        else:
            self.device.free(self.address)

    def read(self, offset: int, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """A copy on the host, which is not writable: what is written to it would be lost."""
        array = np.empty(shape, dtype)
        if array.nbytes:
            self.device.fetch(array, self.address + offset)
        array.flags.writeable = False
        return array

    def copy_from(self, offset: int, other: Buffer) -> None:
        """Copy another buffer of the GPU's, without waiting for it."""
        source = other.owner.address + other.offset
        self.device.copy(self.address + offset, source, other.nbytes)

    def write(self, offset: int, values: np.ndarray) -> None:
        """Put in an array's bytes."""
        if values.nbytes:
            self.device.send(self.address + offset, values)


def release_kept() -> None:
    """Free what is kept for later."""
    for gpu, kept in _kept.items():
        for addresses in kept.values():
            while addresses:
                gpu.free(addresses.pop())


def allocate(nbytes: int) -> Buffer:
    """Fresh memory, not cleared."""
    memory = Memory(nbytes)
    return Buffer(DeviceAddress(memory.address), nbytes, memory, 0)


def reserve(nbytes: int) -> Buffer:
    """Zeroed memory."""
    buffer = allocate(nbytes)
    device().fill(buffer.owner.address, buffer.owner.nbytes)
    return buffer


class Span(NamedTuple):
    """Bytes `start` to `stop` of the host's memory, and who holds it."""

    start: int
    stop: int
    owner: Any


def host_span(argument: Any) -> Span | None:
    """The bytes of an argument of a kernel; None where it lies on the GPU, or is planned to."""
    buffer = argument.buffer
    if buffer.address is None or isinstance(buffer.address, DeviceAddress):
        return None
    nbytes = prod(argument.shape) * argument.dtype.itemsize
    return Span(buffer.address, buffer.address + nbytes, getattr(buffer, "owner", buffer))


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same bytes, none twice: what overlaps or touches is one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, s.stop)):
        if found and span.start <= found[-1].stop:
            found[-1] = found[-1]._replace(stop=max(found[-1].stop, span.stop))
        else:
            found.append(span)
    return found


class HostCopies:
    """Copies on the GPU of spans of the host's memory."""

    def __init__(self, spans: Iterable[Span]):
        self.spans = merged(spans)
        self.memory = [Memory(span.stop - span.start) for span in self.spans]

    def address(self, start: int) -> int:
        """Where on the GPU the copy of a byte of the host's lies."""
        for span, memory in zip(self.spans, self.memory, strict=True):
            if span.start <= start <= span.stop:
                return memory.address + start - span.start
        raise LookupError("no copy on the GPU")

    def send(self, spans: Iterable[Span]) -> None:
        """Copy these bytes to the GPU."""
        for span in merged(spans):
            if span.stop > span.start:
                device().send(self.address(span.start), host_bytes(span))

    def fetch(self, spans: Iterable[Span]) -> None:
        """Copy these bytes back, when what is queued is done."""
        for span in merged(spans):
            if span.stop > span.start:
                device().fetch(host_bytes(span), self.address(span.start))


def host_bytes(span: Span) -> np.ndarray:
    """The host's memory of a span."""
    memory = (ctypes.c_char * (span.stop - span.start)).from_address(span.start)
    return np.frombuffer(memory, np.uint8)  # type: ignore[call-overload, no-any-return]
