"""Elements moved without computing: copies, slices, and rows that an array of indices names.
`fastnn.indexing` makes x[...] of them."""

import reprlib
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from math import prod
from operator import index as as_index
from typing import Any, NamedTuple

import numpy as np

from fastnn.dtypes import ANY, INT64
from fastnn.errors import DTypeError, ShapeError, shape_text
from fastnn.kernels.reference import movement as reference

from .elementwise import broadcast_shape
from .record import Case, Op


class Span(NamedTuple):
    """A slice that can be compared and kept."""

    start: int | None
    stop: int | None
    step: int | None


def normal_key(key: Any) -> tuple:
    """A key of integers, slices, None and Ellipsis as a tuple of integers, `Span`s, None and
    Ellipsis."""
    # a Span is a tuple by itself
    return tuple([_normal(item) for item in (key if type(key) is tuple else (key,))])


def _normal(item):
    if item is None or item is Ellipsis or isinstance(item, Span):
        return item
    if isinstance(item, slice):
        return Span(
            *[
                None if bound is None else _integer(bound)
                for bound in (item.start, item.stop, item.step)
            ]
        )
    return _integer(item)


def _integer(item):
    if not isinstance(item, bool | np.bool_):
        with suppress(TypeError):
            return as_index(item)
    raise IndexError(
        "x[...]: expected integers, slices, None, '...' or arrays of integers; got "
        f"{reprlib.repr(item)}"
    )


def in_full(key: Sequence[Any], ndim: int) -> list[Any]:
    """A normal key that says something of each of `ndim` dimensions: all of those that Ellipsis
    stands for or that are left out."""
    given = sum(i is not None and i is not Ellipsis for i in key)
    dots = [n for n, i in enumerate(key) if i is Ellipsis]
    if given > ndim or len(dots) > 1:
        what = "more than one '...'" if len(dots) > 1 else f"{given} indices"
        raise IndexError(f"x[...]: {what} for a tensor of {ndim} dimensions")
    at = dots[0] if dots else len(key)
    return [*key[:at], *[Span(None, None, None)] * (ndim - given), *key[at + 1 :]]


@lru_cache(maxsize=1024)
def sliced(x_shape: tuple[int, ...], key: tuple) -> tuple[int, ...]:
    """The shape of x[key], for a normal key."""
    shape: list[int] = []
    d = 0
    for item in in_full(key, len(x_shape)):
        if item is None:
            shape.append(1)
            continue
        extent, d = x_shape[d], d + 1
        if isinstance(item, Span):
            if item.step == 0:
                raise ValueError("x[...]: the step of a slice must not be 0")
            shape.append(len(range(*slice(*item).indices(extent))))
        else:
            in_range(item, extent, d - 1)
    return tuple(shape)


def in_range(index: int, extent: int, dimension: int) -> int:
    """An index counted from 0, for one that may be counted from the end."""
    if not -extent <= index < extent:
        raise IndexError(
            f"x[...]: index {index} is out of range for dimension {dimension}, whose extent is "
            f"{extent}"
        )
    return index % extent


_slice_gradient = Op(
    "gradient of slice_copy",
    lambda dy, *, shape, key: [(shape, dy.dtype)],
    kernels="movement.slice_gradient",
    flops=0,
)

KEYS = [
    ((), ()), ((), (None,)), ((5,), 2), ((5,), -1), ((131,), slice(None)), ((131,), slice(3, 120)),
     ((131,), slice(None, None, -1)),
    ((200,), slice(190, 3, -3)), ((7,), slice(5, 2)), ((0,), slice(None)), ((5, 70), 3),
     ((5, 70), (slice(None), 3)),
    ((5, 70), (slice(None), slice(2, 69))),
     ((5, 70), (slice(None, None, -2), None, slice(66, None, -5))), ((5, 0), (slice(1, 3),)),
    ((4, 5, 6), (..., slice(1, 3), 0)), ((4, 5, 6), (slice(1, 3),)), ((4, 5, 6), (-1, ..., None)),
     ((2, 3, 4, 5), (slice(None), 1)),
    ((2, 3, 4, 5),
     (slice(None, None, -1), slice(None, None, -1), slice(None, None, -1), slice(None, None, -1))),
]  # fmt: skip

slice_copy = Op(
    "slice_copy",
    lambda x, *, key: [(sliced(x.shape, normal_key(key)), x.dtype)],
    kernels="movement.slice_copy",
    gradient=lambda g, dys, inputs, outputs, key: g.gradient(
        0, _slice_gradient, dys[0], shape=inputs[0].shape, key=normal_key(key)
    ),
    reference=lambda x, key: x[key],
    cases=[Case((shape,), {"key": key}) for shape, key in KEYS],
    flops=0,
    dtypes=ANY,
    doc="x[key], copied, for a key of integers, slices, None and Ellipsis, as NumPy has it. x: "
    "any element type.",
)


def _axis(x_shape, axis):
    """The axis, counted from 0."""
    if isinstance(axis, bool) or not -len(x_shape) <= (axis := as_index(axis)) < len(x_shape):
        raise ShapeError(
            f"take: axis {axis} is not one of the {len(x_shape)} dimensions of shape "
            f"{shape_text(x_shape)}"
        )
    return axis % len(x_shape)


def _take_infer(x, indices, *, axis=0):
    axis = _axis(x.shape, axis)
    if indices.dtype != INT64:
        raise DTypeError(f"take: indices must be whole numbers, int64; got {indices.dtype}")
    return [((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)]


_take_gradient = Op(
    "gradient of take",
    lambda indices, dy, *, shape, axis: [(shape, dy.dtype)],
    kernels="movement.take_gradient",
)


def _some(extent, *shape):
    return lambda rng: rng.integers(-extent, extent, shape)


take = Op(
    "take",
    _take_infer,
    kernels="movement.take",
    gradient=lambda g, dys, inputs, outputs, axis=0: g.gradient(
        0, _take_gradient, inputs[1], dys[0], shape=inputs[0].shape, axis=axis
    ),
    reference=lambda x, indices, axis=0: np.take(x, indices, axis),
    cases=[
        Case((shape, _some(shape[axis], *indices)), {"axis": axis}, terms=max(1, prod(indices)))
        for shape, axis, indices in [
            ((1,), 0, ()), ((5,), 0, (3,)), ((131,), 0, (2, 70)), ((9, 5), 0, (40,)),
             ((9, 70), 0, (7,)), ((9, 5), 1, (7,)),
            ((3, 9, 5), 1, (2, 3)), ((3, 9, 5), -1, (6,)), ((9, 5), 0, (0,)), ((9, 0), 0, (4,)),
        ]
    ],
    indices=(1,),
    dtypes=ANY,
    flops=0,
    doc="The rows of x along `axis` that `indices` name, in place of that dimension, as "
        "numpy.take has it: x of any element type, "
    "indices of any shape, int64, counted from the end where they are negative. Gradients of a "
    "row taken twice are added.",
)  # fmt: skip


# Of indices of several dimensions, those of all as one: x extent + y, y being an index of the last,
# whose extent is given.
flat_index = Op(
    "index",
    lambda x, y, *, extent: [(broadcast_shape("x[...]", x.shape, y.shape), INT64)],
    kernels="movement.flat_index",
    flops=0,
)

gather = Op(
    "gather",
    lambda source, order, cursor, *, rows: [((rows, *source.shape[1:]), source.dtype)],
    kernels="movement.gather",
    reference=reference.gather,
    cases=[
        Case(
            (
                shape,
                lambda rng, n=shape[0]: rng.permutation(n),
                lambda rng, at=at: rng.integers(at, at + 1, 1),
            ),
            {"rows": rows},
        )
        for shape, at, rows in [
            ((1, 1), 0, 1),
            ((9, 5), 2, 4),
            ((40, 17), 7, 33),
            ((9,), 1, 3),
            ((5, 2, 3), 0, 5),
        ]
    ],
    indices=(1, 2),
    flops=0,
    doc="Rows of source: those that `order` names from place `cursor` on. order: int64; cursor: "
    "int64, one element. It has no gradient.",
)

copy = Op(
    "copy",
    lambda x: [(x.shape, x.dtype)],
    kernels="movement.copy",
    reference=np.copy,
    cases=[Case((shape,)) for shape in [(), (0, 3), (1,), (5, 13), (131,)]],
    dtypes=ANY,
    flops=0,
    doc="x in memory of its own, of any element type. It has no gradient: the copy is detached.",
)
