"""Tables that are not plain arrays of numbers: frames of pandas and polars, lists of objects.
Neither library is imported."""

import reprlib
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from fastnn.errors import DTypeError

NUMBERS = (Real, np.bool_)
MAX_POSITIONS = 3  # of elements that are not finite, named in the message
WHOLE = (int, np.integer, np.bool_)
CONVERT = "Convert it first: encode categories, parse strings."
WAYS_OUT = {
    "text": "Encode categories, as pandas.get_dummies does, or parse numbers, as "
    "pandas.to_numeric does.",
    "a date": "Make it a number: the days since the first one are (dates - dates.min()).dt.days.",
    "a missing value": "Fill it in, as x.fillna(0) does, or leave its row out, as x.dropna() does.",
}


def numbers(array: np.ndarray, value: Any, name: str) -> np.ndarray:
    """What NumPy made of `value`, objects, as numbers, if each object is one: a frame of booleans
    and floats is such an array, and one of nullable numbers of which none is missing. Else an error
    that names the column."""
    if array.dtype != object:
        kind = {"M": "a date", "m": "a date"}.get(array.dtype.kind) if is_frame(value) else None
        raise _refused(array, value, name, kind or f"element type {array.dtype}", (0,) * array.ndim)
    kinds = set(map(type, array.flat))
    if all([issubclass(k, NUMBERS) for k in kinds]):
        if all([issubclass(k, bool | np.bool_) for k in kinds]):
            return array.astype(bool)
        try:
            return array.astype(
                np.int64 if all([issubclass(k, WHOLE) for k in kinds]) else np.float64
            )
        except OverflowError:  # of a whole number
            return array.astype(np.float64)
    place = next(p for p, v in np.ndenumerate(array) if not isinstance(v, NUMBERS))
    raise _refused(array, value, name, _kind(array[place]), place)


def expect_no_dates(value: Any, name: str) -> None:
    """Raise if a column of what may be a frame is of dates: polars makes numbers of them without a
    word, beside other numbers."""
    if not is_frame(value):
        return
    for number, dtype in enumerate(
        getattr(value, "dtypes", ()) if hasattr(value, "columns") else [value.dtype]
    ):
        if str(dtype).lower().startswith(("date", "time", "duration")):
            raise DTypeError(
                f"{name}: expected numbers; got a date{of_column(value, (0, number))}. "
                f"{WAYS_OUT['a date']}"
            )


def _kind(element):
    from datetime import date, time, timedelta  # here, as it is seldom needed

    if element is None or type(element).__name__ in ("NAType", "NaTType"):
        return "a missing value"
    if isinstance(element, str | bytes):
        return "text"
    if isinstance(element, date | time | timedelta | np.datetime64 | np.timedelta64):
        return "a date"
    return f"objects such as {reprlib.repr(element)}"


def _refused(array, value, name, kind, place):
    shown, row = "", ""
    if kind in WAYS_OUT and array.size:
        element = array[place]
        shown = f" ({reprlib.repr(element) if isinstance(element, str | bytes) else element})"
        row = f" in row {place[0]}" if place else ""
    return DTypeError(
        f"{name}: expected numbers; got {kind}{shown}{row}{of_column(value, place)}. "
        f"{WAYS_OUT.get(kind, CONVERT)}"
    )


def is_frame(value: Any) -> bool:
    """Whether something has columns with names, or is one."""
    return hasattr(value, "columns") or type(value).__name__ == "Series"


def of_column(value: Any, place: Sequence[int]) -> str:
    """The words for the column of a frame in which a place lies; none for what has no columns."""
    columns = getattr(value, "columns", None)
    if columns is not None and len(place) > 1 and place[1] < len(columns):
        name = columns[place[1]]
        return f" of column {name.item() if isinstance(name, np.generic) else name!r}"
    return (
        f" of column {value.name!r}"
        if type(value).__name__ == "Series" and value.name is not None
        else ""
    )


def not_finite(array: np.ndarray, name: str, given: Any = None) -> ValueError:
    """The error for data that is not finite."""
    places = np.argwhere(~np.isfinite(array))
    shown = ", ".join(
        f"{name}[{', '.join(map(str, p))}] = {array[tuple(p)]}{of_column(given, p)}"
        for p in places[:MAX_POSITIONS]
    )
    more = f" and {len(places) - MAX_POSITIONS} more" if len(places) > MAX_POSITIONS else ""
    return ValueError(
        f"{name} has {len(places)} values that are NaN, infinite or too large for {array.dtype}: "
        f"{shown}{more}. Remove those rows "
        f"or fill them in, as in {'x.fillna(0)' if is_frame(given) else 'numpy.nan_to_num'}."
    )
