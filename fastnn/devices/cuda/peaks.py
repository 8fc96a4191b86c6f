"""What the GPU can do at best, by what the driver says of it: the floors that calls are compared
with."""

from functools import cache

from fastnn.tape.cost import nbytes
from fastnn.tape.instruction import Instruction

from .device import Device, device

CLOCK_KHZ, MEMORY_CLOCK_KHZ, MEMORY_BUS_BITS = 13, 36, 37  # device attributes
# multiply-adds of a multiprocessor in a clock: in float32, and, of those made for it, in float64
FMAS_F4, FMAS_F8, FMAS_F8_OF_OTHERS = 128, 64, 2
MADE_FOR_FLOAT64 = ((8, 0), (9, 0), (10, 0))  # compute capabilities


@cache
def rates(gpu: Device) -> tuple[float, float, float]:
    """Bytes, operations in float32 and operations in float64 that it can do in a second."""
    transfers = 2e3 * gpu.attribute(MEMORY_CLOCK_KHZ)  # two a clock
    clocks = 1e3 * gpu.attribute(CLOCK_KHZ) * gpu.multiprocessors
    f8 = FMAS_F8 if gpu.capability in MADE_FOR_FLOAT64 else FMAS_F8_OF_OTHERS
    fmas = FMAS_F4 if gpu.capability != (8, 0) else FMAS_F4 // 2
    return transfers * gpu.attribute(MEMORY_BUS_BITS) / 8, 2 * clocks * fmas, 2 * clocks * f8


def floor(instruction: Instruction) -> float:
    """Seconds that an instruction takes at the least."""
    moved, f4, f8 = rates(device())
    return max(
        instruction.flops / (f8 if instruction.dtype == "f8" else f4), nbytes(instruction) / moved
    )
