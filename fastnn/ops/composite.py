"""Ops made of ops: no kernel, and the gradient of what they call. The tape fuses them."""

from collections.abc import Callable
from typing import Any

from .record import Op, expect_dtype, parameters_of


def composite(**record: Any) -> Callable[[Callable], Op]:
    """Decorates a function of tensors that calls ops, inputs first, attributes by name: the op that
    it is. Its documentation is the op's, and its name, unless that is given."""

    def made(function):
        name, parameters = record.pop("name", function.__name__), parameters_of(function)
        names = parameters.inputs

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
            try:
                results = function(*inputs, **attributes)
            except IndexError as error:  # of an op within it, which nobody called
                _, colon, text = str(error).partition(": ")
                raise (IndexError(f"{name}: {text}") if colon else error) from None
            return list(results) if isinstance(results, tuple) else [results]

        doc = function.__doc__
        op = Op(name, infer, parameters=parameters, composite=True, doc=doc, **record)
        return op

    return made


def detached(x: Any) -> Any:
    """The same tensor, through which no gradient goes."""
    return x.view(x.shape)
