"""Cross-entropies by Keras's names: of targets, then of what is to be like them."""

from typing import Any

import numpy as np

from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.reference import losses as reference
from fastnn.kernels.reference.losses import clipped
from fastnn.kernels.reference.normalization import log_softmax as log_softmax_reference

from .arithmetic import divide, maximum, minimum, multiply, negative
from .composite import composite
from .elementary import log
from .losses import (
    CLIP,
    clipped_binary_cross_entropy,
    clipped_sparse_cross_entropy,
    log_softmax,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from .record import Case, expect_axis
from .reduce import sum
from .shapes import reshape, transpose


def _expect_alike(name, target, output):
    if target.shape != output.shape or not output.shape:
        raise ShapeError(
            f"{name}: target and output must have one shape, of a dimension or more; got "
            f"{shape_text(target.shape)} and {shape_text(output.shape)}"
        )


def _binary(target, output, from_logits=False):
    of = reference.sigmoid_cross_entropy if from_logits else reference.binary_crossentropy
    return of(output, target)


def _shares(*shape):
    return lambda rng: rng.uniform(0.05, 0.95, shape)


@composite(
    reference=_binary,
    constant=(0,),
    cases=[
        *[Case((_shares(*shape),) * 2) for shape in [(1,), (5, 7), (0, 3), (3, 4, 17)]],
        Case((_shares(5, 7), (5, 7)), {"from_logits": True}),
    ],
)
def binary_crossentropy(target: Any, output: Any, *, from_logits: bool = False) -> Any:
    """-target log(output) - (1 - target) log(1 - output), element by element; output is kept 1e-7
    away from 0 and 1. from_logits: output is what a sigmoid would make probabilities of."""
    _expect_alike("binary_crossentropy", target, output)
    of = sigmoid_cross_entropy if from_logits else clipped_binary_cross_entropy
    return of(output, target)


def _categorical(target, output, from_logits=False, axis=-1):
    if from_logits:
        log_p = log_softmax_reference(output, axis)
    else:
        log_p = np.log(clipped(output / output.sum(axis=axis, keepdims=True), CLIP))
    return -(target * log_p).sum(axis=axis)


@composite(
    reference=_categorical,
    cases=[
        Case((_shares(*shape),) * 2, {"axis": axis, "from_logits": from_logits}, terms=shape[axis])
        for shape, axis in [((5,), 0), ((5, 7), -1), ((33, 10), 1), ((3, 4, 17), 1), ((0, 3), -1)]
        for from_logits in (False, True)
    ],
)
def categorical_crossentropy(
    target: Any, output: Any, *, from_logits: bool = False, axis: int = -1
) -> Any:
    """-(the sum of target log(output)) along axis; output is divided by its sum and kept 1e-7 away
    from 0 and 1. from_logits: output is what a softmax would make probabilities of."""
    _expect_alike("categorical_crossentropy", target, output)
    axis = expect_axis("categorical_crossentropy", axis, output.shape)
    if from_logits:
        log_p = log_softmax(output, axis=axis)
    else:
        p = divide(output, sum(output, axis=axis, keepdims=True))
        log_p = log(minimum(maximum(p, CLIP), 1.0 - CLIP))
    return negative(sum(multiply(target, log_p), axis=axis))


def _sparse(target, output, from_logits=False, axis=-1):
    rows = np.moveaxis(output, axis, -1)
    of = (
        reference.softmax_cross_entropy
        if from_logits
        else reference.sparse_categorical_crossentropy
    )
    values = of(rows.reshape(-1, rows.shape[-1]), target.reshape(-1))
    return values.reshape(rows.shape[:-1])


def _labels(classes, *shape):
    return lambda rng: rng.integers(0, classes, shape)


@composite(
    reference=_sparse,
    indices=(0,),
    cases=[
        Case((_labels(shape[axis], *kept), _shares(*shape)), {"axis": axis, "from_logits": z})
        for shape, axis, kept in [
            ((7,), 0, ()), ((5, 7), -1, (5,)), ((5, 7), -1, (5, 1)), ((3, 4, 5), 1, (3, 5)),
            ((3, 4, 17), -1, (3, 4)),
        ]
        for z in (False, True)
    ],
)  # fmt: skip
def sparse_categorical_crossentropy(
    target: Any, output: Any, *, from_logits: bool = False, axis: int = -1
) -> Any:
    """-log(output[target]) along axis, target (...) or (..., 1) the indices of classes, int64, for
    output (..., C), which is kept 1e-7 away from 0 and 1 and divided by its sum. from_logits: it is
    what a softmax would make probabilities of."""
    name, dims = "sparse_categorical_crossentropy", len(output.shape)
    axis = expect_axis(name, axis, output.shape)
    kept = tuple([e for d, e in enumerate(output.shape) if d != axis])
    with_axis = tuple([1 if d == axis else e for d, e in enumerate(output.shape)])
    if target.shape not in (kept, with_axis):
        raise ShapeError(
            f"{name}: target must hold labels of shape {shape_text(kept)} for output of "
            f"{shape_text(output.shape)}; got {shape_text(target.shape)}"
        )
    if axis != dims - 1:
        output = transpose(output, axes=[*[d for d in range(dims) if d != axis], axis])
    of = softmax_cross_entropy if from_logits else clipped_sparse_cross_entropy
    if dims == 2:
        return of(output, target)
    return reshape(of(reshape(output, (-1, output.shape[-1])), target), kept)
