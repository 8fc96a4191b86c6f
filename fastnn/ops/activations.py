"""Activations, element by element. `kernels/scalar/activations.py` has their formulas; softmax, of
rows, is in softmax.py."""

from math import inf

import numpy as np

from fastnn.kernels.reference import elementwise as reference
from fastnn.kernels.scalar import activations, elementary, special

from .elementwise import EXTREMES, elementwise

relu = elementwise(
    activations.relu,
    gradient=activations.relu_gradient,
    saves="y",
    reference=lambda x: np.where(np.real(x) < 0, 0.0, x),
    edges=(-inf, inf, np.nan, 1e30, -1e30),
    doc="max(x, 0); its gradient at 0 is 0.",
)
sigmoid = elementwise(
    elementary.sigmoid,
    gradient=activations.sigmoid_gradient,
    saves="y",
    reference=reference.sigmoid,
    edges=(*EXTREMES, -88.0, 88.0, -700.0),
    flops=20,
    instructions=(11, 18),
    loss_reads_input=True,
    doc="1 / (1 + e^-x).",
)
gelu = elementwise(
    special.gelu,
    gradient=special.gelu_gradient,
    reference=reference.gelu,
    edges=(inf, np.nan, 0.0, 1e30, 9.0),
    flops=21,
    instructions=(14, 40),
    doc="x Phi(x), Phi being the normal CDF.",
)
gelu_tanh = elementwise(
    activations.gelu_tanh,
    gradient=activations.gelu_tanh_gradient,
    reference=reference.gelu_tanh,
    edges=(inf, np.nan, 0.0, 1e30, 9.0),
    flops=25,
    instructions=(15, 22),
    doc="gelu by way of tanh: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.",
)
silu = elementwise(
    activations.silu,
    gradient=activations.silu_gradient,
    reference=lambda x: x / (1 + np.exp(-x)),
    edges=(inf, np.nan, 0.0, 1.0, 1e30),
    flops=21,
    instructions=(12, 19),
    doc="x sigmoid(x).",
)
softplus = elementwise(
    activations.softplus,
    gradient=activations.softplus_gradient,
    saves="y",
    reference=reference.softplus,
    edges=(*EXTREMES, 100.0, -80.0, -800.0),
    flops=36,
    gradient_flops=20,
    instructions=(20, 31),
    doc="log(1 + e^x).",
)
leaky_relu = elementwise(
    activations.leaky_relu,
    gradient=activations.leaky_relu_gradient,
    saves="y",
    reference=lambda x, negative_slope=0.2: np.where(np.real(x) > 0, x, negative_slope * x),
    tested=({"negative_slope": 0.0}, {"negative_slope": 3.0}),
    edges=EXTREMES,
    flops=2,
    instructions=(2, 2),
    doc="x, or negative_slope x where x is negative; its gradient at 0 is negative_slope, as in "
    "PyTorch and TensorFlow.",
)
general_relu = elementwise(
    activations.general_relu,
    gradient=activations.general_relu_gradient,
    reference=reference.general_relu,
    tested=(
        {"negative_slope": 0.2},
        {"max_value": 2.0},
        {"negative_slope": 0.2, "max_value": 2.0, "threshold": 1.0},
    ),
    edges=(-inf, inf, np.nan, 1e30, -1e30),
    flops=4,
    instructions=(1, 1),
    doc="x, but max_value at most, and negative_slope (x - threshold) up to the threshold, where "
    "its gradient is negative_slope; from max_value on it is 0.",
)
elu = elementwise(
    activations.elu,
    gradient=activations.elu_gradient,
    saves="y",
    reference=lambda x, alpha=1.0: np.where(np.real(x) > 0, x, alpha * np.expm1(x)),
    tested=({"alpha": 0.3}, {"alpha": 0.0}),
    edges=(*EXTREMES, -1e-6, -88.0, 100.0),
    flops=22,
    instructions=(12, 17),
    doc="x, or alpha (e^x - 1) where x is negative.",
)
softsign = elementwise(
    activations.softsign,
    gradient=activations.softsign_gradient,
    saves="y",
    reference=lambda x: x / (1 + np.where(np.real(x) < 0, -x, x)),
    edges=EXTREMES,
    flops=3,
    instructions=(3, 4),
    doc="x / (1 + |x|).",
)
hard_sigmoid = elementwise(
    activations.hard_sigmoid,
    gradient=activations.hard_sigmoid_gradient,
    saves="y",
    reference=lambda x: np.where(np.real(x) < -3, 0.0, np.where(np.real(x) > 3, 1.0, (x + 3) / 6)),
    edges=(-inf, inf, np.nan, -3.0, 3.0, 0.0, 1e30, -4.0),
    flops=4,
    instructions=(1, 1),
    doc="(x + 3) / 6, but 0 at least and 1 at most; its gradient at -3 and 3 is 0.",
)
