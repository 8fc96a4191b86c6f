"""Elements moved without computing: copies, slices, and rows that an array of indices names.
`fastnn.indexing` makes x[...] of them."""

import reprlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from math import prod
from operator import index as as_index
from typing import Any, NamedTuple

import numpy as np

from fastnn.dtypes import ANY, INT64
from fastnn.errors import DTypeError, ShapeError, shape_text
from fastnn.kernels.reference import movement as reference

from .elementwise import broadcast_shape
from .record import Case, Op, expect_axis, expect_dtype, expect_shape, expect_shape_attribute


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


def _take_infer(x, indices, *, axis=None):
    axis = None if axis is None else expect_axis("take", axis, x.shape)
    if indices.dtype != INT64:
        raise DTypeError(f"take: indices must be whole numbers, int64; got {indices.dtype}")
    if axis is None:
        return [(indices.shape, x.dtype)]
    return [((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)]


take_gradient = Op(
    "gradient of take",
    lambda indices, dy, *, shape, axis: [(shape, dy.dtype)],
    kernels="scatter.take_gradient",
)


def _take_rule(g, dys, inputs, outputs, axis=None):
    (x, index), (dy,) = inputs, dys
    if axis != 0 or not g.of_rows(0, index, dy):
        g.gradient(0, take_gradient, index, dy, shape=x.shape, axis=axis)


def _some(extent, *shape):
    return lambda rng: rng.integers(-extent, extent, shape)


take = Op(
    "take",
    _take_infer,
    kernels="movement.take",
    gradient=_take_rule,
    reference=lambda x, indices, axis=None: np.take(x, indices, axis),
    cases=[
        Case(
            (shape, _some(prod(shape) if axis is None else shape[axis], *indices)),
            {"axis": axis},
            terms=max(1, prod(indices)),
        )
        for shape, axis, indices in [
            ((3, 5), None, (2, 4)),
            ((1,), 0, ()), ((5,), 0, (3,)), ((131,), 0, (2, 70)), ((9, 5), 0, (40,)),
             ((9, 70), 0, (7,)), ((9, 5), 1, (7,)),
            ((3, 9, 5), 1, (2, 3)), ((3, 9, 5), -1, (6,)), ((9, 5), 0, (0,)), ((9, 0), 0, (4,)),
        ]
    ],
    indices=(1,),
    dtypes=ANY,
    flops=0,
    doc="The rows of x along `axis` that `indices` name, in place of that dimension, as "
        "numpy.take has it; for None, elements of all of x as one row. x: any element type; "
    "indices: any shape, int64, counted from the end where they are negative; one out of range "
    "is an IndexError (in Keras its backends differ: NaN, or the nearest). Gradients of a row "
    "taken twice are added, in the order of the indices.",
)  # fmt: skip


# Of indices of several dimensions, those of all as one: x extent + y, y being an index of the last,
# whose extent is given.
def _flat_index_infer(x, y, *, extent):
    expect_dtype("index", (INT64,), x=x, y=y)
    return [(broadcast_shape("x[...]", x.shape, y.shape), INT64)]


flat_index = Op(
    "index",
    _flat_index_infer,
    kernels="movement.flat_index",
    indices=(0, 1),
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

# x of nothing but zeros: `create.zeros` is the public one.
zeros = Op(
    "zeros",
    lambda *, shape, dtype: [(shape, dtype)],
    kernels="movement.zeros",
    flops=0,
    dtypes=ANY,
)


def _slice_update_infer(x, values, *, key):
    expect_dtype("slice_update", ANY, x=x, values=values)
    shape = sliced(x.shape, normal_key(key))
    expect_shape("slice_update", "values", values.shape, shape)
    return [(x.shape, x.dtype)]


def _slice_update_gradient(g, dys, inputs, outputs, key):
    """Elements that are written over have no part in the result."""
    values, key = inputs[1], normal_key(key)
    g.gradient(1, slice_copy, dys[0], key=key)
    if g.wants(0):
        none = g.run(zeros, shape=values.shape, dtype=values.dtype)
        g.gradient(0, slice_updated, dys[0], none, key=key)


# x with values in place of x[key]: `scatter.slice_update` is the public one.
slice_updated = Op(
    "slice_update",
    _slice_update_infer,
    kernels="movement.slice_update",
    gradient=_slice_update_gradient,
    flops=0,
    dtypes=ANY,
)


def _broadcast_to_infer(x, *, shape):
    shape = expect_shape_attribute("broadcast_to", shape)
    if broadcast_shape("broadcast_to", x.shape, shape) != shape:
        raise ShapeError(
            f"broadcast_to: {shape_text(x.shape)} cannot be repeated to {shape_text(shape)}: from "
            "the last dimension on, extents of x must be those of shape or 1"
        )
    return [(shape, x.dtype)]


broadcast_to = Op(
    "broadcast_to",
    _broadcast_to_infer,
    kernels="movement.broadcast_to",
    # what was repeated is summed where a gradient is delivered
    gradient=lambda g, dys, inputs, outputs, shape: g.pass_on(0, dys[0]),
    reference=lambda x, shape: np.broadcast_to(x, shape),
    cases=[
        Case((x,), {"shape": shape}, terms=prod(shape) or 1)
        for x, shape in [
            ((), (3,)), ((1,), (70,)), ((5, 1), (5, 131)), ((4,), (3, 4)),
            ((3, 1, 5), (2, 3, 4, 5)), ((2, 1, 3, 1), (2, 5, 3, 2)),
            ((1, 3), (0, 3)), ((4, 5), (4, 5)),
        ]
    ],
    dtypes=ANY,
    flops=0,
    doc="x repeated along new dimensions and those of extent 1, to `shape`, copied. x: any element "
    "type. Its gradient is the sum over what was repeated.",
)  # fmt: skip


def _concatenate_infer(*inputs, axis):
    first, *others = inputs
    axis = expect_axis("concatenate", axis, first.shape)
    expect_dtype("concatenate", ANY, **{f"xs[{n}]": x for n, x in enumerate(inputs)})
    rest = (*first.shape[:axis], None, *first.shape[axis + 1 :])
    for n, x in enumerate(others, 1):
        expect_shape("concatenate", f"xs[{n}]", x.shape, rest)
    return [((*rest[:axis], sum([x.shape[axis] for x in inputs]), *rest[axis + 1 :]), first.dtype)]


def _concatenate_gradient(g, dys, inputs, outputs, axis):
    start = 0
    before = (Span(None, None, None),) * (axis % len(inputs[0].shape))
    for i, x in enumerate(inputs):
        stop = start + x.shape[axis]
        g.gradient(i, slice_copy, dys[0], key=(*before, Span(start, stop, None)))
        start = stop


# Of tensors side by side along an axis: `join.concatenate`, of a list, is the public one.
concatenated = Op(
    "concatenate",
    _concatenate_infer,
    kernels="movement.concatenate",
    gradient=_concatenate_gradient,
    flops=0,
    dtypes=ANY,
)


def _split_gradient(g, dys, inputs, outputs, keys, axis):
    pairs = zip(dys, outputs, strict=True)
    dys = [g.run(zeros, shape=o.shape, dtype=o.dtype) if dy is None else dy for dy, o in pairs]
    g.gradient(0, concatenated, *dys, axis=axis)


@cache
def split_into(count: int) -> Op:
    """The op of so many pieces of x, cut along an axis: x[key] of each key. Unlike that of slices,
    its gradient is put together once."""
    return Op(
        "split",
        lambda x, *, keys, axis: [(sliced(x.shape, normal_key(key)), x.dtype) for key in keys],
        kernels="movement.split",
        gradient=_split_gradient,
        results=count,
        flops=0,
        dtypes=ANY,
    )
