"""Arithmetic and comparisons, element by element, and elements as another type's."""

from math import inf

import numpy as np

from fastnn import dtypes
from fastnn.kernels.declare import ANY, NUMBERS
from fastnn.kernels.reference import elementwise as reference
from fastnn.kernels.scalar import Formula, arithmetic

from .elementwise import EXTREMES, PASS, elementwise
from .record import Case, Op

negative = elementwise(
    arithmetic.negative,
    dtypes=NUMBERS,
    gradient=arithmetic.negative_gradient,
    saves="y",
    reference=np.negative,
    edges=EXTREMES,
    doc="-x.",
)
abs = elementwise(
    arithmetic.absolute,
    name="abs",
    aliases=("absolute",),
    dtypes=NUMBERS,
    gradient=arithmetic.absolute_gradient,
    reference=reference.absolute,
    edges=EXTREMES,
    doc="|x|; its gradient at 0 is 0.",
)
square = elementwise(
    arithmetic.square,
    dtypes=NUMBERS,
    gradient=arithmetic.square_gradient,
    reference=np.square,
    edges=EXTREMES,
    doc="x^2.",
)
add = elementwise(
    arithmetic.add,
    dtypes=ANY,
    gradient=(PASS, PASS),
    reference=np.add,
    edges=EXTREMES,
    doc="x + y; of booleans, whether either is True.",
)
subtract = elementwise(
    arithmetic.subtract,
    dtypes=NUMBERS,
    gradient=(PASS, arithmetic.subtract_gradient_y),
    reference=np.subtract,
    edges=EXTREMES,
    doc="x - y.",
)
multiply = elementwise(
    arithmetic.multiply,
    dtypes=ANY,
    gradient=(arithmetic.multiply_gradient_x, arithmetic.multiply_gradient_y),
    reference=np.multiply,
    edges=EXTREMES,
    doc="x y; of booleans, whether both are True.",
)
divide = elementwise(
    arithmetic.divide,
    gradient=(arithmetic.divide_gradient_x, arithmetic.divide_gradient_y),
    reference=np.divide,
    edges=EXTREMES,
    domain=(0.5, 4.0),
    aliases=("true_divide",),
    doc="x / y, as IEEE 754 has it for y = 0.",
)
maximum = elementwise(
    arithmetic.maximum,
    dtypes=ANY,
    gradient=(arithmetic.maximum_gradient_x, arithmetic.maximum_gradient_y),
    reference=lambda x, y: np.where((np.real(x) >= np.real(y)) | np.isnan(x), x, y),
    edges=EXTREMES,
    doc="The larger of x and y, NaN if either is; where they are equal the gradient goes to x.",
)
minimum = elementwise(
    arithmetic.minimum,
    dtypes=ANY,
    gradient=(arithmetic.minimum_gradient_x, arithmetic.minimum_gradient_y),
    reference=lambda x, y: np.where((np.real(x) <= np.real(y)) | np.isnan(x), x, y),
    edges=EXTREMES,
    doc="The smaller of x and y, NaN if either is; where they are equal the gradient goes to x.",
)


def _nonzero(condition):
    """What `where` does of a condition alone."""
    from .create import nonzero

    return nonzero(condition)


where = elementwise(
    arithmetic.where,
    conditions=1,
    dtypes=ANY,
    gradient=(None, arithmetic.where_gradient_x, arithmetic.where_gradient_y),
    alone=_nonzero,
    reference=np.where,
    cases=[
        Case(
            (
                lambda rng: rng.integers(0, 2, 131) > 0,
                *[lambda rng: rng.choice((-inf, inf, np.nan, -0.0, 0.0), 131)] * 2,
            )
        )
    ],
    doc="x where condition is True, y elsewhere. condition: bool; of other numbers 0 is False. Of "
    "a condition alone, where it is True: `nonzero`.",
)
squared_difference = elementwise(
    arithmetic.squared_difference,
    gradient=(
        arithmetic.squared_difference_gradient_x,
        arithmetic.squared_difference_gradient_y,
    ),
    reference=lambda x, y: (x - y) ** 2,
    edges=(0.0, 1.0, 1e10, inf, np.nan),
    doc="(x - y)^2.",
)


def _comparison(function, reference, words):
    return elementwise(
        function,
        result="b1",
        dtypes=ANY,
        reference=reference,
        edges=EXTREMES,
        compares=True,
        cases=[Case((lambda rng: rng.integers(0, 3, 131),) * 2)],
        doc=f"True where x {words} y, else False; NaN is unequal to everything.",
    )


equal = _comparison(arithmetic.equal, np.equal, "is")
not_equal = _comparison(arithmetic.not_equal, np.not_equal, "is not")
less = _comparison(arithmetic.less, np.less, "is less than")
less_equal = _comparison(arithmetic.less_equal, np.less_equal, "is at most")
greater = _comparison(arithmetic.greater, np.greater, "is greater than")
greater_equal = _comparison(arithmetic.greater_equal, np.greater_equal, "is at least")


def _cast_infer(x, *, dtype):
    return [(x.shape, dtypes.expected(dtype, "astype"))]


def _cast_gradient(g, dys, inputs, outputs, dtype):
    g.gradient(0, cast, dys[0], dtype=inputs[0].dtype)


# x as another element type: see `Tensor.astype`.
cast = Op(
    "cast",
    _cast_infer,
    kernels="movement.cast",
    gradient=_cast_gradient,
    dtypes=dtypes.ANY,
    flops=0,
)


def _test_of_floats(function, reference, words):
    return elementwise(
        function, result="b1", reference=reference, edges=EXTREMES, few=True, doc=words
    )


isnan = _test_of_floats(arithmetic.isnan, np.isnan, "Whether x is NaN.")
isinf = _test_of_floats(arithmetic.isinf, np.isinf, "Whether x is infinite.")
isfinite = _test_of_floats(
    arithmetic.isfinite, np.isfinite, "Whether x is neither NaN nor infinite."
)


def _logical(function, reference, words):
    return elementwise(
        function,
        conditions=len(Formula(function).names),
        result="b1",
        reference=reference,
        few=True,
        doc=words,
    )


logical_and = _logical(arithmetic.logical_and, np.logical_and, "Whether both are True.")
logical_or = _logical(arithmetic.logical_or, np.logical_or, "Whether x or y, or both, are True.")
logical_xor = _logical(arithmetic.logical_xor, np.logical_xor, "Whether one of them is True.")
logical_not = _logical(arithmetic.logical_not, np.logical_not, "Whether x is False.")
