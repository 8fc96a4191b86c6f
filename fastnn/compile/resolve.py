"""What a kernel's declarations (kernels/declare.py) are for one element type and one processor."""

import types
from collections.abc import Callable
from typing import Any

from fastnn.kernels.declare import (
    ELEMENTS,
    Declaration,
    Intrinsic,
    T,
    Target,
    by_dtype,
    global_values,
    machine,
)


class Specialiser:
    """Replaces declarations by what they are for one element type and processor. `element_type` is
    what T becomes; `helper(declaration, function)` and `intrinsic(declaration, function)` make the
    callable, given the function with its own declarations replaced. What is made is kept, so that
    a helper is made once however many kernels call it."""

    def __init__(
        self, dtype: str, target: Target, element_type: Any, helper: Callable, intrinsic: Callable
    ):
        self.dtype, self.target = dtype, target
        self.resolved: dict[Declaration, Any] = {T: element_type}
        self.helper, self.intrinsic = helper, intrinsic

    def bound(self, function: Callable) -> Callable:
        """The same function with every declaration among its globals and closure variables
        replaced."""
        scope = {
            **function.__globals__,
            **{n: self.resolve(v) for n, v in global_values(function).items()},
        }
        cells = tuple(
            types.CellType(self.resolve(c.cell_contents)) for c in function.__closure__ or ()
        )
        return types.FunctionType(
            function.__code__, scope, function.__name__, function.__defaults__, cells
        )

    def resolve(self, value: Any) -> Any:
        """What a declaration is here; anything else is itself."""
        if not isinstance(value, Declaration):
            return value
        if value not in self.resolved:
            self.resolved[value] = self._made(value)
        return self.resolved[value]

    def _made(self, declaration):
        if isinstance(declaration, by_dtype):
            return self.resolve(declaration.choices[self.dtype])
        if isinstance(declaration, machine):
            return declaration.rule(self.target, ELEMENTS[self.dtype].bytes)
        make = self.intrinsic if isinstance(declaration, Intrinsic) else self.helper
        return make(declaration, self.bound(declaration.function))
