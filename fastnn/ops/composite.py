"""Ops made of ops: no kernel, and the gradient of what they call. The tape fuses them."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np

from .arithmetic import subtract
from .elementary import exp, log
from .record import Case, Op, expect_dtype
from .reduce import expect_some, max, normal_axes, reduced_shape, sum


def composite(**record: Any) -> Callable[[Callable], Op]:
    """Decorates a function of tensors that calls ops, inputs first, attributes by name: the op that
    it is. Its documentation is the op's, and its name, unless that is given."""

    def made(function):
        name, parameters = record.pop("name", function.__name__), signature(function)
        names = list(parameters.parameters)

        def infer(*inputs, **attributes):
            alike = {
                n: x
                for i, (n, x) in enumerate(zip(names, inputs, strict=False))
                if i not in op.fixed
            }
            expect_dtype(name, op.dtypes, **alike)
            for i, dtype in op.fixed.items():
                if i < len(inputs):
                    expect_dtype(name, (dtype,), **{names[i]: inputs[i]})
            results = function(*inputs, **attributes)
            return list(results) if isinstance(results, tuple) else [results]

        setattr(infer, "__signature__", parameters)  # noqa: B010
        op = Op(name, infer, composite=True, doc=function.__doc__, **record)
        return op

    return made


def detached(x: Any) -> Any:
    """The same tensor, through which no gradient goes."""
    return x.view(x.shape)


def _log_softmax(x, axis=-1):
    shifted = x - np.max(np.real(x), axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


@composite(
    reference=_log_softmax,
    cases=[
        Case((shape,), {"axis": axis}, terms=shape[axis], domain=domain)
        for shape, axis in [
            ((1,), 0), ((5,), -1), ((5, 7), -1), ((5, 7), 0), ((33, 65), 1), ((4, 3, 17), 1),
            ((9, 131), -1), ((0, 3), 1),
        ]
        for domain in ((-4.0, 4.0), (-1e3, 1e3))
    ] + [Case((lambda rng: rng.choice((-np.inf, -700.0, 700.0), (9, 20)),))],
)  # fmt: skip
def log_softmax(x: Any, *, axis: Any = -1) -> Any:
    """x - log(sum of e^x), the sum along axis: the logarithm of softmax, which neither overflows
    nor is -inf where that is 0. axis: an integer, several, or None for all."""
    axes = normal_axes("log_softmax", axis)
    reduced_shape("log_softmax", x.shape, axes, True)
    expect_some("log_softmax", x.shape, axes)
    # the shift cancels: no gradient need go through it
    shifted = subtract(x, detached(max(x, axis=axes, keepdims=True)))
    return subtract(shifted, log(sum(exp(shifted), axis=axes, keepdims=True)))
