"""Rows out of the whole data, and what metrics count. None of them has a gradient."""

from fastnn.kernels import reference
from fastnn.kernels.cpu import batches as kernels

from .record import Case, Op, expect_float, expect_shape

gather = Op(
    "gather",
    lambda source, order, cursor, *, rows: [((rows, *source.shape[1:]), source.dtype)],
    lambda outputs, inputs, rows: [
        (kernels.gather, (_rows(inputs[0]), *inputs[1:], _rows(outputs[0])))
    ],
    reference=reference.gather,
    cases=[
        Case(
            (
                shape,
                lambda rng, n=shape[0]: rng.permutation(n),
                lambda rng, at=at: rng.integers(at, at + 1, 1),
            ),
            {"rows": rows},
        )
        for shape, at, rows in [
            ((1, 1), 0, 1),
            ((9, 5), 2, 4),
            ((40, 17), 7, 33),
            ((9,), 1, 3),
            ((5, 2, 3), 0, 5),
        ]
    ],
    indices=(1, 2),
    flops=0,
    doc="Rows of source: those that `order` names from place `cursor` on. order: int64; cursor: "
    "int64, one element.",
)


def _rows(x):
    return x.view((x.shape[0], x.flat().shape[0] // max(x.shape[0], 1)))


def _pair(name, p, target):
    dtype = expect_float(name, p=p, target=target)
    expect_shape(name, "p", p.shape, (None, None))
    expect_shape(name, "target", target.shape, p.shape)
    return dtype


TARGETS = [(1, 1), (5, 3), (9, 1), (33, 10)]


def _bits(shape):
    return lambda rng: rng.integers(0, 2, shape).astype(float)


binary_match = Op(
    "binary_match",
    lambda p, target, *, threshold=0.5: [((p.shape[0],), _pair("binary_match", p, target))],
    lambda outputs, inputs, threshold=0.5: [
        (kernels.binary_match, (*inputs, float(threshold), *outputs))
    ],
    reference=reference.binary_match,
    cases=[Case((shape, _bits(shape)), domain=(0.0, 1.0)) for shape in TARGETS],
    doc="The share of a row's targets that equal 1 where p > threshold and 0 elsewhere. p, "
    "target: (N, C).",
)


def _class_infer(p, labels):
    dtype = expect_float("class_match", p=p)
    expect_shape("class_match", "p", p.shape, (None, None))
    expect_shape("class_match", "labels", labels.shape, (p.shape[0],))
    return [((p.shape[0],), dtype)]


class_match = Op(
    "class_match",
    _class_infer,
    lambda outputs, inputs: [(kernels.class_match, (*inputs, *outputs))],
    reference=reference.class_match,
    cases=[Case((shape, lambda rng, s=shape: rng.integers(0, s[1], s[0]))) for shape in TARGETS],
    indices=(1,),
    doc="1 where the largest of a row of p (N, C) stands at the label (N,), else 0; of equals the "
    "first counts.",
)

categorical_match = Op(
    "categorical_match",
    lambda p, target: [((p.shape[0],), _pair("categorical_match", p, target))],
    lambda outputs, inputs: [(kernels.categorical_match, (*inputs, *outputs))],
    reference=reference.categorical_match,
    cases=[Case((shape, shape)) for shape in TARGETS],
    doc="1 where the largest of a row of p and of a row of target (both (N, C)) stand at the same "
    "place, else 0.",
)
