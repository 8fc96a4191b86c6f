"""Decompositions of matrices against numpy.linalg, their gradients against differences."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import RecordingError, ShapeError

RNG = np.random.default_rng(0)
A = RNG.normal(size=(2, 4, 4)) + 2 * np.eye(4)
POSITIVE = A @ A.mT + np.eye(4)
TALL, WIDE = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 5))
B, V = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(2, 4))
SINGULAR = np.outer([1.0, 2.0, 3.0], [1.0, 0.5, -1.0]) + np.diag([0.0, 1.0, 0.0])

# op, arguments, and what NumPy gives of them; signs of columns are its own
CASES = {
    "inv": (ops.inv, (A,), np.linalg.inv(A)),
    "pinv": (ops.pinv, (TALL,), np.linalg.pinv(TALL)),
    "det": (ops.det, (A,), np.linalg.det(A)),
    "det, singular": (ops.det, (SINGULAR,), np.linalg.det(SINGULAR)),
    "slogdet": (ops.slogdet, (A,), np.linalg.slogdet(A)),
    "logdet": (ops.logdet, (POSITIVE,), np.linalg.slogdet(POSITIVE)[1]),
    "cholesky": (lambda x: ops.cholesky(_symmetric(x)), (POSITIVE,), np.linalg.cholesky(POSITIVE)),
    "cholesky, upper": (
        lambda x: ops.cholesky(_symmetric(x), upper=True),
        (POSITIVE,),
        np.linalg.cholesky(POSITIVE).mT,
    ),
    "cholesky_inverse": (
        ops.cholesky_inverse,
        (np.linalg.cholesky(POSITIVE),),
        np.linalg.inv(POSITIVE),
    ),
    "solve": (ops.solve, (A, B), np.linalg.solve(A, B)),
    "solve, vectors": (ops.solve, (A, V), np.linalg.solve(A, V[..., None])[..., 0]),
    "solve_triangular": (
        ops.solve_triangular,
        (A, V),
        np.linalg.solve(np.triu(A), V[..., None])[..., 0],
    ),
    "lstsq": (ops.lstsq, (TALL, RNG.normal(size=(5, 2))), None),
    "lstsq, wide": (ops.lstsq, (WIDE, RNG.normal(size=3)), None),
    "eigh": (lambda x: ops.eigh(_symmetric(x)), (POSITIVE,), np.linalg.eigh(POSITIVE)),
    "qr": (ops.qr, (TALL,), np.linalg.qr(TALL)),
    "svd": (
        lambda x: ops.svd(x, full_matrices=False),
        (TALL,),
        np.linalg.svd(TALL, full_matrices=False),
    ),
    "svd, wide": (
        lambda x: ops.svd(x, full_matrices=False),
        (WIDE,),
        np.linalg.svd(WIDE, full_matrices=False),
    ),
    "svd, values": (lambda x: ops.svd(x, compute_uv=False), (A,), np.linalg.svd(A)[1]),
    "norm 2": (lambda x: ops.norm(x, ord=2, axis=(0, 2)), (A,), np.linalg.norm(A, 2, (0, 2))),
    "norm -2": (lambda x: ops.norm(x, ord=-2, axis=(1, 2), keepdims=True), (A,),
                np.linalg.norm(A, -2, (1, 2), True)),
    "norm nuc": (lambda x: ops.norm(x, ord="nuc"), (TALL,), np.linalg.norm(TALL, "nuc")),
}  # fmt: skip


def _symmetric(x):
    return (x + ops.swapaxes(x, -1, -2)) * 0.5


def parts(found):
    return list(found) if isinstance(found, tuple) else [found]


@pytest.mark.parametrize("name", CASES)
def test_values_are_numpys_and_gradients_those_of_differences(name):
    op, inputs, expected = CASES[name]
    if expected is None:
        expected = np.linalg.lstsq(*inputs, rcond=None)[0]
    found = parts(op(*inputs))
    for got, e in zip(found, parts(tuple(expected) if len(found) > 1 else expected), strict=True):
        np.testing.assert_allclose(got.numpy(), e, rtol=1e-9, atol=1e-12)
    for number in range(len(found)):
        above = RNG.uniform(0.5, 1.5, found[number].shape)

        def f(*given, number=number, above=above):
            return ops.sum(parts(op(*given))[number] * above)

        if name != "slogdet" or number == 1:
            fastnn.gradcheck(f, list(inputs))


def test_float32_stays_and_integers_become_floats():
    for x in (A.astype("f4"), np.array([[2, 1], [1, 3]])):
        for op in (ops.inv, ops.det, ops.cholesky if x.dtype == int else ops.inv):
            assert op(x).dtype == "float32"


def test_lu_factor_and_rank():
    lu, pivots = (t.numpy() for t in ops.lu_factor(A))
    for matrix, factors, order in zip(A, lu, pivots, strict=True):
        rows = matrix.copy()
        for k, p in enumerate(order):
            rows[[k, p]] = rows[[p, k]]
        np.testing.assert_allclose((np.tril(factors, -1) + np.eye(4)) @ np.triu(factors), rows)
    assert ops.matrix_rank(SINGULAR).numpy() == np.linalg.matrix_rank(SINGULAR)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: ops.inv(TALL), ShapeError, r"inv: x must have shape .* got \(5, 3\)"),
        (lambda: ops.inv(np.zeros((2, 2))), ValueError, "inv: Singular matrix"),
        (lambda: ops.cholesky(-np.eye(2)), ValueError, "cholesky: Matrix is not positive definite"),
        (lambda: ops.solve(A, np.ones((2, 5))), ShapeError, r"b must have shape .* got \(2, 5\)"),
        (lambda: ops.qr(TALL, mode="r"), ValueError, "qr: mode must be"),
        (lambda: ops.svd(fastnn.tensor(TALL, requires_gradient=True)), ValueError, "no gradient"),
        (lambda: fastnn.record(lambda x: ops.inv(x + x))(A), RecordingError, "inv: it is computed"),
    ],
)  # fmt: skip
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_keras_namespaces_have_every_op():
    from fastnn.keras.ops import linalg
    from fastnn.keras.ops.nn import relu

    assert relu is ops.relu
    assert linalg.inv is ops.inv is ops.numpy.inv
    with pytest.raises(AttributeError, match="'reluu'; did you mean 'relu'"):
        ops.nn.reluu  # noqa: B018
