"""Sums along samples, powers in columns, correlations; windows that samples are weighted with."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.checks import whole_number
from fastnn.dtypes import NUMBERS
from fastnn.errors import ShapeError, shape_text

from .arithmetic import add, cast, divide, multiply, subtract
from .arrange import flip, pad
from .composite import composite
from .elementary import sqrt
from .functions import as_tensor, public
from .join import stack
from .matmul import matmul
from .movement import slice_copy, take
from .record import Case, expect_axis, expect_shape
from .reduce import mean, sum
from .shapes import reshape, transpose


def _ends(x, axis, start, stop):
    key = [slice(None)] * len(x.shape)
    key[axis] = slice(start, stop)
    return slice_copy(x, key=tuple(key))


def _trapezoid(y, x=None, dx=1.0, axis=-1):
    d = dx if x is None else np.diff(x, axis=axis if x.ndim > 1 else 0)
    if x is not None and x.ndim == 1:
        d = d.reshape([-1 if a == axis % y.ndim else 1 for a in range(y.ndim)])
    y = np.moveaxis(y, axis, -1)
    d = np.moveaxis(d, axis, -1) if np.ndim(d) else d
    return (d * (y[..., 1:] + y[..., :-1]) / 2).sum(-1)


@composite(
    reference=_trapezoid,
    cases=[
        Case(((5,),)),
        Case(((1,),)),
        Case(((5, 7),), {"dx": 0.5, "axis": 0}),
        Case(((5, 7), (5,)), {"axis": 0}),
        Case(((5, 7), (5, 7))),
    ],
)
def trapezoid(y: Any, x: Any = None, *, dx: float = 1.0, axis: int = -1) -> Any:
    """The integral of y along axis by the trapezoidal rule: the sum of d (y[i] + y[i + 1]) / 2.
    d: the differences of x, of y's shape or (its extent along axis,), else dx."""
    axis = expect_axis("trapezoid", axis, y.shape)
    pairs = multiply(add(_ends(y, axis, 1, None), _ends(y, axis, None, -1)), 0.5)
    if x is None:
        return sum(multiply(pairs, dx), axis=axis)
    if len(x.shape) == 1:
        x = reshape(x, newshape=[-1 if a == axis else 1 for a in range(len(y.shape))])
    steps = subtract(_ends(x, axis, 1, None), _ends(x, axis, None, -1))
    return sum(multiply(pairs, steps), axis=axis)


def _vander(x, N=None, increasing=False):
    count = len(x) if N is None else N
    powers = np.stack([x**n for n in range(count)], -1) if count else np.zeros((len(x), 0), x.dtype)
    return powers if increasing else powers[:, ::-1]


MAX_POWERS = 1 << 16  # one call each; all but the first few overflow


@composite(
    reference=_vander,
    cases=[
        Case(((5,),)),
        Case(((3,),), {"N": 4, "increasing": True}),
        Case(((3,),), {"N": 1}),
        Case(((3,),), {"N": 0}),
    ],
    dtypes=NUMBERS,
)
def vander(x: Any, *, N: Any = None, increasing: bool = False) -> Any:
    """The matrix (n, N) of powers of x (n,): x^(N - 1), ..., x, 1, or the other way round if
    increasing. N: how many; None is n."""
    expect_shape("vander", "x", x.shape, (None,))
    count = x.shape[0] if N is None else whole_number("N of vander", N, 0)
    if count > MAX_POWERS:
        raise ValueError(f"vander: N must be at most {MAX_POWERS}; got {count}")
    if count == 0:
        return as_tensor(np.zeros((x.shape[0], 0), x.dtype))
    powers = [as_tensor(np.ones(x.shape, x.dtype))]
    while len(powers) < count:
        powers.append(multiply(powers[-1], x))
    return stack(powers if increasing else powers[::-1], axis=-1)


def _corrcoef(x):
    x = np.atleast_2d(x)
    d = x - x.mean(1, keepdims=True)
    c = d @ d.T
    s = np.sqrt(np.diag(c))
    c = c / s[:, None] / s
    return c if len(c) > 1 else c[0, 0]


@composite(reference=_corrcoef, cases=[Case(((3, 7),), terms=9), Case(((7,),), terms=9)])
def corrcoef(x: Any) -> Any:
    """The correlations (R, R) of the rows of x (R, N): their covariances over the products of their
    deviations. Of one row (N,) it is 1."""
    if len(x.shape) not in (1, 2):
        raise ShapeError(f"corrcoef: x must have shape (R, N) or (N); got {shape_text(x.shape)}")
    rows = reshape(x, newshape=(1, -1)) if len(x.shape) == 1 else x
    rows = subtract(rows, mean(rows, axis=1, keepdims=True))
    rows = divide(rows, sqrt(sum(multiply(rows, rows), axis=1, keepdims=True)))
    found = matmul(rows, transpose(rows))
    return reshape(found, newshape=()) if rows.shape[0] == 1 else found


def _correlate(x, y, mode="valid"):
    return np.correlate(x, np.conj(y), mode)


@composite(
    reference=_correlate,
    cases=[Case(((9,), (4,)), {"mode": mode}, terms=9) for mode in ("valid", "same", "full")]
    + [Case(((4,), (9,)), {"mode": mode}, terms=9) for mode in ("valid", "same", "full")],
    dtypes=NUMBERS,
)
def correlate(x: Any, y: Any, *, mode: str = "valid") -> Any:
    """The correlation of x (N,) with y (M,): the sums of y's products with x from each place on.
    mode: "valid", where both lie over each other as a whole; "same", of the longer one's extent;
    "full", N + M - 1 of them."""
    for argument, t in (("x", x), ("y", y)):
        expect_shape("correlate", argument, t.shape, (None,))
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: mode must be 'valid', 'same' or 'full'; got {mode!r}")
    if not x.shape[0] or not y.shape[0]:
        raise ShapeError("correlate: x and y must have elements")
    is_other = y.shape[0] > x.shape[0]
    long, short = (y, x) if is_other else (x, y)
    more = short.shape[0] - 1
    before = {"valid": 0, "same": (more + 1) // 2, "full": more}[mode]
    after = {"valid": 0, "same": more - (more + 1) // 2, "full": more}[mode]
    long = pad(long, pad_width=((before, after),))
    count = long.shape[0] - more
    windows = np.arange(count)[:, None] + np.arange(more + 1)
    products = multiply(take(long, windows), short)
    found = cast(sum(products, axis=-1), products.dtype)  # as NumPy's, also of small integers
    return flip(found) if is_other else found


# ---- windows


def _window(name: str, values: Callable[..., Any], points: Any, *given: Any) -> Any:
    try:
        count = int(np.asarray(points).reshape(()))
    except (TypeError, ValueError):
        raise TypeError(f"{name}: x must be a number of points; got {points!r}") from None
    from fastnn import config

    return as_tensor(values(count, *given).astype(config.floatx()))


@public()
def bartlett(x: Any) -> Any:
    """Bartlett's window of x points, a triangle: 1 - |2 n / (x - 1) - 1|.

    >>> from fastnn import ops
    >>> print(ops.bartlett(5))
    [0.  0.5 1.  0.5 0. ]
    """
    return _window("bartlett", np.bartlett, x)


@public()
def blackman(x: Any) -> Any:
    """Blackman's window of x points: 0.42 - 0.5 cos(t) + 0.08 cos(2 t), t = 2 pi n / (x - 1).

    >>> from fastnn import ops
    >>> print(ops.round(ops.blackman(3), 2))
    [-0.  1. -0.]
    """
    return _window("blackman", np.blackman, x)


@public()
def hamming(x: Any) -> Any:
    """Hamming's window of x points: 0.54 - 0.46 cos(2 pi n / (x - 1)).

    >>> from fastnn import ops
    >>> print(ops.hamming(3))
    [0.08 1.   0.08]
    """
    return _window("hamming", np.hamming, x)


@public()
def hanning(x: Any) -> Any:
    """Hann's window of x points: 0.5 - 0.5 cos(2 pi n / (x - 1)).

    >>> from fastnn import ops
    >>> print(ops.hanning(3))
    [0. 1. 0.]
    """
    return _window("hanning", np.hanning, x)


@public()
def kaiser(x: Any, beta: Any) -> Any:
    """Kaiser's window of x points: I0(beta sqrt(1 - (2 n / (x - 1) - 1)^2)) / I0(beta).

    >>> from fastnn import ops
    >>> print(ops.kaiser(3, 0.0))
    [1. 1. 1.]
    """
    return _window("kaiser", np.kaiser, x, float(beta))
