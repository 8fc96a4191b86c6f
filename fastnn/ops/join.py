"""Tensors joined and taken apart: what takes a list, or returns one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.errors import ShapeError, shape_text

from .functions import as_tensor, public, tensors_of
from .movement import Span, broadcast_to, concatenated, slice_copy, split_into
from .record import Case, Op, expect_axis, expect_integer
from .shapes import expand_dims, ravel, reshape

JOINED = [
    Case(((3,), (1,), (0,)), {"axis": 0}),
    Case(((2, 3), (70, 3)), {"axis": 0}),
    Case(((5, 2), (5, 1), (5, 40)), {"axis": -1}),
    Case(((9, 2, 3), (9, 4, 3)), {"axis": 1}),
    Case(((0, 3), (0, 2)), {"axis": 1}),
]


@public(lambda xs, axis=0: np.concatenate(xs, axis), JOINED, takes_list=True)
def concatenate(xs: Sequence, axis: int = 0) -> Any:
    """The tensors of a list, side by side along `axis`: of shapes that are alike but there. axis
    None joins all their elements as one row.

    >>> from fastnn import ops
    >>> print(ops.concatenate([[[1, 2]], [[3, 4]]], axis=1))
    [[1 2 3 4]]
    """
    xs = tensors_of("concatenate", "xs", xs)
    if axis is None:
        xs, axis = [ravel(x) for x in xs], 0
    return Op.run(concatenated, tuple(xs), {"axis": expect_axis("concatenate", axis, xs[0].shape)})


@public(
    lambda x, axis=0: np.stack(x, axis),
    [Case(((3, 4),) * 2, {"axis": axis}) for axis in (0, 1, -1)] + [Case(((), ()))],
    takes_list=True,
)
def stack(x: Sequence, axis: int = 0) -> Any:
    """The tensors of a list, all of one shape, along a new dimension, number `axis` of the result.

    >>> from fastnn import ops
    >>> ops.stack([[1, 2], [3, 4]], axis=1).shape
    (2, 2)
    """
    xs = tensors_of("stack", "x", x)
    for n, other in enumerate(xs):
        if other.shape != xs[0].shape:
            raise ShapeError(
                f"stack: x[0] has shape {shape_text(xs[0].shape)} and x[{n}] "
                f"{shape_text(other.shape)}: they must be of one shape"
            )
    return concatenate(
        [expand_dims(a, axis) for a in xs], expect_axis("stack", axis, (1, *xs[0].shape))
    )


def _at_least(x, ndim):
    """x with so many dimensions at least: new ones as NumPy has them."""
    if x.ndim >= ndim:
        return x
    return reshape(x, {1: (-1,), 2: (1, -1), 3: (1, -1, 1) if x.ndim < 2 else (*x.shape, 1)}[ndim])


@public(np.hstack, [Case(((2,), (3,))), Case(((2, 1), (2, 3)))], takes_list=True)
def hstack(xs: Sequence) -> Any:
    """The tensors of a list side by side along dimension 1; rows and numbers, along 0."""
    found = [_at_least(x, 1) for x in tensors_of("hstack", "xs", xs)]
    return concatenate(found, axis=0 if found[0].ndim == 1 else 1)


@public(np.vstack, [Case(((3,), (3,))), Case(((2, 3), (1, 3)))], takes_list=True)
def vstack(xs: Sequence) -> Any:
    """The tensors of a list below each other, along dimension 0; rows as matrices of one row."""
    return concatenate([_at_least(x, 2) for x in tensors_of("vstack", "xs", xs)], axis=0)


@public(np.dstack, [Case(((3,), (3,))), Case(((2, 3), (2, 3)))], takes_list=True)
def dstack(xs: Sequence) -> Any:
    """The tensors of a list along dimension 2; rows (N,) as (1, N, 1), matrices as (N, M, 1)."""
    return concatenate([_at_least(x, 3) for x in tensors_of("dstack", "xs", xs)], axis=2)


@public(np.append, [Case(((2, 3), (4,))), Case(((2, 3), (1, 3)), {"axis": 0})])
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """x1 and x2 side by side along `axis`; None joins their elements as one row."""
    return concatenate(tensors_of("append", "x1 and x2", [x1, x2]), axis)


def _cut(x, places, axis):
    """x cut along the axis before each of these places, as NumPy's slices have it."""
    before, extent = (Span(None, None, None),) * axis, x.shape[axis]
    bounds = list(zip([0, *places], [*places, extent], strict=True))
    keys = [(*before, Span(start, stop, None)) for start, stop in bounds]
    ends = [place for bound in bounds for place in slice(*bound).indices(extent)[:2]]
    if len(keys) == 1 or ends != sorted(ends):  # pieces that overlap, of places not in order
        return [slice_copy(x, key=key) for key in keys]
    return list(Op.run(split_into(len(keys)), (x,), {"keys": keys, "axis": axis}))


MAX_PIECES = 1 << 20  # beyond the extent they are empty


def _split(name, x, indices_or_sections, axis, expect_even):
    x = as_tensor(x)
    axis = expect_axis(name, axis, x.shape)
    extent = x.shape[axis]
    if not hasattr(indices_or_sections, "__index__"):
        places = np.asarray(indices_or_sections).ravel().tolist()
        places = [expect_integer(name, "indices_or_sections", place) for place in places]
        return _cut(x, places, axis)
    count = int(indices_or_sections)
    if count < 1 or (expect_even and extent % count):
        raise ShapeError(
            f"{name}: {count} sections of one size do not make the extent {extent} of dimension "
            f"{axis}; array_split makes some of them larger"
        )
    if count > MAX_PIECES:
        raise ValueError(f"{name}: indices_or_sections must be at most {MAX_PIECES}; got {count}")
    each, larger = divmod(extent, count)
    return _cut(x, [n * each + min(n, larger) for n in range(1, count)], axis)


SPLIT = [
    Case(((6,),), {"indices_or_sections": 3}),
    Case(((4, 6),), {"indices_or_sections": [1, 4], "axis": 1}),
    Case(((4, 6),), {"indices_or_sections": (2, 2, 9), "axis": -1}),
]


@public(np.split, SPLIT)
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list:
    """x cut along `axis`: into so many pieces of one size, or before each of several places.

    >>> from fastnn import ops
    >>> [print(part) for part in ops.split([1, 2, 3, 4], [1])]
    [1]
    [2 3 4]
    [None, None]
    """
    return _split("split", x, indices_or_sections, axis, True)


@public(np.array_split, [*SPLIT, Case(((7, 2),), {"indices_or_sections": 3})])
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list:
    """As `split`; of pieces that cannot be of one size the first have one more."""
    return _split("array_split", x, indices_or_sections, axis, False)


@public(
    np.hsplit,
    [Case(((4,),), {"indices_or_sections": 2}), Case(((2, 4),), {"indices_or_sections": 2})],
)
def hsplit(x: Any, indices_or_sections: Any) -> list:
    """x split along dimension 1; a row, along 0."""
    x = as_tensor(x)
    return _split("hsplit", x, indices_or_sections, int(x.ndim > 1), True)


@public(np.vsplit, [Case(((4, 2),), {"indices_or_sections": [1]})])
def vsplit(x: Any, indices_or_sections: Any) -> list:
    """x split along dimension 0."""
    return _split("vsplit", x, indices_or_sections, 0, True)


@public(np.dsplit, [Case(((2, 3, 4),), {"indices_or_sections": 2})])
def dsplit(x: Any, indices_or_sections: Any) -> list:
    """x split along dimension 2."""
    return _split("dsplit", x, indices_or_sections, 2, True)


@public(
    lambda x, num=None, axis=0: list(np.moveaxis(x, axis, 0)),
    [Case(((3, 2),)), Case(((3, 2),), {"axis": -1, "num": 2})],
)
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list:
    """The tensors that lie along `axis` of x, which they lack. num: how many there are, checked if
    it is given.

    >>> from fastnn import ops
    >>> a, b = ops.unstack([[1, 2], [3, 4]], axis=1)
    >>> print(b)
    [2 4]
    """
    x = as_tensor(x)
    axis = expect_axis("unstack", axis, x.shape)
    if num is not None and num != x.shape[axis]:
        raise ShapeError(
            f"unstack: num is {num}, and the extent of dimension {axis} of {shape_text(x.shape)} "
            f"{x.shape[axis]}"
        )
    before = (Span(None, None, None),) * axis
    return [slice_copy(x, key=(*before, n)) for n in range(x.shape[axis])]


@public(
    lambda *x, indexing="xy": np.meshgrid(*x, indexing=indexing),
    [Case(((3,), (4,), (2,)), {"indexing": i}) for i in ("xy", "ij")] + [Case(((3,),))],
)
def meshgrid(*x: Any, indexing: str = "xy") -> list:
    """The coordinates of a grid, from those along each of its axes: as many tensors as there are
    rows x, all of the grid's shape. indexing: "ij", the axes in order, or "xy", the first two
    exchanged.

    >>> from fastnn import ops
    >>> print(ops.meshgrid([1, 2], [3, 4, 5])[0])
    [[1 2]
     [1 2]
     [1 2]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij'; got {indexing!r}")
    rows = [ravel(as_tensor(row)) for row in x]
    order = list(range(len(rows)))
    if indexing == "xy":
        order[:2] = reversed(order[:2])
    shape = tuple([rows[n].shape[0] for n in order])
    along = [[-1 if n == own else 1 for n in order] for own in range(len(rows))]
    return [broadcast_to(reshape(row, a), shape) for row, a in zip(rows, along, strict=True)]
