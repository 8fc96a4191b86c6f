"""cp.async: copies that go on by themselves."""

import numpy as np
import pytest

from .errors import DataRace, Misaligned, OutOfBounds, PTXError, UninitialisedRead
from .programs import kernel, run

X = np.arange(256, dtype="f4")

TILE = ".shared .align 16 .b8 tile[1024];"
COPY = """
    mul.wide.u32 %d1, %t, 16; mov.b64 %d2, tile; add.s64 %d2, %d2, %d1; add.s64 %d3, %x, %d1;
    cp.async.cg.shared.global [%d2], [%d3], 16{};
"""
READ = """
    xor.b32 %r9, %t, {}; mul.wide.u32 %d4, %r9, 16; mov.b64 %d5, tile; add.s64 %d4, %d5, %d4;
    ld.shared.v4.b32 {{%r1, %r2, %r3, %r4}}, [%d4];
    mul.wide.u32 %d6, %t, 16; add.s64 %d6, %y, %d6; st.global.v4.b32 [%d6], {{%r1, %r2, %r3, %r4}};
"""
OTHERS, OWN = READ.format(32), READ.format(0)
WAIT = "cp.async.wait_all;"


def copied(body, x=X, threads=64, **options):
    (_, y), stats = run(kernel(body, shared=TILE), 1, threads, [x, np.empty(256, "f4")], **options)
    return y, stats


def test_copies():
    y, stats = copied(f"{COPY.format('')} {WAIT} bar.sync 0; {OTHERS}")
    assert (y.reshape(2, 128) == X.reshape(2, 128)[::-1]).all()
    assert stats.global_efficiency() == 1
    copied(COPY.format("") + WAIT + OWN)  # a thread's own needs no barrier
    with pytest.raises(UninitialisedRead):
        copied(COPY.format("") + OWN)
    with pytest.raises(DataRace):
        copied(COPY.format("") + WAIT + OTHERS)


def test_copies_of_part_of_the_bytes():
    """The rest is zero, and is not read: nothing need be there."""
    for valid, n in ((16, 4), (8, 2), (12, 3), (0, 0)):
        x = np.arange(4 * 63 + n, dtype="f4")
        some = f"setp.eq.u32 %p1, %t, 63; selp.b32 %r5, {valid}, 16, %p1;"
        y, _ = copied(f"{some} {COPY.format(', %r5')} {WAIT} {OWN}", x)
        assert (y == [*x, *[0] * (4 - n)]).all()
    with pytest.raises(OutOfBounds):
        copied(COPY.format("") + WAIT, X[:-1])
    with pytest.raises(OutOfBounds):
        copied(f"mov.b32 %r5, 12; {COPY.format(', %r5')} {WAIT}", X[:-2])
    with pytest.raises(PTXError, match="more than 16 bytes"):
        copied(f"mov.b32 %r5, 20; {COPY.format(', %r5')}")
    with pytest.raises(Misaligned):
        copied(COPY.format("").replace("[%d3]", "[%d3+4]"))


def test_groups_of_copies():
    two = COPY.format("") + "cp.async.commit_group;"
    second = two.replace("[%d2]", "[%d2+512]").replace("[%d3]", "[%d3+512]")
    start, y = f"{two} {second}", np.arange(128)
    read_second = OWN.replace("[%d4]", "[%d4+512]")
    found, _ = copied(f"{start} cp.async.wait_group 1; {OWN}", threads=32)
    assert (found[:128] == y).all()
    with pytest.raises(UninitialisedRead):
        copied(f"{start} cp.async.wait_group 1; {read_second}", threads=32)
    found, _ = copied(f"{start} cp.async.wait_group 0; {read_second}", threads=32)
    assert (found[:128] == y + 128).all()
    # what was not committed is in no group
    with pytest.raises(UninitialisedRead):
        copied(f"{COPY.format('')} cp.async.wait_group 0; {OWN}", threads=32)


def test_a_tile_that_is_still_read_is_not_copied_to():
    first = f"{COPY.format('')} {WAIT} bar.sync 0; {OTHERS}"
    again = f"{COPY.format('')} bar.sync 0; {WAIT}"
    copied(f"{first} bar.sync 0; {again}")
    with pytest.raises(DataRace):
        copied(first + again)
