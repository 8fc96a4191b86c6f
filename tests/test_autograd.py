"""Where gradients go."""

import numpy as np
import pytest

import fastnn
from fastnn import ops


def variable(*shape):
    return fastnn.Variable(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), dtype="float64")


def test_gradients_add_until_they_are_cleared():
    w = variable(3)
    for times in (1, 2, 3):
        ops.sum(w * w).backward()
        np.testing.assert_array_equal(w.gradient.numpy(), 2 * times * w.numpy())
    w.gradient = None
    ops.sum(w * 3.0).backward()
    np.testing.assert_array_equal(w.gradient.numpy(), [3, 3, 3])


def test_a_variable_or_a_tensor_used_twice_gets_the_sum():
    w, x = variable(2, 2), fastnn.tensor(np.ones((2, 2)))
    h = x @ w
    ops.sum(h * h + h @ w).backward()
    fastnn.gradcheck(lambda a, b: ops.sum((a @ b) * (a @ b) + (a @ b) @ b), [np.ones((2, 2)), w.numpy()])
    assert w.gradient is not None


@pytest.mark.parametrize("activation", ["relu", "tanh", None])
@pytest.mark.parametrize("columns", [1, 7, 64, 130])
def test_a_bias_used_twice_gets_the_sum_too(activation, columns):
    random = np.random.default_rng(0)
    x, weights = random.normal(size=(9, 3)), random.normal(size=(9, columns))
    w, bias = (fastnn.Variable(random.normal(size=s), dtype="float64") for s in ((3, columns), (columns,)))
    found = []
    for times in (1, 2):
        w.gradient = bias.gradient = None
        for _ in range(times):
            ops.sum(ops.linear(x, w, bias, activation=activation) * weights).backward()
        found.append([bias.gradient.numpy(), w.gradient.numpy()])
    for once, twice in zip(*found, strict=True):
        np.testing.assert_allclose(twice, 2 * once, rtol=1e-13)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (2, 1), (4, 2, 3), (4, 1, 1)])
def test_what_was_broadcast_is_summed(shape):
    fastnn.gradcheck(lambda x, y: x * y + y, [np.full(shape, 2.0), np.arange(6.0).reshape(2, 3)])


def test_within_no_grad_nothing_is_remembered():
    w = variable(3)
    with fastnn.no_grad():
        y = ops.sum(w * w)
    assert not y.requires_gradient
    with pytest.raises(ValueError, match="nothing this was computed from requires a gradient"):
        y.backward()


def test_a_gradient_from_above_is_taken():
    w = variable(3)
    (w * 2.0).backward(np.array([1.0, 0.0, 5.0]))
    np.testing.assert_array_equal(w.gradient.numpy(), [2, 0, 10])


def test_what_is_not_trained_gets_no_gradient():
    w, frozen = variable(3), fastnn.Variable(np.ones(3), trainable=False, dtype="float64")
    ops.sum(w * frozen).backward()
    assert frozen.gradient is None
    np.testing.assert_array_equal(w.gradient.numpy(), 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: (w * 2.0).backward(), r"backward: the loss must be one number; got shape \(3\)"),
        (lambda w: (w * 2.0).backward(np.ones(2)), r"gradient must have the loss's shape \(3\); got \(2\)"),
        (lambda w: ops.sum(ops.binary_cross_entropy(np.full(3, 0.5), w)).backward(), "input 1 has no gradient; detach it"),
    ],
)
def test_what_cannot_be_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call(variable(3))


def test_gradcheck_finds_a_wrong_gradient(monkeypatch):
    monkeypatch.setitem(ops.exp.__dict__, "gradient", lambda g, dy, inputs, outputs: g.pass_on(0, dy))
    with pytest.raises(AssertionError, match="gradcheck: input 0, element"):
        fastnn.gradcheck(ops.exp, [[1.0, 2.0]])
