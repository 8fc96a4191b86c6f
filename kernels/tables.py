"""Tables of numbers that kernels look up."""

import numpy as np

from .declare import intrinsic


def lookup(name, numbers):
    """The intrinsic `numbers[n]`, 0 where n is none of their places, called `name`. Whole numbers
    of 64 bits; they are chosen from, since a GPU's kernels have no memory to keep a table in."""

    def body(n):
        return np.int64(numbers[n] if 0 <= n < len(numbers) else 0)

    body.__name__ = name
    made = intrinsic("int <- int")(body)

    @made.lowering
    def _(emitter, n):
        builder, found = emitter.builder, n.type(0)
        for place, number in enumerate(numbers):
            is_here = builder.icmp_signed("==", n, n.type(place))
            found = builder.select(is_here, n.type(number), found)
        return found

    return made
