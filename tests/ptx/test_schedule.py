"""Threads that part and meet, in any order of warps; what the threads of a warp do together."""

import numpy as np
import pytest

from .programs import kernel, run

X, NOTHING = np.arange(256, dtype="f4"), np.full(64, -1, "i4")

COUNT_DOWN = """
    mov.b32 %r1, %t;
    mov.b32 %r2, 0;
$loop:
    setp.eq.s32 %p1, %r1, 0;
    @%p1 bra $done;
    and.b32 %r3, %r1, 1;
    setp.eq.s32 %p2, %r3, 0;
    @%p2 bra $even;
    add.s32 %r2, %r2, 100;
    bra $next;
$even:
    add.s32 %r2, %r2, 1;
$next:
    add.s32 %r1, %r1, -1;
    bra $loop;
$done:
    shfl.sync.bfly.b32 %r4, %r2, 1, 31, -1;
    add.s64 %d1, %y, %i4;
    st.global.b32 [%d1], %r4;
"""


@pytest.mark.parametrize("options", [{}, {"schedule": "fuzz", "seed": 3}, {"max_threads": 32}])
def test_threads_part_and_meet_again(options):
    (_, y), stats = run(kernel(COUNT_DOWN), 2, 32, [X, NOTHING], **options)
    counted = [100 * ((t + 1) // 2) + t // 2 for t in range(32)]
    assert y.reshape(2, 32).tolist() == [[counted[t ^ 1] for t in range(32)]] * 2
    assert stats.coverage()[0] == stats.coverage()[1]
    counts = stats.opcode_counts()
    assert counts["shfl.sync.bfly.b32"] == stats.threads == 64
    assert counts["add.s32"] == 2 * 2 * sum(range(32))


def test_blocks_that_were_not_reached():
    made = kernel("setp.gt.u32 %p1, %t, 99; @!%p1 bra $end; add.s32 %r1, %t, 5; $end:")
    _, stats = run(made, 1, 32, [X, NOTHING])
    executed, blocks, missed = stats.coverage()
    assert (blocks - executed, missed) == (1, ["add.s32 %r1, %t, 5"])


def test_a_schedule_shows_what_depends_on_the_order():
    """The first of two warps to exchange a word finds nothing in it."""
    body = """
        and.b32 %r1, %t, 31;
        setp.ne.u32 %p1, %r1, 0;
        @%p1 ret;
        atom.global.exch.b32 %r2, [%x], %t;
        add.s64 %d1, %y, %t4;
        st.global.b32 [%d1], %r2;
    """
    made, start = kernel(body), np.full(4, -1, "i4")

    def first(**options):
        (_, y), _ = run(made, 1, 64, [start, np.full(64, -7, "i4")], **options)
        return int(y[0] == -1)

    assert {first() for _ in range(3)} == {1}
    assert {first(schedule="fuzz", seed=n) for n in range(20)} == {0, 1}


def test_threads_that_left_stay_away():
    body = """
        setp.ge.u32 %p1, %t, 5;
        @%p1 ret;
        add.s64 %d1, %y, %i4;
        st.global.b32 [%d1], %i;
    """
    for options in ({}, {"schedule": "fuzz"}):
        (_, y), _ = run(kernel(body), 2, 32, [X, NOTHING], **options)
        assert np.nonzero(y >= 0)[0].tolist() == [*range(5), *range(32, 37)]


def test_a_grid_and_a_block_of_several_axes():
    body = """
        mov.u32 %r1, %ctaid.y; mov.u32 %r2, %nctaid.x; mad.lo.u32 %r3, %r1, %r2, %b;
        mov.u32 %r4, %tid.y; mov.u32 %r5, %ntid.y; mad.lo.u32 %r6, %r3, %r5, %r4;
        mad.lo.u32 %r7, %r6, %n, %t;
        mul.wide.u32 %d1, %r7, 4; add.s64 %d2, %y, %d1; st.global.b32 [%d2], %r7;
    """
    (_, y), _ = run(kernel(body), (3, 2), (4, 2), [X, NOTHING])
    assert (y[:48] == np.arange(48)).all()


def test_atomics_return_what_was_there():
    body = """
        atom.global.add.u32 %r1, [%x], 2;
        add.s64 %d1, %y, %t4; st.global.b32 [%d1], %r1;
        atom.global.min.s32 %r2, [%x+4], %t;
        atom.global.cas.b32 %r3, [%x+8], 0, 9;
    """
    (x, y), _ = run(kernel(body), 1, 32, [np.array([0, 5, 0], "i4"), NOTHING])
    assert x.tolist() == [64, 0, 9]
    assert sorted(y[:32]) == list(range(0, 64, 2))


def test_shuffles_and_votes():
    lane = np.arange(32)
    some = "setp.gt.u32 %p2, %t, 28;"
    for text, expected in {
        "shfl.sync.up.b32 %r1|%p1, %t, 3, 0, -1;": np.where(lane >= 3, lane - 3, lane),
        "shfl.sync.down.b32 %r1|%p1, %t, 3, 31, -1;": np.where(lane < 29, lane + 3, lane),
        "shfl.sync.bfly.b32 %r1|%p1, %t, 5, 31, -1;": lane ^ 5,
        "shfl.sync.idx.b32 %r1|%p1, %t, 2, 31, -1;": lane * 0 + 2,
        "shfl.sync.idx.b32 %r1|%p1, %t, 2, 6175, -1;": lane // 8 * 8 + 2,  # segments of 8
        f"{some} vote.sync.ballot.b32 %r1, %p2, -1;": lane * 0 - (1 << 29),
        f"{some} vote.sync.any.pred %p3, %p2, -1; selp.b32 %r1, 1, 0, %p3;": lane * 0 + 1,
        f"{some} vote.sync.all.pred %p3, %p2, -1; selp.b32 %r1, 1, 0, %p3;": lane * 0,
    }.items():
        body = f"{text} add.s64 %d1, %y, %t4; st.global.b32 [%d1], %r1;"
        (_, y), _ = run(kernel(body), 1, 32, [X, NOTHING])
        assert (y[:32] == expected).all(), text
