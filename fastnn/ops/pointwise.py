"""Functions of one number and of two, applied to every element. To add one: its formula and
derivative in kernels/scalar/, and one record here. Functions of two broadcast as NumPy's do."""

from functools import lru_cache
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np

from fastnn.errors import ShapeError, shape_text
from fastnn.kernels import reference
from fastnn.kernels.cpu import loops
from fastnn.kernels.scalar import activations, arithmetic, elementary, power, special

from .record import Case, Constant, Op, expect_attribute, expect_float

# Sizes around a vector register (4 to 16 elements), around a thread's share (64), and a prime.
SIZES = (0, 1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 127, 131)
SHAPES = ((), *((n,) for n in SIZES), (3, 5, 7))
PAIRS = (
    *(((n,), (n,)) for n in SIZES),
    *(
        ((5, 7), (7,)),
        ((5, 1), (7,)),
        ((5, 7), ()),
        ((), (4, 17)),
        ((3, 1, 5), (4, 1)),
        ((2, 3, 4, 5), (3, 1, 5)),
        ((0, 3), (3,)),
    ),
)


def unary(
    name, function, derivative, saves, reference, doc, domain=(-4.0, 4.0), gradient_flops=None,
    attributes=None, tested=(), **record
):  # fmt: skip
    """The op y = function(x); `saves` says whether the derivative takes x or y. gradient_flops: of
    the derivative, a few unless given if it takes y, or as many as the function's. attributes:
    defaults of the numbers, from 0 on, that function and derivative take last; products are fused
    with the defaults. `tested`: what else to test them with."""
    attributes = attributes or {}
    count = len(attributes)
    forward = loops.unary_by(function, count) if count else loops.unary(function)
    backward = (
        loops.unary_gradient_by(derivative, count) if count else loops.unary_gradient(derivative)
    )

    def numbers(given):
        """Those that the kernels take; the formula may leave some."""
        values = [float(given.get(a, default)) for a, default in attributes.items()]
        return values + [0.0] * (len(loops.NUMBERS) - count) if count else []

    def changed(given):
        return {a: value for a, value in given.items() if value != attributes[a]}

    def infer(x, **given):
        dtype = expect_float(name, x=x)
        for attribute, value in given.items():
            expect_attribute(name, attribute, value, attributes, dtype)
        return [(x.shape, dtype)]

    gradient_op = Op(
        f"gradient of {name}",
        lambda saved, dy, **_: [(dy.shape, dy.dtype)],
        lambda outputs, inputs, **given: [
            (backward, (inputs[0].flat(), inputs[1].flat(), *numbers(given), outputs[0].flat()))
        ],
        flops=gradient_flops or (3.0 if saves == "y" else record.get("flops", 1.0)),
    )

    def gradient(g, dys, inputs, outputs, **given):
        g.gradient(
            0, gradient_op, inputs[0] if saves == "x" else outputs[0], dys[0], **changed(given)
        )

    op = Op(
        name,
        infer,
        calls=lambda outputs, inputs, **given: [
            (forward, (inputs[0].flat(), *numbers(given), outputs[0].flat()))
        ],
        gradient=gradient,
        reference=reference,
        cases=[Case((shape,), given, domain=domain) for given in ({}, *tested) for shape in SHAPES],
        names=tuple(attributes),
        doc=f"{doc} x: any shape, float32 or float64; the result has both.",
        takes_product=lambda **given: saves == "y" and not changed(given),
        **record,
    )
    if saves == "y":
        gradient_and_sums = _gradient_and_sums(name, derivative, gradient_op.flops + 1)
        from_output[name] = FromOutput(function, derivative, gradient_op, gradient_and_sums)
    return op


def _gradient_and_sums(name, derivative, flops):
    """The op of dx = derivative(y, dy), (N, C), and of the sums of its columns, (C,)."""
    return Op(
        f"gradient of {name} and its sums",
        lambda y, dy, *, accumulate=False: [(dy.shape, dy.dtype), (dy.shape[1:], dy.dtype)],
        kernels="loops.gradient_and_sums",
        formula=derivative,
        flops=flops,
        results=2,
        accumulates=True,
    )


class FromOutput(NamedTuple):
    """A function that can be fused into a product (matmul.linear), because its derivative needs the
    output only: its formula and derivative, the op of its gradient, and the one that gives, of (N,
    C), the sums of the gradient's columns as well."""

    formula: Any
    derivative: Any
    gradient: Op
    gradient_and_sums: Op


from_output: dict[str, FromOutput] = {}


@lru_cache(maxsize=1024)
def broadcast(x_shape, y_shape):
    """How two shapes run together: the result's shape, its (rows, columns), the inputs' steps
    within a row (0 or 1), and of each outer dimension (extent, step of x, step of y). Neighbouring
    dimensions that behave alike are one."""
    shape = np.broadcast_shapes(x_shape, y_shape)
    padded = [(1,) * (len(shape) - len(s)) + s for s in (x_shape, y_shape)]
    dims: list[list] = []  # [extent, x moves, y moves], outermost first
    for extent, *own in zip(shape, *padded, strict=True):
        moves = [e != 1 for e in own]
        if extent == 1:
            continue
        if dims and dims[-1][1:] == moves:
            dims[-1][0] *= extent
        else:
            dims.append([extent, *moves])
    columns, x_step, y_step = dims.pop() if dims else (1, True, True)
    x_size, y_size, outer = columns if x_step else 1, columns if y_step else 1, []
    for extent, x_moves, y_moves in reversed(dims):
        outer.insert(0, (extent, x_size if x_moves else 0, y_size if y_moves else 0))
        x_size, y_size = x_size * (extent if x_moves else 1), y_size * (extent if y_moves else 1)
    return (
        shape,
        (prod(e for e, *_ in dims), columns),
        int(x_step),
        int(y_step),
        Constant(np.array(outer, np.int64).reshape(-1, 3)),
    )


def together(name, x, y):
    """The shape of what is made of each pair of elements of x and y."""
    if x.shape == y.shape:
        return x.shape
    try:
        return broadcast(x.shape, y.shape)[0]
    except ValueError:
        raise ShapeError(
            f"{name}: shapes {shape_text(x.shape)} and {shape_text(y.shape)} do not broadcast: "
            "from the last dimension on, "
            "extents must be equal or 1."
        ) from None


def of_pairs(kernel):
    """The `calls` of a kernel that makes something of each pair of elements."""

    def calls(outputs, inputs):
        x, y = inputs
        _, rows, x_step, y_step, outer = broadcast(x.shape, y.shape)
        this = loops.in_one_row(kernel, x_step, y_step) if rows[0] == 1 else kernel
        return [(this, (x.flat(), y.flat(), outer, x_step, y_step, outputs[0].view(rows)))]

    return calls


def binary(name, function, derivatives, reference, doc, domain=(-4.0, 4.0), **record):
    """The op z = function(x, y); `derivatives` are those by x and by y, each a function of (x, y,
    dz)."""

    def infer(x, y):
        dtype = expect_float(name, x=x, y=y)
        return [(together(name, x, y), dtype)]

    def gradient_op(function):
        backward = loops.binary_gradient(function)

        def gradient_calls(outputs, inputs):
            x, y, dz = inputs
            _, rows, x_step, y_step, outer = broadcast(x.shape, y.shape)
            kernel = loops.in_one_row(backward, x_step, y_step) if rows[0] == 1 else backward
            return [
                (
                    kernel,
                    (
                        x.flat(),
                        y.flat(),
                        outer,
                        x_step,
                        y_step,
                        dz.view(rows),
                        outputs[0].view(rows),
                    ),
                )
            ]

        return Op(f"gradient of {name}", lambda x, y, dz: [(dz.shape, dz.dtype)], gradient_calls)

    gradient_ops = [None if d is arithmetic.pass_gradient else gradient_op(d) for d in derivatives]

    def gradient(g, dys, inputs, outputs):
        (dz,) = dys
        for i, op in enumerate(gradient_ops):
            if op is None:
                g.pass_on(i, dz)
            else:
                g.gradient(i, op, *inputs, dz)

    doc = f"{doc} x, y: float32 or float64, both alike; shapes broadcast."
    calls, cases = (
        of_pairs(loops.binary(function)),
        [Case(pair, domain=domain) for pair in PAIRS],
    )
    return Op(name, infer, calls, gradient, reference, cases, doc=doc, **record)


# where every function is compared with NumPy's
FAR = (-inf, inf, np.nan, 0.0, -0.0, 1.0, -1.0, 1e30, -1e30)

exp = unary(
    "exp", elementary.exp, arithmetic.exp_gradient, "y", np.exp, "e^x.",
    edges=(*FAR, 88.72283, 88.72284, -87.33, -104.0, 709.78, 709.79), flops=20,
    instructions=(11, 17),
)  # fmt: skip
log = unary(
    "log", elementary.log, arithmetic.log_gradient, "x", np.log,
    "The natural logarithm; -inf at 0, NaN below.",
    edges=(*FAR, 1.1754944e-38, 0.99999994), domain=(0.01, 4.0), flops=26, gradient_flops=1,
    instructions=(16, 20),
)  # fmt: skip
sqrt = unary(
    "sqrt", arithmetic.sqrt, arithmetic.sqrt_gradient, "y", np.sqrt,
    "The square root; NaN below 0.",
    edges=FAR, domain=(0.01, 4.0), instructions=(10, 16),
)  # fmt: skip
negative = unary(
    "negative",
    arithmetic.negative,
    arithmetic.negative_gradient,
    "y",
    np.negative,
    "-x.",
    edges=FAR,
)
absolute = unary(
    "absolute",
    arithmetic.absolute,
    arithmetic.absolute_gradient,
    "x",
    reference.absolute,
    "|x|; its gradient at 0 is 0.",
    edges=FAR,
)
square = unary(
    "square", arithmetic.square, arithmetic.square_gradient, "x", np.square, "x^2.", edges=FAR
)
relu = unary(
    "relu", activations.relu, activations.relu_gradient, "y",
    lambda x: np.where(np.real(x) < 0, 0.0, x),
    "max(x, 0); its gradient at 0 is 0.", edges=(-inf, inf, np.nan, 1e30, -1e30),
)  # fmt: skip
sigmoid = unary(
    "sigmoid", elementary.sigmoid, activations.sigmoid_gradient, "y",
    lambda x: 1 / (1 + np.exp(-x)),
    "1 / (1 + e^-x).",
    edges=(*FAR, -88.0, 88.0, -700.0), flops=20, instructions=(11, 18), fused_by_losses=True,
)  # fmt: skip
tanh = unary(
    "tanh", elementary.tanh, activations.tanh_gradient, "y", np.tanh,
    "(e^x - e^-x) / (e^x + e^-x).",
    edges=(*FAR, 10.0, -20.0, 1e-4), flops=22, instructions=(13, 16),
)  # fmt: skip

erf = unary(
    "erf", special.erf, special.erf_gradient, "x", reference.erf,
    "The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x.",
    edges=(*FAR, 1.2, -6.0, 1e-20), flops=34, instructions=(22, 54),
)  # fmt: skip
gelu = unary(
    "gelu", special.gelu, special.gelu_gradient, "x", reference.gelu,
    "x Phi(x), Phi being the normal distribution's share below x.",
    edges=(inf, np.nan, 0.0, 1e30, 9.0), flops=21, instructions=(14, 40),
)  # fmt: skip
gelu_tanh = unary(
    "gelu_tanh", activations.gelu_tanh, activations.gelu_tanh_gradient, "x", reference.gelu_tanh,
    "gelu by way of tanh: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.",
    edges=(inf, np.nan, 0.0, 1e30, 9.0),
    flops=25, instructions=(15, 22),
)  # fmt: skip
silu = unary(
    "silu", activations.silu, activations.silu_gradient, "x", lambda x: x / (1 + np.exp(-x)),
    "x sigmoid(x).",
    edges=(inf, np.nan, 0.0, 1.0, 1e30), flops=21, instructions=(12, 19),
)  # fmt: skip
softplus = unary(
    "softplus", activations.softplus, activations.softplus_gradient, "y", reference.softplus,
    "log(1 + e^x).",
    edges=(*FAR, 100.0, -80.0, -800.0), flops=36, gradient_flops=20, instructions=(20, 31),
)  # fmt: skip
general_relu = unary(
    "general_relu", activations.general_relu, activations.general_relu_gradient, "x",
    reference.general_relu,
    "x, but max_value at most, and negative_slope (x - threshold) up to the threshold, where its "
    "gradient is negative_slope; from "
    "max_value on it is 0.", attributes={"negative_slope": 0.0, "max_value": inf, "threshold": 0.0},
    tested=({"negative_slope": 0.2}, {"max_value": 2.0},
    {"negative_slope": 0.2, "max_value": 2.0, "threshold": 1.0}),
    edges=(-inf, inf, np.nan, 1e30, -1e30), flops=4, instructions=(1, 1),
)  # fmt: skip
elu = unary(
    "elu", activations.elu, activations.elu_gradient, "y", lambda x,
    alpha=1.0: np.where(np.real(x) > 0, x, alpha * np.expm1(x)),
    "x, or alpha (e^x - 1) where x is negative.", attributes={"alpha": 1.0},
    tested=({"alpha": 0.3}, {"alpha": 0.0}),
    edges=(*FAR, -1e-6, -88.0, 100.0), flops=22, instructions=(12, 17),
)  # fmt: skip
softsign = unary(
    "softsign", activations.softsign, activations.softsign_gradient, "y",
    lambda x: x / (1 + np.where(np.real(x) < 0, -x, x)),
    "x / (1 + |x|).", edges=FAR, flops=3, instructions=(3, 4),
)  # fmt: skip
hard_sigmoid = unary(
    "hard_sigmoid", activations.hard_sigmoid, activations.hard_sigmoid_gradient, "y",
    lambda x: np.where(np.real(x) < -3, 0.0, np.where(np.real(x) > 3, 1.0, (x + 3) / 6)),
    "(x + 3) / 6, but 0 at least and 1 at most; its gradient at -3 and 3 is 0.",
    edges=(-inf, inf, np.nan, -3.0, 3.0, 0.0, 1e30, -4.0), flops=4, instructions=(1, 1),
)  # fmt: skip

BOTH_PASS = (arithmetic.pass_gradient, arithmetic.pass_gradient)
add = binary("add", arithmetic.add, BOTH_PASS, np.add, "x + y.", edges=FAR)
subtract = binary(
    "subtract",
    arithmetic.subtract,
    (arithmetic.pass_gradient, arithmetic.negate_gradient),
    np.subtract,
    "x - y.",
    edges=FAR,
)
multiply = binary(
    "multiply",
    arithmetic.multiply,
    (arithmetic.multiply_gradient_x, arithmetic.multiply_gradient_y),
    np.multiply,
    "x y.",
    edges=FAR,
)
divide = binary(
    "divide", arithmetic.divide, (arithmetic.divide_gradient_x, arithmetic.divide_gradient_y),
    np.divide,
    "x / y, as IEEE 754 has it for y = 0.", edges=FAR, domain=(0.5, 4.0),
)  # fmt: skip
maximum = binary(
    "maximum", arithmetic.maximum, (arithmetic.maximum_gradient_x, arithmetic.maximum_gradient_y),
    lambda x, y: np.where((np.real(x) >= np.real(y)) | np.isnan(x), x, y),
    "The larger of x and y, NaN if either is; where they are equal the gradient goes to x.",
    edges=FAR,
)  # fmt: skip
squared_difference = binary(
    "squared_difference", arithmetic.squared_difference,
    (arithmetic.squared_difference_gradient_x, arithmetic.squared_difference_gradient_y),
    lambda x, y: (x - y) ** 2, "(x - y)^2.", edges=(0.0, 1.0, 1e10, inf, np.nan),
)  # fmt: skip
power = binary(
    "power", power.power, (power.power_gradient_x, power.power_gradient_y), reference.power,
    "x^y, as IEEE 754 has it for 0, infinity and negative x; the gradient of y is 0 where x is "
    "not positive.",
    edges=(*FAR, 0.5, 2.0, 3.0, -2.5), domain=(0.5, 4.0), flops=80, instructions=(46, 62),
)  # fmt: skip
