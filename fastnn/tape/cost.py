"""What instructions cost: bytes moved, and the work of a step."""

from collections.abc import Iterable
from math import prod

from .instruction import Instruction

# Seconds, roughly, on a core of today: a floating-point operation, a byte written, a call.
SECONDS_PER_FLOP, SECONDS_PER_BYTE, SECONDS_PER_CALL = 1e-11, 1e-10, 2e-8


def moved(instruction: Instruction) -> list[int]:
    """Bytes an instruction reads, writes, and updates in place."""
    tensors, found = instruction.tensors, [0, 0, 0]
    sizes = [prod(a.shape) * a.dtype.itemsize for _, a in tensors]
    largest_output = max(
        [size for size, (p, _) in zip(sizes, tensors, strict=True) if p.written], default=0
    )
    for size, (p, _) in zip(sizes, tensors, strict=True):
        kind = p.written + (p.written and p.read)
        found[kind] += min(size, largest_output) if p.partly else size
    return found


def nbytes(instruction: Instruction) -> int:
    """Bytes an instruction moves: each argument once for reading and once for writing, as it does
    either."""
    read, written, updated = moved(instruction)
    return read + written + 2 * updated


def work(instructions: Iterable[Instruction]) -> float:
    """Seconds that a step takes on one thread, roughly: of each call its flops or what it writes,
    whichever take longer, and the call itself. Good for comparing steps with each other."""
    total = 1e-9
    for i in instructions:
        written = sum([i.arguments[n].buffer.nbytes for n in i.kernel.writes])
        total += max(SECONDS_PER_FLOP * i.flops, SECONDS_PER_BYTE * written) + SECONDS_PER_CALL
    return total
