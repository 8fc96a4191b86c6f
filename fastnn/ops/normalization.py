"""Batch normalisation, by the batch's own statistics and by given ones; layer normalisation."""

from fastnn.kernels import reference
from fastnn.kernels.cpu import layer_norm as row_kernels
from fastnn.kernels.cpu import normalization as kernels

from .arithmetic import multiply, subtract
from .record import Case, Op, Tolerance, expect_float, expect_shape
from .reduce import chunks_of, rows_of_chunk, spread, sum_of_chunks

# Around eight rows and the rows of a chunk, with one chunk, several, and the last one short; far
# ones for small caches at the end.
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
    dtype = expect_float(name, x=x, **columns)
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
    # y, mean, variance; rest and factor, for the gradient; scale and shift; statistics of chunks
    return [(x.shape, dtype), *[((x.shape[1],), dtype)] * 6, *[(chunks_of(x.shape), dtype)] * 2]


def _calls(outputs, inputs, epsilon=1e-3):
    (x, gamma, beta), (y, mean, variance, rest, factor, scale, shift, *chunks) = inputs, outputs
    chunk, columns = rows_of_chunk(x.shape[0]), (mean, variance, rest, factor, scale, shift)
    yield kernels.chunk_statistics, (x, chunk, *chunks)
    yield kernels.join_statistics, (x, gamma, beta, float(epsilon), chunk, *chunks, *columns)
    yield kernels.scale_columns, (x, mean, scale, shift, y)


def _gradient_infer(x, gamma, mean, rest, factor, dy):
    return [(x.shape, x.dtype), *[(gamma.shape, x.dtype)] * 5, *[(chunks_of(x.shape), x.dtype)] * 2]


def _gradient_calls(outputs, inputs):
    (x, gamma, mean, rest, factor, dy), (dx, *columns, products, sums) = inputs, outputs
    rows, (scale, slope, level) = x.shape[0], columns[2:]
    yield kernels.chunk_gradient_sums, (x, mean, dy, rows_of_chunk(rows), products, sums)
    yield kernels.join_gradient_sums, (gamma, rest, factor, rows, products, sums, *columns)
    yield kernels.combine_columns, (x, mean, scale, slope, level, dy, dx)


def _gradient(g, dys, inputs, outputs, epsilon=1e-3):
    dy, dmean, dvariance = dys
    x, (_, mean, _, rest, factor, *_) = inputs[0], outputs
    if dy is not None:
        g.gradients((0, 1, 2), _gradient_op, *inputs[:2], mean, rest, factor, dy)
    if dmean is not None and g.wants(0):
        g.gradient(0, spread, dmean, shape=x.shape, axis=(0,), mean=True)
    if dvariance is not None and g.wants(0):  # variance = the mean of (x - mean - rest)^2
        deviation = g.run(subtract, g.run(subtract, x, mean), rest)
        g.pass_on(0, g.run(multiply, deviation, g.run(multiply, dvariance, 2 / x.shape[0])))


_gradient_op = Op("gradient of batch_norm", _gradient_infer, _gradient_calls, results=3, flops=14)

batch_norm = Op(
    "batch_norm",
    _infer,
    _calls,
    _gradient,
    reference.batch_norm,
    [Case((shape, (shape[1],), (shape[1],)), terms=shape[0]) for shape in SHAPES],
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
    return [(x.shape, dtype), *[((x.shape[1],), dtype)] * 2]


def _inference_calls(outputs, inputs, epsilon=1e-3):
    (x, gamma, beta, mean, variance), (y, factor, scale) = inputs, outputs
    yield kernels.inference_columns, (gamma, variance, float(epsilon), factor, scale)
    yield kernels.scale_columns, (x, mean, scale, beta, y)


def _inference_gradient(g, dys, inputs, outputs, epsilon=1e-3):
    g.gradients(
        (0, 1, 2), _inference_gradient_op, inputs[0], inputs[1], inputs[3], outputs[1], dys[0]
    )


_inference_gradient_op = Op(
    "gradient of batch_norm_inference",
    lambda x, gamma, mean, factor, dy: [(x.shape, x.dtype), *[(gamma.shape, x.dtype)] * 2],
    lambda outputs, inputs: [(kernels.batch_norm_inference_gradient, (*inputs, *outputs))],
    results=3,
    flops=8,
)

batch_norm_inference = Op(
    "batch_norm_inference",
    _inference_infer,
    _inference_calls,
    _inference_gradient,
    reference.batch_norm_inference,
    [
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
    # y; mean, rest and factor of each row, for the gradient
    return [(x.shape, dtype), *[((x.shape[0],), dtype)] * 3]


def _layer_gradient_infer(x, gamma, mean, rest, factor, dy):
    chunks = (-(-x.shape[0] // row_kernels.CHUNK), x.shape[1])
    return [(x.shape, x.dtype), *[(gamma.shape, x.dtype)] * 2, *[(chunks, x.dtype)] * 2]


def _layer_gradient_calls(outputs, inputs):
    dx, *columns = outputs
    yield row_kernels.layer_norm_gradient, (*inputs, dx, *columns[2:])
    for total, chunks in zip(columns[:2], columns[2:], strict=True):
        yield sum_of_chunks(chunks, total)


_layer_gradient_op = Op(
    "gradient of layer_norm",
    _layer_gradient_infer,
    _layer_gradient_calls,
    results=3,
    flops=lambda inputs, outputs: 14 * inputs[0].size,
)

layer_norm = Op(
    "layer_norm",
    _layer_infer,
    lambda outputs, inputs, epsilon=1e-3: [
        (row_kernels.layer_norm, (*inputs, float(epsilon), *outputs))
    ],
    lambda g, dys, inputs, outputs, epsilon=1e-3: g.gradients(
        (0, 1, 2), _layer_gradient_op, *inputs[:2], *outputs[1:], dys[0]
    ),
    reference.layer_norm,
    [
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
