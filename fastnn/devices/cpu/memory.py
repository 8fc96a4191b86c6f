"""Memory of the CPU: allocations, in huge pages if they are large."""

import ctypes
import mmap
from contextlib import suppress
from typing import Any, cast

import numpy as np

from fastnn.buffer import CACHE_LINE, Buffer

addressof, first_byte = ctypes.addressof, cast(Any, ctypes.c_char.from_buffer)


def address_of(array: np.ndarray) -> int:
    """Where the first element of a writable, contiguous array lies; a quarter of the time that
    array.ctypes.data takes."""
    return addressof(first_byte(array))


def allocate(nbytes: int) -> Buffer:
    """Fresh memory, not cleared."""
    try:
        owner = np.empty(nbytes + CACHE_LINE, np.uint8)
    except ValueError:
        raise MemoryError(f"{nbytes:,} bytes are more than a process can address") from None
    start = address_of(owner)
    offset = -start % CACHE_LINE
    return Buffer(start + offset, nbytes, owner, offset)


def holding(values: np.ndarray) -> Buffer:
    """Fresh memory that holds these bytes."""
    buffer = allocate(values.nbytes)
    buffer.bytes()[...] = values
    return buffer


def reserve(nbytes: int, huge_pages: bool = False) -> Buffer:
    """Zeroed memory that the system provides page by page, as it is first written: if it can, in
    pages of 2 MB."""
    # Private, or a forked child would train its parent's weights.
    flags = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, max(nbytes, 1), **flags)
    if huge_pages and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    owner = np.frombuffer(memory, np.uint8)
    return Buffer(owner.__array_interface__["data"][0], nbytes, owner, 0)


def buffer_of(array: np.ndarray) -> Buffer:
    """The memory of a contiguous array, shared with it. Kernels never write to it."""
    buffer = Buffer(0, 0, None, 0)
    put_in(buffer, array)
    return buffer


def put_in(buffer: Buffer, array: np.ndarray) -> None:
    """Let a buffer be the memory of a contiguous array."""
    nbytes = array.nbytes
    if nbytes and array.flags.writeable:
        buffer.address = address_of(array)
    else:
        buffer.address = array.__array_interface__["data"][0]
    buffer.nbytes, buffer.owner, buffer.offset = nbytes, array, 0
