"""A buffer: a piece of memory that starts on a cache line, or one that a plan has yet to place.

An address is good in one process, and as long as its memory is. What holds memory therefore says
itself how it is copied and pickled (`__reduce__`): as its bytes, for which the copy takes memory of
its own. Objects that share a buffer share one in the copy, for pickle and deepcopy remember what
they have met. Everything that is made of buffers follows from that.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.errors import DeadTensorError, RecordingError

CACHE_LINE = 64  # bytes


class Buffer:
    """`nbytes` at `address`. `owner` holds the memory, of which this is a part from byte `offset`
    on: an array, or a GPU's memory, whose address is no number that the CPU could use.

    While a step is recorded its buffers have no memory (`address` is None, `maker` the recorder);
    once it is planned, they are dead to Python.
    """

    __slots__ = ("address", "maker", "nbytes", "offset", "owner")

    def __init__(self, address, nbytes, owner, offset, maker=None):
        self.address, self.nbytes, self.owner, self.offset = address, nbytes, owner, offset
        self.maker = maker

    def part(self, offset: int, nbytes: int) -> "Buffer":
        """A piece of this buffer."""
        return Buffer(self.address + offset, nbytes, self.owner, self.offset + offset)

    def become(self, other: "Buffer") -> None:
        """Be the memory that another buffer is."""
        self.address, self.nbytes = other.address, other.nbytes
        self.owner, self.offset = other.owner, other.offset

    @property
    def device(self) -> str:
        """Where the memory is, or will be."""
        if self.owner is None:
            return "cpu" if self.maker is None else self.maker.device
        return "cpu" if isinstance(self.owner, np.ndarray) else "cuda"

    def array(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """The memory as a NumPy array, not copied; of a GPU's, a copy that is not writable."""
        if self.owner is None:
            raise self.unreadable()
        if isinstance(self.owner, np.ndarray):
            return np.ndarray(shape, dtype, self.owner, self.offset)
        return self.owner.read(self.offset, shape, dtype)

    def bytes(self) -> np.ndarray:
        """All of it as `array` has it."""
        return self.array((self.nbytes,), np.uint8)

    def write(self, values: np.ndarray) -> None:
        """Put in the bytes of an array, as many as there are."""
        if isinstance(self.owner, np.ndarray):
            self.array(values.shape, values.dtype)[...] = values
        elif self.owner is None:
            raise self.unreadable()
        else:
            self.owner.write(self.offset, values)

    def copy_from(self, other: "Buffer") -> None:
        """Be the bytes of another buffer of the same device and size."""
        if isinstance(self.owner, np.ndarray):
            self.bytes()[...] = other.bytes()
        else:
            self.owner.copy_from(self.offset, other)

    def __reduce__(self) -> tuple:
        from fastnn.devices.cpu.memory import holding  # memory is the device's to give

        return holding, (self.bytes(),)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Buffer":
        if self.device != "cpu" and type(self) is Buffer:
            from fastnn.devices.arena import allocate_on

            made = allocate_on(self.device, self.nbytes)
            made.copy_from(self)
            return made
        # makes a copy of the bytes, so they need not be copied before
        make, arguments = self.__reduce__()
        return make(
            *[a if isinstance(a, np.ndarray) else copy.deepcopy(a, memo) for a in arguments]
        )

    def unreadable(self) -> Exception:
        """The error for reading a buffer that has no memory."""
        if self.maker.active:
            return RecordingError(
                f"a tensor of {self.maker.name} was read while it is being recorded: its values "
                "exist only when the tape runs. Return it from the step and read it there, or run "
                "the step eagerly (run_eagerly=True)."
            )
        return DeadTensorError(
            f"a tensor made while recording {self.maker.name} was used after it: its memory ended "
            "with the step. Return it from the step to keep it."
        )


def whole_lines(nbytes: int) -> int:
    """As many bytes, rounded up to cache lines."""
    return (nbytes + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
