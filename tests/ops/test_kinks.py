"""Activations where their formulas change, at zeros, infinities and sizes that overflow: values and
gradients written down, as Keras 3.15 (on TensorFlow) and PyTorch 2.13 give them. Where these differ
from each other, or from here, the row says it."""

import re
from math import e, exp, inf, log, nan

import numpy as np
import pytest

import fastnn
from fastnn import activations, layers, ops
from fastnn.layers.core import FUSED
from tests.oracle import DTYPES

P = 1 / (1 + exp(-1))
HUGE = 1e30  # its square overflows in float32
NEXT = np.nextafter(np.float32(-3), np.float32(0)).item()  # to -3

# By name: arguments, then x, y and dy / dx.
TABLE = {
    "linear": [
        ({}, [(-inf, -inf, 1), (-0.0, -0.0, 1), (0.0, 0.0, 1), (inf, inf, 1), (nan, nan, 1)])
    ],
    "relu": [
        # Keras and PyTorch give a NaN's gradient 0 or 1, as it happens; here it passes.
        (
            {},
            [
                (-inf, 0, 0),
                (-1e-30, 0, 0),
                (-0.0, -0.0, 0),
                (0.0, 0.0, 0),
                (1e-30, 1e-30, 1),
                (inf, inf, 1),
                (nan, nan, 1),
            ],
        ),
        (
            {"max_value": 6.0},
            [
                (-inf, 0, 0),
                (0.0, 0, 0),
                (3.0, 3, 1),
                (6.0, 6, 0),
                (7.0, 6, 0),
                (inf, 6, 0),
                (nan, nan, 1),
            ],
        ),
        # Keras: gradient 1 at any maximum but 6.
        ({"max_value": 2.0}, [(0.0, 0, 0), (1.0, 1, 1), (2.0, 2, 0), (3.0, 2, 0)]),
        ({"max_value": 0.0}, [(-1.0, 0, 0), (0.0, 0, 0), (1.0, 0, 0), (inf, 0, 0)]),
        (
            {"negative_slope": 0.25},
            [
                (-inf, -inf, 0.25),
                (-1.0, -0.25, 0.25),
                (-0.0, -0.0, 0.25),
                (0.0, 0.0, 0.25),
                (inf, inf, 1),
            ],
        ),
        # Keras: a NaN becomes 0; PyTorch's threshold keeps it.
        (
            {"threshold": 1.0},
            [(-inf, 0, 0), (0.5, 0, 0), (1.0, 0, 0), (2.0, 2, 1), (inf, inf, 1), (nan, nan, 1)],
        ),
        ({"threshold": 1.0, "max_value": 0.5}, [(0.75, 0, 0), (1.0, 0, 0), (2.0, 0.5, 0)]),
        (
            {"negative_slope": 0.25, "max_value": 2.0, "threshold": 1.0},
            # Keras: gradient 0 at the threshold, if it is not 0 or there is a maximum.
            [
                (-inf, -inf, 0.25),
                (-1.0, -0.5, 0.25),
                (1.0, 0, 0.25),
                (1.5, 1.5, 1),
                (2.0, 2, 0),
                (3.0, 2, 0),
                (nan, nan, 1),
            ],
        ),
    ],
    "sigmoid": [
        (
            {},
            [
                (-inf, 0, 0),
                (-HUGE, 0, 0),
                (-0.0, 0.5, 0.25),
                (0.0, 0.5, 0.25),
                (HUGE, 1, 0),
                (inf, 1, 0),
                (nan, nan, nan),
            ],
        ),
    ],
    "tanh": [
        (
            {},
            [
                (-inf, -1, 0),
                (-HUGE, -1, 0),
                (-0.0, -0.0, 1),
                (0.0, 0.0, 1),
                (HUGE, 1, 0),
                (inf, 1, 0),
                (nan, nan, nan),
            ],
        ),
    ],
    "exponential": [
        (
            {},
            [
                (-inf, 0, 0),
                (-HUGE, 0, 0),
                (-0.0, 1, 1),
                (1.0, e, e),
                (HUGE, inf, inf),
                (inf, inf, inf),
                (nan, nan, nan),
            ],
        ),
    ],
    "elu": [
        # Keras and PyTorch give a NaN's gradient 1, alpha or NaN, as it happens; here it is NaN.
        (
            {},
            [
                (-inf, -1, 0),
                (-HUGE, -1, 0),
                (-1e-30, -1e-30, 1),
                (-0.0, -0.0, 1),
                (0.0, 0.0, 1),
                (inf, inf, 1),
                (nan, nan, nan),
            ],
        ),
        (
            {"alpha": 0.7},
            [
                (-inf, -0.7, 0),
                (-1.0, 0.7 / e - 0.7, 0.7 / e),
                (-0.0, -0.0, 0.7),
                (0.0, 0.0, 0.7),
                (1e-30, 1e-30, 1),
            ],
        ),
        ({"alpha": 0.0}, [(-inf, -0.0, 0), (-1.0, -0.0, 0), (0.0, 0.0, 0), (1.0, 1, 1)]),
    ],
    "gelu": [
        # Keras and PyTorch: NaN at -inf, and NaN for the gradients of infinities.
        (
            {},
            [
                (-inf, 0, 0),
                (-HUGE, 0, 0),
                (-0.0, -0.0, 0.5),
                (0.0, 0.0, 0.5),
                (HUGE, HUGE, 1),
                (inf, inf, 1),
                (nan, nan, nan),
            ],
        ),
        # Keras and PyTorch: NaN for the gradients of infinities and of what is so large that x^3
        # overflows.
        (
            {"approximate": True},
            [
                (-inf, nan, 0),
                (-HUGE, 0, 0),
                (-0.0, -0.0, 0.5),
                (0.0, 0.0, 0.5),
                (HUGE, HUGE, 1),
                (inf, inf, 1),
                (nan, nan, nan),
            ],
        ),
    ],
    "silu": [
        (
            {},
            [
                (-inf, nan, nan),
                (-HUGE, 0, 0),
                (-0.0, -0.0, 0.5),
                (0.0, 0.0, 0.5),
                (1.0, P, P * (2 - P)),
                (HUGE, HUGE, 1),
            ],
        ),
        ({}, [(inf, inf, nan), (nan, nan, nan)]),
    ],
    "softplus": [
        (
            {},
            [
                (-inf, 0, 0),
                (-HUGE, 0, 0),
                (-0.0, log(2), 0.5),
                (0.0, log(2), 0.5),
                (HUGE, HUGE, 1),
                (inf, inf, 1),
                (nan, nan, nan),
            ],
        ),
    ],
    "softsign": [
        (
            {},
            [
                (-HUGE, -1, 0),
                (-1.0, -0.5, 0.25),
                (-0.0, -0.0, 1),
                (0.0, 0.0, 1),
                (1.0, 0.5, 0.25),
                (HUGE, 1, 0),
            ],
        ),
        # Keras on TensorFlow: gradient 0 at infinities; PyTorch: NaN.
        ({}, [(-inf, nan, nan), (inf, nan, nan), (nan, nan, nan)]),
    ],
    "hard_sigmoid": [
        (
            {},
            [
                (-inf, 0, 0),
                (-3.0, 0, 0),
                (NEXT, (NEXT + 3) / 6, 1 / 6),
                (-0.0, 0.5, 1 / 6),
                (0.0, 0.5, 1 / 6),
                (2.5, 5.5 / 6, 1 / 6),
            ],
        ),
        ({}, [(3.0, 1, 0), (inf, 1, 0), (nan, nan, 0)]),
    ],
}
ROWS = [(name, arguments, rows) for name, calls in TABLE.items() for arguments, rows in calls]


def value_and_slope(function, x):
    x = fastnn.tensor(x, requires_gradient=True)
    y = function(x)
    y.backward(np.ones(x.shape, x.dtype))
    return y.numpy(), x.gradient.numpy()


def expect(got, expected, dtype):
    """To four units; infinities, NaN and the signs of zeros exactly, but that a written 0 may be
    -0."""
    got, expected = got.astype("f8"), np.array(expected, dtype).astype("f8")
    np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps, atol=0)
    minus = (expected == 0) & np.signbit(expected)
    assert np.signbit(got[minus]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "arguments", "rows"), ROWS, ids=str)
def test_values_and_gradients_are_as_written(name, arguments, rows, dtype):
    x, y, slope = zip(*rows, strict=True)
    got, gradient = value_and_slope(
        lambda x: activations.get(name)(x, **arguments), np.array(x, dtype)
    )
    expect(got, y, dtype)
    expect(gradient, slope, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "rows"), [(n, rows) for n in FUSED.values() for given, rows in TABLE[n] if not given]
)
def test_products_that_are_fused_with_an_activation_have_its_kinks(name, rows, dtype):
    x, y, slope = (np.array(column, dtype)[:, None] for column in zip(*rows, strict=True))
    got, gradient = value_and_slope(
        lambda x: ops.linear(x, np.ones((1, 1), dtype), activation=name), x
    )
    np.testing.assert_allclose(got, y, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(gradient, slope, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_hard_sigmoid_is_flat_where_keras_has_it_flat(dtype):
    """relu6(x + 3) / 6, whose gradient is that of relu6 at x + 3: every number near the kinks."""
    x = np.concatenate(
        [np.array(k, dtype) + np.arange(-40, 41) * np.spacing(np.array(k, dtype)) for k in (-3, 3)]
    ).astype(dtype)
    y, slope = value_and_slope(activations.hard_sigmoid, x)
    distance = x + np.array(3, dtype)
    expect(y, np.clip(distance, 0, 6) / 6, dtype)
    np.testing.assert_array_equal(slope != 0, (distance > 0) & (distance < 6))


@pytest.mark.parametrize(
    ("x", "y", "gradient"),  # of y[0]
    [
        ([0, -inf], [1, 0], [0, 0]),
        ([1e4, 0], [1, 0], [0, 0]),
        ([3e38, -3e38], [1, 0], [0, 0]),
        ([5, 5], [0.5, 0.5], [0.25, -0.25]),
        ([-inf, -inf], [nan, nan], [nan, nan]),
        ([inf, 0], [nan, nan], [nan, nan]),  # Keras on TensorFlow: 0 beside a NaN
        ([nan, 0], [nan, nan], [nan, nan]),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_at_its_extremes_is_as_written(x, y, gradient, dtype):
    x = fastnn.tensor(np.array(x, dtype), requires_gradient=True)
    got = activations.softmax(x)
    got.backward(np.array([1, 0], dtype))
    np.testing.assert_array_equal(got.numpy(), y)
    np.testing.assert_array_equal(x.gradient.numpy(), gradient)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((5,), -1),
        ((5,), 0),
        ((4, 3), 0),
        ((4, 3), -2),
        ((2, 3, 4), 0),
        ((2, 3, 4), 1),
        ((2, 3, 4), np.int64(-1)),
    ],
)
def test_softmax_goes_along_any_dimension(shape, axis):
    x = np.random.default_rng(0).normal(size=shape)
    expected = np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)
    for function in (lambda x: activations.softmax(x, axis=axis), layers.Softmax(axis)):
        np.testing.assert_allclose(function(fastnn.tensor(x)).numpy(), expected, rtol=1e-14)
    fastnn.gradcheck(lambda x: activations.softmax(x, axis), [x])


@pytest.mark.parametrize("axis", [2, -3, 0.5, (0, 0), ()], ids=str)
def test_softmax_along_no_dimension_is_refused(axis):
    with pytest.raises((ValueError, TypeError), match=r"softmax: .*axis"):
        activations.softmax(np.ones((2, 3)), axis)
    with pytest.raises(ValueError, match=r"softmax: x must have a dimension .* got shape \(\)"):
        activations.softmax(1.0)


# ---- attributes of ops


@pytest.mark.parametrize(
    "call",
    [
        lambda x, n: activations.elu(x, n),
        lambda x, n: activations.relu(x, max_value=n),
        lambda x, n: activations.relu(x, n, n, n),
    ],
    ids=["elu", "relu", "relu with all"],
)
def test_an_activation_is_one_call_whatever_its_arguments(call):
    kernels = set()
    for number in (0.3, 0.7):
        x = np.linspace(-2, 2, 9)
        step = fastnn.record(lambda x, number=number: call(x, number))
        np.testing.assert_array_equal(step(x).numpy(), call(x, number).numpy())
        (instruction,) = step.recording(x).tape.instructions
        kernels.add(instruction.kernel)
    assert len(kernels) == 1


@pytest.mark.parametrize("alpha", [None, 1.0, 0.3])
def test_a_product_above_gives_an_elu_with_alpha_its_gradient(alpha):
    """With its default the product and the derivative are made together, otherwise not."""
    rng = np.random.default_rng(0)
    arguments = {} if alpha is None else {"alpha": alpha}
    x, w, v = rng.normal(size=(7, 5)), rng.normal(size=(5, 33)), rng.normal(size=(33, 3))
    fastnn.gradcheck(lambda x, w, v: ops.elu(x @ w, **arguments) @ v, [x, w, v])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        *[
            (lambda x, n=n: ops.elu(x, alpha=n), ValueError,
             "elu: alpha must be a number from 0 on, in the range of float32; got")
            for n in (-1, nan, inf, 1e300, "1", None, True, [0.5])
        ],
        (lambda x: activations.relu(x, -0.1), ValueError,
         "general_relu: negative_slope must be a number from 0 on"),
        (lambda x: activations.relu(x, max_value=-1.0), ValueError,
         "general_relu: max_value must be a number from 0 on"),
        (lambda x: activations.relu(x, threshold=inf), ValueError,
         "general_relu: threshold must be a number from 0 on"),
        (lambda x: layers.ReLU(negative_slope=None), ValueError,
         "ReLU: negative_slope must be a finite number from 0 on; got None"),
        (lambda x: layers.ReLU(threshold=-1), ValueError,
         "ReLU: threshold must be a finite number from 0 on; got -1"),
        (lambda x: ops.elu(x, alhpa=1.0), TypeError,
         "elu: unknown argument 'alhpa'; did you mean 'alpha'?"),
        (lambda x: ops.exp(x, base=2.0), TypeError,
         "exp: unknown argument 'base'; it takes x alone"),
        (lambda x: ops.exp(x, 2.0), TypeError, "exp: takes 1 arguments at most; got 2"),
        (lambda x: ops.sum(x, 0, False, False, 1), TypeError,
         "sum: takes 4 arguments at most; got 5"),
    ],
)  # fmt: skip
def test_attributes_that_make_no_sense_are_refused(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(np.ones(3, "f4"))
