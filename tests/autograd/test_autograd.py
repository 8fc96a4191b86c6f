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
    fastnn.gradcheck(
        lambda a, b: ops.sum((a @ b) * (a @ b) + (a @ b) @ b), [np.ones((2, 2)), w.numpy()]
    )
    assert w.gradient is not None


@pytest.mark.parametrize("activation", ["relu", "tanh", None])
@pytest.mark.parametrize("columns", [1, 7, 64, 130])
def test_a_bias_used_twice_gets_the_sum_too(activation, columns):
    random = np.random.default_rng(0)
    x, weights = random.normal(size=(9, 3)), random.normal(size=(9, columns))
    w, bias = (
        fastnn.Variable(random.normal(size=s), dtype="float64") for s in ((3, columns), (columns,))
    )
    found = []
    for times in (1, 2):
        w.gradient = bias.gradient = None
        for _ in range(times):
            ops.sum(ops.linear(x, w, bias, activation=activation) * weights).backward()
        found.append([bias.gradient.numpy(), w.gradient.numpy()])
    for once, twice in zip(*found, strict=True):
        np.testing.assert_allclose(twice, 2 * once, rtol=1e-13)


# Rows, inputs, columns of a layer and of the one above: products by gemm, gemm_dots, ger;
# sums by columns and in chunks.
LAYERS = [
    (1, 1, 1, 1),
    (5, 3, 17, 4),
    (32, 6, 64, 10),
    (9, 4, 50, 1),
    (3, 2, 7, 40),
    (0, 2, 5, 3),
    (300, 2, 40, 12),
    (64, 3, 130, 9),
]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", LAYERS)
def test_a_layers_gradient_is_made_with_the_product_above_it(sizes, activation):
    rows, inputs, columns, above = sizes
    random = np.random.default_rng(0)
    x, dy = random.normal(size=(rows, inputs)), random.normal(size=(rows, above))
    w, bias, top = (
        fastnn.Variable(random.normal(size=s), dtype="float64")
        for s in ((inputs, columns), (columns,), (columns, above))
    )

    def gradients():
        for v in (w, bias, top):
            v.gradient = None
        h = ops.linear(x, w, bias, activation=activation)
        ops.matmul(h, top).backward(dy)
        return h, w.gradient, bias.gradient, top.gradient

    step = fastnn.record(gradients)
    h, *got = [np.asarray(t) for t in step()]
    name = f"matmul and gradient of {activation} and its sums"
    assert name in [i.name for i in step.recording().tape.instructions]
    dz = dy @ top.numpy().T * ((h > 0) if activation == "relu" else 1 - h**2)
    for one, eager, expected in zip(
        got, gradients()[1:], (x.T @ dz, dz.sum(axis=0), h.T @ dy), strict=True
    ):
        np.testing.assert_allclose(one, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(one, eager.numpy())


@pytest.mark.parametrize("above", [1, 12])  # one column is no product of tiles
@pytest.mark.parametrize("activation", ["leaky_relu", "elu"])
def test_a_gradient_with_numbers_of_its_own_is_made_with_the_product_above_it(activation, above):
    random = np.random.default_rng(0)
    x, w, top = (random.normal(size=s) for s in ((32, 3), (3, 20), (20, above)))
    fastnn.gradcheck(lambda x, w, top: getattr(ops, activation)(x @ w) @ top, [x, w, top])


def test_a_result_used_twice_gets_the_sum_of_a_product_and_another():
    def function(x, w, bias, top):
        h = ops.linear(x, w, bias, activation="tanh")
        return ops.linear(h, top, activation="sigmoid") * ops.relu(h @ top) + ops.sum(
            ops.exp(h), axis=1, keepdims=True
        )

    random = np.random.default_rng(0)
    fastnn.gradcheck(function, [random.normal(size=s) for s in ((4, 3), (3, 5), (5,), (5, 6))])


def test_a_result_beside_the_first_is_differentiated_alone_and_through_other_ops():
    x, ones, zeros = np.random.default_rng(0).normal(size=(7, 5)), np.ones(5), np.zeros(5)

    def cubes_and_means(x):
        y, mean, _ = ops.batch_norm(x, ones, zeros)
        return ops.sum(y * y * y) + ops.sum(mean * mean)

    def deviations(x, gamma):
        y, mean, variance = ops.batch_norm(x, gamma, zeros)
        return (
            ops.sum(ops.sqrt(variance)) + ops.sum(ops.exp(mean) * variance) + ops.sum(y * variance)
        )

    fastnn.gradcheck(cubes_and_means, [x])
    fastnn.gradcheck(lambda x: ops.sum(ops.batch_norm(x, ones, zeros)[1] * 3.0), [x])
    fastnn.gradcheck(deviations, [x, ones])


def test_the_gradient_of_a_variance_keeps_its_digits_far_from_zero():
    x = np.random.default_rng(0).normal(1e4, 1, (256, 3)).astype("f4")
    t = fastnn.tensor(x, requires_gradient=True)
    ops.sum(ops.batch_norm(t, np.ones(3, "f4"), np.zeros(3, "f4"))[2]).backward()
    exact = 2 * (x.astype("f8") - x.mean(axis=0, dtype="f8")) / 256
    np.testing.assert_allclose(
        t.gradient.numpy(), exact, rtol=0, atol=4 * np.finfo("f4").eps * np.abs(exact).max()
    )


def test_statistics_in_a_recorded_step_have_the_gradients_of_the_eager_one():
    x, w = (
        np.random.default_rng(0).normal(size=(9, 4)),
        fastnn.Variable(np.ones((4, 6)), dtype="float64"),
    )

    def step(x):
        w.gradient = None
        y, mean, variance = ops.batch_norm(x @ w, np.ones(6), np.zeros(6))
        (ops.sum(y * y * y) + ops.sum(mean * variance)).backward()
        return w.gradient

    np.testing.assert_array_equal(
        fastnn.record(step)(fastnn.tensor(x)).numpy(), step(fastnn.tensor(x)).numpy()
    )


def test_a_bias_that_is_not_trained_changes_no_other_gradient():
    random, found = np.random.default_rng(0), []
    arrays = [random.normal(size=s) for s in ((9, 3), (3, 20), (20,), (20, 4))]
    for is_trained in (True, False):
        w, top = (
            fastnn.Variable(arrays[1], dtype="float64"),
            fastnn.Variable(arrays[3], dtype="float64"),
        )
        bias = fastnn.Variable(arrays[2], trainable=is_trained, dtype="float64")
        ops.sum(ops.linear(arrays[0], w, bias, activation="tanh") @ top).backward()
        found.append([w.gradient.numpy(), top.gradient.numpy()])
        assert (bias.gradient is not None) == is_trained
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


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
        (
            lambda w: (w * 2.0).backward(np.ones(2)),
            r"gradient must have the loss's shape \(3\); got \(2\)",
        ),
        (
            lambda w: (w * 2.0).backward(fastnn.tensor(np.ones(3, "f4"))),
            "gradient must be float64, as the loss is; got float32. Convert it",
        ),
        (
            lambda w: ops.sum(ops.clipped_binary_cross_entropy(np.full(3, 0.5), w)).backward(),
            "input 1 has no gradient; detach it",
        ),
    ],
)
def test_what_cannot_be_is_said(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(variable(3))


def test_gradcheck_finds_a_wrong_gradient(monkeypatch):
    monkeypatch.setitem(
        ops.exp.__dict__, "gradient", lambda g, dys, inputs, outputs: g.pass_on(0, dys[0])
    )
    with pytest.raises(AssertionError, match="gradcheck: input 0, element"):
        fastnn.gradcheck(ops.exp, [[1.0, 2.0]])
