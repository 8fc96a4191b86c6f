"""Bits of whole numbers, and what divides them, element by element. Nothing here has a gradient."""

from typing import Any

import numpy as np

from fastnn.dtypes import BOOL, INTEGERS, UINT8
from fastnn.kernels.scalar import bits

from .arithmetic import abs, equal, logical_not, multiply, where
from .composite import composite
from .elementwise import elementwise
from .record import Case
from .rounding import floor_divide

WHOLE = ("i8", "i4", "u1")


def _made(formula, reference, doc, dtypes=WHOLE, domain=(-99, 99), **record):
    return elementwise(
        formula,
        dtypes=dtypes,
        reference=reference,
        domain=domain,
        doc=doc,
        few=True,
        integers_as_floats=False,
        **record,
    )


def _of_each_bit(formula, reference, word):
    return _made(
        formula,
        reference,
        f"{word} of the bits of x and y; of booleans, of these.",
        (*WHOLE, "b1"),
    )


bitwise_and = _of_each_bit(bits.bitwise_and, np.bitwise_and, "And")
bitwise_or = _of_each_bit(bits.bitwise_or, np.bitwise_or, "Or")
bitwise_xor = _of_each_bit(bits.bitwise_xor, np.bitwise_xor, "Exclusive or")
left_shift = _made(
    bits.left_shift,
    np.left_shift,
    "x 2^y, its lowest bits as many as x has: 0 where they are all shifted out.",
    domain=(0, 80),
    aliases=("bitwise_left_shift",),
)
right_shift = _made(
    bits.right_shift,
    np.right_shift,
    "floor(x / 2^y).",
    domain=(0, 80),
    aliases=("bitwise_right_shift",),
)
gcd = _made(
    bits.gcd,
    np.gcd,
    "The greatest common divisor of |x| and |y|, by Euclid's algorithm; of x and 0 it is |x|.",
)


def _whole_numbers(shape):
    return lambda rng: rng.integers(-99, 99, shape)


@composite(
    reference=np.lcm,
    cases=[Case((_whole_numbers((131,)), _whole_numbers((131,))))],
    dtypes=INTEGERS,
    integers_as_floats=False,
)
def lcm(x: Any, y: Any) -> Any:
    """The least common multiple of |x| and |y|, 0 where one is 0. x, y: integers; shapes
    broadcast."""
    divisor = gcd(x, y)
    divisor = where(equal(divisor, 0), 1, divisor)
    return abs(multiply(floor_divide(x, divisor), y))


@composite(
    reference=np.bitwise_not,
    cases=[Case((_whole_numbers((131,)),))],
    dtypes=(*INTEGERS, BOOL),
    integers_as_floats=False,
    aliases=("bitwise_invert",),
)
def bitwise_not(x: Any) -> Any:
    """The other of each bit: -1 - x, of uint8 255 - x, of booleans whether x is False."""
    if x.dtype == BOOL:
        return logical_not(x)
    return bitwise_xor(x, np.array(255 if x.dtype == UINT8 else -1, x.dtype))
