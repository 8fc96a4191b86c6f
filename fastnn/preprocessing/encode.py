"""Encoding: categories as columns of 0 and 1, labels of classes as whole numbers."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from fastnn.errors import ShapeError

from .base import Columns, Step, columns_of
from .clean import order


def _plain(value):
    """A category: a whole number is the same as float and as integer, NaN is None."""
    if isinstance(value, float) and value != value:
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _categories(values: np.ndarray) -> list[Any]:
    """The distinct values in order, what is missing last."""
    found: dict[Hashable, None] = dict.fromkeys([_plain(v) for v in values.tolist()])
    known = sorted([v for v in found if v is not None], key=order)
    return [*known, None] if None in found else known


class OneHot(Step):
    """A column for each value that a column has in the training rows, in order, numbers before
    text: 1 where a row has it, else 0. A missing value is one of them if training had any.
    unknown: what to do with other values later: "error", or "zeros" for zeros in all columns.

    >>> from fastnn.preprocessing import OneHot
    >>> OneHot().fit(["red", "blue"]).transform(["blue", "red"])
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    takes_objects = True

    def __init__(self, unknown: str = "error"):
        super().__init__()
        if unknown not in ("error", "zeros"):
            raise ValueError(f"OneHot: unknown must be 'error' or 'zeros'; got {unknown!r}")
        self.unknown = unknown

    def learn(self, columns: Columns) -> dict[str, Any]:
        values = _matrix(columns, "OneHot")
        return {"categories": [_categories(values[:, k]) for k in range(values.shape[1])]}

    def apply(self, columns: Columns) -> np.ndarray:
        values, categories = _matrix(columns, "OneHot"), self.fitted()["categories"]
        parts = []
        for k, known in enumerate(categories):
            place = {v: i for i, v in enumerate(known)}
            found = np.array([place.get(_plain(v), -1) for v in values[:, k].tolist()], np.int64)
            if self.unknown == "error" and (found < 0).any():
                row = int(np.argmax(found < 0))
                raise ValueError(
                    f"OneHot: {columns.label(k)} has {values[row, k]!r} in row {row}, which is "
                    f"none of the {len(known)} values of the training rows. OneHot('zeros') gives "
                    "zeros for it."
                )
            parts.append((found[:, None] == np.arange(len(known))).astype(np.float64))
        return np.concatenate(parts, axis=1)


def _matrix(columns, step):
    if columns.values.ndim != 2:
        raise ShapeError(
            f"{step}: x must have shape (N, K); got rows of {columns.values.shape[1:]}"
        )
    return columns.values


class Labels(Step):
    """Labels of classes, text or numbers, as whole numbers from 0 on, (N,) int64: in order,
    numbers before text. `classes` are the labels; `inverse_transform` finds them again of whole
    numbers (N,), or of predictions (N, C), the class of the largest.

    >>> from fastnn.preprocessing import Labels
    >>> labels = Labels()
    >>> labels.fit_transform(["dog", "cat", "dog"])
    array([1, 0, 1])
    >>> labels.inverse_transform([[0.9, 0.1], [0.2, 0.8]])
    ['cat', 'dog']
    """

    takes_objects = True

    @property
    def classes(self) -> list[Any]:
        return list(self.fitted()["classes"])

    def learn(self, columns: Columns) -> dict[str, Any]:
        classes = _categories(self._column(columns))
        if None in classes:
            raise ValueError("Labels: some labels are missing; leave out their rows")
        return {"classes": classes}

    def _column(self, columns):
        if columns.values.ndim != 2 or columns.values.shape[1] != 1:
            raise ShapeError(
                f"Labels: expected a label a row, (N,) or (N, 1); got shape {columns.values.shape}"
            )
        return columns.values[:, 0]

    def transform(self, x: Any) -> np.ndarray:
        """The class of each label, (N,) int64."""
        place = {v: i for i, v in enumerate(self.fitted()["classes"])}
        values = [_plain(v) for v in self._column(columns_of(x, "Labels")).tolist()]
        for row, value in enumerate(values):
            if value not in place:
                raise ValueError(
                    f"Labels: {value!r} in row {row} is none of the {len(place)} classes of the "
                    f"training rows: {_shown(self.classes)}"
                )
        return np.array([place[v] for v in values], np.int64)

    def fit_transform(self, x: Any) -> np.ndarray:
        return self.fit(x).transform(x)

    def inverse_transform(self, y: Any) -> list[Any]:
        """The label of each row: of classes (N,), or of predictions (N, C); of (N, 1), the second
        class from 0.5 on."""
        classes = self.classes
        y = np.asarray(y.numpy() if hasattr(y, "numpy") else y)
        if y.ndim == 2 and y.shape[1] == 1 and len(classes) == 2 and y.dtype.kind == "f":
            found = (y[:, 0] >= 0.5).astype(np.int64)
        elif y.ndim == 2 and y.shape[1] == len(classes):
            found = y.argmax(axis=1)
        elif y.ndim == 1 and y.dtype.kind in "iu":
            found = y
        else:
            raise ShapeError(
                f"Labels: expected whole numbers (N,) or predictions (N, {len(classes)}); got "
                f"{y.dtype} of shape {y.shape}"
            )
        outside = (found < 0) | (found >= len(classes))
        if outside.any():
            raise ValueError(
                f"Labels: class {found[np.argmax(outside)]} is none of 0 to {len(classes) - 1}"
            )
        return [classes[i] for i in found.tolist()]


def _shown(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values[:5])) + (" ..." if len(values) > 5 else "")
