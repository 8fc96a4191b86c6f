"""What the threads of a warp do together."""

import numpy as np

from .checks import WARP
from .dtypes import i8, u4, u8
from .errors import BarrierDivergence

BITS = np.arange(WARP, dtype=u8)


def present(wave, lanes, n, mask, number):
    """(each thread's slot: warps one after another, the position in the step of each slot's thread,
    or -1), once all lanes that the mask names are known to be here."""
    slots = wave.who(lanes)[0] - wave.first_thread
    places = np.full(wave.slots, -1, i8)
    places[slots] = np.arange(n)
    here = as_masks(places >= 0)[slots // WARP]
    needed = mask & wave.existing_lanes[slots // WARP % wave.warps]
    missing = (needed & ~here) != 0
    if missing.any():
        k = int(np.argmax(missing))
        raise BarrierDivergence(
            f"mask {needed[k]:#010x} names lanes that are not here ({here[k]:#010x} are): "
            f"{wave.where(lanes, k, number)}"
        )
    left_out = (needed >> (slots % WARP).astype(u4)) & u4(1) == 0
    if left_out.any():
        where = wave.where(lanes, int(np.argmax(left_out)), number)
        raise BarrierDivergence(f"the mask leaves out the thread itself: {where}")
    return slots, places


def as_masks(flags):
    """A word of 32 bits for each 32 flags."""
    return (flags.reshape(-1, WARP).astype(u8) << BITS).sum(1).astype(u4)


def shuffle(wave, lanes, n, mode, x, distance, control, mask, number):
    """(the x of another lane, whether that lane is in the segment) by the rules of shfl.sync."""
    slots, places = present(wave, lanes, n, mask, number)
    x, lane = np.broadcast_to(x, (n,)), slots % WARP
    distance = distance.astype(i8) & 31
    clamp, segment = control.astype(i8) & 31, (control.astype(i8) >> 8) & 31
    last, first = (lane & segment) | (clamp & ~segment), lane & segment
    if mode == "up":
        source = lane - distance
        inside = source >= last
    else:
        source = {
            "down": lane + distance,
            "bfly": lane ^ distance,
            "idx": first | (distance & ~segment),
        }[mode]
        inside = source <= last
    found = places[slots - lane + np.where(inside, source, lane)]
    if (found < 0).any():
        where = wave.where(lanes, int(np.argmax(found < 0)), number)
        raise BarrierDivergence(f"a shuffle reads a lane that is not here: {where}")
    return x[found], inside


def vote(wave, lanes, n, mode, x, mask, number):
    slots, places = present(wave, lanes, n, mask, number)
    flags = np.zeros(wave.slots, np.bool_)
    flags[slots] = x
    votes = as_masks(flags)[slots // WARP]
    if mode == "ballot":
        return votes
    if mode == "any":
        return votes != 0
    all_agree = votes == as_masks(places >= 0)[slots // WARP]
    return all_agree if mode == "all" else all_agree | (votes == 0)


def synchronise(wave, lanes, n, mask, number):
    """bar.warp.sync: what the warp's threads wrote is then known to all of them."""
    present(wave, lanes, n, mask, number)
    wave.passed_warp_barrier(lanes)
