"""Every pointwise formula and its derivative, written once, for float32 and float64 and for every
device.

A formula takes and returns one number; the derivative below it takes what the formula's record
saves (its input x or its output y; both inputs of a function of two) and the upstream gradient, and
returns the gradient of the input. Both take the formula's attributes last; where they have
defaults, these are what it is fused into other kernels with.
"""

import os
from functools import cache
from importlib import import_module

from ..declare import Declaration


@cache
def formula(name):
    """The formula of this name: that of the op of one number that is called so."""
    for file in sorted(os.listdir(os.path.dirname(__file__))):
        if file.endswith(".py") and file != "__init__.py":
            found = getattr(import_module(f"{__name__}.{file[:-3]}"), name, None)
            if isinstance(found, Declaration):
                return found
    raise LookupError(f"kernels/scalar/ has no formula {name!r}")
