"""What every step of preprocessing shares: it is fitted on training rows, and applied to any."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fastnn import config
from fastnn.errors import DTypeError, ShapeError
from fastnn.frames import NUMBERS, expect_no_dates
from fastnn.registry import Configured, Kind

KIND = Kind("preprocessing step", "preprocessing")
Self = TypeVar("Self", bound="Step")


class Columns(NamedTuple):
    """values (N, ...): float64 in which NaN is missing, or, if anything is no number, objects in
    which None is. names: of the columns, where the data has names."""

    values: np.ndarray
    names: list[str] | None = None

    def label(self, column: int) -> str:
        """How an error calls a column."""
        return f"column {column if self.names is None else repr(self.names[column])}"


class Step(Configured):
    """A step of preprocessing: `fit(x)` learns from training rows, `transform(x)` applies what was
    learnt to any rows, `fit_transform(x)` does both. x: an array (N, K), a frame of pandas or
    polars, a dictionary of columns, or nested lists; NaN, None and pandas' NA are missing values.
    Results are arrays of `config.floatx()`. Named columns are found by their names, in whatever
    order they come.

    Subclasses define `learn(columns)`, which returns what is learnt as a dictionary that JSON can
    say, and `apply(columns)`, which returns float64 (N, L) and reads it as `self.learnt`.
    """

    _kind = KIND
    takes_objects = False  # whether its columns may be text

    def __init__(self) -> None:
        self.learnt: dict[str, Any] | None = None

    def learn(self, columns: Columns) -> dict[str, Any]:
        raise TypeError(f"{type(self).__name__} does not define learn(columns)")

    def apply(self, columns: Columns) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} does not define apply(columns)")

    # ---- calling

    def fit(self: Self, x: Any) -> Self:
        """Learn from training rows."""
        self.fit_columns(columns_of(x, type(self).__name__))
        return self

    def transform(self, x: Any) -> np.ndarray:
        """The rows as the model takes them."""
        return self.floats(self.apply_to(columns_of(x, type(self).__name__)))

    def fit_transform(self, x: Any) -> np.ndarray:
        """`fit`, and `transform` of the same rows."""
        columns = columns_of(x, type(self).__name__)
        self.fit_columns(columns)
        return self.floats(self.apply_to(columns))

    def floats(self, values: np.ndarray, dtype: Any = None) -> np.ndarray:
        """What comes of the step as numbers; raises where it is still text."""
        if values.dtype == object:
            row, column, value = _first_of_no_number(values)
            raise DTypeError(
                f"{type(self).__name__}: its result is still text: {value!r} in row {row} of "
                f"column {column}. Encode it after this step, as OneHot does."
            )
        return values.astype(dtype or config.floatx())

    def keeps(self, columns: Columns, *others: np.ndarray) -> np.ndarray | None:
        """Which rows of a training set are used, (N,) booleans, or None for all. others: the
        targets of these rows."""
        return None

    def fit_columns(self, columns: Columns) -> None:
        self._expect_kind(columns)
        if not len(columns.values):
            raise ValueError(f"{type(self).__name__}: there are no rows to learn from")
        shape = list(columns.values.shape[1:])
        self.learnt = {"shape": shape, "names": columns.names, **self.learn(columns)}

    def apply_to(self, columns: Columns) -> np.ndarray:
        learnt = self.fitted()
        columns = _in_order(columns, learnt["names"], type(self).__name__)
        self._expect_kind(columns)
        shape = list(columns.values.shape[1:])
        if shape != learnt["shape"]:
            raise ShapeError(
                f"{type(self).__name__}: it was fitted on rows of shape {tuple(learnt['shape'])}; "
                f"got rows of {tuple(shape)}"
            )
        return self.apply(columns)

    def fitted(self) -> dict[str, Any]:
        """What was learnt; raises if nothing was."""
        if self.learnt is None:
            raise ValueError(
                f"{type(self).__name__}: not fitted yet. Call fit(x) with the training rows, or "
                "model.fit, which does it for the model's own."
            )
        return self.learnt

    # ---- saving

    def state(self) -> Any:
        """What was learnt, as JSON can say it; None if nothing was."""
        return self.learnt

    def set_state(self, state: Any) -> None:
        """Take what `state` gave."""
        self.learnt = state

    def _expect_kind(self, columns):
        if columns.values.dtype == object and not self.takes_objects:
            row, column, value = _first_of_no_number(columns.values)
            raise DTypeError(
                f"{type(self).__name__}: expected numbers; got {value!r} in row {row} of "
                f"{columns.label(column)}. OneHot encodes text; Table takes columns of several "
                "kinds."
            )


def _first_of_no_number(values):
    for (row, column, *_), value in np.ndenumerate(values):
        if value is not None and not isinstance(value, NUMBERS):
            return row, column, value
    return 0, 0, values.flat[0]


def _in_order(columns: Columns, names: list[str] | None, step: str) -> Columns:
    """The columns that were fitted, by name."""
    if names is None or columns.names is None or columns.names == names:
        return columns
    missing = [n for n in names if n not in columns.names]
    if missing:
        raise ShapeError(
            f"{step}: fitted with the columns {names}, of which {missing} are missing here: "
            f"{columns.names}"
        )
    order = [columns.names.index(n) for n in names]
    return Columns(columns.values[:, order], names)


# ---- data as users give it


def columns_of(x: Any, what: str = "x") -> Columns:
    """The rows of an array, a frame, a dictionary of columns or nested lists."""
    if isinstance(x, Columns):
        return x
    expect_no_dates(x, what)
    named = _named_columns(x)
    if named is None:
        values = _values(x if isinstance(x, np.ndarray) else _array_of(x), what)
        if values.ndim == 0:
            raise ShapeError(f"{what}: x must have rows, shape (N, ...); got a single value")
        return Columns(values.reshape(-1, 1) if values.ndim == 1 else values)
    names, arrays = list(named), [_values(_array_of(c), what) for c in named.values()]
    lengths = {n: len(a) for n, a in zip(names, arrays, strict=True)}
    if not names or len(set(lengths.values())) > 1:
        raise ShapeError(f"{what}: columns must have as many rows each; got {lengths}")
    if any(a.dtype == object for a in arrays):
        arrays = [_as_objects(a) for a in arrays]
    return Columns(np.stack(arrays, axis=1), [str(n) for n in names])


def _named_columns(x: Any) -> Mapping[Any, Any] | None:
    if isinstance(x, Mapping):
        return x
    if hasattr(x, "columns"):
        return {name: x[name] for name in x.columns}
    if type(x).__name__ == "Series":
        return {x.name if x.name is not None else 0: x}
    return None


def _array_of(values: Any) -> np.ndarray:
    if hasattr(values, "numpy") and not hasattr(values, "to_numpy"):  # a tensor
        return np.asarray(values.numpy())
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        # so that NumPy makes no text of numbers beside text
        array = np.array(values, dtype=object)
        return np.array(values) if array.size and _is_numeric(array) else array
    return np.asarray(values)


def _is_numeric(array):
    return all([issubclass(kind, NUMBERS) for kind in set(map(type, array.flat))])


def _values(array: np.ndarray, what: str) -> np.ndarray:
    """float64 with NaN for what is missing, or objects with None."""
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind in "US":
        return array.astype(object)
    if array.dtype != object:
        raise DTypeError(f"{what}: expected numbers or text; got element type {array.dtype}")
    flat = [_python(v) for v in array.flat]
    if all([v is None or isinstance(v, NUMBERS) for v in flat]):
        return np.array([np.nan if v is None else v for v in flat], np.float64).reshape(array.shape)
    found = np.empty(array.size, object)
    found[:] = flat
    return found.reshape(array.shape)


def _python(value):
    """Python's own number of NumPy's, and None for what is missing."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and value != value else value


def _as_objects(array):
    if array.dtype == object:
        return array
    found = array.astype(object)
    found[np.isnan(array)] = None
    return found


def missing(values: np.ndarray) -> np.ndarray:
    """Where values are missing: None, NaN; infinite numbers are no use either."""
    if values.dtype != object:
        return ~np.isfinite(values)
    return np.array([v is None for v in values.flat], bool).reshape(values.shape)


get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
