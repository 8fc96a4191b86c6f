"""Ops made of ops: no kernel, and the gradient of what they call. The tape fuses them."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from .record import Op, expect_dtype


def composite(**record: Any) -> Callable[[Callable], Op]:
    """Decorates a function of tensors that calls ops, inputs first, attributes by name: the op that
    it is. Its documentation is the op's."""

    def made(function):
        name, parameters = function.__name__, signature(function)

        def infer(*inputs, **attributes):
            given = parameters.bind(*inputs, **attributes)
            expect_dtype(name, op.dtypes, **dict(zip(given.arguments, inputs, strict=False)))
            results = function(*inputs, **attributes)
            return list(results) if isinstance(results, tuple) else [results]

        setattr(infer, "__signature__", parameters)  # noqa: B010
        op = Op(name, infer, composite=True, doc=function.__doc__, **record)
        return op

    return made
