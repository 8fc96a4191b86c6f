"""Fewer launches for the same bits."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.devices.cuda import graph, tape

X = np.random.default_rng(0).normal(size=(64, 20)).astype("f4")
Y = (X[:, 0] > 0).astype("i8")


def weights():
    """Of a classifier after two epochs, one step each."""
    fastnn.utils.set_random_seed(1)
    stack = [fastnn.Input((20,))]
    for _ in range(2):
        stack += [layers.Dense(16), layers.BatchNormalization(), layers.ReLU()]
    model = fastnn.Sequential([*stack, layers.Dense(3, activation="softmax")])
    model.to("cuda")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, Y, batch_size=64, epochs=2, verbose=0)
    return model.get_weights()


@pytest.fixture
def launches(monkeypatch):
    """How many launches each graph has."""
    counts, batches = [], graph.batches

    def counted(calls):
        found = batches(calls)
        counts.append(len(found) + 1)  # the last one moves counters on
        return found

    monkeypatch.setattr(graph, "batches", counted)
    return counts


def test_a_step_takes_few_launches_and_has_the_same_bits(gpu, launches, monkeypatch):
    found = weights()
    assert max(launches) <= 24
    monkeypatch.setattr(tape, "fused", lambda instructions, kept: list(instructions))
    monkeypatch.setattr(graph, "batches", lambda calls: [[n] for n in range(len(calls))])
    for a, b in zip(found, weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_read_besides_stays(gpu):
    """The normalised rows are returned, so the activation has a launch of its own."""
    ones, zeros = np.ones(20, "f4"), np.zeros(20, "f4")

    def both(x):
        y, *_ = ops.batch_norm(x, ones, zeros)
        return y, ops.relu(y)

    expected = [t.numpy() for t in both(fastnn.tensor(X))]
    with fastnn.device("cuda"):
        found = [t.numpy() for t in fastnn.record(both)(X)]
    np.testing.assert_array_equal(np.maximum(found[0], 0), found[1])
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
