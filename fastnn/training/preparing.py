"""A model's own preprocessing: fitted on the training rows of its first `fit`, then applied to
whatever it is given."""

from collections.abc import Callable, Mapping
from math import floor
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import checks, tree

from . import data

if TYPE_CHECKING:
    from fastnn.preprocessing.base import Columns, Step

    from .trainer import Trainer


def checked(name: str, value: Any) -> Any:
    """`value`, if it is a step of preprocessing, a structure of steps, or None."""
    if value is None:
        return None
    from fastnn import preprocessing
    from fastnn.preprocessing.table import step_of

    if isinstance(value, Mapping):
        return {k: step_of(v, f"{name}: {k!r}") for k, v in value.items()}
    if name == "labels":
        found = preprocessing.get(value, name)
        if not isinstance(found, preprocessing.Labels):
            raise TypeError(f"labels: expected fastnn.preprocessing.Labels; got {value!r}")
        return found
    return step_of(value, name)


def inputs(model: "Trainer", x: Any) -> Any:
    """x as the model's layers take it."""
    if model.preprocessing is None:
        return x
    steps, columns = _raw(model, x)
    return _packed(
        model, [s.floats(s.apply_to(c), model.dtype) for s, c in zip(steps, columns, strict=True)]
    )


def targets(model: "Trainer", y: Any) -> Any:
    """y with classes as whole numbers."""
    return y if model.labels is None else model.labels.transform(y)


def batch(model: "Trainer", given: tuple[Any, Any, Any], class_weight: Any) -> tuple:
    """x, y and weights of rows as the model's layers and losses take them."""
    if model.preprocessing is None and model.labels is None and class_weight is None:
        return given
    x, y, weights = given
    x, y = inputs(model, x), targets(model, y)
    return x, y, data.with_class_weights(class_weight, y, weights)


def fitted(
    model: "Trainer", x: Any, y: Any, sample_weight: Any, validation_split: float, tell: bool
) -> tuple[Any, Any, Any, Any]:
    """(x, y, sample_weight, validation_data or None) of raw rows: cleaned, split, and, if that is
    new, learnt from the training part alone."""
    steps, columns = _raw(model, x)
    y = _each(_array, y)
    count = len(tree.flatten(y)[0])
    keep = _kept(steps, columns, tree.flatten(y))
    if keep is not None:
        columns = [_part(c, keep) for c in columns]
        y, sample_weight = _each(lambda a: a[keep], y), _rows_part(sample_weight, keep)
        if tell:
            print(f"{count - keep.sum()} of {count} rows are left out by cleaning")
        count = int(keep.sum())
    held: slice | None = None
    if validation_split:
        fraction = checks.fraction("validation_split", validation_split, zero=False)
        at = floor(count * (1 - fraction))
        training, held = slice(None, at), slice(at, None)
    else:
        training = slice(None)
    for step, its in zip(steps, columns, strict=True):
        if step.learnt is None:
            step.fit_columns(_part(its, training))
    if model.labels is not None and model.labels.learnt is None:
        model.labels.fit(y)  # a class that only validation has is a class all the same
    parts = []
    for rows in (training, *([held] if held else [])):
        arrays = [
            s.floats(s.apply_to(_part(c, rows)), model.dtype)
            for s, c in zip(steps, columns, strict=True)
        ]
        its_x = _packed(model, arrays) if steps else _each(lambda a: _array(a)[rows], x)
        its_y = targets(model, _each(lambda a: a[rows], y))
        parts.append((its_x, its_y, _rows_part(sample_weight, rows)))
    return *parts[0], (parts[1] if held else None)


def _raw(model: "Trainer", x: Any) -> tuple[list["Step"], list["Columns"]]:
    """The steps and what each is given: all of x, or, where both are dictionaries of the same
    names, its part."""
    if model.preprocessing is None:
        return [], []
    from fastnn.preprocessing.base import columns_of

    if not isinstance(model.preprocessing, Mapping):
        return [model.preprocessing], [columns_of(x, "x")]
    names, steps = list(model.preprocessing), list(model.preprocessing.values())
    if isinstance(x, Mapping) and set(x) == set(names):
        return steps, [columns_of(x[n], f"x[{n!r}]") for n in names]
    return steps, [columns_of(x, "x")] * len(steps)


def _packed(model, arrays):
    names = model.preprocessing if isinstance(model.preprocessing, Mapping) else None
    return arrays[0] if names is None else dict(zip(names, arrays, strict=True))


def _kept(steps, columns, arrays):
    from fastnn.preprocessing.table import all_keep

    return all_keep([s.keeps(c, *arrays) for s, c in zip(steps, columns, strict=True)])


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _each(function: Callable[[Any], Any], value: Any) -> Any:
    """function of an array, or of each of a dictionary or list of arrays."""
    if isinstance(value, Mapping):
        return {name: _each(function, v) for name, v in value.items()}
    if isinstance(value, list | tuple) and value and all(hasattr(v, "shape") for v in value):
        return type(value)([function(v) for v in value])
    return function(value)


def _part(columns, rows):
    return type(columns)(columns.values[rows], columns.names)


def _rows_part(sample_weight, rows):
    def part(weight):
        array = _array(weight)
        return array[rows] if array.ndim else weight

    return None if sample_weight is None else _each(part, sample_weight)
