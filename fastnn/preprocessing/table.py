"""Several steps one after another, and tables whose columns need steps of their own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn.errors import ShapeError, nearest

from .base import KIND, Columns, Step
from .clean import Clean, rows_to_keep
from .encode import OneHot
from .scale import MinMax


def step_of(given: Any, argument: str) -> Step:
    """A step, of one or of a list of several."""
    if isinstance(given, list | tuple) and len(given) != 1:
        return Pipeline(given)
    found: Step = KIND.get(given[0] if isinstance(given, list | tuple) else given, argument)
    return found


class Pipeline(Step):
    """Steps one after another, each fitted on what those before it give.

    >>> from fastnn.preprocessing import Clean, MinMax, Pipeline
    >>> Pipeline([Clean("mean"), MinMax()]).fit_transform([[0.0], [None], [4.0]]).ravel()
    array([0. , 0.5, 1. ], dtype=float32)
    """

    takes_objects = True

    def __init__(self, steps: Iterable[Any]):
        super().__init__()
        if not isinstance(steps, Iterable) or isinstance(steps, str):
            raise TypeError(f"Pipeline: expected a list of steps; got {steps!r}")
        self.steps = [step_of(s, f"Pipeline: step {i}") for i, s in enumerate(steps)]
        if not self.steps:
            raise ValueError("Pipeline: expected steps, as in Pipeline([Clean(), MinMax()])")

    def keeps(self, columns: Columns, *others: np.ndarray) -> np.ndarray | None:
        return all_keep([s.keeps(columns, *others) for s in self.steps])

    def learn(self, columns: Columns) -> dict[str, Any]:
        for step in self.steps:
            step.fit_columns(columns)
            columns = _after(step, columns)
        return {}

    def apply(self, columns: Columns) -> np.ndarray:
        for step in self.steps:
            columns = _after(step, columns)
        return columns.values

    def state(self) -> Any:
        return self.learnt and {**self.learnt, "steps": [s.state() for s in self.steps]}

    def set_state(self, state: Any) -> None:
        for step, its in zip(self.steps, (state or {}).get("steps", ()), strict=False):
            step.set_state(its)
        self.learnt = state and {k: v for k, v in state.items() if k != "steps"}


def _after(step, columns):
    """What a step gives, by the same names where there are as many columns."""
    values = step.apply_to(columns)
    return Columns(values, columns.names if values.shape == columns.values.shape else None)


class Table(Step):
    """A table of columns of several kinds: for some columns a step, or a list of steps; what they
    give side by side is the result, (N, F).

    columns: a dictionary, or pairs, of a column's name (or place, or a list of these) and its
    steps. Left out, columns of numbers are cleaned by their median and scaled to [0, 1], others
    encoded one-hot, a missing value as a category of its own. rest: what becomes of columns that
    are not named: "error" or "drop".

    >>> from fastnn.preprocessing import MinMax, OneHot, Table
    >>> table = Table({"age": MinMax(), "pet": OneHot()})
    >>> table.fit_transform({"age": [20, 60], "pet": ["dog", "cat"]})
    array([[0., 0., 1.],
           [1., 1., 0.]], dtype=float32)
    """

    takes_objects = True

    def __init__(self, columns: Any = None, rest: str = "error"):
        super().__init__()
        if rest not in ("error", "drop"):
            raise ValueError(f"Table: rest must be 'error' or 'drop'; got {rest!r}")
        pairs = columns.items() if isinstance(columns, Mapping) else columns
        pairs = list(pairs) if isinstance(pairs, Iterable) else pairs
        if pairs is not None and not (
            isinstance(pairs, list)
            and all([isinstance(p, tuple | list) and len(p) == 2 for p in pairs])
        ):
            raise TypeError(
                "Table: columns must be a dictionary, or pairs, of columns and their steps; got "
                f"{columns!r}"
            )
        self.rest = rest
        self.columns = (
            None
            if pairs is None
            else [(_listed(c), step_of(s, f"Table: column {c!r}")) for c, s in pairs]
        )
        self.parts: list[tuple[list[Any], Step]] = self.columns or []

    def keeps(self, columns: Columns, *others: np.ndarray) -> np.ndarray | None:
        """Of a step for some columns, rows with missing values there; rows come twice if all of
        their columns do."""
        found = [rows_to_keep(_chosen(columns, c), True, False) for c in self._of_clean("missing")]
        if self._of_clean("duplicates"):
            found.append(rows_to_keep(columns, False, True, *others))
        return all_keep(found)

    def _of_clean(self, argument):
        """The columns of steps that drop rows for this reason."""
        return [
            chosen
            for chosen, step in self.parts
            for s in getattr(step, "steps", [step])
            if getattr(s, argument, "") == "drop"
        ]

    def learn(self, columns: Columns) -> dict[str, Any]:
        if columns.values.ndim != 2:
            raise ShapeError(f"Table: x must have shape (N, K); got {columns.values.shape}")
        if self.columns is None:
            places = range(columns.values.shape[1])
            self.parts = [([k], _usual(_chosen(columns, [k]))) for k in places]
        named = {_place(columns, c) for chosen, _ in self.parts for c in chosen}
        others = [k for k in range(columns.values.shape[1]) if k not in named]
        if others and self.rest == "error":
            raise ValueError(
                f"Table: nothing is said of {', '.join(columns.label(k) for k in others[:5])}; "
                "name them, or leave them out by rest='drop'"
            )
        for chosen, step in self.parts:
            step.fit_columns(_chosen(columns, chosen))
        return {}

    def apply(self, columns: Columns) -> np.ndarray:
        found = [step.apply_to(_chosen(columns, chosen)) for chosen, step in self.parts]
        for part, (chosen, _) in zip(found, self.parts, strict=True):
            if part.dtype == object:
                raise ValueError(
                    f"Table: columns {chosen} are still text after their steps; encode them, as "
                    "OneHot does"
                )
        return np.concatenate([p.reshape(len(p), -1) for p in found], axis=1)

    def state(self) -> Any:
        parts = [[c, KIND.serialize(s), s.state()] for c, s in self.parts]
        return self.learnt and {**self.learnt, "parts": parts}

    def set_state(self, state: Any) -> None:
        self.parts = []
        for chosen, config, its in (state or {}).get("parts", ()):
            step = KIND.deserialize(config)
            step.set_state(its)
            self.parts.append((chosen, step))
        self.learnt = state and {k: v for k, v in state.items() if k != "parts"}


def _listed(columns: Any) -> list[Any]:
    several = isinstance(columns, Sequence) and not isinstance(columns, str)
    return list(columns) if several else [columns]


def _usual(columns):
    return OneHot() if columns.values.dtype == object else Pipeline([Clean("median"), MinMax()])


def _place(columns: Columns, column: Any) -> int:
    if isinstance(column, str):
        if columns.names is None or column not in columns.names:
            known = columns.names or []
            raise ValueError(
                f"Table: there is no column {column!r}; "
                f"{nearest(column, known) if known else 'the data has no names: give places'}"
            )
        return columns.names.index(column)
    if not 0 <= column < columns.values.shape[1]:
        raise ValueError(f"Table: there is no column {column} of {columns.values.shape[1]}")
    return int(column)


def _chosen(columns: Columns, chosen: Sequence[Any]) -> Columns:
    """Some of the columns: numbers, if these are all numbers."""
    places = [_place(columns, c) for c in chosen]
    values = columns.values[:, places]
    if values.dtype == object:
        numbers = [v is None or isinstance(v, int | float) for v in values.flat]
        if all(numbers):
            values = np.array(
                [np.nan if v is None else v for v in values.flat], np.float64
            ).reshape(values.shape)
    return Columns(values, None if columns.names is None else [columns.names[k] for k in places])


def all_keep(keeps: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Rows that all keep."""
    found = None
    for keep in keeps:
        if keep is not None:
            found = keep if found is None else found & keep
    return found
