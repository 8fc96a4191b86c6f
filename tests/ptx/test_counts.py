"""Sectors, bank conflicts, and arrays of a device."""

import numpy as np
import pytest

from .memory import Device
from .programs import kernel, run

X, NOTHING = np.arange(256, dtype="f4"), np.full(64, -1, "i4")


@pytest.mark.parametrize(
    ("step", "sectors", "efficiency"),
    [(4, 4, 1), (0, 1, 4 / 32), (8, 8, 1 / 2), (32, 32, 1 / 8)],
)
def test_sectors(step, sectors, efficiency):
    body = f"mul.wide.u32 %d1, %t, {step}; add.s64 %d1, %x, %d1; ld.global.b32 %r1, [%d1];"
    _, stats = run(kernel(body), 1, 64, [np.zeros(1024, "f4"), NOTHING])
    assert stats.global_sectors() == 2 * sectors  # of each warp
    assert stats.global_efficiency() == efficiency
    assert stats.global_sectors({"st"}) == 0
    assert "2 requests of a warp" in stats.report()


def test_sectors_of_four_words_and_off_by_one():
    load = "ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%d1];"
    body = f"mul.wide.u32 %d1, %t, 16; add.s64 %d1, %x, %d1; {load}"
    _, stats = run(kernel(body), 1, 32, [np.zeros(1024, "f4"), NOTHING])
    assert stats.global_sectors() == 16
    assert stats.global_efficiency() == 1
    body = "add.s64 %d1, %x, %t4; ld.global.b32 %r1, [%d1+4];"
    _, stats = run(kernel(body), 1, 32, [np.zeros(1024, "f4"), NOTHING])
    assert stats.global_sectors() == 5


@pytest.mark.parametrize(
    ("load", "step", "factor"),
    [
        ("ld.shared.b32 %r1,", 4, 1),
        ("ld.shared.b32 %r1,", 0, 1),  # one word for all
        ("ld.shared.b32 %r1,", 8, 2),
        ("ld.shared.b32 %r1,", 128, 32),
        ("ld.shared.b32 %r1,", 132, 1),
        ("ld.shared.b64 %d9,", 8, 1),
        ("ld.shared.b64 %d9,", 16, 2),
        ("ld.shared.v4.b32 {%r1, %r2, %r3, %r4},", 16, 1),
        ("ld.shared.v4.b32 {%r1, %r2, %r3, %r4},", 32, 2),
    ],
)
def test_bank_conflicts(load, step, factor):
    body = f"mul.wide.u32 %d1, %t, {step}; mov.b64 %d2, tile; add.s64 %d2, %d2, %d1; {load} [%d2];"
    made = kernel(body, shared=".shared .align 16 .b8 tile[16384];")
    _, stats = run(made, 1, 64, [X, NOTHING], uninit=False)
    assert stats.bank_conflict_factor() == factor


def test_nothing_is_counted_where_that_is_not_asked_for():
    made = kernel("ld.global.b32 %r1, [%x];")
    _, stats = run(made, 1, 32, [X, NOTHING], profile=False)
    assert (stats.global_sectors(), stats.global_efficiency()) == (0, 1)


def test_arrays_of_a_device():
    device = Device(1 << 14)
    x = device.to_device(np.arange(6.0).reshape(2, 3))
    assert x.to_host().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert x.is_initialised()
    assert not device.empty_like(x).is_initialised()
    assert device.zeros((2,), "i8").to_host().tolist() == [0, 0]
    with pytest.raises(MemoryError):
        device.alloc(1 << 14)
