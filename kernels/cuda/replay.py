"""The end of a step: counters move on, if nothing failed."""

from ..declare import intrinsic, kernel
from .grid import GLOBAL, WARP, thread_index

NO_FAILURE = -1  # of a status: all ones


@intrinsic("void <- int int")
def add_to_word(address, amount):
    """Add to the whole number of 8 bytes at an address of the GPU's memory."""
    raise NotImplementedError("kernels/cuda/ runs on a GPU, or in the tests' PTX interpreter")


@add_to_word.lowering
def _(emitter, address, amount):
    builder = emitter.builder
    pointer = emitter.in_space(builder.inttoptr(address, amount.type.as_pointer()), GLOBAL)
    loaded = builder.load(pointer)
    stored = builder.store(builder.add(loaded, amount), pointer)
    loaded.align = stored.align = 8


@kernel(threads=WARP, increments="i8[C, p]", status="inout i8[s]", done="inout i8[d]")
def advance(increments, status, done):
    """The word at each address of `increments` grows by its amount, and so does the number of steps
    done; or, where an instruction has reported, `stopped` is set, so that the steps that are queued
    behind this one do nothing."""
    lane = thread_index()
    if status[0] != NO_FAILURE or status[1] != 0:
        if lane == 0:
            status[1] = 1
        return
    i = lane
    while i < increments.shape[0]:
        add_to_word(increments[i, 0], increments[i, 1])
        i += WARP
    if lane == 0:
        done[0] += 1
