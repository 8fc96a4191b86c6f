"""Data as users give it, checked and made what kernels take: contiguous arrays of one element type,
never written to."""

from collections.abc import Callable, Sequence
from math import floor
from typing import Any, NamedTuple

import numpy as np

from fastnn import checks, tree
from fastnn.apply import apply
from fastnn.convert import as_array
from fastnn.devices.cpu.memory import buffer_of
from fastnn.dtypes import FLOATS
from fastnn.errors import NotFiniteError, ShapeError, shape_text
from fastnn.frames import not_finite
from fastnn.ops.updates import check_finite
from fastnn.targets import row_weights, value_weights
from fastnn.tensor import Tensor

ALL_ROWS = 1 << 40  # a size of batches: each is one step, however many rows it has


class Rows(NamedTuple):
    """Inputs, targets and weights (or None) of as many rows each: arrays, or structures of them."""

    x: Any
    y: Any
    weights: Any = None

    def arrays(self) -> list[np.ndarray]:
        return tree.flatten(self)

    @property
    def number(self) -> int:
        """How many rows there are."""
        return len(self.arrays()[0])

    def part(self, rows: slice) -> "Rows":
        return tree.map(lambda array: array[rows], self)


def signature(rows: Any) -> tuple:
    """What a program for such arrays depends on: where they stand, the shapes of rows, types."""
    return tuple([(path, a.shape[1:], a.dtype) for path, a in tree.leaves(rows)])


def without_arrays(rows: Any) -> Any:
    """The structure alone, for `tree.pack`."""
    return tree.map(lambda array: "", rows)


def inputs(x: Any, dtype: np.dtype, name: str = "x") -> np.ndarray:
    """x as rows (N, ...) of the model's element type; one number a row may be given as (N,)."""
    array = as_array(x, dtype, name)
    if array.ndim == 0:
        raise ShapeError(f"{name} must have rows, shape (any, ...); got a single number")
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if not array.size:
        raise ValueError(f"{name} is empty: shape {shape_text(array.shape)}")
    return array


def expect_finite(array: np.ndarray, name: str, given: Any = None) -> None:
    """Raise if an element is NaN or infinite, naming the first ones, and their columns in the frame
    that was given."""
    if array.dtype not in FLOATS:
        return
    try:
        flat = array.reshape(-1)
        tensor = Tensor(buffer_of(flat), flat.shape, flat.dtype)
        apply(check_finite, (tensor,), {})
    except NotFiniteError:
        raise not_finite(array, name, given) from None


def expect_rows(count: int, other: Any, x_name: str, name: str) -> None:
    """Raise unless `other` has so many rows, as x has."""
    shape = as_array(other, None, name).shape
    rows = shape[0] if shape else None
    if rows != count:
        raise ValueError(
            f"{x_name} and {name} must have as many rows; got {count} and "
            f"{'a single number' if rows is None else rows}"
        )


def weights(sample_weight: Any, count: int, dtype: np.dtype) -> np.ndarray | None:
    """Weights of rows, (N,), or of parts of rows, as (N, T) of time steps."""
    if sample_weight is None:
        return None
    given = as_array(sample_weight, dtype, "sample_weight")
    if given.ndim > 1 and given.shape[0] == count and given.shape != (count, 1):
        return value_weights(given, given.shape, dtype, "")  # the loss knows which shapes fit
    return row_weights(given, count, dtype)


def any_targets(y: Any, count: int, dtype: np.dtype, name: str) -> Any:
    """Targets for steps of a model's own: arrays of as many rows, or a structure of them; floats as
    the model has them."""
    found = []
    for path, value in tree.leaves(y, name):
        array = as_array(value, None, path)
        array = array.astype(dtype) if array.dtype.kind == "f" else array
        expect_rows(count, array, "x", path)
        expect_finite(array, path, value)
        found.append(np.ascontiguousarray(array))
    return tree.pack(y, found)


def split(rows: Rows, fraction: float) -> tuple[Rows, Rows]:
    """(training, validation): the last `fraction` of the rows, before any shuffling, as Keras takes
    them."""
    fraction = checks.fraction("validation_split", fraction, zero=False)
    count = rows.number
    at = floor(count * (1 - fraction))
    if not 0 < at < count:
        raise ValueError(
            f"validation_split={fraction} of {count} rows leaves {at} to train and {count - at} "
            "to validate with"
        )
    return rows.part(slice(None, at)), rows.part(slice(at, None))


def pair(validation_data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight or None) of `validation_data`."""
    if not isinstance(validation_data, Sequence) or len(validation_data) not in (2, 3):
        raise ValueError(
            "validation_data: expected (x, y) or (x, y, sample_weight); got "
            f"{type(validation_data).__name__}"
        )
    x, y, *rest = validation_data
    return x, y, rest[0] if rest else None


def validated_epochs(validation_freq: Any) -> Callable[[int], bool]:
    """Which epochs, from 0 on, are validated: every so many, or those in a list, from 1 on."""
    if isinstance(validation_freq, list | tuple | set):
        numbers = {checks.whole_number("validation_freq", n, 1) for n in validation_freq}
        return lambda number: number + 1 in numbers
    every = checks.whole_number("validation_freq", validation_freq, 1)
    return every_epoch if every == 1 else lambda number: (number + 1) % every == 0


def every_epoch(number: int) -> bool:
    """That of validation_freq=1."""
    return True


def with_class_weights(class_weight: Any, y: Any, sample_weight: Any) -> Any:
    """Weights of rows by the class of each, times those given. A class without one has 1, as in
    Keras; one-hot rows are of the class of their largest number."""
    if class_weight is None:
        return sample_weight
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"class_weight: expected a dictionary {{class: weight}}; got {class_weight!r}"
        )
    labels = as_array(y, None, "y") if not isinstance(y, dict | tuple) else None
    if labels is None or labels.ndim == 0:
        raise ValueError("class_weight: it is for models with one output; use sample_weight")
    labels = labels.reshape(len(labels), -1)
    classes = labels.argmax(axis=1) if labels.shape[1] > 1 else labels[:, 0]
    found = np.ones(len(classes))
    for label, weight in class_weight.items():
        found[classes == label] = weight
    if sample_weight is None:
        return found
    given = as_array(sample_weight, None, "sample_weight")
    return found * (given.reshape(-1) if given.shape == (len(found), 1) else given)
