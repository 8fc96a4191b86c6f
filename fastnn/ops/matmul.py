"""Products of matrices, and the linear layer's: product, bias and activation in one call."""

from typing import Any

from fastnn.dtypes import SUMMED
from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.kernels.batches import batch_of
from fastnn.kernels.reference import linear as reference

from .elementwise import gradient_from_output
from .record import Case, Op, expect_dtype, expect_shape
from .reduce import sum as sum_op

# Around a micro-tile (14 or 6 rows, 8 to 32 columns), a thread's grain and a prime.
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

# (shapes, transpose_a, transpose_b): vectors, stacks that broadcast, each way in which products are
# made
STACKS = [
    (((5,), (5,)), False, False), (((5,), (5, 7)), False, False), (((7, 5), (5,)), False, False),
    (((5,), (3, 5, 7)), False, False),
    (((3, 5, 7), (7,)), False, False), (((3, 5, 7), (7, 9)), False, False),
    (((2, 3, 5, 33), (2, 3, 33, 17)), False, False), (((3, 33, 5), (3, 33, 17)), True, False),
    (((3, 1, 33), (3, 33, 17)), False, False), (((3, 5, 33), (3, 2, 33)), False, True),
    (((3, 33, 5), (3, 40, 33)), True, True), (((2, 1, 5, 7), (3, 7, 9)), False, False),
    (((5, 7), (3, 7, 9)), False, False), (((3, 7, 5), (7, 9)), True, False),
    (((3, 5, 1), (3, 1, 9)), False, False), (((3, 33, 5), (3, 33, 1)), True, False),
    (((0, 5, 7), (0, 7, 9)), False, False), (((3, 5, 0), (3, 0, 9)), False, False),
    (((2, 1, 5, 7), (2, 1, 7, 1)), False, False), (((1, 5, 7), (1, 7, 9)), False, False),
    (((3, 5, 33), (40, 33)), False, True), (((2, 3, 5, 7), (1, 9, 7)), False, True),
]  # fmt: skip

# sums of products of such numbers are of size sqrt(K), for which the tolerance is absolute
DOMAIN = (-1.0, 1.0)


def _matmul_infer(a, b, *, transpose_a=False, transpose_b=False, accumulate=False):
    dtype = expect_dtype("matmul", SUMMED, a=a, b=b)
    if len(a.shape) == len(b.shape) == 2:
        rows, depth = a.shape[::-1] if transpose_a else a.shape
        other, columns = b.shape[::-1] if transpose_b else b.shape
        if depth == other:
            return [((rows, columns), dtype)]
    return [(_batch(a, b, bool(transpose_a), bool(transpose_b)).shape, dtype)]


def _batch(a, b, transpose_a, transpose_b):
    """What stacks of matrices are multiplied; raises where they do not fit."""
    for name, x in (("a", a), ("b", b)):
        if not x.shape:
            raise ShapeError(
                f"matmul: {name} must have at least one dimension; got a number. Use multiply."
            )
    try:
        found = batch_of(a.shape, b.shape, transpose_a, transpose_b)
    except ValueError:
        raise ShapeError(
            "matmul: the dimensions before the last two do not broadcast; got shapes "
            f"{shape_text(a.shape)} and {shape_text(b.shape)}: from the last of them on, extents "
            "must be equal or 1."
        ) from None
    if found is None:
        a_shape, b_shape = (
            (*s[:-2], *s[:-3:-1]) if t and len(s) > 1 else s
            for s, t in ((a.shape, transpose_a), (b.shape, transpose_b))
        )
        raise ShapeError(
            "matmul: the columns of a and the rows of b must agree; got "
            f"{shape_text(a_shape)} and {shape_text(b_shape)}"
            f"{' after transposing' if transpose_a or transpose_b else ''}."
        )
    return found


def _fused_gradient(derivative, op):
    """The op of (y, a, b) that makes what `op`, the gradient by `derivative` and maybe its sums,
    makes of y and a b^T."""
    return Op(
        f"matmul and {op.name}",
        lambda y, a, b, *, accumulate=False: op.infer(y, y),
        kernels="matmul_gradient.matmul_and_gradient" + ("_and_sums" if op.results > 1 else ""),
        formula=derivative,
        flops=lambda inputs, outputs, **_: (2 * inputs[1].shape[1] + op.flops) * outputs[0].size,
        results=op.results,
        accumulates=op.accumulates,
    )


# By the op that a gradient rule calls first: the one that makes the product before it as well.
fused_gradients = {
    op: _fused_gradient(f.derivative, op)
    for f in gradient_from_output.values()
    for op in (f.gradient, f.gradient_and_sums)
}


def _matmul_gradient(
    g, dys, inputs, outputs, transpose_a=False, transpose_b=False, accumulate=False
):
    # C = A B: dA = dC B^T, dB = A^T dC; transposed where A or B is stored transposed
    (dc,), (a, b) = dys, inputs
    if len(a.shape) != 2 or len(b.shape) != 2:
        _batch_gradient(g, dc, a, b, transpose_a, transpose_b)
        return
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


def _batch_gradient(g, dc, a, b, transpose_a, transpose_b):
    """The same of stacks. What was broadcast is summed where gradients are delivered; of one B for
    all of A its gradient is one product, whose sums go over the stack as well."""
    batch = batch_of(a.shape, b.shape, bool(transpose_a), bool(transpose_b))
    if batch.is_one:
        a_2, b_2, dc_2 = a.view(batch.a[1:]), b.view(batch.b[1:]), dc.view(batch.c[1:])
        if g.wants(0):
            da = g.run(matmul, dc_2, b_2, transpose_b=not batch.transpose_b)
            g.pass_on(0, da.view(a.shape))
        factors = (dc_2, a_2) if batch.transpose_b else (a_2, dc_2)
        if b.shape == b_2.shape:
            g.gradient(1, matmul, *factors, transpose_a=True)
        elif g.wants(1):
            g.pass_on(1, g.run(matmul, *factors, transpose_a=True).view(b.shape))
        return
    transpose_a, transpose_b = batch.transpose_a, batch.transpose_b
    a_m = a.view((1, *a.shape)) if len(a.shape) == 1 else a
    b_m = b.view((*b.shape, 1)) if len(b.shape) == 1 else b
    dc = dc.view((*batch.leading, *batch.c[1:]))
    if transpose_a:
        g.gradient(0, matmul, b_m, dc, transpose_a=transpose_b, transpose_b=True)
    else:
        g.gradient(0, matmul, dc, b_m, transpose_b=not transpose_b)
    if not g.wants(1):
        return
    if transpose_b:
        db = g.run(matmul, dc, a_m, transpose_a=True, transpose_b=transpose_a)
    else:
        db = g.run(matmul, a_m, dc, transpose_a=not transpose_a)
    g.pass_on(1, db if b_m is b else db.view(db.shape[:-1]))


def _stored(a, b, transpose_a, transpose_b):
    """The shapes in which a and b are given, that are these where they are not transposed."""
    (m, k), n = a, b[1]
    return ((k, m) if transpose_a else (m, k), (n, k) if transpose_b else (k, n))


matmul = Op(
    "matmul",
    _matmul_infer,
    kernels="matmul.matmul",
    dtypes=SUMMED,
    gradient=_matmul_gradient,
    reference=reference.matmul,
    cases=[
        Case(
            _stored((m, k), (k, n), ta, tb),
            {"transpose_a": ta, "transpose_b": tb},
            max(k, 1),
            DOMAIN,
        )
        for m, k, n in EXTENTS
        for ta in (False, True)
        for tb in (False, True)
    ]
    + [Case(s, {"transpose_a": ta, "transpose_b": tb}, 33, DOMAIN) for s, ta, tb in STACKS],
    flops=lambda inputs, outputs, transpose_a=False, **_: (
        2 * outputs[0].size * inputs[0].shape[-2 if transpose_a and inputs[0].ndim > 1 else -1]
    ),
    accumulates=True,
    doc="The matrix product of a (..., M, K) and b (..., K, N), either of them transposed first if "
    "its flag is set: (..., M, N). Leading dimensions broadcast; a vector is a row on the left and "
    "a column on the right, and its dimension is not in the result. Of integers int64 or int32, "
    "exact but for overflow.",
)


def activation_name(activation: Any) -> str | None:
    """The name of an activation that `linear` can fuse, or None for none."""
    if activation is not None and activation not in gradient_from_output:
        known = nearest(activation, gradient_from_output)
        raise ValueError(f"linear: unknown activation {activation!r}; {known}")
    return activation


def _linear_infer(x, w, bias=None, *, activation=None):
    named = {"x": x, "w": w} if bias is None else {"x": x, "w": w, "bias": bias}
    dtype = expect_dtype("linear", **named)
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


def _linear_gradient(g, dys, inputs, outputs, activation=None):
    (dy,) = dys
    # y = activation(x w + bias):
    # dz = dy activation'(y), dw = x^T dz, dbias = sum of dz's rows, dx = dz w^T
    with_bias = len(inputs) == 3 and g.wants(2)
    if activation is None:
        dz = dy
        if with_bias:
            g.gradient(2, sum_op, dz, axis=0)
    elif with_bias:
        dz = g.gradients(
            (None, 2), gradient_from_output[activation].gradient_and_sums, outputs[0], dy
        )
    else:
        dz = g.run(gradient_from_output[activation].gradient, outputs[0], dy)
    g.gradient(1, matmul, inputs[0], dz, transpose_a=True)
    g.product(0, dz, inputs[1])


linear = Op(
    "linear",
    _linear_infer,
    kernels="matmul.linear",
    integers_as_floats=False,
    gradient=_linear_gradient,
    reference=reference.linear,
    cases=[
        Case(((m, k), (k, n), (n,)), {"activation": f}, max(k, 1), DOMAIN)
        for m, k, n in EXTENTS
        for f in (None, "relu", "tanh")
    ]
    + [Case(((5, 7), (7, 3)), terms=7, domain=DOMAIN)],
    flops=lambda inputs, outputs, **_: 2 * outputs[0].size * inputs[1].shape[0],
    fusable_into_matmul_gradient=lambda activation=None: activation is not None,
    doc="activation(x w + bias) for x (N, K), w (K, M), bias (M,) or none. activation: None, or "
    "the name of a function of one "
    "number whose derivative follows from its result: 'relu', 'sigmoid', 'tanh', 'exp'.",
)
