"""A kernel of a PTX text, and its launches."""

from collections import Counter
from math import prod

import numpy as np

from . import checks, schedule
from .blocks import basic_blocks, live_registers, successors
from .dtypes import TYPES, held_as, i8, is_float, size_of, u1
from .errors import PTXError, Unsupported
from .memory import GLOBAL_BASE, MODULE_BYTES, Device, DeviceArray
from .parsing import parse
from .stats import Stats
from .translate import compiled
from .wave import Wave, views_of

MAX_BLOCK_THREADS = 1024
SHARED_START = 1024  # addresses below are in no variable, so that a null address is caught
ALIGNMENT = 16  # of variables that ask for it; others get no more than they ask for
MAX_SHARED_BYTES = 48 << 10


class Kernel:
    """The entry point `name` of a text, or the only one, ready to launch."""

    def __init__(self, text, name=None):
        self.text, self.entry = text, parse(text, name)
        self.name = self.entry.name
        self.parameter_offsets, self.param_types, end = {}, [], 0
        for name, kind in self.entry.parameters:
            offset = -(-end // size_of(kind)) * size_of(kind)
            self.parameter_offsets[name] = offset
            self.param_types.append((offset, kind))
            end = offset + size_of(kind)
        self.parameter_bytes = end
        self.addresses = {}  # variable -> address
        self.place_variables()
        self.blocks, self.labels = basic_blocks(self.entry.body)
        self.instructions = [it for block in self.blocks for it in block]
        for number, it in enumerate(self.instructions):
            it.number = number
        self.block_opcodes = [
            Counter(".".join([it.opcode, *it.modifiers]) for it in block) for block in self.blocks
        ]
        self.cell_shift = self.smallest_access().bit_length() - 1
        self.numbers, self.held = {}, []  # of the registers; how each is held
        following = successors(self.blocks, self.labels)
        live = live_registers(self.blocks, following, self.entry.registers)
        self.source, self.functions = compiled(self, live)

    def place_variables(self):
        """Variables of shared memory lie at multiples of what they ask for and of no more, so that
        a wider access which relies on luck is caught."""
        top, outside = SHARED_START, ALIGNMENT
        for name, variable in self.entry.variables.items():
            if variable.space == "shared":
                top = -(-top // variable.align) * variable.align
                if variable.align < ALIGNMENT and top % (2 * variable.align) == 0:
                    top += variable.align
                self.addresses[name] = top
                top += variable.bytes
            else:
                start = -(-outside // variable.align) * variable.align
                self.addresses[name] = GLOBAL_BASE + start
                outside = start + variable.bytes
        if outside > MODULE_BYTES:
            raise Unsupported(f"more than {MODULE_BYTES} bytes of a module's variables")
        self.shared_end = -(-top // ALIGNMENT) * ALIGNMENT
        self.shared_bounds = np.array([SHARED_START], i8), np.array([top], i8)
        if top - SHARED_START > MAX_SHARED_BYTES:
            raise PTXError(
                f"{top - SHARED_START} bytes of shared memory: {MAX_SHARED_BYTES} at most"
            )

    def smallest_access(self):
        """The bytes of the finest access to memory, or 4."""
        accesses = [it for it in self.instructions if it.opcode in ("ld", "st", "atom", "red")]
        return min([4, *[size_of(it.type) for it in accesses if "param" not in it.modifiers]])

    def address_of(self, name):
        """Where a variable lies, or None."""
        return self.addresses.get(name)

    def register_number(self, name):
        if name not in self.numbers:
            self.numbers[name] = len(self.held)
            self.held.append(held_as(self.entry.registers[name]))
        return self.numbers[name]

    def launch(
        self, grid, block, arguments, dev=None, *, races=True, uninit=True, profile=True,
        schedule="lockstep", seed=0, max_threads=1 << 14, max_steps=10_000_000, ignore_races=(),
    ):  # fmt: skip
        """Execute it on a grid of blocks; returns what was counted.

        Arguments are numbers, and arrays of a device for their addresses. `races`, `uninit` and
        `profile` turn checks and counters off; `ignore_races` are arrays (`ptr`, `nbytes`) that
        threads use in another order than barriers make. `schedule` is "lockstep" or "fuzz"
        (schedule.py).
        """
        return Launch(self, grid, block, arguments, dev, races, uninit, profile, ignore_races).run(
            schedule == "fuzz", seed, max_threads, max_steps
        )


class Launch:
    """What all waves of a launch share."""

    def __init__(
        self, kernel, grid, block, arguments, device, races, uninit, profile, ignore_races
    ):
        self.kernel, self.uninit, self.profile = kernel, uninit, profile
        self.grid, self.block = three(grid), three(block)
        size, required = prod(self.block), kernel.entry.required_threads
        if size > MAX_BLOCK_THREADS or required not in (None, size):
            most = MAX_BLOCK_THREADS if required is None else required
            raise PTXError(f"{size} threads in a block: the kernel takes {most}")
        arrays = [a for a in arguments if isinstance(a, DeviceArray)]
        self.device = device or (arrays[0].device if arrays else Device(1 << 20))
        self.parameters = self.pack(arguments)
        for name, variable in kernel.entry.variables.items():
            if variable.space != "shared":
                self.initialise(kernel.addresses[name] - GLOBAL_BASE, variable)
        self.bounds = self.device.bounds()
        for name, variable in kernel.entry.variables.items():
            if variable.space != "shared":
                self.add_bounds(kernel.addresses[name] - GLOBAL_BASE, variable.bytes)
        self.views = views_of(self.device.mem)
        starts = [a.ptr - GLOBAL_BASE for a in ignore_races]
        spans = [(s, s + a.nbytes) for s, a in zip(starts, ignore_races, strict=True)]
        self.exempt = np.array(spans, i8).reshape(-1, 2)
        cells = (self.device.top >> kernel.cell_shift) + 1
        self.cells = np.zeros(cells, checks.CELL) if races else None
        self.stats = Stats(kernel)

    def pack(self, arguments):
        """The parameters' bytes."""
        kernel = self.kernel
        if len(arguments) != len(kernel.param_types):
            raise PTXError(
                f"the kernel takes {len(kernel.param_types)} parameters, got {len(arguments)}"
            )
        packed = np.zeros(kernel.parameter_bytes, u1)
        for argument, (offset, kind) in zip(arguments, kernel.param_types, strict=True):
            value = argument.ptr if isinstance(argument, DeviceArray) else argument
            dtype = TYPES[kind]
            if isinstance(value, float | np.floating):
                dtype = {4: np.float32, 8: np.float64}[size_of(kind)]
            elif not is_float(dtype):
                dtype, value = f"u{size_of(kind)}", int(value) % (1 << 8 * size_of(kind))
            packed[offset : offset + size_of(kind)] = np.array([value], dtype).view(u1)
        return packed

    def initialise(self, start, variable):
        span = slice(start, start + variable.bytes)
        self.device.mem[span], self.device.init[span] = 0, True
        if variable.initial is not None:
            self.device.mem[start : start + variable.initial.size] = variable.initial

    def add_bounds(self, start, nbytes):
        starts, ends = self.bounds
        n = np.searchsorted(starts, start, side="right")
        self.bounds = np.insert(starts, n, start), np.insert(ends, n, start + nbytes)

    def run(self, fuzz, seed, max_threads, max_steps):
        blocks, size = prod(self.grid), prod(self.block)
        together, random = max(1, max_threads // size), np.random.default_rng(seed)
        with np.errstate(all="ignore"):
            for first in range(0, blocks, together):
                wave = Wave(self, first, min(blocks, first + together))
                schedule.run(wave, fuzz, random, max_steps)
        self.stats.threads = blocks * size
        return self.stats


def three(extents):
    found = tuple(int(n) for n in np.ravel(extents))
    return found + (1,) * (3 - len(found))
