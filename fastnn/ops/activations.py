"""Activations, element by element, and what is made of them. `kernels/scalar/activations.py` has
their formulas; softmax, of rows, is in losses.py."""

from math import inf
from typing import Any

import numpy as np

from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.reference import elementwise as reference
from fastnn.kernels.scalar import activations, elementary, special

from .arithmetic import divide, greater, multiply, negative, subtract, where
from .composite import composite
from .elementary import tanh
from .elementwise import EXTREMES, elementwise
from .join import split
from .record import Case, expect_axis
from .reduce import sum
from .scans import cumsum
from .shapes import stop_gradient
from .sorting import sort

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
gelu_erf = elementwise(
    special.gelu,
    name="gelu_erf",
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
    aliases=("swish",),
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


def _by_pieces(x, *pieces):
    """Of (limit, value): the first whose limit is above x, else x."""
    y = x
    for limit, value in reversed(pieces):
        y = np.where(np.real(x) < limit, value, y)
    return y


def _activation(formula, gradient, reference, edges, doc, **record):
    return elementwise(
        formula,
        gradient=gradient,
        fusable=False,
        reference=reference,
        edges=edges,
        few=True,
        doc=doc,
        **{"flops": 4, "instructions": (2, 2), **record},
    )


celu = _activation(
    activations.celu,
    activations.celu_gradient,
    lambda x, alpha=1.0: np.where(np.real(x) < 0, alpha * np.expm1(x / alpha), x),
    (*EXTREMES, -1e-6, -88.0, 100.0),
    "x, or alpha (e^(x / alpha) - 1) where x is negative.",
    tested=({"alpha": 0.3},),
    flops=23,
    instructions=(15, 21),
)
selu = _activation(
    activations.selu,
    activations.selu_gradient,
    lambda x: (
        activations.SELU_SCALE * np.where(np.real(x) < 0, activations.SELU_ALPHA * np.expm1(x), x)
    ),
    (*EXTREMES, -1e-6, -88.0, 100.0),
    "1.0507009873554805 x, or 1.758099340847377 (e^x - 1) where x is negative.",
    saves="y",
    flops=23,
    instructions=(13, 18),
)
log_sigmoid = _activation(
    activations.log_sigmoid,
    activations.log_sigmoid_gradient,
    lambda x: -reference.softplus(-x),
    (*EXTREMES, 100.0, -80.0, 800.0),
    "log(sigmoid(x)) = -log(1 + e^-x).",
    flops=36,
    gradient_flops=21,
    instructions=(20, 31),
)
mish = _activation(
    activations.mish,
    activations.mish_gradient,
    lambda x: x * np.tanh(reference.softplus(x)),
    (inf, np.nan, 0.0, 1.0, 1e30, 45.0),
    "x tanh(softplus(x)).",
    flops=26,
    gradient_flops=32,
    instructions=(17, 24),
)
squareplus = _activation(
    activations.squareplus,
    activations.squareplus_gradient,
    lambda x, b=4.0: (x + np.sqrt(x * x + b)) / 2,
    (inf, np.nan, 0.0, 1.0, -1.0),
    "(x + sqrt(x^2 + b)) / 2.",
    tested=({"b": 0.5},),
    flops=8,
    instructions=(14, 21),
)
hard_silu = _activation(
    activations.hard_silu,
    activations.hard_silu_gradient,
    lambda x: _by_pieces(x, (-3, 0.0), (3, x * (x + 3) / 6)),
    (*EXTREMES, 3.0),
    "x hard_sigmoid(x): 0 up to -3, x from 3 on, x (x + 3) / 6 between.",
    aliases=("hard_swish",),
)
hard_tanh = _activation(
    activations.hard_tanh,
    activations.hard_tanh_gradient,
    lambda x: np.where(np.real(x) > 1, 1.0, _by_pieces(x, (-1, -1.0))),
    EXTREMES,
    "x, but -1 at least and 1 at most; its gradient at -1 and 1 is 1, as on JAX and TensorFlow.",
)
soft_shrink = _activation(
    activations.soft_shrink,
    activations.shrink_gradient,
    lambda x, threshold=0.5: np.where(
        np.abs(np.real(x)) <= threshold, 0.0, x - threshold * np.sign(np.real(x))
    ),
    (*EXTREMES, 0.5, -0.5),
    "x, threshold nearer to 0; 0 where |x| is at most the threshold. NaN stays.",
    tested=({"threshold": 1.5},),
)
hard_shrink = _activation(
    activations.hard_shrink,
    activations.shrink_gradient,
    lambda x, threshold=0.5: np.where(np.abs(np.real(x)) <= threshold, 0.0, x),
    (*EXTREMES, 0.5, -0.5),
    "x; 0 where |x| is at most the threshold. NaN stays.",
    tested=({"threshold": 1.5},),
)
sparse_plus = _activation(
    activations.sparse_plus,
    activations.sparse_plus_gradient,
    lambda x: _by_pieces(x, (-1, 0.0), (1, (x + 1) ** 2 / 4)),
    EXTREMES,
    "0 up to -1, x from 1 on, (x + 1)^2 / 4 between.",
)
sparse_sigmoid = _activation(
    activations.sparse_sigmoid,
    activations.sparse_sigmoid_gradient,
    lambda x: np.where(np.real(x) > 1, 1.0, _by_pieces(x, (-1, 0.0), (1, (x + 1) / 2))),
    EXTREMES,
    "0 up to -1, 1 from 1 on, (x + 1) / 2 between; its gradient at -1 and 1 is 0.",
)


# ---- made of others

FEW = [Case(((131,),)), Case(((3, 5, 7),))]


@composite(
    reference=lambda x, approximate=True: (
        reference.gelu_tanh(x) if approximate else reference.gelu(x)
    ),
    cases=[*FEW, Case(((131,),), {"approximate": False})],
)
def gelu(x: Any, *, approximate: bool = True) -> Any:
    """x Phi(x), Phi being the normal CDF; by default, as in Keras, x (1 + tanh(sqrt(2 / pi) (x +
    0.044715 x^3))) / 2 instead, which is within 5e-4 of it."""
    return gelu_tanh(x) if approximate else gelu_erf(x)


@composite(reference=lambda x: _by_pieces(np.where(np.real(x) > 6, 6.0, x), (0, 0.0)), cases=FEW)
def relu6(x: Any) -> Any:
    """max(x, 0), but 6 at most; its gradient at 0 and 6 is 0."""
    return general_relu(x, max_value=6.0)


@composite(reference=lambda x: x - np.tanh(x), cases=FEW)
def tanh_shrink(x: Any) -> Any:
    """x - tanh(x)."""
    return subtract(x, tanh(x))


@composite(
    reference=lambda x, threshold, default_value: np.where(
        np.real(x) > threshold, x, default_value
    ),
    cases=[Case(((131,),), {"threshold": 0.5, "default_value": -2.0})],
)
def threshold(x: Any, *, threshold: float, default_value: float) -> Any:
    """x where it is above the threshold, default_value elsewhere, where the gradient is 0."""
    return where(greater(x, threshold), x, default_value)


def _glu(x, axis=-1):
    a, b = np.split(x, 2, axis)
    return a * reference.sigmoid(b)


@composite(reference=_glu, cases=[Case(((10,),)), Case(((3, 4, 5),), {"axis": 1}), Case(((7, 2),))])
def glu(x: Any, *, axis: int = -1) -> Any:
    """a sigmoid(b), a and b being the halves of x along axis (Dauphin et al., 2017)."""
    axis = expect_axis("glu", axis, x.shape)
    if x.shape[axis] % 2:
        raise ShapeError(
            f"glu: x must have an even extent along axis {axis}; got shape {shape_text(x.shape)}"
        )
    a, b = split(x, 2, axis)
    return multiply(a, sigmoid(b))


def _sparsemax(x, axis=-1):
    real = np.real(x)
    z = -np.sort(-real, axis=axis)
    shape = [-1 if d == axis % x.ndim else 1 for d in range(x.ndim)]
    counts = np.arange(1, x.shape[axis] + 1).reshape(shape)
    support = z * counts > np.cumsum(z, axis=axis) - 1
    size = support.sum(axis=axis, keepdims=True)
    level = (np.where(support, z, 0).sum(axis=axis, keepdims=True) - 1) / size
    inside = real > level
    return np.where(inside, x - (np.where(inside, x, 0).sum(axis, keepdims=True) - 1) / size, 0)


@composite(
    reference=_sparsemax,
    cases=[Case(((5,),), terms=5), Case(((9, 7),), terms=7), Case(((3, 4, 5),), {"axis": 1}, 4)],
)
def sparsemax(x: Any, *, axis: int = -1) -> Any:
    """max(x - level, 0), the level such that the sum along axis is 1: the nearest point of the
    simplex (Martins and Astudillo, 2016). In Keras 3.15 the sum is 1 only where one element is
    left."""
    axis = expect_axis("sparsemax", axis, x.shape)
    z = stop_gradient(x)
    down = negative(sort(negative(z), axis=axis))
    counts = np.arange(1.0, x.shape[axis] + 1, dtype=x.dtype)
    counts = counts.reshape([-1 if d == axis else 1 for d in range(x.ndim)])
    in_order = greater(multiply(down, counts), subtract(cumsum(down, axis=axis), 1.0))
    inside = greater(z, _level(down, in_order, axis))
    return where(inside, subtract(x, _level(x, inside, axis)), 0.0)


def _level(x, inside, axis):
    """By how much the elements inside are more than 1 together, for each of them."""
    total = subtract(sum(where(inside, x, 0.0), axis=axis, keepdims=True), 1.0)
    return divide(total, sum(inside, axis=axis, keepdims=True))
