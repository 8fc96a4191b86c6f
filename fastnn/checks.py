"""Checks of arguments: each gives the value back as what it is to be, or raises an error that says
what it may be and what came. name: whose argument it is, as in "Dense: units"."""

import os
from collections.abc import Callable, Iterable, Sequence
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


def flag(name: str, value: Any) -> bool:
    """True or False: NumPy's, and 0 and 1, too."""
    if isinstance(value, bool | np.bool_) or (is_whole(value) and value <= 1):
        return bool(value)
    raise TypeError(f"{name} must be True or False; got {value!r}")


def text(name: str, value: Any) -> str:
    """What something is called."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text; got {value!r}")
    return str(value)


def seed(name: str, value: Any) -> int:
    """What random numbers are a function of."""
    if not is_whole(value, -inf):
        raise TypeError(f"{name}: expected an integer; got {value!r}")
    return int(value)


def path(name: str, value: Any) -> str:
    """Where a file lies, as text."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a path, text or a Path; got {value!r}")
    return str(os.fspath(value))


def extents(name: str, shape: Any, least: int = 0) -> tuple[int, ...]:
    """A shape, one extent or several."""
    is_one = not isinstance(shape, Iterable) or isinstance(shape, dict | set | str)
    found = (shape,) if is_one else tuple(shape)
    if not all([is_whole(extent, least) for extent in found]):
        raise ShapeError(f"{name}: a shape is made of integers from {least} on; got {shape!r}")
    if prod(found) >= MAX_ELEMENTS:
        raise ShapeError(f"{name}: no memory has room for {shape_text(found)}")
    return tuple([int(extent) for extent in found])


def sizes(name: str, value: Any) -> tuple[int, ...]:
    """A sequence of integers from 1 on, as many as there are."""
    if not isinstance(value, Sequence | np.ndarray) or not all([is_whole(v, 1) for v in value]):
        raise ValueError(f"{name} must be a list of whole numbers from 1 on; got {value!r}")
    return tuple([int(v) for v in value])


def room(name: str, weights: int, layers: int) -> None:
    """Raise where so many weights, of float32, in so many layers, each of which is some 40 kB of
    objects besides, are more than the machine has memory for: before they are made one by one."""
    if hasattr(os, "sysconf"):
        most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if 4 * weights + 40_000 * layers > most:
            raise ValueError(
                f"{name} make some {weights:.2g} weights in {layers:.2g} layers, for which "
                f"{most / 1e9:.3g} GB of memory are too little"
            )


def whole_numbers(name: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """`count` integers from `least` on, below 2^31: so many, or one for all."""
    given = (value,) * count if is_whole(value, least) else value
    found = tuple(given) if isinstance(given, list | tuple | np.ndarray) else ()
    if len(found) != count or not all([is_whole(v, least) and v < 1 << 31 for v in found]):
        several = f", or {count} of them" if count > 1 else ""
        bound = ", below 2^31" if len(found) == count and all([is_whole(v) for v in found]) else ""
        raise ValueError(
            f"{name} must be a whole number from {least} on{bound}{several}; got {value!r}"
        )
    return tuple([int(v) for v in found])


def one_of(name: str, value: Any, *choices: str) -> str:
    """A word that is one of several."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}; got {value!r}")
    return str(value)


def data_format(owner: str, value: str | None) -> str:
    """Where channels stand: behind the dimensions of space, which None is, or before them."""
    chosen = "channels_last" if value is None else value
    return one_of(f"{owner}: data_format", chosen, "channels_last", "channels_first")
