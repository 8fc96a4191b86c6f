"""Where elements lie: of slices, transposes and broadcasts, and of rows that an index names. What
every device's movements (`kernels/<device>/movement.py`) have in common.
"""

from functools import lru_cache
from math import prod
from operator import index as as_index

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .declare import helper


@helper
def counted(index, extent):
    """The index counted from 0, for one that may be counted from the end; -1 if it is out of
    range."""
    place = index + extent if index < 0 else index
    return place if 0 <= place < extent else -1


def around(shape, axis):
    """Extents (outer, own, inner) of an axis; of all elements as one, if it is None."""
    if axis is None:
        return 1, prod(shape), 1
    axis %= len(shape)
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


# ---- rows along any axes


@lru_cache(maxsize=1024)
def rows_along(shape, axis):
    """How elements along `axis` (an integer, several, None for all) become rows: the permutation of
    dimensions that puts these last, None where they are; the matrix's shape; the permutation
    back."""
    ndim = len(shape)
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = [a % ndim for a in axes]
    order = (*[d for d in range(ndim) if d not in axes], *axes)
    columns = prod(shape[a] for a in axes)
    matrix = prod(shape[d] for d in order[: ndim - len(axes)]), columns
    if order == tuple(range(ndim)):
        return None, matrix, None
    return order, matrix, tuple(int(d) for d in np.argsort(order))


def by_rows(call, transpose, axis, compute, *tensors):
    """compute(*tensors) of matrices whose rows are the elements along `axis`. All have one shape;
    the last is the result."""
    *inputs, out = tensors
    if not out.size:  # rows of no elements have nothing that kernels could begin with
        return
    if axis == -1 and len(out.shape) == 2:  # the usual call, at its former speed
        compute(*tensors)
        return
    axis = tuple(axis) if isinstance(axis, list) else axis
    order, matrix, back = rows_along(out.shape, axis)
    if order is None:
        compute(*[t.view(matrix) for t in tensors])
        return
    turned = [call.scratch(tuple(t.shape[d] for d in order), t.dtype) for t in tensors]
    for x, place in zip(inputs, turned, strict=False):
        transpose(call, x, place, axes=order)
    compute(*[t.view(matrix) for t in turned])
    transpose(call, turned[-1], out, axes=back)


# ---- walks: how a view's elements are copied, in its order: (rows, columns); a table of the
# (extent, step) of each dimension but the last; the place of the first element; the step from
# column to column. Neighbouring dimensions that go on in equal steps are one. Steps are elements.


def _elements(shape):
    """An array of this shape whose strides count elements, without memory behind it: where NumPy
    finds the elements of its slices and transposes, copies find those of a tensor's."""
    return as_strided(
        np.empty(1, np.int8), shape, [prod(shape[d + 1 :]) for d in range(len(shape))]
    )


def _address(x):
    return x.__array_interface__["data"][0]


def _walk(x, start):
    dims = []
    for extent, step in zip(x.shape, x.strides, strict=True):
        if dims and dims[-1][1] == extent * step:
            dims[-1] = dims[-1][0] * extent, step
        elif extent != 1:
            dims.append((extent, step))
    columns, step = dims.pop() if dims else (1, 1)
    rows = prod(extent for extent, _ in dims), columns
    return rows, np.array(dims, np.int64).reshape(-1, 2), start, step


def sliced(shape, key):
    """The walk of x[key], in which (start, stop, step) stands for a slice (`hashable`)."""
    x = _elements(shape)
    key = tuple(slice(*item) if isinstance(item, tuple) else item for item in key)
    # with an Ellipsis NumPy makes a view, and no number, of whatever the key leaves
    y = x[key if Ellipsis in key else (*key, Ellipsis)]
    return _walk(y, _address(y) - _address(x))


def hashable(key):
    """The key with a tuple for each slice: slices have no hash."""
    key = key if type(key) is tuple else (key,)
    return tuple(
        tuple(None if b is None else as_index(b) for b in (i.start, i.stop, i.step))
        if isinstance(i, slice)
        else i
        for i in key
    )


def transposed(shape, axes):
    """The walk of x.transpose(axes)."""
    return _walk(_elements(shape).transpose(axes), 0)


def transpose_axes(ndim, axes):
    """The axes of a transpose, counted from 0; None is all of them reversed."""
    return tuple(reversed(range(ndim))) if axes is None else tuple(int(a) % ndim for a in axes)


def broadcast(shape, to):
    """The walk of x broadcast to a shape."""
    return _walk(np.broadcast_to(_elements(shape), to), 0)
