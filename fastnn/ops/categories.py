"""Categories, numbered, as vectors of zeros and ones."""

from typing import Any

import numpy as np

from fastnn.checks import whole_number
from fastnn.dtypes import ANY

from .arithmetic import equal, where
from .composite import composite
from .create import as_type
from .record import Case, expect_axis
from .reduce import max
from .shapes import expand_dims


def _one_hot_reference(x, num_classes, axis=-1, dtype=None, sparse=False):
    hot = (x[..., None] == np.arange(num_classes)).astype(dtype or "f8")
    return np.moveaxis(hot, -1, axis)


@composite(
    reference=_one_hot_reference,
    cases=[
        Case(
            (lambda rng, s=shape: rng.integers(-1, 6, s),),
            {"num_classes": 5, "axis": axis, "dtype": "float32"},
        )
        for shape, axis in [((), -1), ((7,), -1), ((3, 4), 0), ((3, 4), 1)]
    ],
    dtypes=ANY,
    constant=(0,),
)
def one_hot(
    x: Any, *, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """1 where a new dimension's index, of `num_classes`, is the number x, else 0: all zeros for a
    number that is no class. axis: where the new dimension stands. dtype: None is config.floatx().
    sparse tensors there are none."""
    if sparse:
        raise NotImplementedError("one_hot: there are no sparse tensors; leave out sparse=True")
    whole_number("one_hot: num_classes", num_classes, 0)
    place = expect_axis("one_hot", axis, (*x.shape, num_classes))
    shape = [1] * (x.ndim + 1)
    shape[place] = -1
    hot = equal(expand_dims(x, place), np.arange(num_classes).reshape(shape))
    if dtype is None:
        return where(hot, 1.0, 0.0)
    return as_type(hot, dtype)


def _multi_hot_reference(x, num_classes, axis=-1, dtype=None, sparse=False):
    return _one_hot_reference(x, num_classes, axis, dtype).max(axis=1 if x.ndim > 1 else 0)


@composite(
    reference=_multi_hot_reference,
    cases=[
        Case((lambda rng, s=shape: rng.integers(0, 5, s),), {"num_classes": 5, "dtype": "float32"})
        for shape in [(7,), (3, 4)]
    ],
    dtypes=ANY,
    constant=(0,),
)
def multi_hot(
    x: Any, *, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """1 for each of `num_classes` that is among a row of x, else 0: the largest of what `one_hot`
    makes of the row's numbers. x: (C,) or (N, C)."""
    hot = one_hot(x, num_classes=num_classes, axis=axis, dtype=dtype, sparse=sparse)
    return max(hot, axis=1 if x.ndim > 1 else 0)
