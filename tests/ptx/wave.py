"""The threads that are executed together: whole blocks, as many as fit."""

from math import prod

import numpy as np

from . import checks
from .checks import WARP
from .dtypes import UNSIGNED, i4, i8, u1, u4


def views_of(memory):
    """The same bytes as words of each size."""
    return {size: memory.view(dtype) for size, dtype in UNSIGNED.items()}


class Wave:
    """Registers, shared memory and barriers of the blocks `first` to `stop` of a launch.

    A register is one NumPy scalar, or an array with an element for each thread that has not left.
    """

    def __init__(self, launch, first, stop):
        self.kernel, self.device, self.stats = launch.kernel, launch.device, launch.stats
        self.grid, self.block, self.parameters = launch.grid, launch.block, launch.parameters
        self.checks_initialised, self.profiles = launch.uninit, launch.profile
        self.bounds, self.exempt, self.cells = launch.bounds, launch.exempt, launch.cells
        self.cell_shift = launch.kernel.cell_shift
        size = prod(self.block)
        self.first_block, self.blocks, self.size = first, stop - first, size
        self.warps = -(-size // WARP)
        self.block_threads = self.warps * WARP  # numbers that a block's threads have
        self.slots, self.first_thread = self.blocks * self.block_threads, first * self.block_threads
        # of each thread that has not left: block in the wave, number in it, number in the grid
        self.n = self.blocks * size
        self.block_of = np.repeat(np.arange(self.blocks, dtype=i8), size)
        self.index = np.tile(np.arange(size, dtype=i8), self.blocks)
        self.threads = (self.block_of + first) * self.block_threads + self.index
        self.epochs, self.syncs = np.zeros(self.n, i4), np.zeros(self.n, i4)  # barriers passed
        self.existing_lanes = np.full(self.warps, 0xFFFFFFFF, u4)
        if size % WARP:
            self.existing_lanes[-1] = (1 << size % WARP) - 1
        self.shared_bytes = launch.kernel.shared_end
        shared = np.zeros(self.blocks * self.shared_bytes, u1)
        self.shared_bounds = launch.kernel.shared_bounds
        self.memory = {"global": launch.views, "shared": views_of(shared)}
        self.known = {"global": self.device.init.view(u1), "shared": np.zeros(shared.size, u1)}
        self.shared_cells = None
        if self.cells is not None:
            self.shared_cells = np.zeros((shared.size >> self.cell_shift) + 1, checks.CELL)
        self.registers = [dtype(0) for dtype in self.kernel.held]
        self.is_own = [False] * len(self.registers)  # whether nothing else refers to the array
        self.specials, self.active = {}, {}
        self.copies, self.committed = [], np.zeros(self.slots, i8)

    # ---- registers

    def get(self, number, lanes):
        x = self.registers[number]
        if lanes is None:
            self.is_own[number] = False
            return x
        return x if x.ndim == 0 else x[lanes]

    def put(self, number, lanes, value):
        if lanes is None:
            self.registers[number], self.is_own[number] = value, False
            return
        x = self.registers[number]
        if not self.is_own[number]:
            x = np.full(self.n, x) if x.ndim == 0 else x.copy()
            self.registers[number], self.is_own[number] = x, True
        x[lanes] = value

    def parameter(self, offset, dtype):
        return np.frombuffer(self.parameters, dtype, 1, offset)[0]

    def special(self, name, lanes):
        if name not in self.specials:
            self.specials[name] = self.special_register(name)
        x = self.specials[name]
        return x if lanes is None or x.ndim == 0 else x[lanes]

    def special_register(self, name):
        name, _, axis = name.partition(".")
        if name == "laneid":
            return (self.index % WARP).astype(u4)
        if name == "warpid":
            return (self.index // WARP).astype(u4)
        if name == "nwarpid":
            return u4(self.warps)
        d = "xyz".index(axis)
        extents = self.block if name in ("tid", "ntid") else self.grid
        if name in ("ntid", "nctaid"):
            return u4(extents[d])
        if extents[d] == 1:
            return u4(0)
        number = self.index if name == "tid" else self.block_of + self.first_block
        place = (number // prod(extents[:d]) % extents[d]).astype(u4)
        return place[0] if name == "ctaid" and self.blocks == 1 else place

    # ---- who is there

    def who(self, lanes):
        """(numbers in the grid, barriers passed by the block, by the warp) of a step's threads."""
        if lanes is None:
            return self.threads, self.epochs, self.syncs
        key = id(lanes)
        if key not in self.active:
            found = self.threads[lanes], self.epochs[lanes], self.syncs[lanes]
            self.active[key] = (lanes, found)  # which keeps `lanes`, so that its id stays its own
        return self.active[key][1]

    def shared_offsets(self, lanes):
        """Where the shared memory of each thread's block begins."""
        return (self.block_of if lanes is None else self.block_of[lanes]) * self.shared_bytes

    def passed_warp_barrier(self, lanes):
        self.syncs[slice(None) if lanes is None else lanes] += 1
        self.active.clear()

    def passed_barrier(self, lanes):
        self.epochs[lanes] += 1
        self.active.clear()

    def keep(self, lanes):
        """The other threads have left."""
        self.registers = [x if x.ndim == 0 else x[lanes] for x in self.registers]
        self.specials = {k: x if x.ndim == 0 else x[lanes] for k, x in self.specials.items()}
        for name in ("block_of", "index", "threads", "epochs", "syncs"):
            setattr(self, name, getattr(self, name)[lanes])
        self.n = lanes.size
        self.active.clear()

    # ---- names for messages

    def where(self, lanes, k, number):
        """The instruction, and block and thread of the step's k-th thread."""
        lane = k if lanes is None else int(lanes[k])
        block, thread = int(self.block_of[lane]) + self.first_block, int(self.index[lane])
        text = self.kernel.instructions[number].text
        block, thread = place_in(block, self.grid), place_in(thread, self.block)
        return f"`{text}` block {block} thread {thread}"

    def thread_name(self, number):
        block, thread = divmod(int(number), self.block_threads)
        return f"block {place_in(block, self.grid)} thread {place_in(thread, self.block)}"


def place_in(number, extents):
    x, y, _ = extents
    return number % x, number // x % y, number // (x * y)
