"""Ops run on the CPU and, in the PTX interpreter, on CUDA; what their kernels went through."""

import re

import numpy as np
import pytest

from fastnn.apply import apply
from fastnn.compile.ptx_entry import COMMITS
from fastnn.devices.cpu.memory import buffer_of
from fastnn.tensor import Tensor
from tests.ptx.checks import SECTOR
from tests.ptx.stats import REQUESTS, SECTORS, USEFUL

from .emulator import compiled, executed, mirrored, run

ALL = ("float32", "float64", "int64", "int32", "uint8", "bool")
FLOATS = ("float32", "float64")


def slow(*values):
    """Of a test's parameters, values for `make slow`."""
    return pytest.param(*values, marks=pytest.mark.slow)


QUICKLY = ("float32", slow("float64"))  # where the kernels differ in their elements alone


def some(rng, shape, dtype):
    """An array of any numbers that the type has, odd ones among them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    x = np.asarray(rng.normal(size=shape).astype(dtype))
    if x.size > 5:
        x.flat[:4] = np.nan, -0.0, np.inf, -np.inf
    return x


def as_tensor(array):
    array = np.asarray(array, order="C")
    return Tensor(buffer_of(array), array.shape, array.dtype)


def same_bits(_op, _attributes, expected, found):
    for a, b in zip(expected, found, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
        assert a.tobytes() == b.tobytes()


def same_numbers(_op, _attributes, expected, found):
    """Of zeros and of NaN the signs may differ."""
    for a, b in zip(expected, found, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)


def on_both(op, *arrays, places=(), check=same_bits, shift=0, schedule=None, **attributes):
    """Run an op on both devices and compare; the CPU's results, as arrays. `places`: arrays that it
    writes over. On CUDA its kernels run as those of a step's commits do."""
    found = []

    def compare(op, attributes, expected, got):
        check(op, attributes, expected, got)
        found.extend(expected)

    with mirrored(compare, shift=shift, schedule=schedule, number=COMMITS):
        tensors = tuple([as_tensor(a) for a in arrays])
        apply(op, tensors, attributes, [as_tensor(p) for p in places])
    return found


def on_cuda(op, arrays, outputs, shift=0, **attributes):
    """The statistics of the op's last kernel, run on CUDA alone."""
    _, emulator = run(op, arrays, outputs, attributes, shift=shift)
    return list(emulator.stats.values())[-1]


def missed(kernel, dtype="f4"):
    """The first instruction of each basic block that no launch so far went through, but for jumps,
    and divisions of numbers of more than 32 bits: of small ones LLVM makes others."""
    made = compiled(kernel, dtype)
    seen = executed.get(made.name, set())
    texts = [b[0].text for n, b in enumerate(made.blocks) if b and n not in seen]
    return [t for t in texts if not re.match(r"(bra\.uni|(div|rem)\.[us]64) ", t)]


def sectors(stats, kinds=None):
    """How many sectors of 32 bytes were moved, by the fewest that could have been: of a request, as
    many as its bytes fill, and one at least. `kinds` of instructions: "ld", "st"."""
    moved = fewest = 0
    for space, kind, counters in stats.accesses.values():
        if space == "global" and (kinds is None or kind in kinds):
            moved += counters[SECTORS]
            fewest += max(counters[REQUESTS], counters[USEFUL] / SECTOR)
    return moved / fewest
