"""Pointwise ops and the operators that stand for them: what the tests derived from the registry do
not see."""

import operator

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import DTypeError

X = np.array([[-7.5, -2.0, 0.0], [1.0, 2.5, 7.0]], "f4")
BOOLS = np.array([True, False, True]), np.array([[True], [False]])


@pytest.mark.parametrize(
    ("operate", "other"),
    [
        (operator.floordiv, 2.0),
        (operator.mod, -3.0),
        (operator.mod, np.array([2.0, 0.5, 3.0], "f4")),
        (operator.floordiv, np.array([2, 0, -1])),
        (operator.mod, np.array([2, 0, -1])),
        (operator.pow, np.array([2, 0, 3])),
    ],
)
def test_operators_are_numpys_from_both_sides(operate, other):
    x = X.astype(int) if getattr(other, "dtype", None) == "int64" else X
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(operate(fastnn.tensor(x), other).numpy(), operate(x, other))
        if operate is not operator.pow:
            np.testing.assert_array_equal(
                operate(other, fastnn.tensor(x)).numpy(), operate(other, x)
            )


@pytest.mark.parametrize("operate", [operator.and_, operator.or_, operator.xor])
def test_operators_of_booleans(operate):
    a, b = BOOLS
    for x, y in (
        (fastnn.tensor(a), fastnn.tensor(b)),
        (fastnn.tensor(a), b),
        (a, fastnn.tensor(b)),
    ):
        got = operate(x, y)
        assert got.dtype == bool
        np.testing.assert_array_equal(got.numpy(), operate(a, b))
    np.testing.assert_array_equal((~fastnn.tensor(a)).numpy(), ~a)
    np.testing.assert_array_equal((fastnn.tensor(a) & True).numpy(), a)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fastnn.tensor([1, 2]) & 1, "&: expected booleans; got int64. Say what is meant"),
        (lambda: ~fastnn.tensor([1.0]), "~: expected booleans; got float32"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(DTypeError, match=message):
        call()
    with pytest.raises(TypeError, match=r"round: decimals must be an integer; got 0\.5"):
        ops.round([1.0], decimals=0.5)


def test_round_is_elementwise_and_recorded():
    for digits in (None, 0, 1, -1):
        np.testing.assert_allclose(
            round(fastnn.tensor(X * 1.37), digits).numpy(),
            np.round(X * 1.37, digits or 0),
            rtol=1e-6,
        )
    assert round(fastnn.tensor([3, 4])).dtype == "int64"
    np.testing.assert_array_equal(fastnn.record(lambda x: round(x))(X).numpy(), np.round(X))


def test_logical_ops_take_zero_for_false():
    values = np.array([0.0, 1.0, -2.0, np.nan]), np.array([3, 0, 0, 1])
    for name in ("logical_and", "logical_or", "logical_xor"):
        np.testing.assert_array_equal(
            getattr(ops, name)(*map(fastnn.tensor, values)).numpy(), getattr(np, name)(*values)
        )
    np.testing.assert_array_equal(ops.logical_not(values[0]).numpy(), np.logical_not(values[0]))


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_integers_divide_as_numpys_do_and_stop_nothing(dtype):
    limits = np.iinfo(dtype)
    x = np.array([limits.min, limits.min, limits.max, 7, 7, 0, 100], dtype)
    y = np.array([limits.max, 0, 2, 0, 3, 0, 255 if dtype == "uint8" else -1], dtype)
    with np.errstate(all="ignore"):
        for name in ("mod", "floor_divide", "fmod"):
            got = getattr(ops, name)(x, y)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got.numpy(), getattr(np, name)(x, y), err_msg=name)
        if dtype != "uint8":
            least = np.array([limits.min], dtype)
            for name in ("mod", "floor_divide"):
                expected = getattr(np, name)(least, -np.ones(1, dtype))
                np.testing.assert_array_equal(getattr(ops, name)(least, -1).numpy(), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_remainders_are_exact_however_large_the_quotient(dtype):
    rng, top = np.random.default_rng(0), np.log2(float(np.finfo(dtype).max)) - 1
    x, y = (
        (np.exp2(rng.uniform(-top / 2, top, 2000)) * rng.choice((-1, 1), 2000)).astype(dtype)
        for _ in range(2)
    )
    with np.errstate(all="ignore"):
        expected = np.mod(x, y)
    np.testing.assert_array_equal(ops.mod(x, y).numpy(), expected)


def test_integer_powers():
    x = np.array([2, -3, 1, -1, 0, 7, 2, -1])
    got = ops.power(x, np.array([10, 3, 4, 3, 0, 1, 0, 6]))
    assert got.dtype == "int64"
    assert got.numpy().tolist() == [1024, -27, 1, -1, 1, 7, 1, 1]
    with pytest.raises(ValueError, match="no powers of negative integers; got -2"):
        ops.power(x, np.array([1, 0, -2, 0, 0, 0, 0, 0]))


def test_integers_are_rounded_to_tens():
    for dtype in ("uint8", "int32", "int64"):
        x = np.array([0, 4, 5, 15, 25, 95, 104, 255, 149, 150]).astype(dtype)
        x = x if dtype == "uint8" else np.concatenate([x, -x])
        for decimals in (2, 0, -1, -2, -30):
            got = ops.round(x, decimals)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got.numpy(), np.round(x, max(decimals, -5)))


def test_what_is_no_integer_fills_none():
    with pytest.raises(ValueError, match="full: fill_value nan is no int32"):
        ops.full((2, 2), np.nan, "int32")
    assert ops.full((2,), 2.7, "int32").numpy().tolist() == [2, 2]


# arguments, and what Keras gives of them
FROM_KERAS = [
    ("clip", ([[1, 2], [3, 4]], 2.5, 3.5), [[2.5, 2.5], [3, 3.5]]),
    ("nan_to_num", ([np.nan, 1.0, np.inf, -np.inf], 2.0, 3.0, -4.0), [2, 1, 3, -4]),
    ("sign", ([-2, 0, 3],), [-1, 0, 1]),
    ("trunc", ([-1.7, 1.7, 0.2],), [-1, 1, 0]),
    ("round", ([0.5, 1.5, -2.5],), [0, 2, -2]),
    ("log2", ([8.0, 0.25],), [3, -2]),
    ("heaviside", ([-1.0, 0.0, 2.0], 0.5), [0, 0.5, 1]),
    ("divide_no_nan", ([1.0, 2.0], [0.0, 4.0]), [0, 0.5]),
    ("fmax", ([np.nan, 1.0], [2.0, np.nan]), [2, 1]),
    ("arctan2", ([0.0, -0.0, 1.0], [-1.0, -1.0, 0.0]), [np.pi, -np.pi, np.pi / 2]),
    ("isposinf", ([np.inf, -np.inf, np.nan],), [True, False, False]),
]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"), FROM_KERAS, ids=[c[0] for c in FROM_KERAS]
)
def test_numbers_are_keras(name, arguments, expected):
    np.testing.assert_allclose(getattr(ops, name)(*arguments).numpy(), expected, rtol=1e-6)


def test_steps_have_no_slope_and_stop_no_backward_pass():
    x = fastnn.tensor(X, requires_gradient=True)
    ops.sum(x * ops.floor(x) + ops.sign(x) + x // 2.0).backward()
    np.testing.assert_array_equal(x.gradient.numpy(), np.floor(X))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: ops.clip([1.0, 5.0], x_min=2.0, x_max=3.0), [2, 3]),
        (lambda: ops.add(x1=[1.0], x2=[2.0]), [3]),
        (lambda: ops.subtract([1.0], y=[2.0]), [-1]),
        (lambda: ops.where([True, False], x1=[1.0, 1.0], x2=[2.0, 2.0]), [1, 2]),
        (lambda: ops.softmax(x=[0.0, 0.0], axis=0), [0.5, 0.5]),
        (lambda: ops.linear(x=[[1.0]], w=[[2.0]], activation="relu"), [[2]]),
    ],
)
def test_inputs_are_given_by_name_too(call, expected):
    np.testing.assert_array_equal(call().numpy(), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.add([1.0]), "add: takes x, y; got no y"),
        (lambda: ops.softmax(axis=0), "softmax: takes x; got no x"),
        (lambda: ops.add([1.0], z=[2.0]), "add: takes x, y; got no y"),
    ],
)
def test_what_is_missing_is_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


# where they are defined, and reduced
DOMAINS = {
    "expm1": (-100, 88.7), "log1p": (-1, 1e38), "log2": (0, 1e38), "rsqrt": (0, 1e38),
    "sin": (-6e6, 3.4e38), "cos": (-6e6, 3.4e38), "tan": (-6e6, 3.4e38), "arcsin": (-1, 1),
    "arccos": (-1, 1), "arctan": (-1e38, 1e38), "arcsinh": (-1e38, 1e38), "arccosh": (1, 1e38),
    "arctanh": (-1, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", DOMAINS)
def test_float32_is_within_three_units_in_the_last_place(name):
    """Numbers of every size, and those next to 0 and 1."""
    rng, count = np.random.default_rng(0), 50_000
    near = np.exp2(rng.uniform(-24, 0, count))
    x = np.concatenate([np.exp2(rng.uniform(-125, 127, count)), rng.uniform(0, 9, count), near])
    x = np.concatenate([x, -x, 1 - near, 1 + near, near - 1]).astype("f4")
    low, high = DOMAINS[name]
    x = x[(x > low) & (x < high)]
    exact = (1 / np.sqrt(x.astype("f8"))) if name == "rsqrt" else getattr(np, name)(x.astype("f8"))
    ordinary = np.abs(exact) >= np.finfo("f4").tiny
    error = np.abs(getattr(ops, name)(x).numpy() - exact) / np.spacing(np.abs(exact).astype("f4"))
    assert error[ordinary].max() <= 3
