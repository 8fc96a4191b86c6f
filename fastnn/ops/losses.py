"""Softmax, and losses per element or per row, of which `crossentropy.py` makes Keras's.
`fastnn/losses/` finds the logits behind a softmax or sigmoid and takes the loss of these."""

from math import prod

import numpy as np

from fastnn.errors import DTypeError, ShapeError, shape_text
from fastnn.kernels.reference import losses as reference
from fastnn.kernels.reference.normalization import log_softmax as log_softmax_reference
from fastnn.kernels.reference.normalization import softmax as softmax_reference
from fastnn.kernels.scalar import losses

from .elementwise import elementwise
from .record import Case, Op, expect_dtype, expect_shape
from .reduce import normal_axes, reduced_shape

EXTENTS = [(1, 1), (2, 3), (5, 10), (7, 2), (3, 16), (4, 17), (33, 5), (3, 131), (3, 3000)]
CLIP = 1e-7  # Keras's: probabilities standing alone are kept this far from 0 and 1


def _rows(name, x, argument="x"):
    dtype = expect_dtype(name, **{argument: x})
    expect_shape(name, argument, x.shape, (None, x.shape[1] or 1 if len(x.shape) == 2 else None))
    return dtype


def _columns(name, x, axis):
    """How many rows there are along the axes, which are checked, and their type."""
    dtype = expect_dtype(name, x=x)
    if axis == -1 and isinstance(axis, int) and x.shape and x.shape[-1] > 0:
        return prod(x.shape[:-1]), dtype
    axes = normal_axes(name, axis)
    if x.shape == () or axes == ():
        raise ShapeError(
            f"{name}: x must have a dimension that is named by axis; got shape "
            f"{shape_text(x.shape)} and axis={axis!r}"
        )
    return prod(reduced_shape(name, x.shape, axes, False)), dtype


def _softmax_infer(x, *, axis=-1):
    rows, dtype = _columns("softmax", x, axis)
    # y; row_max and exp_sum, for a loss
    return [(x.shape, dtype), ((rows,), dtype), ((rows,), dtype)]


def _log_softmax_infer(x, *, axis=-1):
    return [(x.shape, _columns("log_softmax", x, axis)[1])]


def _of_rows(name, flops):
    """The op of a gradient, of what the op gave and dy."""
    return Op(
        f"gradient of {name}",
        lambda y, dy, *, axis=-1: [(y.shape, y.dtype)],
        kernels=f"softmax.{name}_gradient_along",
        flops=flops,
    )


_softmax_gradient = _of_rows("softmax", 4)
_log_softmax_gradient = _of_rows("log_softmax", 23)


ALONG = [
    *[Case((shape,), terms=shape[1]) for shape in EXTENTS],
    *[
        Case((shape,), {"axis": axis}, terms=terms)
        for shape, axis, terms in [
            ((5,), -1, 5), ((5, 7), 0, 5), ((4, 3, 17), 1, 3), ((2, 3, 4, 5), (1, 3), 15),
            ((3, 2, 5), (1, 2), 10), ((0, 3), 1, 3), ((3, 4), None, 12),
        ]
    ],
]  # fmt: skip

softmax = Op(
    "softmax",
    _softmax_infer,
    kernels="softmax.softmax_along",
    gradient=lambda g, dys, inputs, outputs, **given: g.gradient(
        0, _softmax_gradient, outputs[0], dys[0], **given
    ),
    reference=softmax_reference,
    cases=ALONG,
    flops=25,
    instructions=(13, 18),  # e^x and, for its row, a comparison and a product
    gradient_instructions=(2, 2),
    loss_reads_input=True,
    doc="e^x over the sum of e^x along axis: an integer, several, or None for all. x: any shape of "
    "one dimension or more, float32 or float64; of no elements along axis, none.",
)
log_softmax = Op(
    "log_softmax",
    _log_softmax_infer,
    kernels="softmax.log_softmax_along",
    gradient=lambda g, dys, inputs, outputs, **given: g.gradient(
        0, _log_softmax_gradient, outputs[0], dys[0], **given
    ),
    reference=log_softmax_reference,
    cases=[
        *ALONG,
        Case(((9, 131),), terms=131, domain=(-1e3, 1e3)),
        Case((lambda rng: rng.choice((-np.inf, -700.0, 700.0), (9, 20)),)),
    ],
    flops=25,
    instructions=(13, 18),
    gradient_instructions=(13, 18),
    doc="x - log(sum of e^x along axis), the logarithm of softmax, which neither overflows nor is "
    "-inf where that is 0. axis: an integer, several, or None for all.",
)


def _expect_labels(name, x, labels, argument):
    dtype = _rows(name, x, argument)
    if labels.dtype != np.dtype("int64"):
        raise DTypeError(
            f"{name}: labels must be int64; got {labels.dtype}. Make them so: "
            "fastnn.tensor(labels, 'int64')."
        )
    if prod(labels.shape) != x.shape[0]:
        expect_shape(name, "labels", labels.shape, (x.shape[0],))
    return dtype


def _labels(shape):
    return lambda rng: rng.integers(0, shape[1], shape[0])


# Of an element.

sigmoid_cross_entropy = elementwise(
    losses.sigmoid_cross_entropy,
    gradient=losses.sigmoid_cross_entropy_gradient,
    broadcasts=False,
    reference=reference.sigmoid_cross_entropy,
    constant=(1,),
    flops=50,
    gradient_flops=22,
    doc="max(z, 0) - z target + log(1 + e^-|z|): the binary cross-entropy of sigmoid(z).",
)
clipped_binary_cross_entropy = elementwise(
    losses.binary_crossentropy,
    name="clipped_binary_cross_entropy",
    gradient=losses.binary_crossentropy_gradient,
    broadcasts=False,
    reference=reference.binary_crossentropy,
    domain=(0.05, 0.95),
    tested=({"clip": 0.2},),
    constant=(1,),
    flops=54,
    gradient_flops=6,
    doc="-target log(p) - (1 - target) log(1 - p), p kept `clip` (1e-7, Keras's) away from 0 and "
    "1.",
)


def _between(shape):
    return lambda rng: rng.uniform(0.05, 0.95, shape)


# Of a row of logits z or probabilities p, and labels that are indices of columns.


def _softmax_loss_infer(z, labels, p=None, row_max=None, exp_sum=None):
    dtype, rows = _expect_labels("softmax_cross_entropy", z, labels, "z"), (z.shape[0],)
    of_softmax = {"p": p, "row_max": row_max, "exp_sum": exp_sum}
    if p is not None or row_max is not None or exp_sum is not None:
        missing = [argument for argument, t in of_softmax.items() if t is None]
        if missing:
            raise TypeError(
                "softmax_cross_entropy: p, row_max and exp_sum are given together, as softmax made "
                f"them of z, or not at all; got no {missing[0]}"
            )
        expect_dtype("softmax_cross_entropy", z=z, **of_softmax)
        for argument, t in of_softmax.items():
            shape = z.shape if argument == "p" else rows
            expect_shape("softmax_cross_entropy", argument, t.shape, shape)
    saved = [(z.shape, dtype), (rows, dtype), (rows, dtype)] if p is None else []
    return [(rows, dtype), *saved]


def _softmax_loss_gradient(g, dys, inputs, outputs):
    p = inputs[2] if len(inputs) > 2 else outputs[1]
    g.gradient(0, _softmax_loss_gradient_op, p, inputs[1].flat(), dys[0])


_softmax_loss_gradient_op = Op(
    "gradient of softmax_cross_entropy",
    lambda p, labels, dloss: [(p.shape, p.dtype)],
    kernels="losses.softmax_cross_entropy_gradient",
)

softmax_cross_entropy = Op(
    "softmax_cross_entropy",
    _softmax_loss_infer,
    kernels="losses.softmax_cross_entropy",
    gradient=_softmax_loss_gradient,
    reference=reference.softmax_cross_entropy,
    cases=[Case((shape, _labels(shape)), terms=shape[1]) for shape in EXTENTS],
    indices=(1,),
    instructions=(13, 18),  # as softmax, whose result it keeps
    gradient_instructions=(1, 1),
    flops=lambda inputs, outputs: 26 * inputs[1].size if len(inputs) > 2 else 25 * inputs[0].size,
    doc="-log(softmax(z)[label]) of each row of z (N, C); labels: (N,), or N in any shape, "
    "int64. p, row_max and exp_sum, if at hand, are what softmax made of z.",
)

_sparse_gradient_op = Op(
    "gradient of clipped_sparse_cross_entropy",
    lambda p, labels, dloss, *, clip: [(p.shape, p.dtype)],
    kernels="losses.sparse_categorical_crossentropy_gradient",
    flops=4,
)

clipped_sparse_cross_entropy = Op(
    "clipped_sparse_cross_entropy",
    lambda p, labels, *, clip=CLIP: [
        ((p.shape[0],), _expect_labels("clipped_sparse_cross_entropy", p, labels, "p"))
    ],
    kernels="losses.sparse_categorical_crossentropy",
    gradient=lambda g, dys, inputs, outputs, clip=CLIP: g.gradient(
        0, _sparse_gradient_op, inputs[0], inputs[1].flat(), dys[0], clip=clip
    ),
    reference=reference.sparse_categorical_crossentropy,
    cases=[Case((_between(shape), _labels(shape)), terms=shape[1]) for shape in EXTENTS],
    indices=(1,),
    flops=lambda inputs, outputs, **_: 2 * inputs[0].size,
    doc="log(sum of p) - log(p[label]) of each row of p (N, C), p kept `clip` away from 0 and 1; "
    "labels: (N,), or N in any shape, int64.",
)
