"""Batch normalisation, by the batch's own statistics and by given ones; layer normalisation."""

from fastnn.kernels.reference import normalization as reference

from .arithmetic import multiply, subtract
from .record import Case, Op, Tolerance, expect_dtype, expect_shape
from .reduce import sum_gradient

# Around eight rows and the rows of a chunk, with one chunk, several, and the last one short; at the
# end those that are out of L2 for the small caches of tests.
SHAPES = [
    (1, 3),
    (2, 1),
    (5, 7),
    (4, 16),
    (9, 17),
    (32, 5),
    (33, 64),
    (8, 65),
    (6, 131),
    (103, 19),
    (67, 5),
]


def _expect(name, x, **columns):
    dtype = expect_dtype(name, x=x, **columns)
    expect_shape(
        name, "x", x.shape, (None, None), "Reshape it: all dimensions but the last are rows."
    )
    for argument, t in columns.items():
        expect_shape(name, argument, t.shape, (x.shape[1],))
    return dtype


def _infer(x, gamma, beta, *, epsilon=1e-3):
    dtype = _expect("batch_norm", x, gamma=gamma, beta=beta)
    expect_shape(
        "batch_norm",
        "x",
        x.shape,
        (x.shape[0] or 1, None),
        "Statistics of no rows are not defined.",
    )
    # y, mean, variance; mean_lo and rstd, for the gradient
    return [(x.shape, dtype), *[((x.shape[1],), dtype)] * 4]


def _gradient(g, dys, inputs, outputs, epsilon=1e-3):
    dy, dmean, dvariance = dys
    x, (_, mean, _, mean_lo, rstd) = inputs[0], outputs
    if dy is not None:
        g.gradients((0, 1, 2), _gradient_op, *inputs[:2], mean, mean_lo, rstd, dy)
    if dmean is not None and g.wants(0):
        g.gradient(0, sum_gradient, dmean, shape=x.shape, axis=(0,), mean=True)
    if dvariance is not None and g.wants(0):  # variance = the mean of (x - mean - mean_lo)^2
        deviation = g.run(subtract, g.run(subtract, x, mean), mean_lo)
        g.pass_on(0, g.run(multiply, deviation, g.run(multiply, dvariance, 2 / x.shape[0])))


_gradient_op = Op(
    "gradient of batch_norm",
    lambda x, gamma, mean, mean_lo, rstd, dy: [(x.shape, x.dtype), *[(gamma.shape, x.dtype)] * 2],
    kernels="normalization.batch_norm_gradient",
    results=3,
    flops=14,
)

batch_norm = Op(
    "batch_norm",
    _infer,
    kernels="normalization.batch_norm",
    gradient=_gradient,
    reference=reference.batch_norm,
    cases=[Case((shape, (shape[1],), (shape[1],)), terms=shape[0]) for shape in SHAPES],
    # one over the deviation of a few rows multiplies the rounding of x
    tolerance=Tolerance(absolute=16),
    flops=12,
    instructions=(3, 3),  # 13 for the statistics of eight rows, 1 for the result
    gradient_instructions=(3, 3),
    results=3,
    doc="Columns of x (N, C) less their mean, over their deviation, times gamma (C,) plus beta "
    "(C,): gamma (x - mean) / "
    "sqrt(variance + epsilon) + beta, the variance that of the N rows (biased). Returns y, mean, "
    "variance.",
)


def _inference_infer(x, gamma, beta, mean, variance, *, epsilon=1e-3):
    dtype = _expect("batch_norm_inference", x, gamma=gamma, beta=beta, mean=mean, variance=variance)
    return [(x.shape, dtype), ((x.shape[1],), dtype)]  # y; rstd, for the gradient


def _inference_gradient(g, dys, inputs, outputs, epsilon=1e-3):
    g.gradients(
        (0, 1, 2), _inference_gradient_op, inputs[0], inputs[1], inputs[3], outputs[1], dys[0]
    )


_inference_gradient_op = Op(
    "gradient of batch_norm_inference",
    lambda x, gamma, mean, rstd, dy: [(x.shape, x.dtype), *[(gamma.shape, x.dtype)] * 2],
    kernels="normalization.batch_norm_inference_gradient",
    results=3,
    flops=8,
)

batch_norm_inference = Op(
    "batch_norm_inference",
    _inference_infer,
    kernels="normalization.batch_norm_inference",
    gradient=_inference_gradient,
    reference=reference.batch_norm_inference,
    cases=[
        Case(
            (shape, (c := shape[1],), (c,), (c,), lambda rng, c=shape[1]: rng.uniform(0.5, 2, c)),
            terms=shape[0],
        )
        for shape in SHAPES
    ],
    constant=(3, 4),
    flops=4,
    doc="The same by given statistics, which get no gradient: gamma (x - mean) / sqrt(variance + "
    "epsilon) + beta.",
)


def _layer_infer(x, gamma, beta, *, epsilon=1e-3):
    dtype = _expect("layer_norm", x, gamma=gamma, beta=beta)
    expect_shape(
        "layer_norm",
        "x",
        x.shape,
        (None, x.shape[1] or 1),
        "Statistics of no columns are not defined.",
    )
    # y; mean, mean_lo and rstd of each row, for the gradient
    return [(x.shape, dtype), *[((x.shape[0],), dtype)] * 3]


_layer_gradient_op = Op(
    "gradient of layer_norm",
    lambda x, gamma, mean, mean_lo, rstd, dy: [(x.shape, x.dtype), *[(gamma.shape, x.dtype)] * 2],
    kernels="layer_norm.layer_norm_gradient",
    results=3,
    flops=lambda inputs, outputs: 14 * inputs[0].size,
)

layer_norm = Op(
    "layer_norm",
    _layer_infer,
    kernels="layer_norm.layer_norm",
    gradient=lambda g, dys, inputs, outputs, epsilon=1e-3: g.gradients(
        (0, 1, 2), _layer_gradient_op, *inputs[:2], *outputs[1:], dys[0]
    ),
    reference=reference.layer_norm,
    cases=[
        Case((shape, (shape[1],), (shape[1],)), terms=shape[1])
        for shape in (*SHAPES[1:], (65, 6), (3, 1500), (0, 4))
    ],
    tolerance=Tolerance(absolute=16),
    flops=9,
    instructions=(3, 3),
    gradient_instructions=(7, 7),
    doc="Rows of x (N, C) less their mean, over their deviation, times gamma (C,) plus beta (C,): "
    "gamma (x - mean) / "
    "sqrt(variance + epsilon) + beta, the variance that of the C numbers (biased).",
)

move_towards = Op(
    "move_towards",
    lambda batch, *, momentum: [],
    kernels="normalization.move_towards",
    reference=lambda batch, moving, momentum: momentum * moving + (1 - momentum) * batch,
    cases=[Case(((n,), (n,)), {"momentum": 0.9}) for n in (1, 3, 65)],
    flops=2,
    in_place=True,
    doc="moving = momentum moving + (1 - momentum) batch.",
)
