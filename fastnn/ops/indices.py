"""Elements taken and put where indices say."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn.dtypes import ANY, INT64
from fastnn.errors import RecordingError, ShapeError, shape_text
from fastnn.kernels import declare
from fastnn.kernels.scalar import Formula, arithmetic

from .arithmetic import add, divide, equal, multiply, where
from .composite import composite
from .create import as_type
from .functions import as_tensor, public, tensors_of
from .movement import Span, broadcast_to, flat_index, slice_copy, slice_updated, take, zeros
from .record import (
    Case,
    Op,
    expect_axis,
    expect_dtype,
    expect_integer,
    expect_shape,
    expect_shape_attribute,
)
from .shapes import ravel, reshape

# ---- along an axis


def _along_reference(x, indices, axis=None):
    if axis is None:
        return x.ravel()[indices.ravel()]
    return np.take_along_axis(x, indices, axis)


def _some(extent, *shape):
    return lambda rng: rng.integers(-extent, extent, shape)


@composite(
    reference=_along_reference,
    cases=[
        Case((shape, _some(shape[axis or 0], *indices)), {"axis": axis}, terms=9)
        for shape, axis, indices in [
            ((5,), 0, (7,)), ((4, 6), 1, (4, 3)), ((6, 4), 0, (3, 4)), ((3, 4, 5), 1, (3, 2, 5)),
            ((3, 4, 5), -1, (3, 4, 1)), ((4, 6), 1, (1, 3)), ((1, 6), 1, (4, 3)),
            ((4, 6), None, (5,)),
        ]
    ],
    indices=(1,),
    dtypes=ANY,
)  # fmt: skip
def take_along_axis(x: Any, indices: Any, *, axis: int | None = None) -> Any:
    """The elements of x that `indices` name along `axis`, each in its own row: y[a, m, b] =
    x[a, indices[a, m, b], b]. indices: int64, of as many dimensions as x, which broadcast with it
    but along the axis; negative ones count from the end. None for axis: of x and of the indices as
    one row."""
    if axis is None:
        return take(x, ravel(indices), axis=None)
    axis = expect_axis("take_along_axis", axis, x.shape)
    if len(indices.shape) != len(x.shape):
        raise ShapeError(
            f"take_along_axis: indices must have the {x.ndim} dimensions of x, "
            f"{shape_text(x.shape)}; got shape {shape_text(indices.shape)}"
        )
    extent, count = x.shape[axis], indices.shape[axis]
    pairs = zip(x.shape, indices.shape, strict=True)
    whole = [1 if d == axis else i if e == 1 else e for d, (e, i) in enumerate(pairs)]
    of_x, of_indices = list(whole), list(whole)
    of_x[axis], of_indices[axis] = extent, count
    x = x if x.shape == tuple(of_x) else broadcast_to(x, of_x)
    if indices.shape != tuple(of_indices):
        indices = broadcast_to(indices, of_indices)
    outer, inner = prod(of_x[:axis]), prod(of_x[axis + 1 :])
    index = reshape(indices, (outer, count, inner))
    # negative ones, and those out of range, stay so, of one row of x alone
    if outer > 1:
        index = flat_index(np.arange(outer).reshape(-1, 1, 1), index, extent=extent)
    if inner > 1:
        index = flat_index(index, np.arange(inner), extent=inner)
    return reshape(take(x, index, axis=None), of_indices)


@public()
def get_item(x: Any, key: Any) -> Any:
    """x[key]."""
    return as_tensor(x)[key]


@public()
def unravel_index(indices: Any, shape: Any) -> tuple:
    """The index along each dimension of a tensor of this shape, for indices of its elements as one
    row: a tuple of int32. While a step is recorded, indices must be known.

    >>> from fastnn import ops
    >>> print(*ops.unravel_index([5, 2], (2, 3)))
    [1 0] [2 2]
    """
    shape = expect_shape_attribute("unravel_index", shape)
    index, size = np.asarray(indices), prod(shape)
    if index.dtype.kind not in "iu" or ((index < -size) | (index >= size)).any():
        raise IndexError(
            f"unravel_index: indices must be integers among the {size} elements of "
            f"{shape_text(shape)}; got {indices}"
        )
    return tuple([as_tensor(i.astype(np.int32)) for i in np.unravel_index(index % size, shape)])


@public()
def select(condlist: Sequence, choicelist: Sequence, default: Any = 0) -> Any:
    """Of each element the choice whose condition is the first that is True; the default, if none
    is.

    >>> from fastnn import ops
    >>> x = ops.arange(5)
    >>> print(ops.select([x < 2, x > 2], [x, x * x], -1))
    [ 0  1 -1  9 16]
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(
            "select: condlist and choicelist must be lists of as many, at least one; got "
            f"{len(condlist)} and {len(choicelist)}"
        )
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        default = where(condition, choice, default)
    return default


# ---- scattered


def _scatter_op(function, dtypes, gradient):
    """y = x, then y[index[m]] = function(y[index[m]], updates[m]) for each m in turn."""
    name, formula = "scatter_update", Formula(function, dtypes=dtypes)
    taken = tuple(map(np.dtype, dtypes))

    def infer(x, index, updates):
        expect_dtype(name, taken, inputs=x, updates=updates)
        expect_dtype(name, (INT64,), indices=index)
        expect_shape(name, "updates", updates.shape, (*index.shape, *x.shape[1:]))
        if index.shape[0] and not x.shape[0]:
            raise IndexError(f"{name}: inputs of no elements have none that an index could name")
        return [(x.shape, x.dtype)]

    return Op(
        name,
        infer,
        kernels="scatter.scatter",
        formula=formula,
        indices=(1,),
        dtypes=taken,
        gradient=gradient,
        flops=lambda i, o, *_: i[2].size,
    )


def _set_gradient(g, dys, inputs, outputs):
    """Of several updates of one place the last one stands there, and has its gradient."""
    x, index, updates = inputs
    if g.wants(0):
        none = g.run(zeros, shape=updates.shape, dtype=updates.dtype)
        g.gradient(0, scatter_set, dys[0], index, none)
    if g.wants(2):
        own = np.arange(index.shape[0])
        writers = g.run(scatter_set, np.zeros(x.shape[0], np.int64), index, own)
        is_last = g.run(equal, g.run(take, writers, index, axis=0), own)
        is_last = is_last.view((index.shape[0], *(1,) * (len(x.shape) - 1)))
        taken = g.run(take, dys[0], index, axis=0)
        g.pass_on(2, g.run(where, is_last, taken, 0.0))


def _add_gradient(g, dys, inputs, outputs):
    g.pass_on(0, dys[0])
    g.gradient(2, take, dys[0], inputs[1], axis=0)


def _extreme_gradient(g, dys, inputs, outputs):
    """Those that are the extreme share the gradient."""
    x, index, updates = inputs
    one, nothing = np.ones((), x.dtype), np.zeros((), x.dtype)
    is_own = g.run(where, g.run(equal, x, outputs[0]), one, nothing)
    there = g.run(take, outputs[0], index, axis=0)
    is_update = g.run(where, g.run(equal, updates, there), one, nothing)
    count = g.run(scatter_add, is_own, index, is_update)
    share = g.run(divide, dys[0], count)
    g.gradient(0, multiply, share, is_own)
    if g.wants(2):
        g.pass_on(2, g.run(multiply, g.run(take, share, index, axis=0), is_update))


scatter_set = _scatter_op(arithmetic.second, declare.ANY, _set_gradient)
scatter_add = _scatter_op(arithmetic.add, declare.NUMBERS, _add_gradient)
scatter_max = _scatter_op(arithmetic.maximum, declare.NUMBERS, _extreme_gradient)
scatter_min = _scatter_op(arithmetic.minimum, declare.NUMBERS, _extreme_gradient)
scatter_multiply = _scatter_op(arithmetic.multiply, declare.NUMBERS, None)
REDUCTIONS = {
    None: scatter_set,
    "add": scatter_add,
    "max": scatter_max,
    "min": scatter_min,
    "mul": scatter_multiply,
}


def _as_rows(name, x, indices):
    """x with the dimensions that `indices` (M, K) name as one, and their index in it, (M,)."""
    if len(indices.shape) < 1 or not 1 <= indices.shape[-1] <= len(x.shape):
        raise ShapeError(
            f"{name}: indices must have shape (M, K), K from 1 to {x.ndim}, the dimensions that "
            f"are named of {shape_text(x.shape)}; got {shape_text(indices.shape)}"
        )
    named = x.shape[: indices.shape[-1]]
    rows = reshape(indices, (-1, len(named)) if indices.shape[-1] else (0, len(named)))
    index = slice_copy(rows, key=(Span(None, None, None), 0))
    for n, extent in enumerate(named[1:], 1):
        column = slice_copy(rows, key=(Span(None, None, None), n))
        index = flat_index(index, column, extent=extent)
    return reshape(x, (prod(named), *x.shape[len(named) :])), index


def _scattered(name, op, x, indices, updates):
    rows, index = _as_rows(name, x, indices)
    expected = (*indices.shape[:-1], *rows.shape[1:])
    if updates.shape != expected:
        updates = broadcast_to(updates, expected)
    updates = reshape(updates, (index.shape[0], *rows.shape[1:]))
    return reshape(op(rows, index, updates), x.shape)


def _update_reference(x, indices, updates, reduction=None):
    x, key = x.copy(), tuple(np.moveaxis(indices, -1, 0))
    if reduction is None:
        x[key] = updates
        return x
    of_two = {"add": np.add, "mul": np.multiply, "max": np.fmax, "min": np.fmin}[reduction]
    if x.dtype.kind != "c" or reduction in ("add", "mul"):
        of_two.at(x, key, updates)
        return x
    better = np.greater if reduction == "max" else np.less
    for place, update in zip(zip(*key, strict=True), updates, strict=True):
        x[place] = np.where(better(np.real(update), np.real(x[place])), update, x[place])
    return x


UPDATES = [
    ((9,), lambda rng: rng.integers(-9, 9, (5, 1)), (5,)),
    ((4, 5), lambda rng: rng.integers(0, 4, (7, 2)), (7,)),
    ((4, 3, 5), lambda rng: rng.integers(0, 3, (6, 2)), (6, 5)),
    ((40, 70), lambda rng: rng.integers(0, 4, (9, 1)), (9, 70)),
]


@composite(
    reference=_update_reference,
    cases=[
        Case((x, indices, updates), {"reduction": reduction}, terms=9)
        for reduction in (None, "add", "max", "min")
        for x, indices, updates in UPDATES
    ],
    indices=(1,),
    dtypes=ANY,
)
def scatter_update(inputs: Any, indices: Any, updates: Any, *, reduction: Any = None) -> Any:
    """inputs with updates at the places that `indices` name. indices: (M, K), int64, M places by
    their indices of the first K dimensions, negative ones counted from the end; updates: (M, ...),
    of the dimensions that are left. reduction: None, the last update of a place stands there;
    "add", "max", "min", "mul" combine what stands there with each. "mul" has no gradient."""
    op = REDUCTIONS.get(reduction.lower() if isinstance(reduction, str) else reduction)
    if op is None:
        raise ValueError(
            "scatter_update: reduction must be None, 'add', 'max', 'min' or 'mul'; got "
            f"{reduction!r}"
        )
    return _scattered("scatter_update", op, inputs, indices, updates)


def _scatter_reference(indices, values, shape):
    x = np.zeros(shape, values.dtype)
    np.add.at(x, tuple(np.moveaxis(indices, -1, 0)), values)
    return x


@composite(
    reference=_scatter_reference,
    cases=[Case((indices, updates), {"shape": x}, terms=9) for x, indices, updates in UPDATES],
    indices=(0,),
    dtypes=ANY,
)
def scatter(indices: Any, values: Any, *, shape: Any) -> Any:
    """Zeros of `shape` with values added at the places that `indices` name: as for
    `scatter_update`."""
    shape = expect_shape_attribute("scatter", shape)
    whole = Op.run(zeros, (), {"shape": shape, "dtype": values.dtype})
    return _scattered("scatter", scatter_add, whole, indices, values)


# ---- slices that begin at indices


def _known(name, start):
    """An index as an integer; a tensor whose value a recorded step does not know yet, as it is."""
    try:
        return expect_integer(name, "start_indices", np.asarray(start).item())
    except RecordingError:
        return start


def _starts(name, x, start_indices):
    """Where a slice begins along each dimension."""
    if not isinstance(start_indices, list | tuple):
        try:
            start_indices = np.asarray(start_indices).ravel()
        except RecordingError:
            start_indices = [
                slice_copy(start_indices, key=(n,)) for n in range(start_indices.shape[0])
            ]
    if len(start_indices) != len(x.shape):
        raise ShapeError(
            f"{name}: start_indices must be {len(x.shape)} integers, one for each dimension of "
            f"{shape_text(x.shape)}; got {len(start_indices)}"
        )
    return [_known(name, start) for start in start_indices]


def _spans(name, x, starts, shape):
    """The key of a slice whose beginning is known; of a dimension where it is not, all of it."""
    key = []
    for d, (start, extent) in enumerate(zip(starts, shape, strict=True)):
        if not isinstance(start, int):
            key.append(Span(None, None, None))
            continue
        if not 0 <= start <= start + extent <= x.shape[d]:
            raise IndexError(
                f"{name}: {extent} elements from {start} on are not among the {x.shape[d]} of "
                f"dimension {d}"
            )
        key.append(Span(start, start + extent, None))
    return tuple(key)


def _places(start, extent):
    """The indices of a slice that begins at a tensor's number."""
    return add(as_type(reshape(start, (1,)), INT64), np.arange(extent))


@public(
    lambda inputs, start_indices, shape: inputs[
        tuple(
            [
                np.s_[a : a + n] if n != -1 else np.s_[a:]
                for a, n in zip(start_indices, shape, strict=True)
            ]
        )
    ],
    [
        Case(((5,),), {"start_indices": [1], "shape": [3]}),
        Case(((4, 5),), {"start_indices": (1, 2), "shape": (2, -1)}),
    ],
)
def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """The part of this shape that begins at `start_indices`, one for each dimension: numbers or
    tensors, also those that a recorded step computes. -1 in shape: all that are left. A slice that
    is not within the tensor is an IndexError (JAX moves it inside).

    >>> from fastnn import ops
    >>> print(ops.slice([1, 2, 3, 4], [1], [2]))
    [2 3]
    """
    (x,) = tensors_of("slice", "inputs", [inputs])
    if not isinstance(shape, Iterable):
        raise TypeError(f"slice: shape must be integers; got {shape!r}")
    starts, shape = _starts("slice", x, start_indices), list(shape)
    if len(shape) != len(starts):
        raise ShapeError(
            f"slice: shape must have the {len(starts)} dimensions of inputs; got {shape}"
        )
    for d, (start, extent) in enumerate(zip(starts, shape, strict=True)):
        if extent == -1 and not isinstance(start, int):
            raise RecordingError(
                f"slice: a recorded step has fixed shapes, so the extent of dimension {d} cannot "
                "be -1 where its start is a tensor. Say how many elements."
            )
        shape[d] = x.shape[d] - start if extent == -1 else extent
    shape = expect_shape_attribute("slice", shape)
    taken = slice_copy(x, key=_spans("slice", x, starts, shape))
    for d, start in enumerate(starts):
        if not isinstance(start, int):
            taken = take(taken, _places(start, shape[d]), axis=d)
    return taken


@public()
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """inputs with `updates`, of as many dimensions, in place of the part that begins at
    `start_indices`, as for `slice`.

    >>> from fastnn import ops
    >>> print(ops.slice_update([1, 2, 3, 4], [1], [7, 8]))
    [1 7 8 4]
    """
    x, updates = as_tensor(inputs), as_tensor(updates)
    starts = _starts("slice_update", x, start_indices)
    if len(updates.shape) != len(x.shape):
        raise ShapeError(
            f"slice_update: updates must have the {len(x.shape)} dimensions of inputs; got shape "
            f"{shape_text(updates.shape)}"
        )
    key = _spans("slice_update", x, starts, updates.shape)
    if all([isinstance(start, int) for start in starts]):
        return slice_updated(x, updates, key=key)
    index = as_tensor(np.zeros((1,) * len(x.shape), np.int64))
    for d, (start, extent) in enumerate(zip(starts, updates.shape, strict=True)):
        along = (
            _places(start, extent)
            if not isinstance(start, int)
            else np.arange(start, start + extent)
        )
        along = reshape(along, [-1 if n == d else 1 for n in range(len(x.shape))])
        index = flat_index(index, along, extent=x.shape[d])
    flat = scatter_set(ravel(x), ravel(index), ravel(updates))
    return reshape(flat, x.shape)
