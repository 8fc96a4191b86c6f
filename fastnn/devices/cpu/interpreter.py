"""Interpreted mode (FASTNN_INTERPRET=1): kernels run as plain Python on NumPy arrays, with bounds
checks and tracebacks.

The same functions as in calls.py: an "address" is a number given out here, and the replay loop
itself runs as Python. Results agree with compiled ones within rounding, not bit for bit, and there
is one thread.
"""

import ctypes
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from fastnn.compile.resolve import Specialiser
from fastnn.compile.target import Processor
from fastnn.kernels.cpu import replay as replay_kernels
from fastnn.kernels.cpu.simd import atomics
from fastnn.kernels.cpu.threads import thread_range
from fastnn.kernels.declare import Kernel, Target

# small vectors, tiles and blocks, so that small arrays cross their edges
TARGET = Target(16, 16, "interpreted", kc_rows=8)

_numbers = itertools.count(1)
_specialisers: dict = {}


def processor() -> Processor:
    """What kernels take the processor for."""
    return Processor("interpreted", "", TARGET)


def vector_bits(kernel: Kernel, dtype: str) -> int | None:
    """There is no object code to look into."""
    return None


def entry(kernel: Kernel, dtype: str) -> int:
    """The number under which a kernel is called for an element type."""
    if dtype not in kernel.entries:
        kernel.expect(dtype)
        kernel.entries[dtype] = number = next(_numbers)
        atomics.callables[number] = _callable(kernel, dtype)
    return kernel.entries[dtype]


def entries(forms: Sequence[tuple[Kernel, str]]) -> list[int]:
    """The same of several kernels."""
    return [entry(kernel, dtype) for kernel, dtype in forms]


def function(kernel: Kernel, dtype: str) -> Callable:
    """The kernel as a Python function for one element type."""
    if dtype not in _specialisers:
        _specialisers[dtype] = Specialiser(
            dtype, TARGET, np.dtype(dtype).type, lambda _helper, f: f, lambda _intrinsic, f: f
        )
    return _specialisers[dtype].bound(kernel.function)


def _callable(kernel, dtype):
    python = function(kernel, dtype)
    one_thread = not kernel.range_names

    def call(block, thread, n_threads):
        if one_thread and thread != 0:
            return 0
        fields, arguments, sizes = itertools.count(block, 8), [], {}
        for p in kernel.parameters:
            if p.letters is None:
                kind = ctypes.c_double if p.dtype == "float" else ctypes.c_int64
                arguments.append(kind.from_address(next(fields)).value)
                continue
            address, *shape = (
                ctypes.c_int64.from_address(next(fields)).value for _ in range(1 + len(p.letters))
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
            return python(*arguments, *_range(kernel, sizes, thread, n_threads)) or 0

    return call


def _range(kernel, sizes, thread, n_threads):
    """What the kernel takes after its arguments: see `declare.SPLITS`."""
    if not kernel.split:
        return (thread, n_threads)[: len(kernel.range_names)]
    ranges = [(sizes[letter], grain) for letter, grain in kernel.split]
    if len(ranges) == 1:
        start_stop = thread_range(*ranges[0], thread, n_threads)
        return (*start_stop, thread)[: len(kernel.range_names)]
    rows, columns = ranges
    if rows[0] > 1:
        return (*thread_range(*rows, thread, n_threads), 0, columns[0])
    return (0, rows[0], *thread_range(*columns, thread, n_threads))


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
    """Replay a program, `block` being the address of the replay loop's argument block."""
    return atomics.callables[entry(replay_kernels.replay, "f4")](block, thread, n_threads)
