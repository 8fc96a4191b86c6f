"""Pointwise ops of a user's own, from scalar Python functions: the same loops as fastnn's run them,
on every device."""

import inspect
import math
from collections.abc import Callable
from types import FunctionType, MappingProxyType
from typing import Any

import numpy as np

from fastnn.errors import nearest
from fastnn.kernels.declare import Helper, sources
from fastnn.kernels.scalar import Formula
from fastnn.ops.elementwise import elementwise as record_of
from fastnn.scalar_text import rewritten

# of the check by differences: points, and how far a derivative may be off
POINTS, STEP, TOLERANCE = 64, 1e-6, 1e-5


def elementwise(
    function: Callable[..., Any] | None = None,
    *,
    derivative: Any = None,
    domain: tuple[float, float] = (-4.0, 4.0),
) -> Any:
    """Decorates a function of numbers: the op that applies it to every element of tensors that
    broadcast, in one kernel, compiled for float32 and float64, on the CPU and on a GPU.

    function: of one number for each input, followed by attributes, which have defaults (finite
    numbers; one compiled form serves all values). It may use arithmetic, comparisons, `if`, loops,
    functions of math, NumPy and fastnn.ops by name, and functions of one's own like it. (Within it
    sin, cos and tan are NaN from 6e6 on, float64 3e15; ops.sin and its like are not.)
    derivative: d function / d input of the same arguments, of several inputs a tuple of them;
    without it `backward` through the op is an error. It is compared with central differences in
    float64 at points of `domain` here and now, kinks aside: ValueError tells where it is wrong.

    The op has a kernel of its own, and is as fast as a built-in one. `layers.Dense(8,
    activation=snake)` takes it as any function of tensors.

    >>> import math, fastnn
    >>> def slope(x, a=1.0):
    ...     return 1 + math.sin(2 * a * x)
    >>> @fastnn.elementwise(derivative=slope)
    ... def snake(x, a=1.0):
    ...     return x + math.sin(a * x) ** 2 / a
    >>> snake([0.0, 1.0], a=2.0).numpy()
    array([0.       , 1.4134109], dtype=float32)
    """
    if function is None:
        return lambda f: elementwise(f, derivative=derivative, domain=domain)
    if not isinstance(function, FunctionType):
        raise TypeError(f"elementwise: expected a function of numbers; got {function!r}")
    helper = rewritten(function)
    formula = Formula(helper)
    given = derivative if isinstance(derivative, tuple | list) else [derivative]
    derivatives = [] if derivative is None else list(given)
    if not formula.names:
        raise ValueError(
            f"elementwise: {function.__name__} takes no input: arguments without a default are "
            "inputs, the others attributes"
        )
    if derivatives and len(derivatives) != len(formula.names):
        raise ValueError(
            f"elementwise: {function.__name__} has {len(formula.names)} inputs, "
            f"{', '.join(formula.names)}; derivative must be a tuple with one function for each; "
            f"got {len(derivatives)}"
        )
    for name, one in zip(formula.names, derivatives, strict=False):
        _expect_derivative(function, one, formula.names.index(name), formula, domain)
    gradients = tuple([_gradient(formula, one) for one in derivatives])
    doc = inspect.getdoc(function) or f"{function.__name__}({', '.join(formula.names)})."
    op = record_of(
        helper,
        gradient=gradients or None,
        reference=None,
        doc=doc,
        few=True,
        signed=True,
    )
    object.__setattr__(op, "__wrapped__", function)
    if not derivatives:
        object.__setattr__(op, "gradient", _no_gradient)
    return op


def _no_gradient(g: Any, dys: Any, inputs: Any, outputs: Any, **_: Any) -> None:
    raise ValueError(
        "an op of fastnn.elementwise was given no derivative, and a gradient is asked of it: "
        "fastnn.elementwise(derivative=...); of one that is constant, lambda x: 0.0"
    )


def _gradient(formula: Formula, derivative: Any) -> Helper:
    """dy times the derivative, of inputs, dy and attributes."""
    names, own = formula.names, rewritten(derivative)
    defaults = [f"{name}={value!r}" for name, value in formula.defaults.items()]
    taken = inspect.signature(derivative).parameters
    passed = [n for n in (*names, *formula.defaults) if n in taken]
    text = (
        f"def gradient({', '.join([*names, '_dy_', *defaults])}):\n"
        f"    return _dy_ * _derivative_({', '.join(passed)})\n"
    )
    scope: dict[str, Any] = {"_derivative_": own, "__name__": derivative.__module__}
    exec(compile(text, f"<gradient of {formula.name}>", "exec"), scope)
    made = scope["gradient"]
    sources[made] = (sources.get(own.function) or b"") + text.encode()
    return Helper(made)


# ---- the check


def _expect_derivative(
    function: FunctionType,
    derivative: Any,
    place: int,
    formula: Formula,
    domain: tuple[float, float],
) -> None:
    """Raise unless a derivative is that of the function, by differences in float64."""
    if not isinstance(derivative, FunctionType):
        raise TypeError(
            f"elementwise: derivative of {function.__name__} must be a function of numbers; got "
            f"{derivative!r}"
        )
    known = (*formula.names, *formula.defaults)
    unknown = [n for n in inspect.signature(derivative).parameters if n not in known]
    if unknown:
        raise ValueError(
            f"elementwise: derivative of {function.__name__} takes {unknown[0]!r}, which the "
            f"function does not; {nearest(unknown[0], known)}"
        )
    takes = [n for n in formula.defaults if n in inspect.signature(derivative).parameters]
    named = {n: formula.defaults[n] for n in takes}
    inputs = [n for n in formula.names if n in inspect.signature(derivative).parameters]
    low, high = domain
    points = np.random.default_rng(0).uniform(low, high, (POINTS, len(formula.names)))
    smooth = 0
    for point in points.tolist():
        step = STEP * (1 + abs(point[place]))
        at, before, after = (
            _value(function, [*point[:place], point[place] + d, *point[place + 1 :]])
            for d in (0.0, -step, step)
        )
        left, right, middle = (at - before) / step, (after - at) / step, (after - before) / 2 / step
        values = dict(zip(formula.names, point, strict=True))
        got = _value(derivative, [values[n] for n in inputs], named)
        scale = 1 + abs(middle)
        if not all(map(math.isfinite, (left, right, got))) or abs(left - right) > 1e-2 * scale:
            continue  # a kink, or outside of where it is defined
        smooth += 1
        if abs(got - middle) > TOLERANCE * scale:
            where = ", ".join(f"{n}={v:.6g}" for n, v in values.items())
            raise ValueError(
                f"elementwise: the derivative of {function.__name__} with respect to "
                f"{formula.names[place]} is wrong: at {where} it gives {got:.6g}; differences "
                f"give {middle:.6g}"
            )
    if not smooth:
        raise ValueError(
            f"elementwise: {function.__name__} has no finite differences at {POINTS} points of "
            f"{domain}; give the domain that it is defined on"
        )


def _value(function, arguments, named=MappingProxyType({})):
    try:
        with np.errstate(all="ignore"):
            return float(function(*arguments, **named))
    except (ArithmeticError, ValueError):  # as math has it where NumPy gives NaN
        return math.nan
