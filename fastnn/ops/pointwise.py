"""Pointwise ops made of others, which a tape fuses."""

from math import inf, log, pi
from typing import Any

import numpy as np

from fastnn.dtypes import ANY, FLOATS, NUMBERS

from .arithmetic import (
    abs,
    add,
    cast,
    divide,
    equal,
    isfinite,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_or,
    maximum,
    minimum,
    multiply,
    not_equal,
    subtract,
    where,
)
from .composite import composite
from .elementary import exp, expm1, logaddexp, power
from .elementary import log as natural_log
from .functions import identity
from .movement import copy
from .record import Case
from .rounding import floor_divide, mod, sign
from .trigonometric import sin

LN2 = log(2)


def _cases(*domain, inputs=1, **attributes):
    shapes = ((131,), (3, 5, 7)) if inputs == 1 else ((131,), (5, 1))
    return [Case((shape,) * inputs, attributes, domain=domain or (-4.0, 4.0)) for shape in shapes]


def _mixed(rng):
    return rng.choice((-np.inf, np.inf, np.nan, 0.5, -2.0), 131)


@composite(reference=lambda x: 1 / x, cases=_cases(0.5, 4.0))
def reciprocal(x: Any) -> Any:
    """1 / x, infinite at 0. Of integers too it is a float, as in Keras."""
    return divide(1.0, x)


def _clip(x, x_min, x_max):
    low = np.where(np.real(x) >= np.real(x_min), x, x_min)
    return np.where(np.real(low) <= np.real(x_max), low, x_max)


@composite(
    dtypes=NUMBERS,
    reference=_clip,
    cases=[Case(((131,), (), ())), Case(((5, 7), (7,), (5, 1)))],
)
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """x, but x_min at least and x_max at most: min(max(x, x_min), x_max). Shapes broadcast; NaN
    stays. The gradient is x's where x is between them or at one of them, else the bound's."""
    return minimum(maximum(x, x_min), x_max)


@composite(
    dtypes=NUMBERS,
    reference=lambda x, nan=0.0, posinf=None, neginf=None: (
        np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)
        if x.dtype.kind in "iu"
        else np.where(
            np.isnan(x),
            nan,
            np.where(
                np.real(x) == inf,
                np.finfo(np.real(x).dtype).max if posinf is None else posinf,
                np.where(
                    np.real(x) == -inf,
                    np.finfo(np.real(x).dtype).min if neginf is None else neginf,
                    x,
                ),
            ),
        )
    ),
    cases=[Case((_mixed,), {"nan": 1.0, "posinf": 7.0, "neginf": -9.0}), *_cases()],
)
def nan_to_num(x: Any, *, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """x with numbers in place of NaN and the infinities; None: the type's largest and smallest.
    Where x is replaced its gradient is 0."""
    if x.dtype not in FLOATS:
        return copy(x)
    largest = float(np.finfo(x.dtype).max)
    x = where(isnan(x), nan, x)
    x = where(equal(x, inf), largest if posinf is None else posinf, x)
    return where(equal(x, -inf), -largest if neginf is None else neginf, x)


@composite(reference=np.log10, cases=_cases(0.01, 4.0))
def log10(x: Any) -> Any:
    """The logarithm of base 10, ln(x) / ln(10); -inf at 0, NaN below."""
    return multiply(natural_log(x), 1 / log(10))


@composite(reference=lambda x: np.exp(x * LN2), cases=_cases())
def exp2(x: Any) -> Any:
    """2^x."""
    return power(2.0, x)


@composite(
    reference=lambda x, y: np.log(np.exp(x * LN2) + np.exp(y * LN2)) / LN2, cases=_cases(inputs=2)
)
def logaddexp2(x: Any, y: Any) -> Any:
    """The logarithm of base 2 of 2^x + 2^y, which does not overflow."""
    return multiply(logaddexp(multiply(x, LN2), multiply(y, LN2)), 1 / LN2)


@composite(reference=np.sinh, cases=_cases())
def sinh(x: Any) -> Any:
    """(e^x - e^-x) / 2."""
    return multiply(subtract(expm1(x), expm1(multiply(x, -1.0))), 0.5)


@composite(reference=np.cosh, cases=_cases())
def cosh(x: Any) -> Any:
    """(e^x + e^-x) / 2."""
    return multiply(add(exp(x), exp(multiply(x, -1.0))), 0.5)


@composite(
    reference=lambda x: (
        np.where(np.real(x) < 0, -1.0, 1.0) * np.exp(np.log(np.where(np.real(x) < 0, -x, x)) / 3)
    ),
    cases=_cases(0.5, 4.0),
)
def cbrt(x: Any) -> Any:
    """The cube root, of negative numbers too."""
    return multiply(sign(x), power(abs(x), 1 / 3))


def _sinc(x):
    is_zero = np.real(x) == 0
    return np.where(is_zero, 1.0, np.sin(pi * x) / (pi * np.where(is_zero, 1.0, x)))


@composite(reference=_sinc, cases=_cases())
def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x); 1 at 0, where its gradient is 0."""
    angle = multiply(where(equal(x, 0.0), 1.0, x), pi)
    return where(equal(x, 0.0), 1.0, divide(sin(angle), angle))


@composite(reference=lambda x: x * (pi / 180), cases=_cases())
def deg2rad(x: Any) -> Any:
    """Degrees in radians: x pi / 180."""
    return multiply(x, pi / 180)


@composite(reference=lambda x: x * (180 / pi), cases=_cases())
def rad2deg(x: Any) -> Any:
    """Radians in degrees: 180 x / pi."""
    return multiply(x, 180 / pi)


@composite(reference=lambda x: np.real(x) == inf, cases=[Case((_mixed,))])
def isposinf(x: Any) -> Any:
    """Whether x is inf."""
    return equal(x, inf)


@composite(reference=lambda x: np.real(x) == -inf, cases=[Case((_mixed,))])
def isneginf(x: Any) -> Any:
    """Whether x is -inf."""
    return equal(x, -inf)


@composite(
    reference=lambda x, y: np.where(np.real(y) == 0, 0.0, x / np.where(np.real(y) == 0, 1.0, y)),
    cases=[Case(((131,), lambda rng: rng.integers(-1, 3, 131) * 1.0)), *_cases(0.5, 4.0, inputs=2)],
)
def divide_no_nan(x: Any, y: Any) -> Any:
    """x / y, but 0 where y is 0, and so are its gradients there."""
    is_zero = equal(y, 0.0)
    return where(is_zero, 0.0, divide(x, where(is_zero, 1.0, y)))


@composite(
    reference=lambda x, y: np.where(
        np.real(x) < 0, 0.0, np.where(np.real(x) > 0, 1.0, np.where(np.isnan(x), np.nan, y))
    ),
    cases=[Case((lambda rng: rng.integers(-1, 2, 131) * 1.0, (131,)))],
    constant=(0,),
)
def heaviside(x: Any, y: Any) -> Any:
    """0 where x is negative, 1 where it is positive, y where it is 0; the gradient of x is 0."""
    return where(less(x, 0.0), 0.0, where(less(0.0, x), 1.0, where(isnan(x), x, y)))


@composite(
    dtypes=NUMBERS,
    reference=lambda x, y: (
        np.fmod(x, y)
        if np.isrealobj(x) and np.isrealobj(y)
        else x - np.trunc(np.real(x) / np.real(y)) * y
    ),
    cases=_cases(0.5, 4.0, inputs=2),
)
def fmod(x: Any, y: Any) -> Any:
    """x - trunc(x / y) y, of the sign of x, as C's; of integers, 0 where y is 0."""
    if x.dtype in FLOATS:
        return multiply(sign(x), mod(abs(x), abs(y)))
    rest = mod(x, y)  # of y's sign; of the smallest integer there is no abs
    differs = logical_and(rest, less(multiply(sign(x), sign(y)), 0))
    return where(differs, subtract(rest, y), rest)


def _but_nan(choose):
    return lambda x, y: np.where(
        np.isnan(x), y, np.where(np.isnan(y) | choose(np.real(x), np.real(y)), x, y)
    )


_SOME_NAN = [Case((_mixed, (131,))), Case(((131,), _mixed))]


@composite(dtypes=NUMBERS, reference=_but_nan(np.greater_equal), cases=_SOME_NAN)
def fmax(x: Any, y: Any) -> Any:
    """The larger of x and y, the other one where one is NaN."""
    return where(not_equal(x, x), y, where(not_equal(y, y), x, maximum(x, y)))


@composite(dtypes=NUMBERS, reference=_but_nan(np.less_equal), cases=_SOME_NAN)
def fmin(x: Any, y: Any) -> Any:
    """The smaller of x and y, the other one where one is NaN."""
    return where(not_equal(x, x), y, where(not_equal(y, y), x, minimum(x, y)))


@composite(reference=lambda x: np.where(np.real(x) < 0, -x, x), cases=_cases())
def fabs(x: Any) -> Any:
    """|x|, a float also of integers."""
    return abs(x)


@composite(
    reference=lambda x, y, rtol=1e-5, atol=1e-8, equal_nan=False: np.isclose(
        x, y, rtol, atol, equal_nan
    ),
    cases=[
        Case((_mixed, _mixed)),
        Case((_mixed, _mixed), {"equal_nan": True}),
        Case(((5, 7), (7,)), {"rtol": 0.5, "atol": 0.1}),
    ],
    constant=(0, 1),
)
def isclose(
    x: Any, y: Any, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Whether |x - y| <= atol + rtol |y|; infinities are close to themselves, NaN to NaN if
    equal_nan."""
    near = less_equal(abs(subtract(x, y)), add(atol, multiply(rtol, abs(y))))
    near = logical_or(logical_and(near, isfinite(y)), equal(x, y))
    if equal_nan:
        near = logical_or(near, logical_and(isnan(x), isnan(y)))
    return near


@composite(
    reference=lambda x, y: x * 2.0**y,
    cases=[Case(((131,), lambda rng: rng.integers(-9, 9, 131)))],
    indices=(1,),
)
def ldexp(x: Any, y: Any) -> Any:
    """x 2^y. y: integers; shapes broadcast."""
    half = floor_divide(y, 2)  # of 2^y itself some overflow where x 2^y does not
    powers = [power(2.0, cast(part, dtype=x.dtype)) for part in (half, subtract(y, half))]
    return multiply(multiply(x, powers[0]), powers[1])


# ---- of complex numbers, which none here are


@composite(
    reference=lambda x: x, cases=_cases(), dtypes=ANY, aliases=("conj", "conjugate"), flops=0
)
def real(x: Any) -> Any:
    """x: all numbers here are real. The memory is shared with x."""
    return identity(x)


@composite(reference=np.zeros_like, cases=_cases(), dtypes=ANY, constant=(0,))
def imag(x: Any) -> Any:
    """Zeros of x's shape and type: all numbers here are real."""
    return multiply(x, np.zeros((), x.dtype))


@composite(reference=np.isreal, cases=_cases(), dtypes=ANY, constant=(0,))
def isreal(x: Any) -> Any:
    """True everywhere, NaN among them: all numbers here are real."""
    return logical_or(equal(x, x), True)


@composite(reference=np.angle, cases=_cases(), constant=(0,))
def angle(x: Any) -> Any:
    """The angle of real numbers: 0, pi where x is negative, NaN of NaN."""
    return where(less(x, 0.0), pi, where(isnan(x), x, 0.0))
