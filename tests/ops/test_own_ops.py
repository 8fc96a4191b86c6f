"""fastnn.elementwise: ops of scalar Python functions."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.layers import Dense

HALF = 0.5
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def slope(x, a=1.0):
    return 1 + math.sin(2 * a * x)


@fastnn.elementwise(derivative=slope)
def snake(x, a=1.0):
    """x + sin^2(a x) / a."""
    return x + math.sin(a * x) ** 2 / a


def bend(v):
    return v * v * (3 - 2 * v)


@fastnn.elementwise
def step_up(x):
    return bend(min(max(x, 0), 1)) + x**5 % 2 - HALF * math.pi


def by_x(x, y):
    return HALF * y if x > 0 else 0.0


def by_y(x, y):
    return HALF * max(x, 0.0)


@fastnn.elementwise(derivative=(by_x, by_y))
def gate(x, y):
    if x > 0:
        return HALF * x * y
    return 0


def collatz(x):
    n = x
    for _ in range(3):
        n = n / 2 if n > 1 else 3 * n + 1
    return n


X = np.random.default_rng(0).normal(size=(7, 33))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("op", "reference", "arguments", "attributes"),
    [
        (snake, lambda x, a=1.0: x + np.sin(a * x) ** 2 / a, [X], {}),
        (snake, lambda x, a: x + np.sin(a * x) ** 2 / a, [X], {"a": -2.0}),
        (step_up, np.vectorize(step_up.__wrapped__), [X], {}),
        (gate, np.vectorize(gate.__wrapped__), [X, X[:1] + 1], {}),
        (fastnn.elementwise(collatz), np.vectorize(collatz), [X], {}),
    ],
    ids=["snake", "with attribute", "helpers", "two inputs", "loop"],
)
def test_every_element_is_that_of_the_function(op, reference, arguments, attributes, dtype):
    arrays = [a.astype(dtype) for a in arguments]
    y = op(*arrays, **attributes)
    assert str(y.dtype) == dtype
    expected = reference(*[a.astype("float64") for a in arrays], **attributes)
    # a few roundings, of numbers up to |x|^5
    scale = 1 + np.abs(expected) + np.abs(arrays[0]).astype("float64") ** 5
    assert (np.abs(y.numpy() - expected) <= 16 * EPS[dtype] * scale).all()


def test_gradients():
    assert fastnn.gradcheck(lambda x: snake(x, a=1.5), [X]) < 1e-7
    assert fastnn.gradcheck(gate, [X, X[:1] + 1]) < 1e-7
    x = fastnn.tensor(X, requires_gradient=True)
    with pytest.raises(ValueError, match="was given no derivative, and a gradient is asked of it"):
        ops.sum(step_up(x)).backward()


def test_it_is_an_activation_recorded_and_eager():
    def fitted(eagerly):
        fastnn.utils.set_random_seed(0)
        model = fastnn.Sequential([fastnn.Input((33,)), Dense(4, activation=snake), Dense(1)])
        model.compile("adam", "mse", run_eagerly=eagerly)
        model.fit(X, X[:, :1], epochs=3, verbose=0)
        return model.get_weights()

    for a, b in zip(fitted(False), fitted(True), strict=True):
        np.testing.assert_array_equal(a, b)


def wrong(x):
    return 2 * x


def unknown_name(x):
    return x + nothing_of_that_name  # noqa: F821


def a_string(x):
    return x if x > 0 else "a"


def no_formula(x):
    return math.gamma(x)


def an_array(x):
    return x + X


def itself(x):
    return x if x < 1 else itself(x - 1)


def a_default(x, a="b"):
    return x


@pytest.mark.parametrize(
    ("function", "given", "error", "message"),
    [
        (math.exp, {}, TypeError, "expected a function of numbers"),
        (bend, {"derivative": wrong}, ValueError, "takes 'x', which the function does not"),
        (collatz, {"derivative": wrong}, ValueError, "respect to x is wrong: at x=.*differences"),
        (gate.__wrapped__, {"derivative": by_x}, ValueError, "has 2 inputs, x, y; derivative must"),
        (collatz, {"derivative": 3}, TypeError, "must be a function of numbers; got 3"),
        (lambda a=1.0: a, {}, ValueError, "takes no input"),
        (unknown_name, {}, ValueError, "'nothing_of_that_name' is not defined"),
        (no_formula, {}, ValueError, "there is no formula for math.gamma"),
        (an_array, {}, ValueError, "(?s)X is array.*a kernel knows numbers and functions alone"),
        (itself, {}, ValueError, "calls itself"),
        (a_default, {}, TypeError, "the default of a must be a number; got 'b'"),
        (eval("lambda x: x + 1"), {}, ValueError, "source of <lambda> is not at hand"),
    ],
)
def test_what_is_no_formula_is_refused(function, given, error, message):
    with pytest.raises(error, match=message):
        fastnn.elementwise(function, **given)


def test_attributes_are_checked():
    with pytest.raises(TypeError, match="unknown argument 'b'"):
        snake(X, b=1.0)
    with pytest.raises(ValueError, match="a must be a number in the range of float64; got nan"):
        snake(X, a=float("nan"))
