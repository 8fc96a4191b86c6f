"""Sums and means over any axes."""

from functools import lru_cache
from math import prod
from operator import index

import numpy as np

from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.cpu import reduce as kernels
from fastnn.kernels.cpu.reduce import chunks_of, rows_of_chunk

from .record import Case, Op, expect_float

CHUNK = 4096  # elements summed by one thread when everything becomes one number
# elements whose rows are summed in chunks: fewer are summed sooner than their chunks' sums are
# joined
MANY = 1 << 20


def sum_of_chunks(chunks, out, accumulate=False):
    """The call that joins them: out (C,) = their sum, or out += that."""
    return kernels.sum_middle, (
        chunks.view((1, *chunks.shape)),
        1.0,
        int(accumulate),
        out.view((1, *out.shape)),
    )


def _chunks(outer, summed, inner):
    """The shape of the sums of the last pass's chunks, or None if it has none."""
    if outer > 1:
        return None
    if inner == 1:
        return (-(-summed // CHUNK),) if summed > 2 * CHUNK else None
    return (
        chunks_of((summed, inner))
        if summed * inner > MANY and summed > kernels.SUM_CHUNK_MIN_ROWS
        else None
    )


@lru_cache(maxsize=1024)
def _plan(name, shape, axis, keepdims):
    """The result's shape and the passes that make it, innermost summed dimensions first: (outer,
    summed, inner) extents."""
    axes = range(len(shape)) if axis is None else axis
    for a in axes:
        if not -len(shape) <= a < len(shape):
            raise ShapeError(
                f"{name}: axis {a} is not one of the {len(shape)} dimensions of shape "
                f"{shape_text(shape)}"
            )
    summed = {a % len(shape) for a in axes} if shape else set()
    if len(summed) < len(axes):
        raise ShapeError(
            f"{name}: axis names a dimension twice: {axis}, of shape {shape_text(shape)}"
        )
    result = tuple(
        1 if d in summed else e for d, e in enumerate(shape) if keepdims or d not in summed
    )
    groups: list[list] = []  # [extent, is summed], neighbours alike made one
    for d, extent in enumerate(shape):
        if groups and groups[-1][1] == (d in summed):
            groups[-1][0] *= extent
        else:
            groups.append([extent, d in summed])
    passes, inner = [], 1
    for i in range(len(groups) - 1, -1, -1):
        extent, is_summed = groups[i]
        if is_summed:
            passes.append((prod(g[0] for g in groups[:i]), extent, inner))
        else:
            inner *= extent
    return result, tuple(passes or [(prod(shape), 1, 1)]), prod(shape[d] for d in summed)


def _normal(name, axis):
    """The axes as a tuple of integers, or None."""
    if axis is None:
        return None
    try:
        return tuple(index(a) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    except TypeError:
        raise TypeError(
            f"{name}: axis must be an integer, several in a tuple, or None for all; got {axis!r}"
        ) from None


def _reduction(name, reference, mean, doc):
    def infer(x, *, axis=None, keepdims=False, accumulate=False):
        dtype = expect_float(name, x=x)
        result, passes, _ = _plan(name, x.shape, _normal(name, axis), keepdims)
        between = [((outer, inner), dtype) for outer, _, inner in passes[:-1]]
        chunks = _chunks(*passes[-1])
        return [(result, dtype), *between, *([(chunks, dtype)] if chunks else [])]

    def calls(outputs, inputs, axis=None, keepdims=False, accumulate=False):
        x = inputs[0]
        _, passes, count = _plan(name, x.shape, _normal(name, axis), keepdims)
        for i, (outer, summed, inner) in enumerate(passes):
            last = i == len(passes) - 1
            scale = 1 / count if mean and last and count else 1.0
            out, adding = (outputs[0], int(accumulate)) if last else (outputs[1 + i], 0)
            if last and len(outputs) > len(passes):
                if inner == 1:
                    yield kernels.sum_chunks, (x.flat(), CHUNK, outputs[-1])
                else:
                    yield (
                        kernels.sum_row_chunks,
                        (x.view((summed, inner)), rows_of_chunk(summed), outputs[-1]),
                    )
                x, summed = outputs[-1], outputs[-1].shape[0]
            if inner == 1:
                yield kernels.sum_last, (x.view((outer, summed)), scale, adding, out.view((outer,)))
            else:
                yield (
                    kernels.sum_middle,
                    (x.view((outer, summed, inner)), scale, adding, out.view((outer, inner))),
                )
            x = out

    def gradient(g, dys, inputs, outputs, axis=None, keepdims=False, accumulate=False):
        g.gradient(0, spread, dys[0], shape=inputs[0].shape, axis=_normal(name, axis), mean=mean)

    cases = [
        Case((shape,), {"axis": axis, "keepdims": keep}, terms=max(prod(shape), 1))
        for shape, axis in [
            ((), None), ((0,), None), ((1,), 0), ((65,), 0), ((9000,), None), ((5, 7), None),
             ((5, 7), 0), ((5, 7), -1),
            ((33, 65), 0), ((3, 4, 5), (0, 2)), ((3, 4, 5), 1), ((2, 3, 4, 5), (1, 3)), ((7, 1), 0),
             ((1, 7), 0), ((9, 131), 0),
        ]
        for keep in (False, True)
        if not (mean and prod(shape) == 0)
    ]  # fmt: skip
    doc = f"{doc} axis: an integer, several, or None for all; keepdims keeps them with extent 1."
    return Op(
        name,
        infer,
        calls,
        gradient,
        reference,
        cases,
        accumulates=True,
        doc=doc,
        flops=lambda i, o, **_: i[0].size,
    )


def _spread_calls(outputs, inputs, shape, axis, mean):
    dy = inputs[0]
    _, passes, count = _plan("spread", shape, axis, False)
    for i, (outer, summed, inner) in enumerate(reversed(passes)):
        out = outputs[0] if i == len(passes) - 1 else outputs[1 + i]
        scale = 1 / count if mean and i == 0 and count else 1.0
        yield kernels.spread, (dy.view((outer, inner)), scale, out.view((outer, summed, inner)))
        dy = out


def _spread_infer(dy, *, shape, axis, mean):
    _, passes, _ = _plan("spread", shape, axis, False)
    between = [((outer, summed, inner), dy.dtype) for outer, summed, inner in reversed(passes[1:])]
    return [(shape, dy.dtype), *between]


spread = Op("gradient of a sum", _spread_infer, _spread_calls)
sum = _reduction(
    "sum",
    lambda x, axis=None, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims),
    False,
    "The sum of x.",
)
mean = _reduction(
    "mean",
    lambda x, axis=None, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    True,
    "The mean of x.",
)
