"""Interpreted mode (FASTNN_INTERPRET=1): kernels run as plain Python on NumPy arrays, with bounds
checks and tracebacks.

The same functions as in native.py: an "address" is a number given out here, and the replay loop
itself runs as Python. Results agree with compiled ones within rounding, not bit for bit, and there
is one thread.
"""

import ctypes
import itertools

import numpy as np

from fastnn.compile.resolve import Specialiser
from fastnn.kernels.cpu import replay as replay_kernels
from fastnn.kernels.cpu.simd import atomics
from fastnn.kernels.cpu.threads import thread_range
from fastnn.kernels.declare import Kernel, Target

# small vectors, tiles and blocks, so that small arrays cross their edges
TARGET = Target(16, 16, "interpreted", 8)

compiled: list = []
listeners: list = []
_numbers = itertools.count(1)
_specialisers: dict = {}


def processor():
    """As native.processor tells it of compiled kernels."""
    return "interpreted", "", TARGET


def vector_bits(kernel: Kernel, dtype: str) -> int | None:
    """There is no object code to look into."""
    return None


def entry(kernel: Kernel, dtype: str) -> int:
    """The number under which a kernel is called for an element type."""
    if dtype not in kernel.entries:
        if dtype not in kernel.dtypes:
            raise TypeError(
                f"kernel {kernel.name} is compiled for {', '.join(kernel.dtypes)}; got {dtype}"
            )
        kernel.entries[dtype] = number = next(_numbers)
        atomics.callables[number] = _callable(kernel, dtype)
    return kernel.entries[dtype]


def function(kernel: Kernel, dtype: str):
    """The kernel as a Python function for one element type."""
    if dtype not in _specialisers:
        _specialisers[dtype] = Specialiser(
            dtype, TARGET, np.dtype(dtype).type, lambda _helper, f: f, lambda _intrinsic, f: f
        )
    return _specialisers[dtype].bound(kernel.function)


def _callable(kernel, dtype):
    python = function(kernel, dtype)
    alone = not kernel.range_names

    def call(block, thread, n_threads):
        if alone and thread != 0:
            return 0
        slots, arguments, sizes = iter(range(1 << 16)), [], {}
        for p in kernel.parameters:
            if p.letters is None:
                kind = ctypes.c_double if p.dtype == "float" else ctypes.c_int64
                arguments.append(kind.from_address(block + 8 * next(slots)).value)
                continue
            address, *shape = (
                ctypes.c_int64.from_address(block + 8 * next(slots)).value
                for _ in range(1 + len(p.letters))
            )
            for letter, extent in zip(p.letters, shape, strict=True):
                if sizes.setdefault(letter, extent) != extent:
                    raise ValueError(
                        f"kernel {kernel.name}: {p.name} has {letter} = {extent}, another "
                        f"argument {sizes[letter]}"
                    )
            arguments.append(_array(address, shape, np.dtype(dtype if p.dtype == "T" else p.dtype)))
        # NaN and Inf go through kernels silently, as they do natively
        with np.errstate(all="ignore"):
            return python(*arguments, *_work(kernel, sizes, thread, n_threads)) or 0

    return call


def _work(kernel, sizes, thread, n_threads):
    """What the kernel takes after its arguments: see `declare.SPLITS`."""
    if not kernel.split:
        return (thread, n_threads)[: len(kernel.range_names)]
    (first, grain), *other = kernel.split
    if not other:
        return (*thread_range(sizes[first], grain, thread, n_threads), thread)[
            : len(kernel.range_names)
        ]
    ((second, second_grain),) = other
    if sizes[first] > 1:
        return (*thread_range(sizes[first], grain, thread, n_threads), 0, sizes[second])
    return (0, sizes[first], *thread_range(sizes[second], second_grain, thread, n_threads))


def _array(address, shape, dtype):
    count = int(np.prod(shape))
    if count == 0:
        return np.empty(shape, dtype)
    return np.frombuffer(
        (ctypes.c_char * (count * dtype.itemsize)).from_address(address), dtype
    ).reshape(shape)


def call_once(address: int, block: bytes) -> int:
    """Call the kernel `address` stands for once; returns its status."""
    place = ctypes.create_string_buffer(block, len(block))
    return atomics.callables[address](ctypes.addressof(place), 0, 1)


def replay(block: int, thread: int, n_threads: int) -> int:
    """Run a program: see native.replay."""
    return atomics.callables[entry(replay_kernels.replay, "f4")](block, thread, n_threads)
