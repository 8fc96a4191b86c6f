"""Gradients that are handed out keep their values, and those that are assigned are the ones that
count: eager and recorded."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import ShapeError

BOTH = pytest.mark.parametrize("mode", [lambda f: f, fastnn.record], ids=["eager", "recorded"])
WEIGHT = np.array([[1.0, 2.0], [3.0, 4.0]], "f4")


def variable(value=WEIGHT, **options):
    return fastnn.Variable(value, **options)


@BOTH
def test_a_gradient_keeps_its_values_whatever_later_steps_do(mode):
    w, optimizer = variable(), fastnn.optimizers.SGD(0.5)
    optimizer.build([w])

    def step(x):
        ops.sum(w * x).backward()

    def update():
        optimizer.step()

    step, update = mode(step), mode(update)
    step(np.float32(2.0))
    kept = [w.gradient, w.gradient]
    step(np.float32(5.0))
    kept.append(w.gradient)
    update()
    assert w.gradient is None
    step(np.float32(1.0))
    for gradient, expected in zip([*kept, w.gradient], [2, 2, 7, 1], strict=True):
        np.testing.assert_array_equal(gradient, np.full((2, 2), expected, "f4"))


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_optimizer_takes_a_gradient_clipped_by_hand_and_the_next_is_added_to_it(mode, dtype):
    w, optimizer = variable(dtype=dtype), fastnn.optimizers.SGD(1.0)
    optimizer.build([w])

    def step(x):
        ops.sum(w * x).backward()
        before = w.gradient
        w.gradient = -ops.maximum(-w.gradient, -3.0)
        clipped = w.gradient
        ops.sum(w * x).backward()
        added = w.gradient
        optimizer.step()
        return before, clipped, added

    step, x = mode(step), np.array([[1, 5], [2, 8]], dtype)
    for n in range(1, 3):
        before, clipped, added = step(fastnn.tensor(x))
        np.testing.assert_array_equal(before, x)
        np.testing.assert_array_equal(clipped, np.minimum(x, 3))
        np.testing.assert_array_equal(added, np.minimum(x, 3) + x)
        np.testing.assert_array_equal(w, WEIGHT - n * (np.minimum(x, 3) + x))
        assert w.gradient is None


@BOTH
def test_what_a_step_assigns_clears_and_asks_for_it_does_in_every_call(mode):
    w, v = variable(), variable([1.0, 1.0])

    def step(x):
        had = 1.0 if v.gradient is None else 2.0
        w.gradient = None
        v.gradient = x * had
        return ops.sum(v) * had

    step = mode(step)
    for call in range(4):
        w.gradient = WEIGHT
        if call % 2 == 0:
            v.gradient = None
        result = step(fastnn.tensor([call, 2.0]))
        assert w.gradient is None
        assert result.item() == 2 * (1 + call % 2)
        np.testing.assert_array_equal(v.gradient, np.array([call, 2.0]) * (1 + call % 2))


@pytest.mark.parametrize(
    "value",
    [[[0.5, 1.0], [2.0, 3.0]], np.ones((2, 2)), np.ones((2, 2), "f4"), fastnn.tensor(WEIGHT)],
)
def test_arrays_lists_and_tensors_can_be_assigned_and_are_copied(value):
    w = variable()
    w.gradient = value
    expected = np.array(value)
    if isinstance(value, np.ndarray):
        value[:] = 7
    ops.sum(w).backward()
    np.testing.assert_array_equal(w.gradient, expected + 1)


@pytest.mark.parametrize(
    "value",
    [np.ones(2), 1.0, fastnn.tensor(np.ones((2, 2)), "float64"), fastnn.tensor([[1, 1], [1, 1]])],
)
@pytest.mark.parametrize(
    "owner", [variable, lambda **options: fastnn.tensor(WEIGHT, requires_gradient=True)]
)
def test_a_gradient_of_another_shape_or_type_is_refused(owner, value):
    w = owner()
    with pytest.raises(ShapeError, match=r"gradient of .*expected \(2, 2\) float32; got"):
        w.gradient = value
    assert w.gradient is None


def test_a_tensors_gradient_is_not_the_array_that_backward_was_given():
    x, w = fastnn.tensor(WEIGHT, requires_gradient=True), variable(np.ones(4))
    for given in (np.ones(4, "f4"), w):
        x.gradient = None
        ops.reshape(x, (4,)).backward(given)
        (given if given is not w else w.buffer.array(w.shape, w.dtype))[:] = 5
        np.testing.assert_array_equal(x.gradient, np.ones((2, 2)))
    w = variable()
    x.gradient = w
    w.assign(np.zeros((2, 2)))
    np.testing.assert_array_equal(x.gradient, WEIGHT)


def test_the_gradient_of_a_tensor_from_outside_ends_with_the_recorded_step_and_can_be_returned():
    x = fastnn.tensor(WEIGHT, requires_gradient=True)

    @fastnn.record
    def step(factor):
        ops.sum(x * factor).backward()
        return x.gradient

    for shape in ((2, 2), (2, 1), (1, 2)):  # each is recorded
        for value in (3.0, 4.0):
            np.testing.assert_array_equal(step(np.full(shape, value, "f4")), np.full((2, 2), value))
            assert x.gradient is None


def test_a_step_that_failed_leaves_no_gradients_behind():
    w, v = variable(), variable()

    @fastnn.record
    def step(x):
        ops.sum(v * ops.sqrt(w * x)).backward()
        optimizer.step()

    optimizer = fastnn.optimizers.SGD(0.0)
    optimizer.build([w, v])
    step(np.float32(1.0))
    tapes = sum(map(len, step.tapes.values()))
    with pytest.raises(FloatingPointError, match="made by gradient of sqrt"):
        step(np.float32(0.0))
    assert w.gradient is None
    assert v.gradient is None
    step(np.float32(1.0))
    assert sum(map(len, step.tapes.values())) == tapes
