"""How a layer comes to be built once, by its first call or by a program; small things that it and
models share."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from fastnn.locks import making

in_work: list[Any] = []  # layers whose `build` runs, of the thread that holds `making`


def once(build: Callable[..., None]) -> Callable[..., None]:
    """A class's `build` as a program may call it: of a layer that is not built it does what the
    first call would do, and of one that is built nothing."""

    @wraps(build)
    def built(self: Any, *shapes: Any, **named: Any) -> None:
        given = (*shapes, *named.values())
        with making:
            if any([layer is self for layer in in_work]) or len(given) != 1 or given[0] is None:
                build(self, *shapes, **named)
            else:
                self.build_for(tuple_of(given[0]))

    return built


def tuple_of(shape: Any) -> Any:
    """A shape, or a structure of shapes, of JSON's lists."""
    return of_shapes(lambda one: one, shape)


def of_shapes(function: Callable[[Any], Any], shape: Any) -> Any:
    """A structure with function(shape) in the place of each shape in it."""
    if isinstance(shape, dict):
        return {key: of_shapes(function, inner) for key, inner in shape.items()}
    if all([extent is None or isinstance(extent, int | np.integer) for extent in shape]):
        return function(tuple(shape))
    return [of_shapes(function, inner) for inner in shape]


class derived:
    """A property in whose place an object may have an attribute of its own."""

    def __init__(self, function: Callable[[Any], Any]):
        self.function, self.__doc__ = function, function.__doc__

    def __get__(self, obj, kind=None):
        return self if obj is None else self.function(obj)


def one_or_all(found: list[Any]) -> Any:
    """The one thing in a list, or the list of several."""
    return found[0] if len(found) == 1 else found
