"""A kernel call as it is written down, and the memory it touches."""

from math import prod
from typing import Any, NamedTuple

from fastnn.buffer import Buffer
from fastnn.kernels.declare import Parameter

# a tuple: `int | float` is made anew by every call, which took a third of a recording's time
NUMBERS = (int, float)


class Instruction:
    """One kernel call: what it is called in messages, the kernel and its element type, its
    arguments (tensors and numbers), the layers it is called in, outermost first, its floating-point
    operations; the indices of its op, for errors."""

    __slots__ = ("arguments", "dtype", "flops", "indices", "kernel", "layers", "name")

    def __init__(self, name, kernel, dtype, arguments, layers, flops):
        self.name, self.kernel, self.dtype, self.arguments = name, kernel, dtype, arguments
        self.layers, self.flops, self.indices = layers, flops, ()

    @property
    def layer(self) -> str:
        """The innermost, which it belongs to."""
        return self.layers[-1] if self.layers else ""

    @property
    def tensors(self) -> list[tuple[Parameter, Any]]:
        """(parameter, argument) of those that are arrays."""
        return [(p, self.arguments[i]) for i, p in self.kernel.arrays]

    @property
    def accesses(self) -> "list[Access]":
        return [Access.of(self, p, self.arguments[i]) for i, p in self.kernel.arrays]

    def split(self) -> tuple[str | None, int, int]:
        """The dimension that threads divide, the grain of its cuts, and its extent; (None, 1, 1) if
        thread 0 does all the work."""
        found: tuple[str | None, int, int] = None, 1, 1
        for letter, grain, argument, axis in self.kernel.split_axes:
            found = letter, grain, self.arguments[argument].shape[axis]
            if found[2] > 1:
                break
        return found


class Access(NamedTuple):
    """What an argument of an instruction touches: bytes `start` to `stop` of a place."""

    place: object  # the memory they lie in: an unplaced buffer, or the owner of real memory
    start: int
    stop: int
    written: bool
    instruction: Instruction
    parameter: Parameter
    argument: Any

    @classmethod
    def of(cls, instruction: Instruction, parameter: Parameter, argument: Any) -> "Access":
        buffer: Buffer = argument.buffer
        place: object = buffer
        start = 0
        if buffer.address is not None:
            place, start = id(getattr(buffer, "owner", buffer)), buffer.address
        stop = start + prod(argument.shape) * argument.dtype.itemsize
        return cls(place, start, stop, parameter.written, instruction, parameter, argument)

    def conflicts(self, other: "Access") -> bool:
        """Whether both touch the same bytes, and one of them writes."""
        return (
            (self.written or other.written)
            and self.place == other.place
            and self.start < other.stop
            and other.start < self.stop
        )
