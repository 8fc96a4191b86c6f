"""Gradients of one's own, and dimensions by their names."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import ShapeError


@ops.custom_gradient
def clipped_product(x, y):
    """x y, the gradient of x clipped, and none of y."""

    def grad(upstream):
        return ops.clip(upstream * y, -1.0, 1.0), None

    return x * y, grad


@ops.custom_gradient
def both(x):
    return (x + 1.0, x * 2.0), lambda a, b: 10.0 * a + 100.0 * b


def test_gradients_are_those_that_are_given():
    for record in (lambda f: f, fastnn.record):
        x = fastnn.Variable(np.array([1.0, 2.0], "f4"))
        y = fastnn.Variable(np.array([0.5, 3.0], "f4"))

        @record
        def step(x=x, y=y):
            x._gradient = y._gradient = None
            z = clipped_product(x, y)
            ops.sum(z).backward()
            return z, x.gradient + 0.0

        for _ in range(2):
            z, dx = step()
            np.testing.assert_array_equal(z.numpy(), [0.5, 6.0])
            np.testing.assert_array_equal(dx.numpy(), [0.5, 1.0])


def test_several_results_and_those_that_are_not_used():
    for use, slope in ((lambda a, b: a, 10.0), (lambda a, b: a + b, 110.0)):
        x = fastnn.tensor([1.0, 2.0], requires_gradient=True)
        ops.sum(use(*both(x))).backward()
        np.testing.assert_array_equal(x.gradient.numpy(), [slope, slope])


def test_gradients_that_do_not_fit_are_named():
    for grad, message in (
        (lambda dy: (dy, dy), "takes 1 tensors, and its grad returned 2 gradients"),
        (lambda dy: ops.sum(dy), r"argument 0 of .* has shape \(2\), its gradient \(\)"),
    ):
        x = fastnn.tensor([1.0, 2.0], requires_gradient=True)
        y = ops.custom_gradient(lambda x, grad=grad: (x + 1.0, grad))(x)
        with pytest.raises(ValueError, match=message):
            ops.sum(y).backward()


def test_models_are_made_with_them():
    x = fastnn.Input((2,))
    model = fastnn.Model(x, clipped_product(x, x))
    np.testing.assert_array_equal(model.predict(np.array([[1.0, 3.0]]), verbose=0), [[1, 9]])


@pytest.mark.parametrize(
    ("pattern", "lengths", "expected"),
    [
        ("a b c -> c b a", {}, lambda x: x.transpose(2, 1, 0)),
        ("a b c -> (a b) c", {}, lambda x: x.reshape(-1, 5)),
        ("a (b p) c -> a b (p c)", {"p": 2}, lambda x: x.reshape(4, 3, 10)),
        ("(x a) b c -> a (b c x)", {"x": 2},
         lambda x: x.reshape(2, 2, 6, 5).transpose(1, 2, 3, 0).reshape(2, -1)),
    ],
)  # fmt: skip
def test_rearrange(pattern, lengths, expected):
    x = np.arange(120.0).reshape(4, 6, 5)
    np.testing.assert_array_equal(ops.rearrange(x, pattern, **lengths).numpy(), expected(x))
    t = fastnn.tensor(x, requires_gradient=True)
    ops.sum(ops.square(ops.rearrange(t, pattern, **lengths))).backward()
    np.testing.assert_array_equal(t.gradient.numpy(), 2 * x)


@pytest.mark.parametrize(
    ("pattern", "lengths", "kind", "message"),
    [
        ("a b c", {}, ValueError, "the same names on both sides of '->'"),
        ("a b c -> a b", {}, ValueError, "the same names on both sides"),
        ("a a b -> a a b", {}, ValueError, "a name stands twice"),
        ("a b -> b a", {}, ShapeError, r"has 2 dimensions; got shape \(4, 6, 5\)"),
        ("a (b p) c -> a b p c", {}, ValueError, "extents of all but one of"),
        ("a (b p) c -> a b p c", {"p": 4}, ShapeError, "of 6 elements is not b times p"),
        ("a b c -> c b a", {"q": 1}, ValueError, "has no 'q'"),
        ("a ... -> ... a", {}, ValueError, "more than names and parentheses"),
    ],
)
def test_patterns_that_cannot_be_are_named(pattern, lengths, kind, message):
    with pytest.raises(kind, match=message):
        ops.rearrange(np.zeros((4, 6, 5)), pattern, **lengths)
