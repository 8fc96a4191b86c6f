"""Variables that lie next to each other in memory, updated as one."""

from collections.abc import Callable, Iterable
from math import prod
from typing import Any, NamedTuple

from fastnn.apply import apply
from fastnn.buffer import whole_lines
from fastnn.devices.arena import Chunk
from fastnn.emit import new_buffer
from fastnn.ops.embedding import combine_rows
from fastnn.tensor import Tensor
from fastnn.variable import Rows, Variable


class Run(NamedTuple):
    """Neighbours in memory that are updated as one: their values and gradients, flat."""

    chunk: Chunk
    offset: int
    parameter: Tensor
    gradient: Tensor
    variables: tuple[Variable, ...]
    rows: Tensor | None = None  # of a sparse gradient: which row of the variable each of its is


def runs_of(
    pairs: Iterable[tuple[Variable, Tensor | Rows]],
    kind: Callable[[Variable], Any] = lambda v: None,
) -> list[Run]:
    """Variables and gradients as few runs: neighbours in memory, whose gradients are neighbours as
    well, are one. kind: of what variables of one run have in common."""
    runs, dense = [], []
    for v, g in pairs:
        if isinstance(g, Rows):
            runs.append(_run_of_rows(v, g))
        else:
            dense.append((v, g))
    # [what they have in common, offset, stop, gradient, variables]
    found: list[list] = []
    for v, g in sorted(dense, key=lambda pair: (id(pair[0].chunk), pair[0].offset)):
        alike = (
            g.buffer.address is not None and g.buffer.address == v.mirror("gradient").buffer.address
        )
        common = v.chunk, v.dtype, kind(v) if alike else id(v)
        stop, last = v.offset + v.buffer.nbytes, found[-1] if found else None
        if last and alike and last[0] == common and whole_lines(last[2]) == v.offset:
            last[2] = stop
            last[4].append(v)
        else:
            found.append([common, v.offset, stop, None if alike else g, [v]])
    for (chunk, dtype, _), offset, stop, gradient, variables in found:
        shape = ((stop - offset) // dtype.itemsize,)
        place = stop - offset
        if gradient is None:
            gradient = Tensor(chunk.mirror("gradient").part(offset, place), shape, dtype)
        parameter = Tensor(chunk.memory.part(offset, place), shape, dtype)
        runs.append(Run(chunk, offset, parameter, gradient.flat(), tuple(variables)))
    return runs


def _run_of_rows(v: Variable, found: Rows) -> Run:
    """A variable of which some rows have a gradient, and these, each once."""
    index, dy = found.joined(v.shape)
    total, rows = (
        Tensor(new_buffer(t.buffer.nbytes, v.device), t.shape, t.dtype) for t in (dy, index)
    )
    total = total.view((index.size, prod(v.shape[1:])))
    apply(combine_rows, (index, dy), {"extent": v.shape[0]}, (total, rows))
    return Run(v.chunk, v.offset, v, total.flat(), (v,), rows)
