"""Bugs put into kernels on purpose are caught, each of them (seeded.py)."""

import numpy as np
import pytest

from fastnn import ops
from fastnn.kernels.cuda.grid import barrier, block_index, shared_array, thread_index
from fastnn.kernels.declare import T, kernel

from . import seeded

RNG = np.random.default_rng(1)


def normal(*shape):
    return RNG.normal(size=shape).astype("f4")


@kernel(threads=64, split=[("N", 64)], x="T[N]", y="out T[N]")
def swap_warps(x, y):
    tile, n = shared_array(T(0), 64), y.size
    i, thread = block_index() * 64 + thread_index(), thread_index()
    tile[thread] = x[min(i, n - 1)]
    barrier()
    if i < n:
        y[i] = tile[thread ^ 32]
    barrier()


def test_what_is_left_out():
    assert [edit.place for edit in seeded.edits_of(swap_warps)] == [
        "swap_warps: barrier() -> pass",
        "swap_warps: barrier() -> pass, 2",
        "swap_warps: i < n -> True",
        "swap_warps: min(i, n - 1) -> i",
        "swap_warps: min(i, n - 1) -> n - 1",
    ]


def test_a_bug_that_nothing_shows(monkeypatch):
    """The last barrier is not needed. The others are, and so are the bounds, of 96 elements."""
    x = normal(96)

    class Copy:
        kernels, arity = "movement.copy", 1

    launch = seeded.Launch(Copy, [x], [np.zeros_like(x)], {})
    monkeypatch.setattr(
        "tests.cuda.emulator.launcher", lambda *_: lambda call, x, y: call(swap_warps, x, y)
    )
    places, missed = seeded.survivors([launch])
    assert (len(places), missed) == (5, {"swap_warps: barrier() -> pass, 2"})


def alone():
    """One array whose length is a multiple of four, and one of another."""
    ops.gelu(normal(2100))
    ops.gelu(normal(2048))


def broadcast():
    ops.add(normal(70, 30), normal(30))
    ops.add(normal(3, 5, 1), normal(5, 7))


# family -> what runs its kernels where a bug shows, and the bugs that change nothing, with reasons
FAMILIES = {
    "loops": (alone, {}),
    "loops, broadcast": (broadcast, {}),
}
QUICK = ("loops",)


@pytest.mark.parametrize(
    "family", [f if f in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES]
)
def test_each_bug_is_caught(family):
    function, harmless = FAMILIES[family]
    places, missed = seeded.survivors(seeded.launches_of(function))
    assert places
    assert missed == set(harmless)
