"""Runs an op's CUDA launcher in the PTX interpreter, on copies of what the CPU's was given.

`mirrored()` lets every op that is run inside it also run so, and holds the results to the CPU's.
"""

from contextlib import contextmanager
from functools import cache
from math import prod

import numpy as np

import fastnn.apply
from fastnn.buffer import Buffer
from fastnn.compile import ptx
from fastnn.compile.names import symbol
from fastnn.compile.ptx_entry import NO_FAILURE
from fastnn.devices.cuda import code
from fastnn.devices.cuda.address import DeviceAddress
from fastnn.devices.launchers import launcher
from fastnn.dtypes import LETTERS
from fastnn.kernels import declare
from fastnn.ops.record import Constant
from fastnn.tensor import Tensor
from tests.ptx import GLOBAL_BASE, Device, Kernel

kernels = {}  # compiled: symbol -> (its PTX, the interpreter's kernel)
executed = {}  # symbol -> the basic blocks that some launch went through


@cache
def compiled(kernel, dtype, architecture="sm_80"):
    """A kernel as the interpreter runs it. Its PTX is kept as users' is; but not that of a kernel
    with a bug, which has the name of the right one (seeded.py)."""
    name = symbol(kernel, dtype)
    make = code.ptx if type(kernel) is declare.Kernel else ptx.compile_kernel
    text = make(kernel, dtype, name, architecture)
    kernels[name] = text = text.decode() if isinstance(text, bytes) else text
    return Kernel(text, name)


def grid_of(kernel, arguments):
    extents = [-(-arguments[i].shape[axis] // grain) for _, grain, i, axis in kernel.split_axes]
    return (*extents, 1, 1, 1)[:3]


class Failed(Exception):
    """A kernel's status: the code, and the place that it is true of."""

    def __init__(self, status):
        self.code, self.place = status & 255, status >> 8
        super().__init__(f"code {self.code} at {self.place}")


class Emulator:
    """A GPU's memory, and calls of kernels at once, with every check of the interpreter. `number`
    is that of the instruction that they are (ptx_entry.py)."""

    def __init__(self, capacity=1 << 24, shift=0, number=0, **options):
        self.device, self.shift, self.options = Device(capacity), shift, options
        self.number = number
        self.status = self.device.to_device(np.array([NO_FAILURE, 0], np.int64))
        self.stats, self.constants = {}, {}
        self.untouched = []  # results that no kernel has had yet

    def place(self, array, is_known=True):
        """A tensor with an array's values, `shift` elements after a multiple of 256 bytes."""
        item, shift = array.dtype.itemsize, self.shift * array.dtype.itemsize
        held = self.device.alloc(array.nbytes + shift)
        start = held - GLOBAL_BASE + shift
        self.device.mem[start : start + array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
        self.device.init[start : start + array.nbytes] = is_known
        address = DeviceAddress(held + shift)
        buffer = Buffer(address, array.nbytes, self.device.mem, start)
        return Tensor(buffer, array.shape, array.dtype) if item else None

    def read(self, tensor):
        start = tensor.buffer.offset
        stop = start + prod(tensor.shape) * tensor.dtype.itemsize
        assert self.device.init[start:stop].all(), "part of a result was never written"
        return self.device.mem[start:stop].view(tensor.dtype).reshape(tensor.shape).copy()

    def touch(self, tensor, parameter):
        """What stood in a result before is unknown to a kernel that does not read it."""
        buffer = getattr(tensor, "buffer", None)
        if any([y.buffer is buffer for y in self.untouched]):
            self.untouched = [y for y in self.untouched if y.buffer is not buffer]
            if not parameter.read:
                self.device.init[buffer.offset : buffer.offset + buffer.nbytes] = False

    # ---- what a launcher is given

    def scratch(self, shape, dtype):
        return self.place(np.zeros(shape, dtype), is_known=False)

    @staticmethod
    def constant(array):
        return Constant(array)

    def __call__(self, kernel, *arguments):
        dtype = "f4" if kernel.element is None else LETTERS[arguments[kernel.element].dtype]
        slots = []
        for p, a in zip(kernel.parameters, arguments, strict=True):
            if p.letters is None:
                slots.append(float(a) if p.dtype == "float" else int(a))
                continue
            assert len(a.shape) == len(p.letters), (kernel, p.name, a.shape)
            self.touch(a, p)
            if isinstance(a, Constant):
                known = self.constants.setdefault(id(a), (a, self.device.to_device(a.array)))
                slots += [known[1].ptr, *a.shape]
            else:
                slots += [a.buffer.address.value, *a.shape]
        grid = grid_of(kernel, arguments)
        if min(grid) == 0:
            return
        assert max(grid[1:]) <= 65535
        made = compiled(kernel, dtype)
        stats = self.stats[made.name] = made.launch(
            grid, kernel.threads, [*slots, self.status.ptr, self.number], dev=self.device,
            ignore_races=[self.status], **self.options,
        )  # fmt: skip
        executed.setdefault(made.name, set()).update(stats.block_runs)
        status = int(self.status.to_host()[0])
        if status != NO_FAILURE:
            raise Failed(status)


def run(op, inputs, outputs, attributes, emulator=Emulator, **options):
    """The outputs, as arrays, of an op's CUDA launcher: of these inputs, and of what stood in the
    outputs before (arrays; None for inputs left out)."""
    emulator = emulator(**options)
    given = [None if x is None else emulator.place(np.asarray(x, order="C")) for x in inputs]
    made = [emulator.place(np.asarray(y, order="C")) for y in outputs]
    emulator.untouched = list(made)
    given += [None] * (op.arity - len(given))
    launcher(op, "cuda")(emulator, *given, *made, **attributes)
    return [emulator.read(y) for y in made], emulator


def as_array(tensor):
    return None if tensor is None else tensor.buffer.array(tensor.shape, tensor.dtype).copy()


@contextmanager
def mirrored(check, **options):
    """Within it every op that is launched on the CPU also runs in the interpreter, and
    `check(op, attributes, CPU's outputs, CUDA's outputs)` is called."""
    on_cpu = fastnn.apply.launch

    def launch(op, inputs, outputs, attributes, device="cpu"):
        if op.kernels is None:
            return
        before = [as_array(x) for x in inputs], [as_array(y) for y in outputs]
        on_cpu(op, inputs, outputs, attributes, device)
        found, _ = run(op, *before, attributes, **options)
        check(op, attributes, [as_array(y) for y in outputs], found)

    fastnn.apply.launch = launch
    try:
        yield
    finally:
        fastnn.apply.launch = on_cpu
