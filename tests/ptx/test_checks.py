"""Each check raises for a kernel that breaks it, and is silent for the mended one."""

import numpy as np
import pytest

from .errors import (
    BarrierDivergence,
    DataRace,
    Misaligned,
    OutOfBounds,
    PTXError,
    UninitialisedRead,
    Unsupported,
)
from .memory import Device
from .programs import kernel, run

X = np.arange(256, dtype="f4")
SHARED = ".shared .align 16 .b8 tile[1024];"
# each thread writes its own word of shared memory, and then reads one of the next warp's
WRITE = "mov.b64 %d1, tile; add.s64 %d2, %d1, %t4; st.shared.b32 [%d2], %t;"
READ_OTHER = "xor.b32 %r1, %t, {}; mul.wide.u32 %d3, %r1, 4; add.s64 %d4, %d1, %d3; \
ld.shared.b32 %r2, [%d4]; add.s64 %d5, %y, %t4; st.global.b32 [%d5], %r2;"


def raises(error, body, *arguments, match=None, **options):
    with pytest.raises(error, match=match):
        run(kernel(body, shared=SHARED), *arguments, **options)


def test_a_race_in_shared_memory():
    for other in (1, 32):  # of the same warp, of another
        read = READ_OTHER.format(other)
        raises(DataRace, WRITE + read, 1, 64, [X, None], match="a read and a write by block")
        (_, y), _ = run(kernel(f"{WRITE} bar.sync 0; {read}", shared=SHARED), 1, 64, [X, None])
        assert (y.view("i4")[:64] == np.arange(64) ^ other).all()
    # what was read must not be written before a barrier either
    again = "add.s32 %r3, %t, 1; st.shared.b32 [%d2], %r3;"
    both = f"{WRITE} bar.sync 0; {READ_OTHER.format(32)}"
    raises(DataRace, both + again, 1, 64, [X, None], match="a write and a read by block")
    run(kernel(f"{both} bar.sync 0; {again}", shared=SHARED), 1, 64, [X, None])
    for seed in range(3):  # whichever comes first
        fuzz = {"schedule": "fuzz", "seed": seed, "uninit": False}
        raises(DataRace, WRITE + READ_OTHER.format(32), 1, 64, [X, None], **fuzz)


def test_every_reader_is_remembered():
    """The last reader writes, but another has read too, and that one has read more than once."""
    read_first = "mov.b64 %d1, tile; ld.shared.b32 %r1, [tile];"
    start = "setp.eq.u32 %p1, %t, 0; @%p1 st.shared.b32 [tile], 7; bar.sync 0;"
    write = "setp.eq.u32 %p2, %t, {}; @%p2 st.shared.b32 [tile], 8;"
    for writer in (0, 31, 63):
        body = start + read_first + read_first
        raises(DataRace, body + write.format(writer), 1, 64, [X, None], match="a write and a read")
        made = kernel(f"{body} bar.sync 0; {write.format(writer)}", shared=SHARED)
        run(made, 1, 64, [X, None])


def test_a_barrier_of_a_warp():
    body = f"{WRITE} bar.warp.sync -1; " + READ_OTHER
    run(kernel(body.format(1), shared=SHARED), 1, 64, [X, None])
    raises(DataRace, body.format(32), 1, 64, [X, None])


def test_a_race_between_blocks():
    write = "add.s64 %d1, %x, %t4; st.global.b32 [%d1], %t;"
    raises(DataRace, write, 2, 32, [X, None], match=r"global memory.*\(0, 0, 0\).*\(1, 0, 0\)")
    run(kernel(write.replace("%t4", "%i4")), 2, 32, [X, None])
    # one block's threads never know what another's wrote, whatever barriers there are
    read = "add.s64 %d1, %x, %i4; st.global.b32 [%d1], %t; bar.sync 0; ld.global.b32 %r1, [%x];"
    raises(DataRace, read, 2, 32, [X, None])
    run(kernel(read), 1, 32, [X, None])
    # nor do blocks that are executed later
    raises(DataRace, write, 4, 32, [X, None], max_threads=32)


def test_threads_that_write_one_word():
    write = "st.global.b32 [%x], {};"
    raises(DataRace, write.format(5), 1, 32, [X, None], match="a write and a write")
    body = "setp.eq.u32 %p1, %t, 3; @%p1 " + write.format(5)
    run(kernel(body), 1, 32, [X, None])


def test_atomics_do_not_race_with_each_other():
    add = "red.global.add.u32 [%x], 1;"
    (x, _), _ = run(kernel(add), 2, 64, [np.zeros(4, "u4"), None])
    assert x[0] == 128
    raises(DataRace, f"{add} ld.global.b32 %r1, [%x];", 1, 32, [X, None])
    raises(DataRace, f"ld.global.b32 %r1, [%x]; {add}", 1, 32, [X, None])
    run(kernel(f"{add} bar.sync 0; ld.global.b32 %r1, [%x];"), 1, 32, [X, None])


def test_memory_that_is_said_to_be_constant():
    """ld.global.nc may find what was there before the launch, whoever has written since."""
    write = "add.s64 %d1, %x, %t4; st.global.b32 [%d1], %t;"
    raises(DataRace, f"{write} ld.global.nc.b32 %r1, [%d1];", 1, 32, [X, None])
    raises(DataRace, f"{write} bar.sync 0; ld.global.nc.b32 %r1, [%x];", 1, 32, [X, None])
    run(kernel(f"{write} ld.global.b32 %r1, [%d1];"), 1, 32, [X, None])
    run(kernel("add.s64 %d1, %x, %t4; ld.global.nc.b32 %r1, [%d1];"), 1, 32, [X, None])


def test_races_that_are_let_pass():
    body, device = kernel("st.global.b32 [%x], 1; add.s64 %d1, %y, %i4;"), Device(1 << 20)
    x, y = device.to_device(X), device.to_device(X)
    body.launch(2, 32, [x, y], ignore_races=[x])
    body.launch(2, 32, [x, y], races=False)
    with pytest.raises(DataRace):
        body.launch(2, 32, [x, y], ignore_races=[y])


def test_bounds_of_global_memory():
    load = "add.s64 %d1, %x, %i4; ld.global.b32 %r1, [%d1];"
    raises(
        OutOfBounds, load, 1, 257, [X, None],
        match=r"0 bytes past the end of the nearest allocation \(1024 bytes\).*\(256, 0, 0\)",
    )  # fmt: skip
    run(kernel(load), 1, 256, [X, None])
    raises(OutOfBounds, "ld.global.b32 %r1, [%x+-4];", 1, 1, [X, None])
    raises(OutOfBounds, "st.global.v4.b32 [%x+1024], {%t, %t, %t, %t};", 1, 1, [X, None])
    raises(OutOfBounds, "ld.global.b32 %r1, [0];", 1, 1, [X, None])
    # an address that lost its upper half
    raises(OutOfBounds, "and.b64 %d1, %x, 0xffffffff; ld.global.b32 %r1, [%d1];", 1, 1, [X, None])


def test_memory_that_was_freed():
    device = Device(1 << 20)
    x, y = device.to_device(X), device.empty(4)
    load = kernel("ld.global.b32 %r1, [%x];")
    load.launch(1, 1, [x, y])
    device.free(x.ptr)
    with pytest.raises(OutOfBounds):
        load.launch(1, 1, [x, y])


def test_bounds_of_shared_memory():
    for offset, inside in ((0, True), (1020, True), (1024, False), (-4, False)):
        body = f"st.shared.b32 [tile+{offset}], %t;"
        if inside:
            run(kernel(body, shared=SHARED), 1, 1, [X, None])
        else:
            raises(OutOfBounds, body, 1, 1, [X, None], match="shared address")


def test_alignment():
    load = "ld.global.v4.b32 {{%r1, %r2, %r3, %r4}}, [%x+{}];"
    raises(Misaligned, load.format(4), 1, 1, [X, None], match="16 bytes at global address")
    run(kernel(load.format(16)), 1, 1, [X, None])
    raises(Misaligned, "st.shared.b64 [tile+4], %x;", 1, 1, [X, None])
    # a variable gets no better alignment than it asks for
    made = kernel("st.shared.b64 [odd], %x;", shared=".shared .align 4 .b8 odd[16];")
    with pytest.raises(Misaligned):
        run(made, 1, 1, [X, None])


def test_memory_never_written():
    raises(UninitialisedRead, "ld.global.b32 %r1, [%y];", 1, 1, [X, None])
    raises(UninitialisedRead, "ld.shared.b32 %r1, [tile];", 1, 1, [X, None])
    run(kernel("st.global.b32 [%y], 1; ld.global.b32 %r1, [%y];"), 1, 1, [X, None])
    # of four words each counts
    write = "st.shared.b32 [tile], %t; st.shared.b32 [tile+4], %t; st.shared.b32 [tile+12], %t;"
    load = "ld.shared.v4.b32 {%r1, %r2, %r3, %r4}, [tile];"
    raises(UninitialisedRead, write + load, 1, 1, [X, None])
    run(kernel(f"{write} st.shared.b32 [tile+8], %t; {load}", shared=SHARED), 1, 1, [X, None])
    # each block has shared memory of its own
    only_the_first = (
        "setp.eq.u32 %p1, %b, 0; @%p1 st.shared.b32 [tile], 1; ld.shared.b32 %r1, [tile];"
    )
    raises(UninitialisedRead, only_the_first, 2, 1, [X, None], match=r"block \(1, 0, 0\)")


def test_a_barrier_that_not_all_reach():
    some = "setp.lt.u32 %p1, %t, 40; @!%p1 bra $end; bar.sync 0; $end:"
    raises(BarrierDivergence, some, 1, 64, [X, None], match="40 of 64 threads reach the barrier")
    run(kernel(some), 1, 40, [X, None])
    left = "setp.lt.u32 %p1, %t, 40; @!%p1 ret; bar.sync 0;"
    raises(BarrierDivergence, left, 1, 64, [X, None])
    # two barriers are not one
    two = "setp.lt.u32 %p1, %t, 32; @%p1 bra $other; bar.sync 0; ret; $other: bar.sync 0;"
    raises(BarrierDivergence, two, 1, 64, [X, None])


def test_a_shuffle_that_not_all_reach():
    shuffle = "shfl.sync.bfly.b32 %r1|%p2, %t, 1, 31, {};"
    run(kernel(shuffle.format(-1)), 1, 64, [X, None])
    run(kernel(shuffle.format(-1)), 1, 48, [X, None])  # a warp of 16
    some = f"setp.lt.u32 %p1, %t, 24; @!%p1 bra $end; {shuffle} $end:"
    raises(BarrierDivergence, some.format(-1), 1, 32, [X, None], match="lanes that are not here")
    run(kernel(some.format(0xFFFFFF)), 1, 32, [X, None])
    raises(BarrierDivergence, shuffle.format(1), 1, 32, [X, None], match="leaves out")


def test_what_is_not_modelled_is_refused():
    for body in (
        "sin.approx.ftz.f32 %f1, %f2;",
        "div.full.ftz.f32 %f1, %f2, %f3;",
        "add.rz.f32 %f1, %f2, %f3;",
        "add.cc.u32 %r1, %r2, %r3;",
        "ld.local.b32 %r1, [%d1];",
        "bar.sync 0, 32;",
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1}, {%r1}, {%r2}, {%f3};",
    ):
        raises(Unsupported, body, 1, 32, [X, None])
    # only where it is executed
    run(kernel("setp.gt.u32 %p1, %t, 99; @%p1 sin.approx.f32 %f1, %f2;"), 1, 32, [X, None])
    with pytest.raises(Unsupported, match="functions"):
        kernel("", shared=".extern .func (.param .b32 r) foo (.param .b32 x);")


def test_launches_that_do_not_fit():
    made = kernel("", directives=".reqntid 64")
    run(made, 1, 64, [X, None])
    with pytest.raises(PTXError, match="32 threads in a block: the kernel takes 64"):
        run(made, 1, 32, [X, None])
    with pytest.raises(PTXError, match="1025 threads"):
        run(kernel(""), 1, 1025, [X, None])
    with pytest.raises(PTXError, match="takes 2 parameters, got 1"):
        run(made, 1, 64, [X])
    with pytest.raises(PTXError, match="49168 bytes of shared memory"):
        kernel("", shared=".shared .align 16 .b8 large[49168];")


def test_a_trap_and_a_loop_without_end():
    raises(PTXError, "setp.eq.u32 %p1, %t, 5; @%p1 trap;", 1, 32, [X, None], match="trap")
    raises(PTXError, "$again: bra $again;", 1, 32, [X, None], match="no end", max_steps=100)
