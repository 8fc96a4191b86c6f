"""The CUDA graph of a recorded step.

Its nodes are launches of the plan's instructions. One waits for those whose bytes it reads or
writes over, and for no others: branches run side by side. Calls of one small kernel that do not
wait for each other are one launch. What comes after the last check commits: such calls are told, by
the sign of their number, to do nothing once an earlier one has failed, so that weights stay as they
were, in the steps that are queued already too. The last launch moves the counters on.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastnn.compile.ptx_entry import COMMITS, NUMBER_SHIFT
from fastnn.kernels.cuda.replay import advance
from fastnn.kernels.declare import Kernel
from fastnn.ops import updates

from . import memory
from .address import DeviceAddress
from .calls import grid_of, packed
from .code import function_of, functions_of
from .device import Launch, device
from .memory import HostCopies
from .tape import Tape

CHECKS = (updates.check_finite.name, *[f"check_{op.name}" for op in updates.check_of])
MAX_BATCH = 65535  # blocks along z


class Touched(NamedTuple):
    """Bytes of the GPU's memory that a call reads or writes."""

    start: int
    stop: int
    written: bool


class Call(NamedTuple):
    """An instruction as it is launched: its kernel and element type, grid and parameters, and the
    numbers of the calls that it waits for."""

    kernel: Kernel
    dtype: str
    grid: tuple[int, int, int]
    parameters: bytes
    waits: set[int]


Made = tuple[Any, list[Any]]


def graph_of(tape: Tape, copies: HostCopies, status: int, done: int) -> Made:
    """The graph of a tape, and the memory that it reads besides. `status` is the address of the
    words that it reports into, `done` that of the number of steps done."""
    calls = _calls(tape, copies, status)
    functions_of([*[(c.kernel, c.dtype) for c in calls], (advance, "f4")])
    groups = batches(calls)
    launches, tables = [], []
    for group in groups:
        first = calls[group[0]]
        if len(group) == 1:
            function, grid, parameters = (
                function_of(first.kernel, first.dtype),
                first.grid,
                first.parameters,
            )
        else:
            rows = np.frombuffer(b"".join([calls[n].parameters for n in group]), np.uint8)
            table = memory.allocate(rows.nbytes)
            table.write(rows)
            tables.append(table)
            function = function_of(first.kernel, first.dtype, batched=True)
            x, y = (max([calls[n].grid[axis] for n in group]) for axis in (0, 1))
            grid = x, y, len(group)
            parameters = np.array([table.owner.address, status, 0], np.int64).tobytes()
        launches.append(Launch(function, grid, first.kernel.threads, parameters))
    place = {n: number for number, group in enumerate(groups) for n in group}
    edges = reduced([{place[w] for n in group for w in calls[n].waits} for group in groups])
    pairs = [(copies.address(address), amount) for address, amount in tape.counter_increments]
    table = memory.allocate(16 * len(pairs))
    table.write(np.array(pairs, np.int64).reshape(-1, 2))
    tables.append(table)
    numbers = [
        table.owner.address,
        len(pairs),
        2,
        status,
        2,
        done,
        1,
        status,
        len(tape.instructions),
    ]
    waited = {before for each in edges for before in each}
    edges.append([n for n in range(len(launches)) if n not in waited])
    parameters = np.array(numbers, np.int64).tobytes()
    launches.append(Launch(function_of(advance, "f4"), (1, 1, 1), advance.threads, parameters))
    return device().graph(launches, edges), tables


def _calls(tape, copies, status):
    """The tape's instructions as calls, but for those that have nothing to do."""

    def address_of(argument):
        address = argument.buffer.address
        if isinstance(address, DeviceAddress):
            return address.value
        return copies.address(address) if prod(argument.shape) else 0

    calls: list[Call] = []
    touched: list[list[Touched]] = []
    reporting: list[int] = []
    last_check = max([n for n, i in enumerate(tape.instructions) if i.name in CHECKS], default=None)
    for number, i in enumerate(tape.instructions):
        arguments = tape.arguments(i)
        grid = grid_of(i.kernel, arguments)
        if 0 in grid:
            continue
        commits = last_check is not None and number > last_check
        tag = number << NUMBER_SHIFT | (COMMITS if commits else 0)
        own = [
            Touched(start, start + prod(a.shape) * a.dtype.itemsize, p.written)
            for p, a in zip(i.kernel.parameters, arguments, strict=True)
            if p.letters is not None
            for start in [address_of(a)]
        ]
        waits = {n for n, other in enumerate(touched) if _conflict(own, other)}
        if commits:  # only when all that can fail has run
            waits.update(reporting)
        elif i.kernel.reports:
            reporting.append(len(calls))
        parameters = packed(i.kernel, arguments, address_of, status, tag)
        calls.append(Call(i.kernel, i.dtype, grid, parameters, waits))
        touched.append(own)
    return calls


def _conflict(own, other):
    """Whether two calls touch the same bytes, and one of them writes."""
    return any(
        a.start < b.stop and b.start < a.stop and (a.written or b.written)
        for a in own
        for b in other
    )


def batches(calls: Sequence[Call]) -> list[list[int]]:
    """The calls in groups, each one launch, in an order in which none waits for a later one."""
    leader = list(range(len(calls)))
    latest: dict[tuple[Kernel, str], int] = {}
    order = _ordered(calls, leader)
    for n, call in enumerate(calls):
        if not call.kernel.batched:
            continue
        form = call.kernel, call.dtype
        first = latest.get(form)
        if first is not None and leader.count(first) < MAX_BATCH:
            trial = [*leader[:n], first, *leader[n + 1 :]]
            found = _ordered(calls, trial)
            if found is not None:
                leader, order = trial, found
                continue
        latest[form] = n
    assert order is not None
    return order


def _ordered(calls, leader):
    """Groups of calls by their leaders, ordered; None where some wait for each other."""
    groups: dict[int, list[int]] = {}
    for n, first in enumerate(leader):
        groups.setdefault(first, []).append(n)
    waits = {
        first: {leader[w] for n in group for w in calls[n].waits} for first, group in groups.items()
    }
    found, done = [], set()
    while len(found) < len(groups):
        ready = [first for first in groups if first not in done and waits[first] <= done]
        if not ready:
            return None
        found += [groups[first] for first in ready]
        done.update(ready)
    return found


def reduced(waits: Sequence[set[int]]) -> list[list[int]]:
    """Of each launch those it waits for, less what follows from others."""
    edges: list[list[int]] = []
    behind: list[set[int]] = []  # of each, all that come before it
    for needed in waits:
        kept: list[int] = []
        known: set[int] = set()
        for n in sorted(needed, reverse=True):
            if n not in known:
                kept.append(n)
                known |= behind[n] | {n}
        edges.append(kept)
        behind.append(known)
    return edges
