"""Counts whose size depends on values: eagerly only, for a recorded step has fixed shapes."""

from typing import Any

import numpy as np

from fastnn.dtypes import FLOATS
from fastnn.errors import DTypeError, shape_text

from .functions import public, values_of
from .movement import copy
from .record import expect_shape, expect_whole


def _values(name, x):
    return values_of(
        x,
        f"{name}: how large its result is depends on values, but a recorded step has fixed shapes. "
        "Call it before the step, and pass what it gives.",
    )


@public()
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different elements of x in ascending order (whatever `sorted` says), or its different
    slices along axis; each NaN is one of its own. With return_index, return_inverse,
    return_counts also where each stands first, which of them each element is, and how often each
    is there, int64, in a tuple. size: so many elements, cut off, or filled up with fill_value (None
    is the first) and counts of 0. Eagerly only: a recorded step has fixed shapes. No gradient.

    >>> from fastnn import ops
    >>> print(ops.unique([3, 1, 3], return_counts=True)[1])
    [1 2]
    """
    options: Any = {
        "return_index": return_index, "return_inverse": return_inverse,
        "return_counts": return_counts, "axis": axis, "equal_nan": False,
    }  # fmt: skip
    found: Any = np.unique(_values("unique", x), **options)
    parts = list(found) if isinstance(found, tuple) else [found]
    if size is not None:
        size = expect_whole("unique", "size", size, 0)
        counts = len(parts) - 1 if return_counts else None
        for n in range(len(parts)):
            if n != 1 + return_index or not return_inverse:
                fill = fill_value if n == 0 else 0 if n == counts else None
                parts[n] = _of_size(parts[n], size, axis if n == 0 else None, fill)
    return tuple([copy(f) for f in parts]) if isinstance(found, tuple) else copy(parts[0])


def _of_size(x, size, axis, fill):
    """x with `size` elements along axis, filled up with a number; None: with its first."""
    axis = axis or 0
    first = np.take(x, [0], axis) if fill is None else np.full_like(np.take(x, [0], axis), fill)
    x = np.take(x, range(min(size, x.shape[axis])), axis)
    return np.concatenate([x, *[first] * (size - x.shape[axis])], axis)


@public()
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each whole number from 0 on is in x (N,), int32, or the sums of its weights (N,);
    of x (M, N), row by row. The result has max(x) + 1 elements, or minlength if that is more.
    Eagerly only: a recorded step has fixed shapes. No gradient. sparse: False.

    >>> from fastnn import ops
    >>> print(ops.bincount([0, 2, 2], minlength=4))
    [1 0 2 0]
    """
    if sparse:
        raise ValueError("bincount: there are no sparse tensors; pass sparse=False")
    numbers = _values("bincount", x)
    if numbers.dtype.kind not in "biu" and numbers.size:
        raise DTypeError(f"bincount: x must hold whole numbers; got {numbers.dtype}")
    rows = numbers.astype(np.int64)  # of which those from 2^63 on are below 0
    if numbers.ndim not in (1, 2) or (rows < 0).any():
        is_row = numbers.ndim in (1, 2)
        what = (
            "a number below 0 or from 2^63 on" if is_row else f"shape {shape_text(numbers.shape)}"
        )
        raise ValueError(
            f"bincount: x must be rows (N,) or (M, N) of numbers from 0 on; got {what}"
        )
    rows = np.atleast_2d(rows)
    least = expect_whole("bincount", "minlength", minlength, 0)
    size = max(int(rows.max(initial=-1)) + 1, least)
    given = None if weights is None else _values("bincount", weights)
    if given is not None:
        expect_shape("bincount", "weights", given.shape, numbers.shape)
        given = given.reshape(rows.shape)
    counts = [
        np.bincount(row, None if given is None else given[n], size) for n, row in enumerate(rows)
    ]
    dtype = np.int32 if given is None else given.dtype if given.dtype in FLOATS else np.float32
    return copy(np.array(counts, dtype).reshape(*numbers.shape[:-1], size))


@public()
def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> Any:
    """How many elements of x are in each of `bins` intervals of one length between the bounds
    `range`, int32, and the bins + 1 ends of the intervals; None: between the smallest and the
    largest. The last interval has its end. Eagerly only. No gradient.

    >>> from fastnn import ops
    >>> print(*ops.histogram([0.0, 1.0, 2.0], bins=2))
    [1 2] [0. 1. 2.]
    """
    numbers = _values("histogram", x)
    if range is not None and not (len(range) == 2 and range[0] <= range[1]):
        raise ValueError(f"histogram: range must be two numbers in order; got {range!r}")
    counts, ends = np.histogram(numbers, expect_whole("histogram", "bins", bins), range)
    dtype = numbers.dtype if numbers.dtype in FLOATS else np.float32
    return copy(counts.astype(np.int32)), copy(ends.astype(dtype))
