"""x[...] of a tensor, as NumPy has it: made of `ops.slice_copy`, which copies with steps, and
`ops.take`, which takes rows that an array of indices names. So it is the same eagerly and recorded,
and has its gradients from them."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.convert import expect_whole
from fastnn.dtypes import BOOL, INT64, INTEGERS
from fastnn.errors import RecordingError, shape_text
from fastnn.ops.movement import Span, flat_index, in_full, in_range, normal_key
from fastnn.tape.record import context
from fastnn.tensor import Tensor, operand

WHOLE = Span(None, None, None)
ARRAYS = (Tensor, np.ndarray)
INDICES = (int, *ARRAYS)


def getitem(x: Tensor, key: Any) -> Tensor:
    """x[key], copied; key: integers, slices, None, Ellipsis, arrays (or lists, tensors) of integers
    or, eagerly, of booleans.

    Where arrays' dimensions stand in the result is as in NumPy: in the place of the first array if
    all stand side by side (integers count as arrays then), else ahead.
    """
    items = [_parsed(item) for item in (key if isinstance(key, tuple) else (key,))]
    if not any([isinstance(item, ARRAYS) for item in items]):
        return ops.slice_copy(x, key=tuple(items))
    items = list(_without_masks(x, items))
    given = [n for n, item in enumerate(items) if isinstance(item, INDICES)]
    # something stands between them, if only "..." for no dimension
    apart = given[-1] - given[0] >= len(given)
    items = in_full(items, x.ndim)
    places = [n for n, item in enumerate(items) if isinstance(item, INDICES)]
    dimensions = [
        d for d, item in enumerate([i for i in items if i is not None]) if isinstance(item, INDICES)
    ]
    index = _as_one([items[n] for n in places], [x.shape[d] for d in dimensions], dimensions)
    rest = tuple([WHOLE if isinstance(item, INDICES) else item for item in items])
    if any([item is not WHOLE and item != WHOLE for item in rest]):
        x = ops.slice_copy(x, key=rest)
    axis = places[0]
    if apart:
        x, axis = (
            ops.transpose(x, axes=(*places, *[d for d in range(x.ndim) if d not in places])),
            0,
        )
    if len(places) > 1:
        size = prod(x.shape[axis : axis + len(places)])
        x = ops.reshape(x, (*x.shape[:axis], size, *x.shape[axis + len(places) :]))
    return ops.take(x, index, axis=axis)


def _parsed(item):
    """Arrays, lists and tensors as a tensor or an array, of int64 or bool; what is no array as
    `ops.slice_copy` has it."""
    if isinstance(item, Tensor):
        if item.dtype in INTEGERS:
            return item if item.dtype == INT64 else item.astype(INT64)
        if item.dtype != BOOL:
            raise IndexError(
                "x[...]: an array of indices holds integers or booleans; got a tensor of "
                f"{item.dtype}"
            )
        return item
    if not isinstance(item, list | tuple | np.ndarray) and not hasattr(item, "__array__"):
        return normal_key(item)[0]
    array = np.asarray(item)
    if not array.size and not hasattr(item, "dtype"):
        array = array.astype(INT64)  # [] is of floats
    if array.dtype.kind not in "biu":
        raise IndexError(
            "x[...]: an array of indices holds integers or booleans; got element type "
            f"{array.dtype}"
        )
    if array.dtype.kind == "u":
        expect_whole(array, "x[...]")
    if not array.ndim:
        return normal_key(array[()])[0]
    return array if array.dtype == BOOL else array.astype(INT64)


def _without_masks(x: Tensor, items: Sequence[Any]) -> Iterator[Any]:
    """Each array of booleans as the places where it is true: an array of integers for each of its
    dimensions."""
    masks = [isinstance(item, ARRAYS) and item.dtype == BOOL for item in items]
    sizes = [
        item.ndim if m else int(item is not None and item is not Ellipsis)
        for item, m in zip(items, masks, strict=True)
    ]
    d = 0
    for item, size, is_mask in zip(items, sizes, masks, strict=True):
        if not is_mask:
            d += x.ndim - sum(sizes) if item is Ellipsis else size
            yield item
            continue
        if context.recorder is not None:
            raise RecordingError(
                "x[...]: an array of booleans takes as many elements as are True, but a recorded "
                "step has fixed shapes. Multiply "
                "by it (mask * x keeps what is True and makes the rest 0), or take the elements "
                "before the step and pass them."
            )
        shape = x.shape[d : d + size]
        if not size or item.shape != shape:
            raise IndexError(
                "x[...]: an array of booleans must have the shape of the dimensions it stands "
                f"for, {shape_text(shape)} of "
                f"{shape_text(x.shape)}; got {shape_text(item.shape)}"
            )
        yield from np.nonzero(np.asarray(item))
        d += size


def _as_one(indices: Sequence[Any], extents: Sequence[int], dimensions: Sequence[int]) -> Tensor:
    """Indices of neighbouring dimensions as those of all these dimensions as one. What is known now
    is checked now."""
    found = [
        i if isinstance(i, Tensor) else _counted(i, *of)
        for i, *of in zip(indices, extents, dimensions, strict=True)
    ]
    if len(found) == 1:
        return operand(found[0], INT64)
    try:
        if not any([isinstance(i, Tensor) for i in found]):
            total: Any = 0
            for index, extent in zip(np.broadcast_arrays(*found), extents, strict=True):
                total = total * extent + index
            return operand(total, INT64)
        one = operand(np.zeros((), INT64), INT64)
        for i, extent in zip(found, extents, strict=True):
            one = flat_index(one, operand(i, INT64), extent=extent)
        return one
    except ValueError:
        shapes = " and ".join([shape_text(i.shape) for i in found])
        raise IndexError(f"x[...]: arrays of indices of shapes {shapes} do not broadcast") from None


def _counted(index, extent, dimension):
    """An array of indices counted from 0."""
    index = np.asarray(index)
    outside = (index < -extent) | (index >= extent)
    if outside.any():
        in_range(int(index[outside][0]), extent, dimension)
    return np.where(index < 0, index + extent, index)
