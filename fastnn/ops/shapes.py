"""Shapes: views (`reshape`, `expand_dims`, `squeeze`, `ravel`), which share their input's memory,
and transposes, which copy."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from operator import index as as_index

import numpy as np

from fastnn.dtypes import ANY
from fastnn.errors import ShapeError, shape_text

from .record import Case, Op, Parameters, expect_axis, parameters_of


@lru_cache(maxsize=1024)
def _order(shape, axes):
    """The permutation in full."""
    if axes is None:
        return tuple(reversed(range(len(shape))))
    order = tuple([expect_axis("transpose", a, shape) for a in axes])
    if sorted(order) != list(range(len(shape))):
        raise ShapeError(
            f"transpose: axes must be a permutation of the {len(shape)} dimensions of "
            f"{shape_text(shape)}; got {axes}"
        )
    return order


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


def reshaped(shape: Sequence[int] | int, x_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape in full, where one extent may be -1: as many as are left."""
    try:
        shape = tuple([as_index(e) for e in ((shape,) if hasattr(shape, "__index__") else shape)])
    except TypeError:
        raise TypeError(f"reshape: a shape is made of integers; got {shape!r}") from None
    size, known = prod(x_shape), prod(e for e in shape if e != -1)
    if shape.count(-1) == 1 and known and size % known == 0:
        shape = tuple(size // known if e == -1 else e for e in shape)
    if -1 in shape or prod(shape) != size:
        raise ShapeError(
            f"reshape: {shape_text(x_shape)} has {size} elements, which do not make "
            f"{shape_text(shape)}"
        )
    return shape


def _view(name, shape_of, reference, cases, doc):
    """The op of x's memory under the shape `shape_of(x's shape, **attributes)`."""

    def infer(x, **given):
        return [x.view(shape_of(x.shape, **given))]

    attributes = parameters_of(shape_of)
    return Op(
        name,
        infer,
        parameters=Parameters(("x",), 1, attributes.attributes, attributes.defaults),
        gradient=lambda g, dys, inputs, outputs, **_: g.pass_on(0, dys[0].view(inputs[0].shape)),
        reference=reference,
        cases=[Case((shape,), given) for shape, given in cases],
        dtypes=ANY,
        doc=f"{doc} The memory is shared with x.",
        flops=0,
    )


reshape = _view(
    "reshape",
    lambda x_shape, *, newshape: reshaped(newshape, x_shape),
    lambda x, newshape: np.reshape(x, newshape),
    [
        ((), {"newshape": (1,)}),
        ((0, 3), {"newshape": (3, 0)}),
        ((4, 6), {"newshape": (24,)}),
        ((4, 6), {"newshape": (2, -1, 3)}),
        ((5,), {"newshape": -1}),
    ],
    "x under another shape with as many elements; one extent may be -1.",
)


def _expanded(x_shape, *, axis):
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    ndim = len(x_shape) + len(axes)
    places = {expect_axis("expand_dims", a, (1,) * ndim) for a in axes}
    if len(places) < len(axes):
        raise ShapeError(f"expand_dims: axis names a dimension twice: {axis}")
    rest = iter(x_shape)
    return tuple([1 if d in places else next(rest) for d in range(ndim)])


expand_dims = _view(
    "expand_dims",
    _expanded,
    lambda x, axis: np.expand_dims(x, axis),
    [((5,), {"axis": 0}), ((), {"axis": -1}), ((3, 4), {"axis": (0, -1)})],
    "x with new dimensions of extent 1, at the places `axis` (an integer or several) of the "
    "result.",
)


def _squeezed(x_shape, *, axis=None):
    if axis is None:
        return tuple([extent for extent in x_shape if extent != 1])
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    places = {expect_axis("squeeze", a, x_shape) for a in axes}
    if any([x_shape[d] != 1 for d in places]):
        raise ShapeError(
            f"squeeze: the extent of a dimension that goes must be 1; got axis {axis} of shape "
            f"{shape_text(x_shape)}"
        )
    return tuple([extent for d, extent in enumerate(x_shape) if d not in places])


squeeze = _view(
    "squeeze",
    _squeezed,
    lambda x, axis=None: np.squeeze(x, axis),
    [((1, 5, 1), {}), ((1, 5, 1), {"axis": -1}), ((1, 1, 2), {"axis": (0, 1)})],
    "x without dimensions of extent 1: all of them, or those that `axis` (an integer or several) "
    "names.",
)
ravel = _view(
    "ravel",
    lambda x_shape: (prod(x_shape),),
    np.ravel,
    [((), {}), ((2, 3), {}), ((0, 2), {})],
    "x as one row, in the order of its elements.",
)
stop_gradient = Op(
    "stop_gradient",
    lambda x: [x.view(x.shape)],
    reference=lambda x: x,
    cases=[Case(((3,),))],
    dtypes=ANY,
    doc="x, through which no gradient goes. The memory is shared with x.",
    flops=0,
)
