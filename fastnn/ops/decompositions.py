"""Matrices decomposed, inverted and solved for, in float32 and float64, by numpy.linalg.

They are computed from values, so eagerly only. Their gradients are those of an expression in ops
that changes as the result does, to first order, where the input changes: of inv, with X the inverse
as it is, -X A X. To the result it adds nothing (`_following`). The formulas are those of Giles,
An extended collection of matrix derivative results (2008).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.dtypes import FLOATS
from fastnn.errors import ShapeError, shape_text

from .arithmetic import add, divide, multiply, subtract
from .arrange import diagonal, swapaxes, tril, triu
from .functions import as_tensor, public, values_of
from .matmul import matmul
from .reduce import sum
from .shapes import reshape, stop_gradient


def _matrices(name: str, x: Any, argument: str = "x", square: bool = True) -> Any:
    """x (..., M, N) as a tensor of floats."""
    x = as_tensor(x)
    x = x if x.dtype in FLOATS else multiply(x, 1.0)
    shape = x.shape
    if len(shape) < 2 or (square and shape[-1] != shape[-2]):
        wanted = "(..., N, N)" if square else "(..., M, N)"
        raise ShapeError(f"{name}: {argument} must have shape {wanted}; got {shape_text(shape)}")
    return x


def _known(name: str, x: Any) -> np.ndarray:
    return values_of(
        x,
        f"{name}: it is computed from values, which a recorded step does not have yet. Call it "
        "before the step and pass the result, or compile the model with run_eagerly=True.",
    )


def _numpy(name: str, function: Callable[..., Any], *arrays: np.ndarray, **given: Any) -> Any:
    try:
        return function(*arrays, **given)
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(f"{name}: {error}") from None


def _following(value: Any, change: Callable[[], Any], *inputs: Any) -> Any:
    """A value with the gradient of `change()`, made of ops, if an input has one."""
    value = as_tensor(np.asarray(value, inputs[0].dtype))
    if not any([x.requires_gradient for x in inputs]):
        return value
    changed = change()
    return add(value, subtract(changed, stop_gradient(changed)))


def _transposed(x):
    return swapaxes(x, axis1=-1, axis2=-2) if hasattr(x, "requires_gradient") else x.mT


def _product(*factors):
    found = factors[0]
    for factor in factors[1:]:
        found = matmul(found, factor)
    return found


def _symmetric(x):
    return multiply(add(x, _transposed(x)), 0.5)


@public()
def inv(x: Any) -> Any:
    """The inverse of square matrices (..., N, N). Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.inv([[2.0, 0.0], [0.0, 4.0]]))
    [[0.5  0.  ]
     [0.   0.25]]
    """
    x = _matrices("inv", x)
    found = _numpy("inv", np.linalg.inv, _known("inv", x))
    return _following(found, lambda: -_product(found, x, found), x)


@public()
def pinv(x: Any, rcond: Any = None) -> Any:
    """The Moore-Penrose inverse (..., N, M) of matrices (..., M, N). Singular values below rcond
    (None: the larger extent times the type's epsilon) times the largest count as 0. Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.pinv([[2.0], [0.0]]))
    [[0.5 0. ]]
    """
    x = _matrices("pinv", x, square=False)
    a = _known("pinv", x)
    if rcond is None:
        rcond = max(a.shape[-2:]) * np.finfo(a.dtype).eps
    p = _numpy("pinv", np.linalg.pinv, a, rcond=rcond)

    def change():
        y = _transposed(x)
        left, right = (np.eye(n, dtype=a.dtype) for n in a.shape[-2:])
        found = subtract(_product(p @ p.mT, y, left - a @ p), _product(p, x, p))
        return add(found, _product(right - p @ a, y, p.mT @ p))

    return _following(p, change, x)


@public()
def det(x: Any) -> Any:
    """The determinants of square matrices (..., N, N). Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.det([[2.0, 1.0], [0.0, 4.0]]))
    8.0
    """
    x = _matrices("det", x)
    a = _known("det", x)

    def change():
        """The sum of A times its cofactors, which there are of singular matrices too."""
        u, s, vh = np.linalg.svd(a)
        others = np.where(np.eye(a.shape[-1], dtype=bool), 1, s[..., None, :]).prod(-1)
        sign = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
        return sum(multiply(sign * (u * others[..., None, :]) @ vh, x), axis=(-2, -1))

    return _following(np.linalg.det(a), change, x)


@public()
def slogdet(x: Any) -> tuple:
    """The signs of determinants of square matrices (..., N, N), and the logarithms of their sizes.
    Eagerly only.

    >>> from fastnn import ops
    >>> print(*ops.slogdet([[-1.0, 0.0], [0.0, 1.0]]))
    -1.0 0.0
    """
    x = _matrices("slogdet", x)
    a = _known("slogdet", x)
    sign, size = np.linalg.slogdet(a)
    return as_tensor(np.asarray(sign, a.dtype)), _following(
        size,
        lambda: sum(multiply(_numpy("slogdet", np.linalg.inv, a).mT, x), axis=(-2, -1)),
        x,
    )


@public()
def logdet(x: Any) -> Any:
    """The logarithms of determinants of positive definite matrices (..., N, N). Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.logdet([[1.0, 0.0], [0.0, 1.0]]))
    0.0
    """
    return slogdet(_matrices("logdet", x))[1]


@public()
def cholesky(x: Any, upper: bool = False) -> Any:
    """The lower triangular L (..., N, N) with L L^T = x, or, with upper, its transpose. x:
    symmetric and positive definite; its lower triangle is read. Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.cholesky([[4.0, 2.0], [2.0, 5.0]]))
    [[2. 0.]
     [1. 2.]]
    """
    x = _matrices("cholesky", x)
    a = _known("cholesky", x)
    low = _numpy("cholesky", np.linalg.cholesky, a)

    def change():
        inverse = np.linalg.inv(low)
        half = np.tril(np.ones_like(low)) - 0.5 * np.eye(low.shape[-1], dtype=low.dtype)
        return matmul(low, multiply(half, _product(inverse, _symmetric(x), inverse.mT)))

    found = _following(low, change, x)
    return _transposed(found) if upper else found


@public()
def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """The inverse of the matrix whose Cholesky factor x (..., N, N) is: of x x^T, or, with upper,
    of x^T x. Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.cholesky_inverse([[2.0, 0.0], [0.0, 1.0]]))
    [[0.25 0.  ]
     [0.   1.  ]]
    """
    x = _matrices("cholesky_inverse", x)
    inverse = inv(triu(x) if upper else tril(x))
    pair = (inverse, _transposed(inverse)) if upper else (_transposed(inverse), inverse)
    return matmul(*pair)


@public()
def solve(a: Any, b: Any) -> Any:
    """x of a x = b. a: (..., N, N); b: (..., N) or (..., N, K). Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]))
    [1.  0.5]
    """
    return _solved("solve", a, b)


def _solved(name, a, b, part=None):
    a = _matrices(name, a, "a")
    b = as_tensor(b)
    b = b if b.dtype == a.dtype else multiply(b, as_tensor(np.ones((), a.dtype)))
    is_vector = len(b.shape) == len(a.shape) - 1
    rows = b.shape[-1 if is_vector else -2] if len(b.shape) > (not is_vector) else None
    if rows != a.shape[-1] or len(b.shape) < len(a.shape) - 1:
        raise ShapeError(
            f"{name}: b must have shape (..., {a.shape[-1]}) or (..., {a.shape[-1]}, K); got "
            f"{shape_text(b.shape)}"
        )
    a = a if part is None else part(a)
    b = reshape(b, newshape=(*b.shape, 1)) if is_vector else b
    whole, right = _known(name, a), _known(name, b)
    x = _numpy(name, np.linalg.solve, whole, right)
    found = _following(x, lambda: matmul(np.linalg.inv(whole), subtract(b, matmul(a, x))), a, b)
    return reshape(found, newshape=found.shape[:-1]) if is_vector else found


@public()
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """x of a x = b, of a the upper triangle, or, with lower, the lower one. a: (..., N, N); b:
    (..., N) or (..., N, K). Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.solve_triangular([[2.0, 9.0], [1.0, 1.0]], [2.0, 3.0], lower=True))
    [1. 2.]
    """
    return _solved("solve_triangular", a, b, tril if lower else triu)


@public()
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """The shortest x for which a x - b is shortest. a: (M, N); b: (M,) or (M, K). rcond: singular
    values of a below rcond times the largest count as 0; None is the larger extent times the type's
    epsilon. Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.round(ops.lstsq([[1.0], [1.0]], [1.0, 3.0]), 3))
    [2.]
    """
    a, b = _matrices("lstsq", a, "a", square=False), as_tensor(b)
    if len(a.shape) != 2 or len(b.shape) not in (1, 2) or b.shape[0] != a.shape[0]:
        raise ShapeError(
            "lstsq: a must have shape (M, N) and b (M) or (M, K); got "
            f"{shape_text(a.shape)} and {shape_text(b.shape)}"
        )
    return matmul(pinv(a, rcond), b)


@public()
def eigh(x: Any) -> tuple:
    """The eigenvalues (..., N) of symmetric matrices (..., N, N), in ascending order, and their
    eigenvectors, in the columns of (..., N, N). The lower triangle is read. Eigenvectors have a
    gradient where all eigenvalues differ. Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.eigh([[2.0, 0.0], [0.0, 1.0]])[0])
    [1. 2.]
    """
    x = _matrices("eigh", x)
    w, v = _numpy("eigh", np.linalg.eigh, _known("eigh", x))

    def turned():
        return _product(v.mT, _symmetric(x), v)

    with np.errstate(divide="ignore"):
        apart = 1 / (w[..., None, :] - w[..., :, None])
    apart = np.where(np.eye(w.shape[-1], dtype=bool), 0, apart).astype(w.dtype)
    values = _following(w, lambda: diagonal(turned(), axis1=-2, axis2=-1), x)
    return values, _following(v, lambda: matmul(v, multiply(apart, turned())), x)


@public()
def qr(x: Any, mode: str = "reduced") -> tuple:
    """Q (..., M, K) with orthonormal columns and the upper triangular R (..., K, N) with Q R = x
    (..., M, N): K is the smaller extent, or, of mode "complete", M. Gradients: of reduced ones
    where M >= N. Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.abs(ops.qr([[3.0], [4.0]])[1]))
    [[5.]]
    """
    x = _matrices("qr", x, square=False)
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode must be 'reduced' or 'complete'; got {mode!r}")
    rows, columns = x.shape[-2:]
    if x.requires_gradient and (rows < columns or (mode == "complete" and rows > columns)):
        raise ValueError(
            f"qr: mode {mode!r} of {rows} rows and {columns} columns has no gradient. Use "
            "'reduced' of at least as many rows, or stop_gradient(x)."
        )
    q, r = np.linalg.qr(_known("qr", x), mode=mode)  # type: ignore[call-overload]

    def changes():
        """R^-1 dx, what of it turns Q, and what scales R."""
        moved = matmul(x, np.linalg.inv(r))
        within = matmul(q.mT, moved)
        below = np.tril(np.ones_like(r), -1)
        turn = multiply(below, within)
        return moved, within, subtract(turn, _transposed(turn))

    def change_of_q():
        moved, within, turn = changes()
        return add(matmul(q, subtract(turn, within)), moved)

    def change_of_r():
        _, within, turn = changes()
        return matmul(subtract(within, turn), r)

    return _following(q, change_of_q, x), _following(r, change_of_r, x)


@public()
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values s (..., K) of matrices (..., M, N), in descending order, and, unless
    compute_uv is False, (u, s, v) with u s v = x: u (..., M, M) and v (..., N, N), or, without
    full_matrices, u (..., M, K) and v (..., K, N). K is the smaller extent. u and v have a gradient
    without full_matrices, where all singular values differ. Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False))
    [4. 3.]
    """
    x = _matrices("svd", x, square=False)
    a = _known("svd", x)
    rows, columns = a.shape[-2:]
    if compute_uv and full_matrices and rows != columns and x.requires_gradient:
        raise ValueError(
            "svd: of full_matrices u and v have no gradient. Use full_matrices=False, or "
            "stop_gradient(x)."
        )
    u, s, vh = _numpy("svd", np.linalg.svd, a, full_matrices=False)
    v = vh.mT

    def turned():
        return _product(u.mT, x, v)

    values = _following(s, lambda: diagonal(turned(), axis1=-2, axis2=-1), x)
    if not compute_uv:
        return values
    if full_matrices and rows != columns:
        u, _, vh = np.linalg.svd(a)
        return as_tensor(u), values, as_tensor(vh)
    across, down = s[..., None, :], s[..., :, None]
    with np.errstate(divide="ignore"):
        apart = 1 / (across * across - down * down)
    apart = np.where(np.eye(s.shape[-1], dtype=bool), 0, apart).astype(s.dtype)

    def change_of_u():
        p = turned()
        within = multiply(apart, add(multiply(p, across), multiply(down, _transposed(p))))
        outside = subtract(matmul(x, v), matmul(u, p))
        return add(matmul(u, within), divide(outside, across))

    def change_of_v():
        p = turned()
        within = multiply(apart, add(multiply(down, p), multiply(_transposed(p), across)))
        outside = subtract(matmul(_transposed(x), u), matmul(v, _transposed(p)))
        return add(matmul(v, within), divide(outside, across))

    return _following(u, change_of_u, x), values, _transposed(_following(v, change_of_v, x))


@public()
def matrix_rank(x: Any, tol: Any = None) -> Any:
    """How many singular values of matrices (..., M, N) exceed tol, int32; None: the largest times
    the larger extent times the type's epsilon. Eagerly only.

    >>> from fastnn import ops
    >>> print(ops.matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
    1
    """
    x = _matrices("matrix_rank", x, square=False)
    rank = np.linalg.matrix_rank(_known("matrix_rank", x), tol)
    return as_tensor(np.asarray(rank, np.int32))


@public()
def lu_factor(x: Any) -> tuple:
    """L and U of matrices (..., M, N), in one, without L's diagonal of ones, and the rows (..., K),
    int32, that the first ones were exchanged with in turn: partial pivoting. K is the smaller
    extent. No gradient. Eagerly only.

    >>> from fastnn import ops
    >>> print(*ops.lu_factor([[1.0, 2.0], [2.0, 8.0]]))
    [[ 2.   8. ]
     [ 0.5 -2. ]] [1 1]
    """
    lu = np.array(_known("lu_factor", _matrices("lu_factor", x, square=False)))
    pivots = np.zeros((*lu.shape[:-2], min(lu.shape[-2:])), np.int32)
    for place in np.ndindex(lu.shape[:-2]):
        rows, order = lu[place], pivots[place]
        for k in range(len(order)):
            order[k] = p = k + int(np.abs(rows[k:, k]).argmax())
            rows[[k, p]] = rows[[p, k]]
            if rows[k, k]:
                rows[k + 1 :, k] /= rows[k, k]
                rows[k + 1 :, k + 1 :] -= np.outer(rows[k + 1 :, k], rows[k, k + 1 :])
    return as_tensor(lu), as_tensor(pivots)
