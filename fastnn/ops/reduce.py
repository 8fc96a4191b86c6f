"""Sums, means, maxima and minima over any axes, and where maxima stand."""

from contextlib import suppress
from functools import lru_cache, partial
from math import prod
from operator import index
from typing import Any

import numpy as np

from fastnn.dtypes import ANY, FLOATS, INT64, SUMMED
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.reference import reduce as reference
from fastnn.kernels.scalar import arithmetic

from .arithmetic import cast, divide, equal, maximum, minimum, where
from .functions import as_tensor
from .movement import broadcast_to
from .record import Case, Op, expect_axis, expect_dtype


@lru_cache(maxsize=1024)
def reduced_shape(
    name: str, shape: tuple[int, ...], axis: tuple[int, ...] | None, keepdims: bool
) -> tuple[int, ...]:
    """The result's shape."""
    axes = range(len(shape)) if axis is None else [expect_axis(name, a, shape) for a in axis]
    reduced = {*axes}
    if len(reduced) < len(axes):
        raise ShapeError(
            f"{name}: axis names a dimension twice: {axis}, of shape {shape_text(shape)}"
        )
    return tuple(
        1 if d in reduced else e for d, e in enumerate(shape) if keepdims or d not in reduced
    )


def normal_axes(name: str, axis: Any) -> tuple[int, ...] | None:
    """The axes as a tuple of integers, or None."""
    if axis is None:
        return None
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    with suppress(TypeError):
        if not any([isinstance(a, bool) for a in axes]):  # keepdims in the place of axis
            return tuple([index(a) for a in axes])
    raise TypeError(
        f"{name}: axis must be an integer, several in a tuple, or None for all; got {axis!r}"
    )


def checked_axes(name: str, shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """The axes that are reduced, counted from 0, in ascending order; raises where x has none
    such."""
    axes = normal_axes(name, axis)
    reduced_shape(name, shape, axes, True)
    return tuple(range(len(shape))) if axes is None else tuple(sorted(a % len(shape) for a in axes))


SHAPES_AND_AXES = [
    ((), None), ((0,), None), ((1,), 0), ((65,), 0), ((9000,), None), ((5, 7), None), ((5, 7), 0),
    ((5, 7), -1), ((33, 65), 0), ((3, 4, 5), (0, 2)), ((3, 4, 5), 1), ((2, 3, 4, 5), (1, 3)),
    ((7, 1), 0), ((1, 7), 0), ((9, 131), 0),
]  # fmt: skip


def _reduction(name, reference, mean, doc, dtypes=FLOATS):
    def infer(x, *, axis=None, keepdims=False, accumulate=False):
        dtype = expect_dtype(name, dtypes, x=x)
        return [(reduced_shape(name, x.shape, normal_axes(name, axis), keepdims), dtype)]

    def gradient(g, dys, inputs, outputs, axis=None, keepdims=False, accumulate=False):
        g.gradient(
            0, sum_gradient, dys[0], shape=inputs[0].shape, axis=normal_axes(name, axis), mean=mean
        )

    cases = [
        Case((shape,), {"axis": axis, "keepdims": keep}, terms=prod(shape) or 1)
        for shape, axis in SHAPES_AND_AXES
        for keep in (False, True)
        if not (mean and prod(shape) == 0)
    ]
    doc = f"{doc} axis: an integer, several, or None for all; keepdims keeps them with extent 1."
    return Op(
        name,
        infer,
        gradient=gradient,
        reference=reference,
        cases=cases,
        kernels=f"reduce.{name}",
        accumulates=True,
        dtypes=dtypes,
        doc=doc,
        flops=lambda i, o, **_: i[0].size,
    )


sum_gradient = Op(
    "gradient of a sum",
    lambda dy, *, shape, axis, mean: [(shape, dy.dtype)],
    kernels="reduce.sum_gradient",
)
sum = _reduction(
    "sum",
    lambda x, axis=None, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims),
    False,
    "The sum of x: int32 of booleans and of uint8.",
    SUMMED,
)
mean = _reduction(
    "mean",
    lambda x, axis=None, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    True,
    "The mean of x, a float also of integers; NaN of none.",
)


def expect_some(name: str, shape: tuple[int, ...], axis: tuple[int, ...] | None) -> None:
    """Raise where nothing is reduced: there is no largest of none, as in NumPy."""
    for d in range(len(shape)) if axis is None else axis:
        if shape[d] == 0:
            raise ShapeError(
                f"{name}: x, whose shape is {shape_text(shape)}, has no elements along dimension "
                f"{d % len(shape)}, and of none there is no {name}"
            )


def _few(shape, rng):
    """Numbers many of which are equal, some of them infinite."""
    return rng.choice((-np.inf, -1.0, 0.0, 1.0, np.inf), shape)


def _some_nan(shape, rng):
    x = rng.uniform(-4, 4, shape)
    return np.where(rng.integers(0, 2 * shape[-1], shape) == 0, np.nan, x)


# Of every shape, equal elements, infinities and NaN in rows and in columns.
DRAWN = [
    *[(shape, axis) for shape, axis in SHAPES_AND_AXES if 0 not in shape],
    ((0, 3), 1), ((64,), 0), ((3, 63), 1), ((3, 128), 1), ((5, 200), -1), ((3, 5, 70), (0, 1)),
    *[(partial(draw, shape), axis) for draw in (_few, _some_nan)
      for shape, axis in [((7, 9), 0), ((7, 9), 1), ((9, 131), 1), ((9, 131), 0), ((20,), None)]],
]  # fmt: skip


class Extreme(Op):
    """max and min, which also take Keras's `initial`: a number that is among the elements."""

    def __call__(self, *inputs: Any, initial: Any = None, **attributes: Any) -> Any:
        if len(inputs) == 4:  # by position
            *inputs, initial = inputs  # type: ignore[assignment]
        if initial is None:
            return super().__call__(*inputs, **attributes)
        given = dict(zip(("x", "axis", "keepdims"), inputs, strict=False)) | attributes
        shape, axis = np.shape(given["x"]), normal_axes(self.name, given.get("axis"))
        if 0 in (shape if axis is None else [shape[a] for a in axis]):  # of none: the initial one
            found = reduced_shape(self.name, shape, axis, bool(given.get("keepdims", False)))
            value = np.asarray(initial, as_tensor(given["x"]).dtype)
            return broadcast_to(as_tensor(value), found)
        other = maximum if self.name == "max" else minimum
        return other(super().__call__(*inputs, **attributes), initial)


def _extreme(name, formula, choose, doc):
    def infer(x, *, axis=None, keepdims=False):
        dtype, axes = expect_dtype(name, ANY, x=x), normal_axes(name, axis)
        shape = reduced_shape(name, x.shape, axes, keepdims)
        expect_some(name, x.shape, axes)
        return [(shape, dtype)]

    def gradient(g, dys, inputs, outputs, axis=None, keepdims=False):
        """dx = dy / how many are equal to y, where x is."""
        if g.wants(0):
            x, axes = inputs[0], normal_axes(name, axis)
            kept = reduced_shape(name, x.shape, axes, True)
            is_found = g.run(equal, x, outputs[0].view(kept))
            count = g.run(sum, g.run(cast, is_found, dtype=x.dtype), axis=axes, keepdims=True)
            share = g.run(divide, dys[0].view(kept), count)
            g.pass_on(0, g.run(where, is_found, share, 0.0))

    return Extreme(
        name,
        infer,
        gradient=gradient,
        reference=partial(reference.extreme, choose=choose),
        cases=[
            Case((drawn,), {"axis": axis, "keepdims": keep})
            for drawn, axis in DRAWN
            for keep in (False, True)
        ],
        kernels="extremes.extreme",
        formula=formula,
        dtypes=ANY,
        aliases=(f"a{name}",),
        doc=f"{doc} element of x, NaN if one is; equal ones share the gradient, as in TensorFlow "
        "and JAX. axis: an integer, several, or None for all; keepdims keeps them with extent 1; "
        "initial: a number that counts as one more element.",
        flops=lambda i, o, **_: i[0].size,
    )


max = _extreme("max", arithmetic.maximum, np.max, "The largest")
min = _extreme("min", arithmetic.minimum, np.min, "The smallest")


def _place(name, formula, choose, which):
    """Where an extreme stands."""

    def infer(x, *, axis=None, keepdims=False):
        expect_dtype(name, ANY, x=x)
        axes = normal_axes(name, axis)
        if axes is not None and len(axes) != 1:
            raise ShapeError(f"{name}: axis must be one integer, or None for all; got {axis!r}")
        shape = reduced_shape(name, x.shape, axes, keepdims)
        expect_some(name, x.shape, axes)
        return [(shape, INT64)]

    return Op(
        name,
        infer,
        kernels="extremes.place_of_extreme",
        formula=formula,
        reference=choose,
        cases=[
            Case((drawn,), {"axis": axis, "keepdims": keep})
            for drawn, axis in DRAWN
            if not isinstance(axis, tuple)
            for keep in (False, True)
        ],
        dtypes=ANY,
        doc=f"Where the {which} element of x stands, int64 (Keras's are int32: here all indices "
        "are int64): of equal ones the first, of NaN the first NaN. axis: an integer, or None for "
        "all, which are counted as one row; keepdims keeps what is reduced with extent 1.",
        flops=lambda i, o, **_: i[0].size,
    )


argmax = _place("argmax", arithmetic.maximum, np.argmax, "largest")
argmin = _place("argmin", arithmetic.minimum, np.argmin, "smallest")

add_to = Op(
    "add_to",
    lambda x: [],
    kernels="reduce.add_to",
    reference=lambda x, total: total + x,
    cases=[Case((shape, shape)) for shape in [(), (0, 3), (5, 13), (131,)]],
    flops=0,
    in_place=True,
    doc="total += x.",
)
