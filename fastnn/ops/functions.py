"""What is public in `ops` and is a plain function: it takes or returns a list, takes no tensor, or
calls functions of the user's."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastnn.declared import as_declared
from fastnn.dtypes import ANY
from fastnn.errors import RecordingError

from .record import Case, Op


class Tested(NamedTuple):
    """A function with what tests compare it with; of a case's inputs it takes a list, if
    `takes_list`."""

    function: Callable
    reference: Callable
    cases: Sequence[Case]
    takes_list: bool


functions: dict[str, Callable] = {}
tested: dict[str, Tested] = {}


class Symbolic:
    """What `fastnn.symbolic` does with a call on symbolic tensors, which have no values. exist:
    whether one was ever made."""

    exist: ClassVar[bool] = False
    among: ClassVar[Callable[[Any], bool]]
    call: ClassVar[Callable[[Callable, tuple, dict], Any]]


def of_symbolic(function: Callable) -> Callable:
    """A function of tensors which, called on symbolic ones, is noted as one call."""

    @wraps(function)
    def call(*args, **kwargs):
        if Symbolic.exist and Symbolic.among((args, kwargs)):
            return Symbolic.call(call, args, kwargs)
        return function(*args, **kwargs)

    return call


def public(
    reference: Callable | None = None, cases: Sequence[Case] = (), takes_list: bool = False
) -> Callable[[Callable], Callable]:
    """Decorates a function that is public in `ops`."""

    def made(function):
        functions[function.__name__] = of_symbolic(as_declared(function))
        if reference is not None:
            tested[function.__name__] = Tested(function, reference, cases, takes_list)
        return function

    return made


# The same memory under the same shape: gives tensors of arrays and numbers, as any op does.
identity = Op(
    "convert_to_tensor",
    lambda x: [x.view(x.shape)],
    gradient=lambda g, dys, inputs, outputs: g.pass_on(0, dys[0]),
    dtypes=ANY,
    flops=0,
)


def as_tensor(x: Any) -> Any:
    """x as a tensor; what is one of fastnn's stays what it is."""
    return x if type(x).__module__.startswith("fastnn.") else identity(x)


def values_of(x: Any, refusal: str) -> np.ndarray:
    """x as an array; what a recorded step computes has no values yet: `refusal` says so, and names
    the way out."""
    try:
        return np.asarray(x)
    except RecordingError:
        raise RecordingError(refusal) from None


def tensors_of(name: str, argument: str, xs: Any) -> list:
    """A list of tensors of a list, or of the rows of a tensor or an array."""
    if not isinstance(xs, list | tuple):
        if not getattr(xs, "shape", ()):
            kind = type(xs).__name__
            raise TypeError(f"{name}: {argument} must be a list of tensors; got {kind}")
        rows = xs if hasattr(xs, "requires_gradient") else np.asarray(xs)
        xs = [rows[n] for n in range(rows.shape[0])]
    try:
        found = [as_tensor(x) for x in xs]
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(f"{name}: {argument}: {error}") from None
    if not found:
        raise ValueError(f"{name}: {argument} must be a list of at least one tensor; got none")
    return found
