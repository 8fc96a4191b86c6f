"""Products of matrices, and the linear layer's: product, bias and activation in one call."""

from math import inf

from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.kernels import reference
from fastnn.kernels.cpu import matmul as kernels
from fastnn.kernels.cpu.matmul_gradient import COLUMNS, matmul_and_gradient

from .pointwise import FEW, from_output
from .record import NONE, Case, Op, expect_float, expect_shape
from .reduce import chunks_of, rows_of_chunk, sum_of_chunks
from .reduce import sum as sum_op

# Around the register tile (14 or 6 rows, panels of 8 to 32 columns), a thread's grain and a prime.
EXTENTS = [
    (1, 1, 1),
    (2, 3, 1),
    (3, 1, 4),
    (37, 1, 15),
    (13, 5, 31),
    (14, 7, 32),
    (15, 8, 33),
    (28, 4, 16),
    (29, 17, 64),
    (33, 37, 15),
    (4, 0, 5),
    (1, 9, 130),
    (1, 20, 512),
    (9, 6, 10),
    (1, 9, 1),
]

# sums of products of such numbers are of size sqrt(K), to which the tolerance is absolute
UNIT = (-1.0, 1.0)


def _matmul_shapes(a, b, transpose_a, transpose_b):
    for name, x in (("a", a), ("b", b)):
        if len(x.shape) != 2:
            raise ShapeError(
                f"matmul: {name} must have two dimensions; got shape {shape_text(x.shape)}. Use "
                "reshape first."
            )
    (rows, depth), (other, columns) = (
        s[::-1] if t else s for s, t in ((a.shape, transpose_a), (b.shape, transpose_b))
    )
    if depth != other:
        raise ShapeError(
            "matmul: the columns of a and the rows of b must agree; got "
            f"{shape_text((rows, depth))} and "
            f"{shape_text((other, columns))}"
            f"{' after transposing' if transpose_a or transpose_b else ''}."
        )
    return rows, depth, columns


# How a product is made depends on shapes and element type alone, and so do its bits.
SOME, MANY = 32, 128  # rows
VECTOR = 64  # bytes of the vectors that costs are counted for


def _way(rows, depth, columns, dtype, transpose_a, transpose_b, accumulate):
    """How: by "tiles"; by "dots", products of rows, in which a vector's elements are neighbours in
    K; row after row of B ("row"); row after row of C ("outer"); or as the transpose of B^T A
    ("turned").

    A B must have the same bits for a row of A whatever the other rows, so that a prediction does
    not depend on its batch. There the number of rows chooses between "row" and "tiles" only, which
    give the same ones.
    """
    if depth == 1:
        # a tile wide: 0.4 to 0.9 of the time
        is_narrow = transpose_a and rows >= SOME and columns <= 2 * VECTOR // dtype.itemsize
        return "tiles" if is_narrow else "outer"
    if transpose_a:
        may_turn = rows > columns and not accumulate and not transpose_b
        is_quicker = may_turn and _turned_is_quicker(depth, columns, VECTOR // dtype.itemsize)
        return "row" if columns == 1 else "turned" if is_quicker else "tiles"
    if transpose_b:
        return (
            "dots"
            if 1 in (rows, columns)
            or _dots_are_quicker(rows, depth, columns, VECTOR // dtype.itemsize)
            else "tiles"
        )
    return "dots" if columns == 1 else "row" if rows == 1 else "tiles"


def _dots_are_quicker(rows, depth, columns, lanes):
    """For A B^T, in cycles: adding up a vector's elements takes 1.5 for each sum, turning B 0.35
    for each element; tiles leave the last vector, or half of one, partly empty, and with half a
    vector alone they wait for A. Of many rows tiles are taken where it hardly matters, for they go
    through large matrices in blocks."""

    def up(n, unit):
        return -(-n // unit) * unit

    dots = rows * columns * (up(depth, lanes) / lanes + 1.5)
    tiles = max(up(columns, lanes // 2), 0.75 * lanes) * depth * (rows / lanes + 0.35)
    return dots < (0.9 if rows >= MANY else 1.0) * tiles


def _turned_is_quicker(depth, columns, lanes):
    """For A^T B, in cycles for a row of the result: turned its vectors are full, but a transpose
    takes 0.75 for each element; tiles leave the last vector partly empty, or the last half, which
    takes half the time."""
    half = lanes // 2
    return depth * columns / lanes + 0.75 * columns < depth * -(-columns // half) / 2


def _scratch(dtype, rows, depth, columns, transpose_a, transpose_b, accumulate):
    """The memory that the calls need beside the result, for C^T."""
    is_turned = _way(rows, depth, columns, dtype, transpose_a, transpose_b, accumulate) == "turned"
    return [((columns, rows), dtype)] if is_turned else []


def _matmul_infer(a, b, *, transpose_a=False, transpose_b=False, accumulate=False):
    dtype = expect_float("matmul", a=a, b=b)
    rows, depth, columns = _matmul_shapes(a, b, transpose_a, transpose_b)
    return [
        ((rows, columns), dtype),
        *_scratch(dtype, rows, depth, columns, transpose_a, transpose_b, accumulate),
    ]


def _matmul_calls(
    outputs,
    inputs,
    transpose_a=False,
    transpose_b=False,
    accumulate=False,
    bias=None,
    clamp_min=-inf,
):
    (a, b), (c, *scratch) = inputs, outputs
    (rows, columns), depth = c.shape, a.shape[not transpose_a]
    way = _way(rows, depth, columns, c.dtype, transpose_a, transpose_b, accumulate)
    start, accumulate = NONE[c.dtype] if bias is None else bias, int(accumulate)
    if way == "outer" and bias is None and clamp_min == -inf:
        return [(kernels.outer, (a.flat(), b.flat(), accumulate, c))]
    if way == "row":
        x, w, y = (b, a, c) if transpose_a else (a, b, c)
        return [(kernels.multiply_row, (x.flat(), w, start, clamp_min, accumulate, y.flat()))]
    if way == "dots":
        return [(kernels.dots, (a, b.view((columns, depth)), start, clamp_min, accumulate, c))]
    if way == "turned":
        (turned,) = scratch
        return [
            (kernels.matmul_turned, (b, a, start, 1, 0, clamp_min, 0, turned)),
            (kernels.transpose, (turned, c)),
        ]
    kernel = kernels.matmul_turned if transpose_a else kernels.matmul
    return [(kernel, (a, b, start, int(transpose_a), int(transpose_b), clamp_min, accumulate, c))]


def _after_product(derivative, op):
    """The op of (y, a, b) that makes what `op`, the gradient by `derivative` and maybe its sums,
    makes of y and a b^T."""
    kernel = matmul_and_gradient(derivative)

    def way(y, a):
        return _way(*a.shape, y.shape[1], y.dtype, False, True, False)

    def chunks_of_sums(y):
        (rows, columns), (chunks, _) = y.shape, chunks_of(y.shape)
        # as many threads can divide the columns
        return 1 if rows * columns < FEW or columns >= chunks * COLUMNS else chunks

    def infer(y, a, b, *, accumulate=False):
        if way(y, a) != "tiles":
            return [*op.infer(y, y), (y.shape, y.dtype)]
        chunks, sums = chunks_of_sums(y), [(y.shape[1:], y.dtype)] * (op.results - 1)
        return [
            (y.shape, y.dtype),
            *sums,
            *([] if sums and chunks == 1 else [((chunks, y.shape[1]), y.dtype)]),
        ]

    def calls(outputs, inputs, accumulate=False):
        y, a, b = inputs
        if way(y, a) != "tiles":
            *own, product = outputs
            yield from _matmul_calls([product], (a, b), transpose_b=True)
            yield from op.calls(own, (y, product), **({"accumulate": True} if accumulate else {}))
            return
        dx, *sums = outputs[: op.results]
        chunks = chunks_of_sums(y)
        of_chunks = outputs[-1].view((chunks, y.shape[1]))
        chunk = rows_of_chunk(y.shape[0]) if chunks > 1 else y.shape[0]
        yield kernel, (a, b, y, chunk, int(accumulate and chunks == 1), dx, of_chunks)
        if sums and chunks > 1:
            yield sum_of_chunks(of_chunks, sums[0], accumulate)

    def flops(inputs, outputs, **_):
        return (2 * inputs[1].shape[1] + op.flops) * outputs[0].size

    return Op(
        f"matmul and {op.name}",
        infer,
        calls,
        flops=flops,
        results=op.results,
        accumulates=op.accumulates,
    )


# By the op that a gradient rule calls first: the one that makes the product before it as well.
after_product = {
    op: _after_product(f.derivative, op)
    for f in from_output.values()
    for op in (f.gradient, f.gradient_and_sums)
}


def _matmul_gradient(
    g, dys, inputs, outputs, transpose_a=False, transpose_b=False, accumulate=False
):
    # C = A B: dA = dC B^T, dB = A^T dC; transposed where A or B stands transposed
    (dc,), (a, b) = dys, inputs
    if transpose_a:
        g.gradient(0, matmul, b, dc, transpose_a=transpose_b, transpose_b=True)
    elif transpose_b:
        g.gradient(0, matmul, dc, b)
    else:
        g.product(0, dc, b)
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
        Case(
            _turned((m, k), (k, n), ta, tb), {"transpose_a": ta, "transpose_b": tb}, max(k, 1), UNIT
        )
        for m, k, n in EXTENTS
        for ta in (False, True)
        for tb in (False, True)
    ],
    flops=lambda inputs, outputs, transpose_a=False, **_: (
        2 * outputs[0].size * inputs[0].shape[not transpose_a]
    ),
    accumulates=True,
    doc="The matrix product of a (M, K) and b (K, N), either of them transposed first if its flag "
    "is set.",
)


def activation_name(activation):
    """The name of an activation that `linear` can fuse, or None for none."""
    if activation is not None and activation not in from_output:
        raise ValueError(
            f"linear: unknown activation {activation!r}; {nearest(activation, from_output)}"
        )
    return activation


def _linear_infer(x, w, bias=None, *, activation=None):
    named = {"x": x, "w": w} if bias is None else {"x": x, "w": w, "bias": bias}
    dtype = expect_float("linear", **named)
    expect_shape("linear", "w", w.shape, (None, None))
    if len(x.shape) != 2 or x.shape[1] != w.shape[0]:
        expect_shape(
            "linear",
            "x",
            x.shape,
            (None, w.shape[0]),
            "Its columns are multiplied with the rows of w.",
        )
    if bias is not None:
        expect_shape("linear", "bias", bias.shape, (w.shape[1],))
    activation_name(activation)
    return [((x.shape[0], w.shape[1]), dtype)]


def _linear_calls(outputs, inputs, activation=None):
    x, w, bias = inputs if len(inputs) == 3 else (*inputs, None)
    calls = _matmul_calls(
        outputs, (x, w), bias=bias, clamp_min=0.0 if activation == "relu" else -inf
    )
    if activation not in (None, "relu"):
        calls.append((kernels.activate(from_output[activation].formula), (outputs[0],)))
    return calls


def _linear_gradient(g, dys, inputs, outputs, activation=None):
    (dy,) = dys
    # y = activation(x w + bias): dz = dy activation'(y), dw = x^T dz, dbias = sum of dz's rows, dx
    # = dz w^T
    with_bias = len(inputs) == 3 and g.wants(2)
    if activation is None:
        dz = dy
        if with_bias:
            g.gradient(2, sum_op, dz, axis=0)
    elif with_bias:
        dz = g.gradients((None, 2), from_output[activation].gradient_and_sums, outputs[0], dy)
    else:
        dz = g.run(from_output[activation].gradient, outputs[0], dy)
    g.gradient(1, matmul, inputs[0], dz, transpose_a=True)
    g.product(0, dz, inputs[1])


linear = Op(
    "linear",
    _linear_infer,
    _linear_calls,
    _linear_gradient,
    reference.linear,
    [
        Case(((m, k), (k, n), (n,)), {"activation": f}, max(k, 1), UNIT)
        for m, k, n in EXTENTS
        for f in (None, "relu", "tanh")
    ]
    + [Case(((5, 7), (7, 3)), terms=7, domain=UNIT)],
    flops=lambda inputs, outputs, **_: 2 * outputs[0].size * inputs[1].shape[0],
    takes_product=lambda activation=None: activation is not None,
    doc="activation(x w + bias) for x (N, K), w (K, M), bias (M,) or none. activation: None, or "
    "the name of a function of one "
    "number whose derivative follows from its result: 'relu', 'sigmoid', 'tanh', 'exp'.",
)
