"""Elementary functions, element by element, and those of the normal distribution."""

import numpy as np

from fastnn.errors import RecordingError
from fastnn.kernels.declare import NUMBERS
from fastnn.kernels.reference import elementwise as reference
from fastnn.kernels.scalar import (
    activations,
    arithmetic,
    elementary,
    error_functions,
    exponential,
    special,
)
from fastnn.kernels.scalar import power as powers

from .elementwise import EXTREMES, elementwise

exp = elementwise(
    elementary.exp,
    gradient=arithmetic.exp_gradient,
    saves="y",
    reference=np.exp,
    edges=(*EXTREMES, 88.72283, 88.72284, -87.33, -104.0, 709.78, 709.79),
    flops=20,
    instructions=(11, 17),
    doc="e^x.",
)
log = elementwise(
    elementary.log,
    gradient=arithmetic.log_gradient,
    reference=np.log,
    edges=(*EXTREMES, 1.1754944e-38, 0.99999994),
    domain=(0.01, 4.0),
    flops=26,
    gradient_flops=1,
    instructions=(16, 20),
    doc="The natural logarithm; -inf at 0, NaN below.",
)
sqrt = elementwise(
    arithmetic.sqrt,
    gradient=arithmetic.sqrt_gradient,
    saves="y",
    reference=np.sqrt,
    edges=EXTREMES,
    domain=(0.01, 4.0),
    instructions=(10, 16),
    doc="The square root; NaN below 0.",
)
tanh = elementwise(
    elementary.tanh,
    gradient=activations.tanh_gradient,
    saves="y",
    reference=np.tanh,
    edges=(*EXTREMES, 10.0, -20.0, 1e-4),
    flops=22,
    instructions=(13, 16),
    doc="(e^x - e^-x) / (e^x + e^-x).",
)
erf = elementwise(
    special.erf,
    gradient=special.erf_gradient,
    reference=reference.erf,
    edges=(*EXTREMES, 1.2, -6.0, 1e-20),
    flops=34,
    instructions=(22, 54),
    doc="The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x.",
)


def _expect_whole_powers(x, y):
    """Of what a recorded step computes nothing is known, nor asked."""
    try:
        lowest = y.numpy().min(initial=0)
    except RecordingError:
        return
    if lowest < 0:
        raise ValueError(
            f"power: integers have no powers of negative integers; got {lowest}. Make floats of "
            "them first, as in x.astype('float32')."
        )


erfc = elementwise(
    error_functions.erfc,
    gradient=error_functions.erfc_gradient,
    reference=reference.erfc,
    edges=(*EXTREMES, 0.5, 0.49999997, 2.0, 5.0, 9.0, 12.0, 27.0, -6.0, 1e-20),
    few=True,
    flops=70,
    doc="1 - erf(x), with all its digits however small it is.",
)
erfinv = elementwise(
    error_functions.erfinv,
    gradient=error_functions.erfinv_gradient,
    saves="y",
    fusable=False,
    reference=reference.erfinv,
    domain=(-0.95, 0.95),
    few=True,
    flops=300,
    doc="The x of which erf is: infinite at 1 and -1, NaN beyond.",
)
power = elementwise(
    powers.power,
    expect_integers=_expect_whole_powers,
    dtypes=NUMBERS,
    gradient=(powers.power_gradient_x, powers.power_gradient_y),
    reference=reference.power,
    edges=(*EXTREMES, 0.5, 2.0, 3.0, -2.5),
    domain=(0.5, 4.0),
    flops=80,
    instructions=(46, 62),
    doc="x^y, as IEEE 754 has it for 0, infinity and negative x; the gradient of y is 0 where x is "
    "not positive. Of integers an integer; a negative y is refused, as in NumPy, where it is "
    "known, else the fraction is left out.",
)
expm1 = elementwise(
    exponential.expm1,
    gradient=exponential.expm1_gradient,
    saves="y",
    fusable=False,
    reference=reference.expm1,
    edges=(*EXTREMES, 1e-10, -1e-10, 88.72283, 88.72284, -104.0, 709.78, 709.79),
    few=True,
    flops=22,
    instructions=(13, 19),
    doc="e^x - 1, with all its digits next to 0.",
)
log1p = elementwise(
    exponential.log1p,
    gradient=exponential.log1p_gradient,
    reference=np.log1p,
    edges=(*EXTREMES, 1e-10, -1e-10, -2.0, -0.99999994),
    domain=(-0.9, 4.0),
    few=True,
    flops=30,
    gradient_flops=2,
    instructions=(20, 25),
    doc="ln(1 + x), with all its digits next to 0; -inf at -1, NaN below.",
)
log2 = elementwise(
    exponential.log2,
    gradient=exponential.log2_gradient,
    reference=np.log2,
    edges=(*EXTREMES, 1024.0, 0.125, 1.1754944e-38, 0.99999994),
    domain=(0.01, 4.0),
    few=True,
    flops=28,
    gradient_flops=2,
    instructions=(17, 22),
    doc="The logarithm of base 2, exact for its powers; -inf at 0, NaN below.",
)
logaddexp = elementwise(
    exponential.logaddexp,
    gradient=(exponential.logaddexp_gradient_x, exponential.logaddexp_gradient_y),
    reference=reference.logaddexp,
    edges=EXTREMES,
    few=True,
    flops=36,
    gradient_flops=22,
    instructions=(22, 33),
    doc="ln(e^x + e^y), which does not overflow.",
)
rsqrt = elementwise(
    arithmetic.rsqrt,
    gradient=arithmetic.rsqrt_gradient,
    saves="y",
    fusable=False,
    reference=lambda x: 1 / np.sqrt(x),
    edges=EXTREMES,
    domain=(0.01, 4.0),
    few=True,
    flops=2,
    instructions=(13, 20),
    doc="1 / sqrt(x); infinite at 0, NaN below.",
)
hypot = elementwise(
    arithmetic.hypot,
    gradient=(arithmetic.hypot_gradient_x, arithmetic.hypot_gradient_y),
    saves="xy",
    reference=reference.hypot,
    edges=EXTREMES,
    few=True,
    flops=6,
    instructions=(15, 22),
    doc="sqrt(x^2 + y^2), which overflows only if the result does; its gradient at 0 is 0.",
)


def _inverse_hyperbolic(formula, gradient, reference, domain, edges, doc):
    return elementwise(
        formula,
        gradient=gradient,
        reference=reference,
        domain=domain,
        edges=(*EXTREMES, *edges),
        few=True,
        flops=40,
        gradient_flops=4,
        doc=doc,
    )


arcsinh = _inverse_hyperbolic(
    exponential.arcsinh, exponential.arcsinh_gradient, np.arcsinh, (-4.0, 4.0), (1e-10, 1e18),
    "The inverse of sinh: ln(x + sqrt(x^2 + 1)).",
)  # fmt: skip
arccosh = _inverse_hyperbolic(
    exponential.arccosh, exponential.arccosh_gradient, np.arccosh, (1.1, 4.0), (1.5, 1e18),
    "The inverse of cosh, from 0 on: ln(x + sqrt(x^2 - 1)); NaN below 1.",
)  # fmt: skip
arctanh = _inverse_hyperbolic(
    exponential.arctanh, exponential.arctanh_gradient, np.arctanh, (-0.9, 0.9), (1e-10, 0.999),
    "The inverse of tanh: ln((1 + x) / (1 - x)) / 2; infinite at 1 and -1, NaN beyond.",
)  # fmt: skip
