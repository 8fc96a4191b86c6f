"""Checks of arguments: each gives the value back as what it is to be, or raises an error that says
what it may be and what came. name: whose argument it is, as in "Dense: units"."""

import os
from collections.abc import Callable, Iterable
from math import inf, prod
from numbers import Real
from typing import Any

import numpy as np

from fastnn.errors import ShapeError, shape_text

MAX_ELEMENTS = 1 << 47  # the bytes that a process can address


def is_whole(value: Any, least: float = 0) -> bool:
    """Whether a value is an integer, of Python's or NumPy's, from `least` on."""
    return (
        isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)
    )


def whole_number(name: str, value: Any, least: int) -> int:
    """An integer from `least` on."""
    if not is_whole(value, least):
        raise ValueError(f"{name} must be a whole number from {least} on; got {value!r}")
    return int(value)


def number(name: str, value: Any, fits: Callable[[Any], bool], expected: str) -> float:
    """A number that `fits`, which is what is `expected`, as in "lie between 0 and 1"."""
    if isinstance(value, bool) or not isinstance(value, Real) or not fits(value):
        raise ValueError(f"{name} must {expected}; got {value!r}")
    return float(value)


def fraction(name: str, value: Any, zero: bool = True, one: bool = False) -> float:
    """A number between 0 and 1; zero, one: whether it may be that."""
    return number(
        name,
        value,
        lambda v: 0 < v < 1 or (zero and v == 0) or (one and v == 1),
        "lie between 0 and 1",
    )


def real(name: str, value: Any) -> float:
    """A finite number, which may be an array or a tensor of no dimensions."""
    if not isinstance(value, Real) and getattr(value, "shape", None) == ():
        value = value.item()
    return number(name, value, lambda v: -inf < v < inf, "be a finite number")


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    return number(name, value, lambda v: 0 < v < inf, "be a finite number above 0")


def not_negative(name: str, value: Any) -> float:
    """A finite number from 0 on."""
    return number(name, value, lambda v: 0 <= v < inf, "be a finite number from 0 on")


def path(name: str, value: Any) -> str:
    """Where a file lies, as text."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a path, text or a Path; got {value!r}")
    return str(os.fspath(value))


def extents(name: str, shape: Any, least: int = 0) -> tuple[int, ...]:
    """A shape, one extent or several."""
    found = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if not all([is_whole(extent, least) for extent in found]):
        raise ShapeError(f"{name}: a shape is made of integers from {least} on; got {shape!r}")
    if prod(found) >= MAX_ELEMENTS:
        raise ShapeError(f"{name}: no memory has room for {shape_text(found)}")
    return tuple([int(extent) for extent in found])


def whole_numbers(name: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """`count` integers from `least` on: so many, or one for all."""
    given = (value,) * count if is_whole(value, least) else value
    found = tuple(given) if isinstance(given, list | tuple | np.ndarray) else ()
    if len(found) != count or not all([is_whole(v, least) for v in found]):
        several = f", or {count} of them" if count > 1 else ""
        raise ValueError(f"{name} must be a whole number from {least} on{several}; got {value!r}")
    return tuple([int(v) for v in found])


def one_of(name: str, value: Any, *choices: str) -> str:
    """A word that is one of several."""
    if value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}; got {value!r}")
    return str(value)


def data_format(owner: str, value: str | None) -> str:
    """Where channels stand: behind the dimensions of space, which None is, or before them."""
    return one_of(
        f"{owner}: data_format", value or "channels_last", "channels_last", "channels_first"
    )
