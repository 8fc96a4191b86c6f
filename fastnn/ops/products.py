"""Products of vectors and of tensors of any dimensions, made of `matmul` and of pointwise ones."""

from collections.abc import Sequence
from math import prod
from operator import index as as_index
from typing import Any

import numpy as np

from fastnn.dtypes import SUMMED
from fastnn.errors import ShapeError, shape_text

from .arithmetic import multiply, subtract
from .composite import composite
from .matmul import DOMAIN, matmul
from .movement import take
from .record import Case, expect_axis
from .shapes import reshape, transpose


def _cases(*shapes, terms=1, **attributes):
    return [Case(s, attributes, terms, DOMAIN) for s in shapes]


@composite(
    reference=np.dot,
    cases=_cases(
        ((), (3, 2)), ((5,), (5,)), ((3, 5), (5,)), ((5,), (5, 7)), ((3, 5), (5, 7)),
        ((2, 3, 5), (5,)), ((2, 3, 5), (4, 5, 7)), ((3, 0), (0, 2)), terms=5,
    ),
    dtypes=SUMMED,
)  # fmt: skip
def dot(x1: Any, x2: Any) -> Any:
    """The sum of products over the last dimension of x1 and the last but one of x2, or its only
    one: (..., K) and (..., K, N) give (..., ..., N). With a number, the product with it."""
    if not x1.shape or not x2.shape:
        return multiply(x1, x2)
    if len(x2.shape) <= 2:
        expect_fit("dot", x1, x2, [-1], [-min(2, len(x2.shape))])
        return matmul(x1, x2)
    return _contracted("dot", x1, x2, [-1], [-2])


@composite(
    reference=np.inner,
    cases=_cases(((), (3, 2)), ((5,), (5,)), ((3, 5), (5,)), ((3, 5), (2, 4, 5)), terms=5),
    dtypes=SUMMED,
)
def inner(x1: Any, x2: Any) -> Any:
    """The sum of products over the last dimensions of both: (..., K) and (..., K) give (..., ...).
    With a number, the product with it."""
    if not x1.shape or not x2.shape:
        return multiply(x1, x2)
    return _contracted("inner", x1, x2, [-1], [-1])


@composite(
    reference=lambda x1, x2: np.dot(x1.ravel(), x2.ravel()),
    cases=_cases(((5,), (5,)), ((3, 5), (5, 3)), ((0,), (0,)), terms=15),
    dtypes=SUMMED,
)
def vdot(x1: Any, x2: Any) -> Any:
    """The sum of products of the elements of x1 and x2, each as one row."""
    x1, x2 = reshape(x1, newshape=(-1,)), reshape(x2, newshape=(-1,))
    expect_fit("vdot", x1, x2, [0], [0])
    return matmul(x1, x2)


@composite(
    reference=np.outer,
    cases=_cases(((5,), (7,)), ((2, 3), (5,)), ((), (3,)), ((0,), (3,))),
    dtypes=SUMMED,
)
def outer(x1: Any, x2: Any) -> Any:
    """All products of an element of x1 and one of x2, each as one row: (M, N)."""
    return multiply(reshape(x1, newshape=(-1, 1)), reshape(x2, newshape=(1, -1)))


@composite(
    reference=lambda x1, x2, axes=2: np.tensordot(x1, x2, axes),
    cases=[
        *_cases(((3, 4, 5), (4, 5, 6)), ((4, 5), (4, 5)), terms=20),
        *_cases(((3, 4), (5,)), axes=0),
        *_cases(((3, 4, 5), (4, 3, 2)), terms=12, axes=((1, 0), (0, 1))),
        *_cases(((3, 4, 5), (2, 5)), terms=5, axes=(-1, 1)),
        *_cases(((3, 5), (5, 2)), terms=5, axes=1),
    ],
    dtypes=SUMMED,
)
def tensordot(x1: Any, x2: Any, *, axes: Any = 2) -> Any:
    """The sum of products over several dimensions: the last `axes` of x1 and the first of x2, or
    those that a pair of lists (or of integers) names. Left are those of x1, then those of x2."""
    try:
        if hasattr(axes, "__index__"):
            count = as_index(axes)
            if not 0 <= count <= min(len(x1.shape), len(x2.shape)):
                raise ShapeError(
                    f"tensordot: axes must be from 0 to {min(len(x1.shape), len(x2.shape))}, the "
                    f"fewest dimensions; got {count}"
                )
            return _contracted("tensordot", x1, x2, range(-count, 0), range(count))
        first, second = ([a] if hasattr(a, "__index__") else list(a) for a in axes)
    except (TypeError, ValueError) as error:
        if isinstance(error, ShapeError):
            raise
        raise TypeError(
            f"tensordot: axes must be an integer or a pair of lists of them; got {axes!r}"
        ) from None
    return _contracted("tensordot", x1, x2, first, second)


def expect_fit(name: str, x1: Any, x2: Any, first: Sequence[int], second: Sequence[int]) -> None:
    """Raise unless these dimensions can be multiplied."""
    pairs = [(x1.shape[a], x2.shape[b]) for a, b in zip(first, second, strict=False)]
    if len(first) != len(second) or any([a != b for a, b in pairs]):
        which = [tuple(a % len(x.shape) for a in axes) for x, axes in ((x1, first), (x2, second))]
        raise ShapeError(
            f"{name}: dimensions {which[0]} of x1 {shape_text(x1.shape)} and {which[1]} of x2 "
            f"{shape_text(x2.shape)} must agree"
        )


def _contracted(name, x1, x2, first, second):
    """The sum of products over dimensions `first` of x1 and `second` of x2, as one product of
    matrices."""
    first = [expect_axis(name, a, x1.shape) for a in first]
    second = [expect_axis(name, a, x2.shape) for a in second]
    for axes in (first, second):
        if len(set(axes)) < len(axes):
            raise ShapeError(f"{name}: axes name a dimension twice: {axes}")
    expect_fit(name, x1, x2, first, second)
    left = [d for d in range(len(x1.shape)) if d not in first]
    right = [d for d in range(len(x2.shape)) if d not in second]
    rows, columns = [x1.shape[d] for d in left], [x2.shape[d] for d in right]
    depth = prod([x1.shape[d] for d in first])
    a = reshape(_in_order(x1, [*left, *first]), newshape=(prod(rows), depth))
    if [*right, *second] == list(range(len(x2.shape))) and right:  # stored as a transpose
        b = reshape(x2, newshape=(prod(columns), depth))
        found = matmul(a, b, transpose_b=True)
    else:
        b = reshape(_in_order(x2, [*second, *right]), newshape=(depth, prod(columns)))
        found = matmul(a, b)
    return reshape(found, newshape=(*rows, *columns))


def _in_order(x, axes):
    return x if axes == sorted(axes) else transpose(x, axes=tuple(axes))


# ---- of vectors of three, and of all blocks


def _cross(x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None):
    a, b, c = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    x1, x2 = np.moveaxis(x1, a, -1), np.moveaxis(x2, b, -1)
    both_two = x1.shape[-1] == x2.shape[-1] == 2
    x1, x2 = (x if x.shape[-1] == 3 else np.concatenate([x, 0 * x[..., :1]], -1) for x in (x1, x2))
    found = np.stack(
        [x1[..., i] * x2[..., j] - x1[..., j] * x2[..., i] for i, j in ((1, 2), (2, 0), (0, 1))], -1
    )
    return found[..., 2] if both_two else np.moveaxis(found, -1, c)


@composite(
    reference=_cross,
    cases=[
        *_cases(((3,), (3,)), ((5, 3), (5, 3)), ((5, 3), (3,)), ((5, 2), (5, 2)), ((2,), (4, 3))),
        *_cases(((3, 5), (5, 3)), axisa=0, axisc=0),
        *_cases(((3, 5), (3, 5)), axis=0),
    ],
    dtypes=SUMMED,
)
def cross(
    x1: Any, x2: Any, *, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Any:
    """The vector product: of vectors of three elements along axisa of x1 and axisb of x2, along
    axisc of the result; `axis` sets all three. A vector of two has 0 as its third; of two such the
    third element of the product alone is the result. Other dimensions broadcast."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = _vectors(x1, axisa, "x1"), _vectors(x2, axisb, "x2")
    if a.shape[-1] == b.shape[-1] == 2:
        return subtract(*[multiply(take(a, i, axis=-1), take(b, 1 - i, axis=-1)) for i in (0, 1)])
    (a_1, a_2), (b_1, b_2) = _turned(a), _turned(b)
    found = subtract(multiply(a_1, b_2), multiply(a_2, b_1))
    return _last_to(found, expect_axis("cross", axisc, found.shape))


def _vectors(x, axis, name):
    """x with its vectors along the last dimension."""
    axis = expect_axis("cross", axis, x.shape)
    if x.shape[axis] not in (2, 3):
        raise ShapeError(
            f"cross: vectors have two or three elements; dimension {axis} of {name} "
            f"{shape_text(x.shape)} has {x.shape[axis]}"
        )
    rest = [d for d in range(len(x.shape)) if d != axis]
    return _in_order(x, [*rest, axis])


def _turned(x):
    """Elements (1, 2, 0) of vectors of three, and (2, 0, 1); of two, 0 is the third."""
    for order in ([1, 2, 0], [2, 0, 1]):
        if x.shape[-1] == 3:
            yield take(x, np.array(order), axis=-1)
        else:
            there = np.array([i < 2 for i in order], x.dtype)
            yield multiply(take(x, np.array(order) % 2, axis=-1), there)


def _last_to(x, axis):
    """x with its last dimension moved to `axis`."""
    order = list(range(len(x.shape) - 1))
    order.insert(axis, len(x.shape) - 1)
    return _in_order(x, order)


@composite(
    reference=np.kron,
    cases=_cases(((2, 3), (4, 5)), ((3,), (4,)), ((2, 3), (4,)), ((), (3,)), ((2, 1, 3), (2, 2))),
    dtypes=SUMMED,
)
def kron(x1: Any, x2: Any) -> Any:
    """Kronecker's product: a block x1[i, j, ...] x2 for each element of x1."""
    ndim = max(len(x1.shape), len(x2.shape))
    a, b = ((1,) * (ndim - len(x.shape)) + x.shape for x in (x1, x2))
    blocks = multiply(
        reshape(x1, newshape=[e for extent in a for e in (extent, 1)]),
        reshape(x2, newshape=[e for extent in b for e in (1, extent)]),
    )
    return reshape(blocks, newshape=[m * n for m, n in zip(a, b, strict=True)])
