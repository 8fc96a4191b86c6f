"""Comparisons of elements, and elements as another type's."""

import numpy as np

from fastnn.errors import DTypeError
from fastnn.kernels.cpu import loops, reduce
from fastnn.kernels.declare import ANY
from fastnn.kernels.scalar import arithmetic

from .pointwise import FAR, PAIRS, of_pairs, together
from .record import FLOATS, Case, Op

BOOL = np.dtype("bool")


def _comparison(name, function, swapped, reference, doc):
    """The op z = function(x, y), or function(y, x) if `swapped`."""

    def infer(x, y):
        if x.dtype != y.dtype:
            raise DTypeError(
                f"{name}: x is {x.dtype} and y is {y.dtype}. Convert one of them, as in "
                "x.astype('float32')."
            )
        return [(together(name, x, y), BOOL)]

    forward = of_pairs(loops.binary(function, "b1", ANY))
    calls = (lambda outputs, inputs: forward(outputs, inputs[::-1])) if swapped else forward
    doc = (
        f"True where x {doc} y, else False; NaN is unequal to everything. x, y: any element type, "
        "both alike; shapes broadcast."
    )
    cases = [*[Case(pair) for pair in PAIRS], Case((lambda rng: rng.integers(0, 3, 131),) * 2)]
    return Op(name, infer, calls, None, reference, cases, FAR, compares=True, doc=doc)


equal = _comparison("equal", arithmetic.equal, False, np.equal, "is")
not_equal = _comparison("not_equal", arithmetic.not_equal, False, np.not_equal, "is not")
less = _comparison("less", arithmetic.less, False, np.less, "is less than")
less_equal = _comparison("less_equal", arithmetic.less_equal, False, np.less_equal, "is at most")
greater = _comparison("greater", arithmetic.less, True, np.greater, "is greater than")
greater_equal = _comparison(
    "greater_equal", arithmetic.less_equal, True, np.greater_equal, "is at least"
)


FROM = {np.dtype(letter): loops.cast_from(letter) for letter in loops.CASTS}


def _cast_infer(x, *, dtype):
    dtype = np.dtype(dtype)
    if dtype in FLOATS or dtype == x.dtype or (x.dtype == BOOL and dtype == np.dtype("int64")):
        return [(x.shape, dtype)]
    raise DTypeError(
        f"astype: expected float32 or float64, or int64 of a tensor of bool; got {dtype} of "
        f"{x.dtype}"
    )


def _cast_calls(outputs, inputs, dtype):
    (x,), out = inputs, outputs[0]
    return [(reduce.copy if x.dtype == out.dtype else FROM[x.dtype], (x.flat(), out.flat()))]


def _cast_gradient(g, dys, inputs, outputs, dtype):
    g.gradient(0, cast, dys[0], dtype=inputs[0].dtype)


# x as another element type, rounded to the nearest number; False is 0 and True is 1.
cast = Op("cast", _cast_infer, _cast_calls, _cast_gradient, flops=0)
