"""Ops that move elements without computing. `reshape` shares its input's memory; transposing
copies."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np

from fastnn.dtypes import ANY
from fastnn.errors import ShapeError, shape_text

from .record import Case, Op


@lru_cache(maxsize=1024)
def _order(shape, axes):
    """The permutation in full."""
    axes = tuple(reversed(range(len(shape)))) if axes is None else axes
    if sorted(a % len(shape) if shape else a for a in axes) != list(range(len(shape))):
        raise ShapeError(
            f"transpose: axes must be a permutation of the {len(shape)} dimensions of "
            f"{shape_text(shape)}; got {axes}"
        )
    return tuple(a % len(shape) for a in axes)


def _transpose_infer(x, *, axes=None):
    order = _order(x.shape, None if axes is None else tuple(axes))
    return [(tuple([x.shape[a] for a in order]), x.dtype)]


def _transpose_gradient(g, dys, inputs, outputs, axes=None):
    order = _order(inputs[0].shape, None if axes is None else tuple(axes))
    g.gradient(0, transpose, dys[0], axes=tuple(int(a) for a in np.argsort(order)))


transpose = Op(
    "transpose",
    _transpose_infer,
    kernels="movement.transpose",
    gradient=_transpose_gradient,
    reference=lambda x, axes=None: np.transpose(x, axes),
    cases=[
        *(
            Case((s,))
            for s in [
                (),
                (5,),
                (0, 3),
                (1, 1),
                (4, 7),
                (16, 16),
                (17, 33),
                (8, 31),
                (37, 64),
                (3, 4, 5),
            ]
        ),
        *(
            Case(((2, 3, 4, 5),), {"axes": axes})
            for axes in [(0, 2, 1, 3), (3, 1, 0, 2), (-1, 0, 1, 2)]
        ),
        Case(((5, 6),), {"axes": (0, 1)}),
    ],
    dtypes=ANY,
    doc="x with its dimensions in another order, copied: reversed, or by `axes`, a permutation.",
    flops=0,
)


def reshaped(shape: Sequence[int], x_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape in full, where one extent may be -1: as many as are left."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size, known = prod(x_shape), prod(e for e in shape if e != -1)
    if shape.count(-1) == 1 and known and size % known == 0:
        shape = tuple(size // known if e == -1 else e for e in shape)
    if -1 in shape or prod(shape) != size:
        raise ShapeError(
            f"reshape: {shape_text(x_shape)} has {size} elements, which do not make "
            f"{shape_text(shape)}"
        )
    return shape


reshape = Op(
    "reshape",
    lambda x, *, shape: [x.view(reshaped(shape, x.shape))],
    gradient=lambda g, dys, inputs, outputs, shape: g.pass_on(0, dys[0].view(inputs[0].shape)),
    reference=lambda x, shape: np.reshape(x, shape),
    cases=[
        Case((s,), {"shape": t})
        for s, t in [
            ((), (1,)),
            ((0, 3), (3, 0)),
            ((4, 6), (24,)),
            ((4, 6), (2, -1, 3)),
            ((5,), -1),
        ]
    ],
    dtypes=ANY,
    doc="x under another shape with as many elements; one extent may be -1. The memory is shared "
    "with x.",
    flops=0,
)
