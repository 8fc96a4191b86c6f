"""Elements in another order or repeated: made of slices, transposes, broadcasts and gathers."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from fastnn.checks import whole_number
from fastnn.dtypes import ANY, SUMMED
from fastnn.errors import ShapeError, shape_text

from .arithmetic import cast, where
from .composite import composite
from .movement import Span, broadcast_to, concatenated, slice_copy, slice_updated, take, zeros
from .record import Case, Op, expect_axis, expect_integer
from .reduce import normal_axes, sum
from .shapes import ravel, reshape, transpose

WHOLE = Span(None, None, None)
BACKWARDS = Span(None, None, -1)


def _axes(name, axis, shape):
    """An integer or several as dimensions counted from 0; all for None."""
    if axis is None:
        return list(range(len(shape)))
    axis = tuple(axis) if isinstance(axis, np.ndarray) and axis.ndim else axis
    return [expect_axis(name, a, shape) for a in normal_axes(name, axis) or ()]


@composite(
    reference=np.moveaxis,
    cases=[
        Case(((2, 3, 4),), {"source": 0, "destination": -1}),
        Case(((2, 3, 4),), {"source": (0, 1), "destination": (1, 2)}),
    ],
    dtypes=ANY,
)
def moveaxis(x: Any, *, source: Any, destination: Any) -> Any:
    """x with the dimensions `source` (an integer or several) at the places `destination`, and the
    others in their order, copied."""
    sources = _axes("moveaxis", source, x.shape)
    places = _axes("moveaxis", destination, x.shape)
    if len({*sources}) != len(sources) or len({*places}) != len(sources):
        raise ShapeError(
            "moveaxis: source and destination must name as many dimensions, each once; got "
            f"{source} and {destination}"
        )
    rest = iter([d for d in range(x.ndim) if d not in sources])
    at = dict(zip(places, sources, strict=True))
    return transpose(x, axes=tuple([at[d] if d in at else next(rest) for d in range(x.ndim)]))


@composite(reference=np.swapaxes, cases=[Case(((2, 3, 4),), {"axis1": 0, "axis2": -1})], dtypes=ANY)
def swapaxes(x: Any, *, axis1: int, axis2: int) -> Any:
    """x with two dimensions exchanged, copied."""
    one, other = (expect_axis("swapaxes", a, x.shape) for a in (axis1, axis2))
    order = list(range(x.ndim))
    order[one], order[other] = other, one
    return transpose(x, axes=tuple(order))


@composite(
    reference=np.flip,
    cases=[
        Case(((131,),)),
        Case(((3, 4),)),
        Case(((3, 4),), {"axis": 1}),
        Case(((2, 3, 4),), {"axis": (0, -1)}),
        Case(((),)),
    ],
    dtypes=ANY,
)
def flip(x: Any, *, axis: Any = None) -> Any:
    """x with its elements backwards along `axis`: an integer, several, or None for all."""
    axes = _axes("flip", axis, x.shape)
    if len({*axes}) < len(axes):
        raise ShapeError(
            f"flip: axis names a dimension twice: {axis}, of shape {shape_text(x.shape)}"
        )
    return slice_copy(x, key=tuple([BACKWARDS if d in axes else WHOLE for d in range(x.ndim)]))


@composite(reference=np.flipud, cases=[Case(((3, 4),))], dtypes=ANY)
def flipud(x: Any) -> Any:
    """x with its rows (dimension 0) in reverse order."""
    return flip(x, axis=0)


@composite(reference=np.fliplr, cases=[Case(((3, 4),))], dtypes=ANY)
def fliplr(x: Any) -> Any:
    """x with its columns (dimension 1) in reverse order."""
    return flip(x, axis=1)


@composite(
    reference=np.roll,
    cases=[
        Case(((7,),), {"shift": 2}),
        Case(((3, 4),), {"shift": -5}),
        Case(((3, 4),), {"shift": 1, "axis": -1}),
        Case(((3, 4),), {"shift": (1, -2), "axis": (0, 1)}),
        Case(((3, 4),), {"shift": (1, 2), "axis": (1,)}),
        Case(((0, 2),), {"shift": 1, "axis": 0}),
    ],
    dtypes=ANY,
)
def roll(x: Any, *, shift: Any, axis: Any = None) -> Any:
    """x with its elements moved on by `shift` places along `axis`, those beyond the end to its
    beginning: an integer or several of both; None for axis moves all elements as one row."""
    if axis is None:
        return reshape(roll(ravel(x), shift=shift, axis=0), x.shape)
    shifts, axes = np.broadcast_arrays(np.ravel(shift), _axes("roll", axis, x.shape))
    places = [expect_integer("roll", "shift", by) for by in shifts.tolist()]
    moved = [(d, by % x.shape[d]) for d, by in zip(axes, places, strict=True) if x.shape[d]]
    if not any([by for _, by in moved]):
        return flip(x, axis=())
    for d, by in moved:
        if by:
            before = (WHOLE,) * d
            end, rest = Span(-by, None, None), Span(None, -by, None)
            parts = [slice_copy(x, key=(*before, part)) for part in (end, rest)]
            x = Op.run(concatenated, tuple(parts), {"axis": d})
    return x


@composite(
    reference=np.rot90,
    cases=[Case(((2, 3),), {"k": k}) for k in (1, 2, -1)]
    + [Case(((2, 3, 4),), {"k": 1, "axes": (2, 0)})],
    dtypes=ANY,
)
def rot90(x: Any, *, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """x turned by k quarters, from the first of two dimensions `axes` towards the second."""
    if len(x.shape) < 2 or len(axes) != 2:
        raise ShapeError(
            f"rot90: x must have two dimensions at least, and axes name two of them; got shape "
            f"{shape_text(x.shape)} and {axes}"
        )
    one, other = _axes("rot90", tuple(axes), x.shape)
    if one == other:
        raise ShapeError(f"rot90: axes must be two dimensions; got {axes}")
    k = expect_integer("rot90", "k", k) % 4
    if k in (2, 3):
        x = flip(x, axis=one)
    if k in (1, 2):
        x = flip(x, axis=other)
    return swapaxes(x, axis1=one, axis2=other) if k % 2 else x if k else flip(x, axis=())


@composite(
    reference=lambda x, repeats: np.tile(x, repeats),
    cases=[
        Case((x,), {"repeats": repeats}, terms=12)
        for x, repeats in [
            ((3,), 2), ((2, 3), 2), ((2, 3), (2, 1)), ((2, 3), (3, 1, 2)), ((2, 3), (2, 2)),
            ((), 3), ((1, 70), (5, 1)),
        ]
    ],
    dtypes=ANY,
)  # fmt: skip
def tile(x: Any, *, repeats: Any) -> Any:
    """x side by side with itself, `repeats` times along each dimension: as many numbers as it has
    dimensions; where they are fewer they are those of the last ones, where more, of new ones."""
    times = [whole_number("tile: repeats", n, 0) for n in np.ravel(repeats).tolist()]
    ndim = max(len(times), x.ndim)
    times = [1] * (ndim - len(times)) + times
    shape = (1,) * (ndim - x.ndim) + x.shape
    pairs = list(zip(times, shape, strict=True))
    apart = [e for n, extent in pairs for e in ((extent,) if n == 1 else (1, extent))]
    together = [e for n, extent in pairs for e in ((extent,) if n == 1 else (n, extent))]
    whole = broadcast_to(reshape(x, apart), together)
    return reshape(whole, [n * extent for n, extent in pairs])


@composite(
    reference=lambda x, repeats, axis=None: np.repeat(x, repeats, axis),
    cases=[
        Case(((5,),), {"repeats": 3}, terms=3),
        Case(((2, 3),), {"repeats": 2}, terms=2),
        Case(((2, 3),), {"repeats": 2, "axis": -1}, terms=2),
        Case(((2, 3),), {"repeats": (1, 0, 4), "axis": 1}, terms=4),
        Case(((3, 70),), {"repeats": [2], "axis": 0}, terms=2),
    ],
    dtypes=ANY,
)
def repeat(x: Any, *, repeats: Any, axis: int | None = None) -> Any:
    """x with each element along `axis` `repeats` times in a row: a number, or one for each element;
    None for axis repeats all elements as one row. While a step is recorded, repeats must be
    known: numbers or an array, no tensor that the step computes."""
    if axis is None:
        x, axis = ravel(x), 0
    axis = expect_axis("repeat", axis, x.shape)
    times = np.asarray(repeats)
    if times.dtype.kind not in "iu" or (times < 0).any():
        raise ValueError(f"repeat: repeats must be integers from 0 on; got {repeats}")
    before, extent, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    if times.size == 1:
        n = int(times.ravel()[0])
        whole = broadcast_to(reshape(x, (*before, extent, 1, *after)), (*before, extent, n, *after))
        return reshape(whole, (*before, extent * n, *after))
    if times.shape != (extent,):
        raise ShapeError(
            f"repeat: repeats must be a number, or {extent} of them, as many as x has elements "
            f"along dimension {axis}; got shape {shape_text(times.shape)}"
        )
    return take(x, np.repeat(np.arange(extent), times), axis=axis)


@lru_cache(maxsize=64)
def _lower(rows, columns, k):
    """True up to diagonal number k."""
    mask = np.tri(rows, columns, k, bool)
    mask.flags.writeable = False
    return mask


def _triangle(name, x, k, is_lower):
    if x.ndim < 2:
        raise ShapeError(
            f"{name}: x must have two dimensions at least; got shape {shape_text(x.shape)}"
        )
    k = expect_integer(name, "k", k) - (not is_lower)
    mask = _lower(*x.shape[-2:], k)
    nothing = np.zeros((), x.dtype)
    return where(mask, x, nothing) if is_lower else where(mask, nothing, x)


TRIANGLES = [
    Case((shape,), {"k": k})
    for shape, k in [((3, 4), 0), ((4, 3), -1), ((2, 3, 3), 1), ((1, 1), 2)]
]


@composite(reference=np.tril, cases=TRIANGLES, dtypes=ANY)
def tril(x: Any, *, k: int = 0) -> Any:
    """x with zeros above diagonal number k of its last two dimensions."""
    return _triangle("tril", x, k, True)


@composite(reference=np.triu, cases=TRIANGLES, dtypes=ANY)
def triu(x: Any, *, k: int = 0) -> Any:
    """x with zeros below diagonal number k of its last two dimensions."""
    return _triangle("triu", x, k, False)


@composite(
    reference=np.diagonal,
    cases=[
        Case(((3, 4),)),
        Case(((3, 4),), {"offset": -1}),
        Case(((2, 3, 4),), {"offset": 1, "axis1": 0, "axis2": 2}),
    ],
    dtypes=ANY,
)
def diagonal(x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Diagonal number `offset` of two dimensions, which is the last dimension of the result."""
    one, other = (expect_axis("diagonal", a, x.shape) for a in (axis1, axis2))
    if one == other:
        raise ShapeError(f"diagonal: axis1 and axis2 must be two dimensions; got {axis1}, {axis2}")
    rest = [d for d in range(x.ndim) if d not in (one, other)]
    rows, columns = x.shape[one], x.shape[other]
    places = np.arange(rows * columns).reshape(rows, columns).diagonal(offset)
    flat = reshape(
        transpose(x, axes=(*rest, one, other)), [*[x.shape[d] for d in rest], rows * columns]
    )
    return take(flat, places, axis=-1)


@composite(
    reference=np.trace,
    cases=[Case(((3, 4),), terms=3), Case(((2, 3, 4),), {"offset": 1})],
    dtypes=SUMMED,
)
def trace(x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of diagonal number `offset` of two dimensions."""
    return sum(diagonal(x, offset=offset, axis1=axis1, axis2=axis2), axis=-1)


@composite(
    reference=np.diag,
    cases=[Case((shape,), {"k": k}) for shape in ((4,), (3, 4)) for k in (0, 1, -2)],
    dtypes=ANY,
)
def diag(x: Any, *, k: int = 0) -> Any:
    """A matrix with the row x on diagonal number k, and zeros elsewhere; of a matrix, that
    diagonal."""
    if x.ndim == 2:
        return diagonal(x, offset=k)
    if x.ndim != 1:
        raise ShapeError(
            f"diag: x must have one or two dimensions; got shape {shape_text(x.shape)}"
        )
    n = x.shape[0] + abs(expect_integer("diag", "k", k))
    start = k if k >= 0 else -k * n
    key = Span(start, start + x.shape[0] * (n + 1) - n if x.shape[0] else start, n + 1)
    whole = Op.run(zeros, (), {"shape": (n * n,), "dtype": x.dtype})
    return reshape(slice_updated(whole, x, key=(key,)), (n, n))


@composite(reference=np.diagflat, cases=[Case(((2, 2),), {"k": 1})], dtypes=ANY)
def diagflat(x: Any, *, k: int = 0) -> Any:
    """A matrix with all elements of x on diagonal number k, and zeros elsewhere."""
    return diag(ravel(x), k=k)


PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap", "circular")


def _widths(pad_width, ndim):
    """(before, after) of each dimension."""
    try:
        given = np.asarray(pad_width)
        if given.dtype.kind not in "iu":
            raise ValueError
        widths = np.broadcast_to(given, (ndim, 2)).tolist()
    except ValueError:
        raise ShapeError(
            f"pad: pad_width must be an integer, (before, after), or that of each of {ndim} "
            f"dimensions; got {pad_width}"
        ) from None
    if any([width < 0 for pair in widths for width in pair]):
        raise ValueError(f"pad: pad_width must be numbers from 0 on; got {pad_width}")
    return widths


def _pad_reference(x, pad_width, mode="constant", constant_values=None):
    given = {} if constant_values is None else {"constant_values": constant_values}
    return np.pad(x, pad_width, "wrap" if mode == "circular" else mode, **given)


@composite(
    reference=_pad_reference,
    cases=[
        Case((shape,), {"pad_width": width, "mode": mode}, terms=9)
        for shape, width, mode in [
            ((3,), 2, "constant"), ((3, 4), ((1, 2), (0, 3)), "constant"), ((), 0, "constant"),
            ((3, 4), (1, 2), "reflect"), ((2, 3), 5, "reflect"), ((3, 4), 1, "edge"),
            ((3, 4), ((1, 0), (2, 2)), "symmetric"), ((3, 4), 1, "wrap"), ((3, 4), 0, "edge"),
        ]
    ] + [Case(((3, 4),), {"pad_width": ((1, 1),), "constant_values": 2.5})],
    dtypes=ANY,
)  # fmt: skip
def pad(x: Any, *, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """x with more elements at its edges. pad_width: how many, an integer, (before, after) of all
    dimensions, or a pair for each. mode: "constant", `constant_values` (0, if None); "edge", the
    last element; "reflect", x mirrored at its last element; "symmetric", x mirrored, its last
    element too; "wrap" or "circular", x from its other end. Keras's other modes are refused."""
    widths = _widths(pad_width, x.ndim)
    if mode not in PAD_MODES:
        raise ValueError(f"pad: mode must be one of {', '.join(PAD_MODES)}; got {mode!r}")
    if mode == "constant":
        shape = tuple([a + extent + b for extent, (a, b) in zip(x.shape, widths, strict=True)])
        key = tuple(
            [Span(a, a + extent, None) for extent, (a, _) in zip(x.shape, widths, strict=True)]
        )
        if constant_values is None or (
            isinstance(constant_values, int | float) and constant_values == 0
        ):
            whole = Op.run(zeros, (), {"shape": shape, "dtype": x.dtype})
        else:
            value = constant_values
            is_tensor = hasattr(value, "requires_gradient")
            value = cast(value, dtype=x.dtype) if is_tensor else np.asarray(value, x.dtype)
            whole = broadcast_to(value, shape)
        return slice_updated(whole, x, key=key)
    if constant_values is not None:
        raise ValueError(f"pad: constant_values are for mode 'constant'; mode is {mode!r}")
    for d, width in enumerate(widths):
        if any(width):
            if not x.shape[d]:
                raise ShapeError(
                    f"pad: dimension {d} of {shape_text(x.shape)} has nothing to repeat"
                )
            places = _pad_reference(np.arange(x.shape[d]), width, mode)
            x = take(x, places, axis=d)
    return x if any(map(any, widths)) else flip(x, axis=())
