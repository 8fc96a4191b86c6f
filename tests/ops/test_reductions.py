"""What the records of reductions do not say: means of none, weights, types, methods, messages."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import ShapeError

X = np.array([[1.0, -2.0, 0.0], [3.0, 0.5, np.inf]], "float32")
METHODS = [
    "sum", "mean", "var", "std", "prod", "max", "min", "argmax", "argmin", "any", "all", "cumsum",
    "cumprod",
]  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_tensors_have_numpys_methods(name):
    x = np.nan_to_num(X, posinf=7)
    for axis in (None, 0, -1):
        expected = getattr(x, name)(axis=axis)
        got = getattr(fastnn.tensor(x), name)(axis=axis)
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)
        recorded = fastnn.record(lambda t, axis=axis: getattr(t, name)(axis=axis))(fastnn.tensor(x))
        assert recorded.numpy().tobytes() == got.numpy().tobytes()


@pytest.mark.parametrize("name", [*METHODS, "softmax", "logsumexp", "sort"])
def test_true_is_no_axis(name):
    with pytest.raises(TypeError, match=f"{name}: axis must be an integer.* got True"):
        getattr(ops, name)(X, axis=True)


def test_of_none_there_is_no_mean_and_a_product_is_1():
    none = np.zeros((0, 3), "float32")
    for op in (ops.mean, ops.var, ops.std):
        assert np.isnan(op(none, axis=0).numpy()).all()
        assert op(none, axis=1).shape == (0,)
    np.testing.assert_array_equal(ops.prod(none, axis=0).numpy(), [1, 1, 1])
    np.testing.assert_array_equal(ops.logsumexp(none, axis=0).numpy(), [-np.inf] * 3)
    assert not ops.any(none).numpy()
    assert ops.all(none).numpy()
    for op in (ops.max, ops.argmin):
        with pytest.raises(ValueError, match="has no elements along dimension 0"):
            op(none, axis=0)


def test_an_initial_number_is_among_the_elements():
    x = fastnn.tensor([[1.0, 5.0], [2.0, 3.0]], requires_gradient=True)
    np.testing.assert_array_equal(ops.max(x, axis=1, initial=4.0).numpy(), [5, 4])
    np.testing.assert_array_equal(ops.min(x, 1, True, 1.5).numpy(), [[1], [1.5]])
    ops.sum(ops.max(x, axis=1, initial=4.0)).backward()
    np.testing.assert_array_equal(x.gradient.numpy(), [[0, 1], [0, 0]])


def test_weighted_averages():
    x, w = np.arange(6.0).reshape(2, 3), np.array([1.0, 0.0, 3.0])
    for weights, axis in ((None, None), (None, 0), (w, 1), (np.tile(w, (2, 1)), 1), (x + 1, None)):
        got = ops.average(x, axis, weights)
        np.testing.assert_allclose(got.numpy(), np.average(x, axis, weights), rtol=1e-6)
    assert ops.average(fastnn.tensor([1, 2])).numpy() == 1.5
    fastnn.gradcheck(lambda x, w: ops.average(x, weights=w, axis=1), [x, w])
    with pytest.raises(ValueError, match=r"average: weights must have x's shape \(2, 3\), or be"):
        ops.average(x, weights=w)


@pytest.mark.parametrize(
    ("call", "expected", "dtype"),
    [
        (lambda: ops.prod(fastnn.tensor([True, True])), 1, "int32"),
        (lambda: ops.prod(fastnn.tensor([2, 3]), dtype="float64"), 6, "float64"),
        (lambda: ops.cumsum(fastnn.tensor([True, True])), [1, 2], "int32"),
        (lambda: ops.cumsum(fastnn.tensor([1.5, 1.5]), dtype="int64"), [1, 2], "int64"),
        (lambda: ops.var(fastnn.tensor([1, 3])), 1, "float32"),
        (lambda: ops.logsumexp(fastnn.tensor([0, 0])), np.log(2), "float32"),
        (lambda: ops.count_nonzero(fastnn.tensor([0.0, np.nan, -1.0])), 2, "int32"),
        (lambda: ops.any(fastnn.tensor([0.0, np.nan])), True, "bool"),
        (lambda: ops.argmin(fastnn.tensor([3, 1, 1])), 1, "int64"),
        (lambda: ops.diff(fastnn.tensor([True, True, False])), [False, True], "bool"),
        (lambda: ops.logsumexp(fastnn.tensor([np.inf, 0.0])), np.inf, "float32"),
        (lambda: ops.logsumexp(fastnn.tensor([-np.inf, -np.inf])), -np.inf, "float32"),
    ],
)
def test_types_and_special_numbers(call, expected, dtype):
    got = call()
    assert got.dtype == dtype
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.var(X, axis=2), "var: axis 2 is not one of the 2 dimensions"),
        (lambda: ops.prod(X, axis=(0, 0)), "prod: axis names a dimension twice"),
        (lambda: ops.cumsum(X, axis=5), "cumsum: axis 5 is not one of"),
        (lambda: ops.diff(X, n=-1), "diff: n must be a whole number from 0 on; got -1"),
        (lambda: ops.norm(X, ord=3), "norm: ord of matrices must be None, .fro., .nuc., 1, -1, 2"),
        (lambda: ops.norm(X[0], ord="fro"), "norm: ord of vectors must be a number.* 'fro'"),
        (lambda: ops.norm(X[None], ord=1), "norm: of all of x, with ord 1, x must have one or two"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", ["max", "min"])
def test_of_nothing_the_extreme_is_the_initial_one(name):
    x = np.zeros((0, 3), "f4")
    for axis, keepdims in ((None, False), (0, False), (0, True), ((0, 1), True)):
        got = getattr(ops, name)(x, axis=axis, keepdims=keepdims, initial=2.5)
        expected = getattr(np, name)(x, axis=axis, keepdims=keepdims, initial=2.5)
        assert got.dtype == "float32"
        np.testing.assert_array_equal(got.numpy(), expected)
    assert getattr(ops, name)([], initial=7).numpy() == 7
    with pytest.raises(ShapeError, match=f"of none there is no {name}"):
        getattr(ops, name)(x, axis=0)
