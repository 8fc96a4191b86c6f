"""Every pointwise formula and its derivative, written once, for float32 and float64 and for every
device.

A formula takes and returns one number of each array. The gradient below it takes what the formula's
record saves (its inputs or its output) and the upstream gradient, and returns the gradient of an
input. Both take the formula's attributes last, as numbers with defaults: with these it is fused
into other kernels.
"""

import os
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from ..declare import FLOATS, Declaration, by_dtype


class Far(NamedTuple):
    """The formula of numbers that another one, without branches, does not hold for: where
    is_far(size(x)), x the first input. Sizes are whole numbers, ordered as |x| is."""

    function: Any
    size: Any
    is_far: Any


class Formula(NamedTuple):
    """A formula as the loops of every device take it. Its arguments with a default are attributes,
    the others inputs. Types are those of elements: "T", or a fixed one such as "b1"."""

    function: Any
    results: tuple[str, ...] = ("T",)
    dtypes: tuple[str, ...] = FLOATS  # what T may be
    types: tuple[str, ...] = ()  # of the inputs, where they are not all T
    whole: int = 0  # so many of the last inputs have the results' shape; the others broadcast
    far: Far | None = None

    @property
    def name(self) -> str:
        return self.function.name

    @property
    def names(self) -> tuple[str, ...]:
        """Of the inputs."""
        given, defaults = self._arguments()
        return given[: len(given) - len(defaults)]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Their types."""
        return self.types or ("T",) * len(self.names)

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(self.defaults)

    @property
    def defaults(self) -> dict[str, float]:
        given, defaults = self._arguments()
        return dict(zip(given[len(given) - len(defaults) :], defaults, strict=True))

    def _arguments(self):
        helper = self.function
        helper = helper.choices["f4"] if isinstance(helper, by_dtype) else helper
        code = helper.function.__code__
        return code.co_varnames[: code.co_argcount], helper.function.__defaults__ or ()


@cache
def formula(name):
    """The formula of this name: that of the op of one number that is called so."""
    for file in sorted(os.listdir(os.path.dirname(__file__))):
        if file.endswith(".py") and file != "__init__.py":
            found = getattr(import_module(f"{__name__}.{file[:-3]}"), name, None)
            if isinstance(found, Declaration):
                return found
    raise LookupError(f"kernels/scalar/ has no formula {name!r}")
