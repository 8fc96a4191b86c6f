"""Sums, products, maxima and minima of the rows that carry one number: by scattering."""

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from fastnn.dtypes import FLOATS, INT64, NUMBERS
from fastnn.errors import DTypeError, ShapeError, shape_text

from .arithmetic import cast, greater_equal, less, multiply, where
from .functions import as_tensor, public, values_of
from .indices import scatter_update
from .movement import broadcast_to, slice_copy
from .record import expect_whole
from .shapes import reshape


def _segments(
    name: str, data: Any, segment_ids: Any, num_segments: Any, reduction: str, start: Callable
) -> Any:
    data, ids = as_tensor(data), as_tensor(segment_ids)
    if len(ids.shape) != 1 or data.shape[:1] != ids.shape:
        raise ShapeError(
            f"{name}: segment_ids must be a row, a number for each row of data "
            f"{shape_text(data.shape)}; got shape {shape_text(ids.shape)}"
        )
    if ids.dtype.kind not in "iu" or data.dtype not in NUMBERS:
        raise DTypeError(
            f"{name}: segment_ids must be whole numbers, and data no booleans; got {ids.dtype} and "
            f"{data.dtype}"
        )
    if num_segments is None:
        values = values_of(
            ids,
            f"{name}: without num_segments the result is as large as the largest of segment_ids, "
            "but a recorded step has fixed shapes: pass it.",
        )
        num_segments = int(values.astype(np.int64).max(initial=-1)) + 1
    count = expect_whole(name, "num_segments", num_segments, 0)
    ids = cast(ids, dtype=INT64)
    is_one = multiply(greater_equal(ids, 0), less(ids, count))
    ids = reshape(where(is_one, ids, count), newshape=(-1, 1))  # one more row for all others
    empty = np.full((), start(data.dtype), data.dtype)
    rows = broadcast_to(empty, (count + 1, *data.shape[1:]))
    rows = scatter_update(rows, ids, data, reduction=reduction)
    return slice_copy(rows, key=slice(0, count))


def _lowest(dtype):
    return -inf if dtype in FLOATS else np.iinfo(dtype).min


def _highest(dtype):
    return inf if dtype in FLOATS else np.iinfo(dtype).max


@public()
def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The sums of the rows of data (N, ...) whose number, of segment_ids (N,), is alike: row s of
    the result is that of number s, 0 where there is none. num_segments: how many rows the result
    has; None is one more than the largest number, eagerly. Rows of other numbers are left out, as
    in JAX.

    >>> from fastnn import ops
    >>> print(ops.segment_sum([1.0, 2.0, 4.0], [0, 2, 0], 3))
    [5. 0. 2.]
    """
    return _segments("segment_sum", data, segment_ids, num_segments, "add", lambda _: 0)


@public()
def segment_prod(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The products likewise, 1 where there is none. It has no gradient.

    >>> from fastnn import ops
    >>> print(ops.segment_prod([2.0, 3.0, 4.0], [0, 2, 0], 3))
    [8. 1. 3.]
    """
    return _segments("segment_prod", data, segment_ids, num_segments, "mul", lambda _: 1)


@public()
def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The largest likewise, -inf or the lowest number of the type where there is none.

    >>> from fastnn import ops
    >>> print(ops.segment_max([1.0, 2.0, 4.0], [0, 2, 0], 3))
    [  4. -inf   2.]
    """
    return _segments("segment_max", data, segment_ids, num_segments, "max", _lowest)


@public()
def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The smallest likewise, inf or the highest number of the type where there is none.

    >>> from fastnn import ops
    >>> print(ops.segment_min([1.0, 2.0, 4.0], [0, 2, 0], 3))
    [ 1. inf  2.]
    """
    return _segments("segment_min", data, segment_ids, num_segments, "min", _highest)
