"""Cleaning: missing values, numbers that are not finite, rows that come twice."""

from collections import Counter
from collections.abc import Hashable
from typing import Any

import numpy as np

from fastnn.errors import ShapeError, nearest

from .base import Columns, Step, columns_of, missing

FILLS = ("mean", "median", "most_frequent", "constant", "drop")
DUPLICATES = ("keep", "drop")
MAX_NAMED = 3  # rows named in an error


class Clean(Step):
    """Fills missing values (NaN, None) and infinite ones, or drops their rows from a training set.

    missing: "mean", "median" or "most_frequent" of a column's training rows (of equally frequent
    values the smallest), "constant", which is `value`, or "drop". Text has no mean and no median.
    duplicates: "keep", or "drop" for rows that an earlier row equals, targets included.

    Rows are dropped from what `model.fit` is given, and by `clean`; predicting drops nothing, and
    raises for what it would have to.

    >>> from fastnn.preprocessing import Clean
    >>> Clean("median").fit_transform([[1.0, None], [2.0, 8.0], [9.0, 4.0]])
    array([[1., 6.],
           [2., 8.],
           [9., 4.]], dtype=float32)
    """

    takes_objects = True

    def __init__(self, missing: str = "mean", value: Any = None, duplicates: str = "keep"):
        super().__init__()
        for name, given, known in [
            ("missing", missing, FILLS),
            ("duplicates", duplicates, DUPLICATES),
        ]:
            if given not in known:
                raise ValueError(
                    f"Clean: {name} must be one of {', '.join(known)}; got {given!r}; "
                    f"{nearest(str(given), known)}"
                )
        if (missing == "constant") != (value is not None):
            raise ValueError(
                f"Clean: value goes with missing='constant', and only with it; got "
                f"missing={missing!r}, value={value!r}"
            )
        self.missing, self.value, self.duplicates = missing, value, duplicates

    def keeps(self, columns: Columns, *others: np.ndarray) -> np.ndarray | None:
        return rows_to_keep(columns, self.missing == "drop", self.duplicates == "drop", *others)

    def learn(self, columns: Columns) -> dict[str, Any]:
        if self.missing == "drop":
            return {"fill": None}
        if self.missing == "constant":
            return {"fill": self.value}
        rows = columns.values.reshape(len(columns.values), -1)
        gone = missing(rows)
        fills = [
            self._of_column(rows[~gone[:, k], k], columns.label(k)) for k in range(rows.shape[1])
        ]
        return {"fill": fills}

    def _of_column(self, values, label):
        if not len(values):
            raise ValueError(
                f"Clean: {label} has no value to take the {self.missing} of. Leave it out, or fill "
                "it with missing='constant', value=..."
            )
        if values.dtype == object and all([isinstance(v, int | float) for v in values]):
            values = values.astype(np.float64)  # beside columns of text
        if values.dtype == object and self.missing != "most_frequent":
            raise ValueError(
                f"Clean: {label} is text, which has no {self.missing}; use 'most_frequent' or "
                "'constant'"
            )
        if self.missing == "most_frequent":
            found = Counter(values.tolist())
            most = max(found.values())
            return min([v for v, n in found.items() if n == most], key=order)
        return float(np.mean(values) if self.missing == "mean" else np.median(values))

    def apply(self, columns: Columns) -> np.ndarray:
        values, fill = columns.values, self.fitted()["fill"]
        gone = missing(values)
        if not gone.any():
            return values
        if fill is None:
            rows = np.flatnonzero(gone.reshape(len(values), -1).any(axis=1))
            raise ValueError(
                f"Clean: rows {', '.join(map(str, rows[:MAX_NAMED]))}"
                f"{' ...' if len(rows) > MAX_NAMED else ''} have missing values, and only training "
                "drops rows. Fill them: missing='mean', for example, or leave them out."
            )
        values = values.copy()
        fills = np.empty(values.shape[1:], values.dtype)
        fills[...] = np.reshape(fill, values.shape[1:]) if isinstance(fill, list) else fill
        values[gone] = np.broadcast_to(fills, values.shape)[gone]
        return values


def order(value: Any) -> tuple[str, Any]:
    """By which values of several kinds are sorted: numbers, then text."""
    return ("", float(value)) if isinstance(value, int | float) else (type(value).__name__, value)


def rows_to_keep(
    columns: Columns, drop_missing: bool, drop_duplicates: bool, *others: np.ndarray
) -> np.ndarray | None:
    """Which rows are complete, and equal no earlier one in all columns and `others`."""
    values = columns.values.reshape(len(columns.values), -1)
    keep = np.ones(len(values), bool)
    if drop_missing:
        keep &= ~missing(values).any(axis=1)
    if drop_duplicates:
        seen: set[Hashable] = set()
        beside = [np.asarray(o).reshape(len(values), -1) for o in others]
        for row in np.flatnonzero(keep):
            key = tuple([tuple(a[row].tolist()) for a in (values, *beside)])
            keep[row] = key not in seen
            seen.add(key)
    return None if keep.all() else keep


def clean(
    x: Any, *others: Any, missing: str = "drop", value: Any = None, duplicates: str = "drop"
) -> Any:
    """A whole data set without missing and infinite values and without rows that come twice: x as
    an array, followed by `others` (targets, weights), which lose the same rows. Arguments as of
    `Clean`, by which model.fit does it for the training rows alone; rows of `others` with missing
    numbers go with missing="drop" too.

    >>> from fastnn.preprocessing import clean
    >>> x, y = clean([[1.0], [float("nan")], [1.0], [2.0]], [0, 1, 0, 1])
    >>> x.ravel(), y
    (array([1., 2.]), array([0, 1]))
    """
    step, columns = Clean(missing, value, duplicates), columns_of(x, "clean: x")
    arrays = [np.asarray(o) for o in others]
    for number, array in enumerate(arrays, 2):
        if not array.ndim or len(array) != len(columns.values):
            raise ShapeError(
                f"clean: argument {number} must have {len(columns.values)} rows, as x has; got "
                f"shape {array.shape}"
            )
    keep = rows_to_keep(columns, missing == "drop", duplicates == "drop", *arrays)
    if missing == "drop":
        for array in arrays:
            if array.dtype.kind == "f":
                complete = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
                keep = complete if keep is None else keep & complete
    if keep is not None:
        columns = Columns(columns.values[keep], columns.names)
        arrays = [a[keep] for a in arrays]
    step.fit_columns(columns)
    values = step.apply_to(columns)
    return (values, *arrays) if arrays else values
