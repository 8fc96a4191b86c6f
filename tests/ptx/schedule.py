"""Which threads run next.

The threads of a wave stand at basic blocks. Those at the block of the lowest number run first:
threads that parted at a branch meet again after it. At a barrier they wait until no other can go
on; then all threads of their blocks must be there.

`fuzz` lets a random half of the warps run, the others standing aside, and draws anew now and then:
what depends on the order of warps differs from one seed to the next.
"""

import numpy as np

from .checks import WARP
from .errors import BarrierDivergence, PTXError

REDRAW = 1 / 8  # how often, of the steps, other warps are drawn


def run(wave, fuzz, random, max_steps):
    """Execute a wave to its end."""
    functions, stats = wave.kernel.functions, wave.stats
    everyone = {0: np.arange(wave.n)}
    ready, aside, waiting = ({}, everyone, {}) if fuzz else (everyone, {}, {})
    steps = 0
    while ready or aside or waiting:
        if fuzz and (not ready or random.random() < REDRAW):
            ready, aside = drawn(wave, joined(ready, aside), random)
        if not ready:
            ready = released(wave, waiting)
            waiting = {}
            continue
        block = min(ready)
        lanes = ready.pop(block)
        if lanes.size < wave.n and not ready and not aside and not waiting:
            wave.keep(lanes)
            lanes = np.arange(wave.n)
        n = lanes.size
        stats.block_runs[block] += n
        stats.block_steps[block] += 1
        steps += 1
        if steps > max_steps:
            raise PTXError(f"no end after {max_steps} steps")
        wave.active.clear()
        after = functions[block](wave, None if n == wave.n else lanes, n)
        if type(after) is int:
            add(ready, after, lanes)
        elif after[0] is None:
            _, block, number = after
            add(waiting, (block, number), lanes)
        else:
            condition, target, following = after
            add(ready, target, lanes[condition])
            add(ready, following, lanes[~condition])


def add(groups, where, lanes):
    if where == -1 or lanes.size == 0:
        return
    if where in groups:
        lanes = np.sort(np.concatenate([groups[where], lanes]))
    groups[where] = lanes


def joined(*groups):
    together = {}
    for group in groups:
        for block, lanes in group.items():
            add(together, block, lanes)
    return together


def drawn(wave, groups, random):
    """Some warps, and the others."""
    if not groups:
        return {}, {}
    warps = (wave.threads - wave.first_thread) // WARP
    present = np.unique(warps[np.concatenate(list(groups.values()))])
    picked = np.zeros(wave.slots // WARP, np.bool_)
    picked[present] = random.random(present.size) < 0.5
    picked[random.choice(present)] = True
    ready, aside = {}, {}
    for block, lanes in groups.items():
        runs = picked[warps[lanes]]
        add(ready, block, lanes[runs])
        add(aside, block, lanes[~runs])
    return ready, aside


def released(wave, waiting):
    """All threads wait: the barriers that they may pass."""
    for (_, number), lanes in waiting.items():
        count = np.bincount(wave.block_of[lanes], minlength=wave.blocks)
        partly = (count > 0) & (count != wave.size)
        if partly.any():
            block = int(np.argmax(partly))
            first = int(np.argmax(wave.block_of[lanes] == block))
            raise BarrierDivergence(
                f"{count[block]} of {wave.size} threads reach the barrier: "
                f"{wave.where(lanes, first, number)}"
            )
        wave.passed_barrier(lanes)
    return joined({block: lanes for (block, _), lanes in waiting.items()})
