"""Signs, whole numbers near a number, and division with a whole quotient, element by element."""

from math import inf, nan
from typing import Any

import numpy as np

from fastnn.dtypes import FLOATS, INTEGERS
from fastnn.kernels.declare import NUMBERS
from fastnn.kernels.scalar import rounding

from .arithmetic import add, cast, divide, equal, less, logical_and, logical_or, multiply, subtract
from .composite import composite
from .elementwise import EXTREMES, PASS, elementwise
from .movement import copy
from .record import Case, expect_integer

HALVES = (*EXTREMES, 0.5, -0.5, 1.5, 2.5, -2.5, 0.7, -0.7, 8388607.5, 0.49999997)
SIGNED = (0.0, -0.0, 1.0, -1.0, 2.5, -3.0, inf, -inf, nan, 1e30, -7e-30)


def _constant(formula, reference, doc, name=None, dtypes=("f4", "f8"), edges=HALVES):
    """An op whose gradient is 0 wherever it has one."""
    return elementwise(
        formula,
        name=name,
        dtypes=dtypes,
        gradient=(None,),
        reference=lambda x: reference(np.real(x)),
        edges=edges,
        few=True,
        flops=4,
        doc=f"{doc} Its gradient is 0.",
    )


sign = _constant(
    rounding.sign,
    np.sign,
    "1 where x is positive, -1 where it is negative, 0 at 0, NaN of NaN.",
    dtypes=NUMBERS,
    edges=EXTREMES,
)
signbit = elementwise(
    rounding.signbit,
    result="b1",
    dtypes=NUMBERS[:-1],
    reference=np.signbit,
    edges=EXTREMES,
    few=True,
    doc="Whether x has a minus: of -0.0 and some NaN too.",
)
floor = _constant(rounding.floor, np.floor, "The largest whole number up to x, a float.")
ceil = _constant(rounding.ceil, np.ceil, "The smallest whole number from x on, a float.")
rint = _constant(
    rounding.rint, np.rint, "The whole number nearest to x, a float; of two, the even one."
)
fix = _constant(rounding.trunc, np.trunc, "x without its fraction, a float.", "fix")


def _rounded(x, decimals=0):
    return np.round(np.real(x), decimals)


@composite(
    dtypes=(*FLOATS, *INTEGERS),
    reference=lambda x: np.trunc(np.real(x)),
    cases=[Case(((131,),)), Case(((3, 5, 7),))],
)
def trunc(x: Any) -> Any:
    """x without its fraction, of x's type; its gradient is 0."""
    return fix(x) if x.dtype in FLOATS else copy(x)


@composite(
    dtypes=(*FLOATS, *INTEGERS),
    reference=_rounded,
    cases=[Case(((131,),)), Case(((3, 5, 7),), {"decimals": 2})],
)
def round(x: Any, *, decimals: int = 0) -> Any:
    """x rounded to so many decimals, of two nearest numbers to the even one; to tens, hundreds, ...
    where decimals is negative. Of x's type; its gradient is 0."""
    decimals = expect_integer("round", "decimals", decimals)
    if x.dtype not in FLOATS:
        return copy(x) if decimals >= 0 else _round_integers(x, 10**-decimals)
    if decimals == 0:
        return rint(x)
    scale = 10.0 ** abs(decimals)
    return (
        divide(rint(multiply(x, scale)), scale)
        if decimals > 0
        else multiply(rint(divide(x, scale)), scale)
    )


def _round_integers(x, unit):
    """To the nearest multiple of unit, of two to the even one; 0 where unit is beyond x's type."""
    if unit > np.iinfo(x.dtype).max:
        return multiply(x, 0)
    number = floor_divide(x, unit)
    twice = multiply(subtract(x, multiply(number, unit)), 2)
    is_up = logical_or(less(unit, twice), logical_and(equal(twice, unit), equal(mod(number, 2), 1)))
    return multiply(add(number, cast(is_up, dtype=x.dtype)), unit)


def _mod(x, y):
    if np.iscomplexobj(x) or np.iscomplexobj(y):
        return x - np.floor_divide(np.real(x), np.real(y)) * y
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.mod(x, y)


def _floor_divide(x, y):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.floor_divide(np.real(x), np.real(y))


mod = elementwise(
    rounding.mod,
    aliases=("remainder",),
    dtypes=NUMBERS,
    gradient=(PASS, rounding.mod_gradient_y),
    reference=_mod,
    edges=SIGNED,
    few=True,
    domain=(0.3, 9.0),
    flops=6,
    doc="x - floor(x / y) y, exact and of the sign of y, as in NumPy and Python; of integers, 0 "
    "where y is 0.",
)
floor_divide = elementwise(
    rounding.floor_divide,
    dtypes=NUMBERS,
    gradient=(None, None),
    reference=_floor_divide,
    edges=SIGNED,
    few=True,
    flops=8,
    doc="floor(x / y), as in NumPy and Python; of integers, 0 where y is 0. Its gradient is 0.",
)
