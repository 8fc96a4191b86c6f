"""Elementary functions, element by element, and those of the normal distribution."""

import numpy as np

from fastnn.kernels.reference import elementwise as reference
from fastnn.kernels.scalar import activations, arithmetic, elementary, special
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
power = elementwise(
    powers.power,
    gradient=(powers.power_gradient_x, powers.power_gradient_y),
    reference=reference.power,
    edges=(*EXTREMES, 0.5, 2.0, 3.0, -2.5),
    domain=(0.5, 4.0),
    flops=80,
    instructions=(46, 62),
    doc="x^y, as IEEE 754 has it for 0, infinity and negative x; the gradient of y is 0 where x is "
    "not positive.",
)
