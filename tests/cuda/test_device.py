"""Tensors, variables, eager ops and recorded steps on the GPU, on the driver's double."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import ops

X = np.random.default_rng(0).normal(size=(5, 7)).astype("f4")


def test_tensors_move(gpu):
    x = fastnn.tensor(X)
    y = x.to("cuda")
    assert (x.device, y.device) == ("cpu", "cuda")
    assert y.to("cuda") is y
    np.testing.assert_array_equal(y.numpy(), X)
    np.testing.assert_array_equal(y.to("cpu").numpy(), X)
    assert "<tensor (5, 7) float32" in repr(y)


@pytest.mark.parametrize("name", ["tpu", "cuda:1", 0, None, ["cuda"], {}])
def test_an_unknown_device_is_named(name):
    with pytest.raises(ValueError, match="expected 'cpu' or 'cuda'"):
        fastnn.tensor([1.0]).to(name)


def test_an_op_runs_where_its_tensors_are(gpu):
    y = fastnn.tensor(X).to("cuda")
    z = ops.relu(y - 0.5) * y
    assert z.device == "cuda"
    np.testing.assert_array_equal(z.numpy(), np.maximum(X - np.float32(0.5), 0) * X)


def test_what_lies_elsewhere_is_copied(gpu):
    y = fastnn.tensor(X).to("cuda") + fastnn.tensor(X)
    assert y.device == "cuda"
    np.testing.assert_array_equal(y.numpy(), X + X)


def test_new_tensors_lie_on_the_device_of_the_scope(gpu):
    with fastnn.device("cuda"):
        assert fastnn.tensor([1.0]).device == "cuda"
        assert fastnn.Variable([1.0]).device == "cuda"
        with fastnn.device("cpu"):
            assert fastnn.tensor([1.0]).device == "cpu"
        assert ops.relu(X).device == "cuda"
    assert fastnn.tensor([1.0]).device == "cpu"


def test_set_device_is_for_all_threads(gpu):
    import threading

    fastnn.set_device("cuda")
    found = []
    thread = threading.Thread(target=lambda: found.append(fastnn.get_device()))
    thread.start()
    thread.join()
    assert found == ["cuda"]


def test_a_variable_is_assigned_and_keeps_its_gradient(gpu):
    with fastnn.device("cuda"):
        weight = fastnn.Variable([[1.0, 2.0], [3.0, 4.0]])
    weight.assign([[2.0, 2.0], [2.0, -2.0]])
    weight.gradient = np.ones((2, 2), "f4")
    assert weight.gradient.device == "cuda"
    np.testing.assert_array_equal(weight.gradient.numpy(), np.ones((2, 2)))
    np.testing.assert_array_equal(ops.relu(weight).numpy(), [[2, 2], [2, 0]])


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy])
def test_copies_lie_beside_the_original(gpu, copied):
    with fastnn.device("cuda"):
        x, weight = fastnn.tensor(X), fastnn.Variable(X)
    for given in (x, weight):
        other = copied(given)
        assert other.device == "cuda"
        given.buffer.write(np.zeros_like(X))
        np.testing.assert_array_equal(other.numpy(), X)


def test_what_is_pickled_on_the_gpu_is_read_on_the_cpu(gpu):
    x = fastnn.tensor(X).to("cuda")
    other = pickle.loads(pickle.dumps(x))
    assert other.device == "cpu"
    np.testing.assert_array_equal(other.numpy(), X)


def test_a_models_copies_and_pickles(gpu):
    model = fastnn.Sequential([fastnn.Input((7,)), fastnn.layers.Dense(3)])
    model.to("cuda")
    expected = model.predict(X)
    for other, device in (
        (copy.deepcopy(model), "cuda"),
        (pickle.loads(pickle.dumps(model)), "cpu"),
    ):
        assert other.device == device
        assert {v.device for v in other.weights} == {device}
        np.testing.assert_allclose(other.predict(X), expected, atol=1e-6)


def test_a_step_for_the_cpu_refuses_tensors_of_the_gpu(gpu):
    y = fastnn.tensor(X).to("cuda")
    with pytest.raises(fastnn.errors.RecordingError, match=r"fastnn.device\('cuda'\)"):
        fastnn.record(lambda x: x + y)(X)


def test_a_tensor_of_a_step_is_dead_after_it(gpu):
    held = []
    with fastnn.device("cuda"):
        fastnn.record(lambda x: held.append(x + 1.0) or x * 2.0)(X)
        with pytest.raises(fastnn.errors.DeadTensorError):
            ops.relu(held[0])


def test_gradients_are_checked(gpu):
    with fastnn.device("cuda"):
        fastnn.gradcheck(lambda x: ops.sum(ops.tanh(x)), [X[:2, :3]])


def test_a_recorded_step_runs_as_a_graph(gpu):
    with fastnn.device("cuda"):
        step = fastnn.record(lambda a: {"y": ops.relu(a * 2.0 - 1.0), "z": ops.tanh(a)})
        found = step(X)
        again = step(2 * X)
    assert found["y"].device == "cuda"
    np.testing.assert_array_equal(found["y"].numpy(), np.maximum(X * 2 - 1, 0))
    np.testing.assert_array_equal(again["y"].numpy(), np.maximum(X * 4 - 1, 0))
    assert gpu.calls["cuGraphLaunch"] == 2
    assert fastnn.record(lambda a: a + 1.0)(X).device == "cpu"


def test_one_function_has_a_tape_for_each_device(gpu):
    step = fastnn.record(lambda a: a + 1.0)
    assert step(X).device == "cpu"
    with fastnn.device("cuda"):
        assert step(X).device == "cuda"
    assert step(X).device == "cpu"


def test_an_op_without_a_kernel_says_so(gpu, monkeypatch):
    from fastnn.devices import launchers

    ops.exp.launchers.pop("cuda", None)
    monkeypatch.setattr(launchers, "import_module", lambda name: object())
    with pytest.raises(NotImplementedError, match=r"exp: there is no kernel .* x.to\('cpu'\)"):
        ops.exp(fastnn.tensor(X).to("cuda"))
