"""Sums and means over any axes."""

from functools import lru_cache
from math import prod
from operator import index

import numpy as np

from fastnn.dtypes import FLOATS, INT32, INT64
from fastnn.errors import ShapeError, shape_text

from .record import Case, Op, expect_dtype


@lru_cache(maxsize=1024)
def _result(name, shape, axis, keepdims):
    """The result's shape."""
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
    return tuple(
        1 if d in summed else e for d, e in enumerate(shape) if keepdims or d not in summed
    )


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


def _reduction(name, reference, mean, doc, dtypes=FLOATS):
    def infer(x, *, axis=None, keepdims=False, accumulate=False):
        dtype = expect_dtype(name, dtypes, x=x)
        return [(_result(name, x.shape, _normal(name, axis), keepdims), dtype)]

    def gradient(g, dys, inputs, outputs, axis=None, keepdims=False, accumulate=False):
        g.gradient(
            0, sum_gradient, dys[0], shape=inputs[0].shape, axis=_normal(name, axis), mean=mean
        )

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
        gradient=gradient,
        reference=reference,
        cases=cases,
        kernels=f"reduce.{name}",
        accumulates=True,
        dtypes=dtypes,
        doc=doc,
        flops=lambda i, o, **_: i[0].size,
    )


sum_gradient = Op(
    "gradient of a sum",
    lambda dy, *, shape, axis, mean: [(shape, dy.dtype)],
    kernels="reduce.sum_gradient",
)
sum = _reduction(
    "sum",
    lambda x, axis=None, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims),
    False,
    "The sum of x: int32 of booleans and of uint8.",
    (*FLOATS, INT64, INT32),
)
mean = _reduction(
    "mean",
    lambda x, axis=None, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    True,
    "The mean of x, a float also of integers.",
)

add_to = Op(
    "add_to",
    lambda x: [],
    kernels="reduce.add_to",
    reference=lambda x, total: total + x,
    cases=[Case((shape, shape)) for shape in [(), (0, 3), (5, 13), (131,)]],
    flops=0,
    in_place=True,
    doc="total += x.",
)
