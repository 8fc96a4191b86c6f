"""What the interpreter raises."""


class PTXError(RuntimeError):
    """A program that a GPU would not run as it was meant; every message names the instruction and,
    where there is one, the block and the thread."""


class OutOfBounds(PTXError):
    """An access outside of every allocation."""


class Misaligned(PTXError):
    """An access whose address is no multiple of its size."""


class UninitialisedRead(PTXError):
    """Memory is read that nothing was written to, or that an unfinished copy is under way to."""


class DataRace(PTXError):
    """Two threads access the same memory, one of them writes, and no barrier is between them."""


class BarrierDivergence(PTXError):
    """Not every thread that a barrier, a shuffle or a vote needs has reached it."""


class Unsupported(PTXError):
    """Something that the interpreter does not model: never passed over."""
