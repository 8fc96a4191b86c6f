"""Products of matrices, and the linear layer's: product, bias and activation in one call."""

from math import inf

from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.kernels import reference
from fastnn.kernels.cpu import matmul as kernels

from .pointwise import from_output
from .record import NONE, Case, Op, expect_float, expect_shape
from .reduce import sum as sum_op

# Around the register tile (14 or 6 rows, panels of 8 to 32 columns), a lane's share and a prime.
EXTENTS = [
    (1, 1, 1),
    (2, 3, 1),
    (3, 1, 4),
    (13, 5, 31),
    (14, 7, 32),
    (15, 8, 33),
    (28, 4, 16),
    (29, 17, 64),
    (33, 37, 15),
    (4, 0, 5),
]

UNIT = (-1.0, 1.0)  # sums of products of such numbers are of size sqrt(K), to which the tolerance is absolute


def _matmul_shapes(a, b, transpose_a, transpose_b):
    for name, x in (("a", a), ("b", b)):
        if len(x.shape) != 2:
            raise ShapeError(f"matmul: {name} must have two dimensions; got shape {shape_text(x.shape)}. Use reshape first.")
    (rows, depth), (other, columns) = (s[::-1] if t else s for s, t in ((a.shape, transpose_a), (b.shape, transpose_b)))
    if depth != other:
        raise ShapeError(
            f"matmul: the columns of a and the rows of b must agree; got {shape_text((rows, depth))} and "
            f"{shape_text((other, columns))}{' after transposing' if transpose_a or transpose_b else ''}."
        )
    return rows, depth, columns


def _matmul_infer(a, b, *, transpose_a=False, transpose_b=False, add=False):
    dtype = expect_float("matmul", a=a, b=b)
    rows, depth, columns = _matmul_shapes(a, b, transpose_a, transpose_b)
    turned = [((depth, columns), dtype)] if transpose_b and columns != 1 else []  # B is read by rows, so it is turned first
    return [((rows, columns), dtype), *turned]


def _matmul_calls(outputs, inputs, transpose_a=False, transpose_b=False, add=False):
    (a, b), c = inputs, outputs[0]
    if transpose_b and c.shape[1] != 1:
        yield kernels.transpose, (b, outputs[1])
        b = outputs[1]
    if c.shape[1] == 1 and transpose_a:
        yield kernels.matmul_turned_column, (a, b.flat(), int(add), c.flat())
    elif c.shape[1] == 1 and not add:
        yield kernels.matmul_column, (a, b.flat(), NONE[c.dtype], -inf, c.flat())
    else:
        b = b.view((a.shape[not transpose_a], c.shape[1]))
        kernel = kernels.matmul_turned if transpose_a else kernels.matmul
        yield kernel, (a, b, NONE[c.dtype], -inf, int(add), int(transpose_a), c)


def _matmul_gradient(g, dc, inputs, outputs, transpose_a=False, transpose_b=False, add=False):
    a, b = inputs  # C = A B: dA = dC B^T, dB = A^T dC; transposed where A or B stands transposed
    if transpose_a:
        g.gradient(0, matmul, b, dc, transpose_a=transpose_b, transpose_b=True)
    else:
        g.gradient(0, matmul, dc, b, transpose_b=not transpose_b)
    if transpose_b:
        g.gradient(1, matmul, dc, a, transpose_a=True, transpose_b=transpose_a)
    else:
        g.gradient(1, matmul, a, dc, transpose_a=not transpose_a)


def _turned(a, b, transpose_a, transpose_b):
    (m, k), n = a, b[1]
    return ((k, m) if transpose_a else (m, k), (n, k) if transpose_b else (k, n))


matmul = Op(
    "matmul",
    _matmul_infer,
    _matmul_calls,
    _matmul_gradient,
    reference.matmul,
    [
        Case(_turned((m, k), (k, n), ta, tb), {"transpose_a": ta, "transpose_b": tb}, max(k, 1), UNIT)
        for m, k, n in EXTENTS
        for ta in (False, True)
        for tb in (False, True)
    ],
    flops=lambda inputs, outputs, transpose_a=False, **_: 2 * outputs[0].size * inputs[0].shape[not transpose_a],
    accumulates=True,
    doc="The matrix product of a (M, K) and b (K, N), either of them transposed first if its flag is set.",
)


def activation_name(activation):
    """The name of an activation that `linear` can fuse, or None for none."""
    if activation is not None and activation not in from_output:
        raise ValueError(f"linear: unknown activation {activation!r}; {nearest(activation, from_output)}")
    return activation


def _linear_infer(x, w, bias=None, *, activation=None):
    named = {"x": x, "w": w} if bias is None else {"x": x, "w": w, "bias": bias}
    dtype = expect_float("linear", **named)
    expect_shape("linear", "w", w.shape, (None, None))
    if len(x.shape) != 2 or x.shape[1] != w.shape[0]:
        expect_shape("linear", "x", x.shape, (None, w.shape[0]), "Its columns are multiplied with the rows of w.")
    if bias is not None:
        expect_shape("linear", "bias", bias.shape, (w.shape[1],))
    activation_name(activation)
    return [((x.shape[0], w.shape[1]), dtype)]


def _linear_calls(outputs, inputs, activation=None):
    x, w, bias = inputs if len(inputs) == 3 else (*inputs, None)
    y = outputs[0]
    start = NONE[y.dtype] if bias is None else bias
    lowest = 0.0 if activation == "relu" else -inf
    if activation not in (None, "relu"):
        return [(kernels.linear(from_output[activation][0]), (x, w, start, y))]
    if w.shape[1] == 1:
        return [(kernels.matmul_column, (x, w.flat(), start, lowest, y.flat()))]
    return [(kernels.matmul, (x, w, start, lowest, 0, 0, y))]


def _linear_gradient(g, dy, inputs, outputs, activation=None):
    # y = activation(x w + bias): dz = dy activation'(y), dw = x^T dz, dbias = sum of dz's rows, dx = dz w^T
    dz = dy if activation is None else g.run(from_output[activation][1], outputs[0], dy)
    g.gradient(1, matmul, inputs[0], dz, transpose_a=True)
    if len(inputs) == 3:
        g.gradient(2, sum_op, dz, axis=0)
    g.gradient(0, matmul, dz, inputs[1], transpose_b=True)


linear = Op(
    "linear",
    _linear_infer,
    _linear_calls,
    _linear_gradient,
    reference.linear,
    [Case(((m, k), (k, n), (n,)), {"activation": f}, max(k, 1), UNIT) for m, k, n in EXTENTS for f in (None, "relu", "tanh")]
    + [Case(((5, 7), (7, 3)), terms=7, domain=UNIT)],
    flops=lambda inputs, outputs, **_: 2 * outputs[0].size * inputs[1].shape[0],
    doc="activation(x w + bias) for x (N, K), w (K, M), bias (M,) or none. activation: None, or the name of a function of one "
    "number whose derivative follows from its result: 'relu', 'sigmoid', 'tanh', 'exp'.",
)
