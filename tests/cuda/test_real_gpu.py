"""The whole of it on a real GPU, where there is one: every op, training, errors, and arrays of
PyTorch's and CuPy's. What the driver itself is asked is in test_gpu.py."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.apply import apply
from fastnn.devices.arena import allocate_on
from fastnn.errors import CudaError, DeviceMemoryError
from fastnn.ops.record import in_place, registry
from fastnn.tensor import Tensor
from tests.oracle import DTYPES, as_type, bound, difference, draw, results

from .test_training import expect_alike, trained

pytestmark = pytest.mark.usefixtures("real_gpu")
# of gradients, of 1 and more: (float32, float64)
GRADIENT_TOLERANCE = dict(zip(DTYPES, (1e-5, 1e-12), strict=True))
LARGE = 1 << 24  # elements, whose kernels are still running when Python goes on


def there(array):
    return fastnn.tensor(array).to("cuda")


def expect_close(op, case, found, references, dtype):
    for got, expected in zip(found, map(np.asarray, references), strict=True):
        assert got.device == "cuda"
        assert got.shape == expected.shape
        finite = np.where(np.isfinite(expected), expected, 0.0)
        error = difference(got.numpy(), expected)
        assert (error <= bound(op, finite, dtype, case.terms)).all(), (case, dtype, error.max())


# ---- every op, in all its cases: a test each would be thousands of skipped ones


def drawn(op):
    """(the case's number, the case, its arrays, the element type of floats among them)."""
    for number, case in enumerate(op.cases):
        for dtype in sorted({case.attributes.get("dtype", dtype) for dtype in DTYPES}):
            arrays = draw(case, number)
            kept = getattr(op, "float64", ())
            typed = [a if i in kept else as_type([a], dtype)[0] for i, a in enumerate(arrays)]
            yield number, case, typed, dtype


@pytest.mark.parametrize("name", sorted(registry))
def test_results_are_the_references(name):
    op = registry[name]
    for _, case, arrays, dtype in drawn(op):
        references = results(op.reference(*as_type(arrays, "float64"), **case.attributes))
        found = results(op(*map(there, arrays), **case.attributes))
        expect_close(op, case, found, references, dtype)


@pytest.mark.parametrize("name", sorted(in_place))
def test_what_is_updated_in_place_is_the_references(name):
    op = in_place[name]
    for _, case, arrays, dtype in drawn(op):
        references = results(op.reference(*as_type(arrays, "float64"), **case.attributes))
        tensors = [there(a) for a in arrays]
        given, places = tensors[: op.arity], tensors[op.arity :]
        apply(op, tuple(given), case.attributes, places)
        expect_close(op, case, places, references, dtype)


@pytest.mark.parametrize(
    "name", sorted(name for name, op in registry.items() if op.gradient or op.composite)
)
def test_gradients_are_the_cpus(name):
    op = registry[name]
    for number, case, arrays, dtype in drawn(op):
        if any(np.isnan(a).any() for a in arrays):
            continue  # of NaN no gradient is promised
        there, here = [gradients(op, case, number, arrays, d) for d in ("cuda", "cpu")]
        for got, expected in zip(there, here, strict=True):
            assert (got is None) == (expected is None)
            if got is not None:
                tolerance = GRADIENT_TOLERANCE[dtype] * case.terms * (1 + np.abs(expected))
                assert (difference(got, expected) <= tolerance).all(), (case, dtype)


def gradients(op, case, number, arrays, device):
    """Those of all inputs, of a sum of all results times uneven numbers."""
    tensors = [fastnn.tensor(a).to(device) for a in arrays]
    for n, t in enumerate(tensors):
        t.requires_gradient = t.dtype.kind == "f" and n not in op.constant
    outputs = results(op(*tensors, **case.attributes))
    rng = np.random.default_rng(number)
    above = [rng.uniform(0.5, 1.5, y.shape).astype(y.dtype) for y in outputs]
    used = [(y, a) for y, a in zip(outputs, above, strict=True) if y.requires_gradient]
    functools.reduce(ops.add, [ops.sum(y * a) for y, a in used]).backward()
    return [None if t.gradient is None else t.gradient.numpy() for t in tensors]


# ---- training, and what goes wrong


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("options", [{}, {"batch_norm": True, "dropout": 0.3}])
def test_a_fit_ends_with_the_cpus_weights(optimizer, options):
    runs = [trained(device, optimizer, **options) for device in ("cpu", "cuda")]
    expect_alike(*runs, 1e-4 if options else 2e-5)


def test_labels_out_of_range_have_the_cpus_message():
    x, labels = np.ones((3, 4), "f4"), np.array([0, 7, 9])
    messages = []
    for device in ("cpu", "cuda"):
        with pytest.raises(IndexError, match="row 1") as found:
            ops.softmax_cross_entropy(fastnn.tensor(x).to(device), labels)
        messages.append(str(found.value))
    assert messages[0] == messages[1]


def test_out_of_memory_is_an_error_that_work_goes_on_after(real_gpu):
    quarter = real_gpu.memory()[1] // 4
    held = Tensor(allocate_on("cuda", quarter), (quarter,), np.dtype("uint8"))
    kept = [held]
    with pytest.raises(DeviceMemoryError, match="GB are free"):
        kept.extend(held.own() for _ in range(4))
    del held, kept
    assert (there(np.ones(3, "f4")) + 1.0).numpy().tolist() == [2, 2, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_is_told_so():
    x = there(np.ones(3, "f4"))
    child = os.fork()
    if child == 0:
        try:
            x + 1.0
        except CudaError as error:
            os._exit(7 if "forked" in str(error) else 1)
        except BaseException:
            os._exit(2)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert (x + 1.0).numpy().tolist() == [2, 2, 2]


ILLEGAL = """
import numpy as np
from fastnn.devices.cuda.device import Launch, device
from fastnn.errors import CudaError
from tests.cuda.test_driver import PTX, parameters
gpu = device()
scale = gpu.function(gpu.machine_code(PTX, "scale"), "scale")
gpu.launch(scale, (3, 1, 1), 32, parameters(64, 70, 1.0))
for _ in range(2):
    try:
        gpu.wait()
    except CudaError as error:
        print(error)
"""


def test_an_illegal_address_ends_the_use_of_the_gpu_and_not_the_process():
    command = [sys.executable, "-W", "error", "-c", ILLEGAL]
    root = Path(__file__).parents[2]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    first, second = found.stdout.splitlines()
    assert "CUDA_ERROR_ILLEGAL_ADDRESS (700)" in first
    assert "an earlier error" in second


# ---- PyTorch's and CuPy's arrays


class PyTorch:
    name = "PyTorch"

    def __init__(self):
        self.torch = pytest.importorskip("torch")
        if not self.torch.cuda.is_available():
            pytest.skip("this PyTorch has no CUDA")

    def array(self, values):
        return self.torch.asarray(values, device="cuda")

    def stream(self):
        return self.torch.cuda.stream(self.torch.cuda.Stream())

    def shared(self, tensor):
        return self.torch.as_tensor(tensor, device="cuda")

    def from_dlpack(self, tensor):
        return self.torch.from_dlpack(tensor)

    def numpy(self, array):
        return array.cpu().numpy()

    def address(self, array):
        return array.data_ptr()

    def slowly(self, array):
        """Queue work that takes a while, and ends with the array of ones."""
        for _ in range(50):
            array.mul_(1.5)
        array.fill_(1)


class CuPy:
    name = "CuPy"

    def __init__(self):
        self.cupy = pytest.importorskip("cupy")

    def array(self, values):
        return self.cupy.asarray(values)

    def stream(self):
        return self.cupy.cuda.Stream(non_blocking=True)

    def shared(self, tensor):
        return self.cupy.asarray(tensor)

    def from_dlpack(self, tensor):
        return self.cupy.from_dlpack(tensor)

    def numpy(self, array):
        return array.get()

    def address(self, array):
        return array.data.ptr

    def slowly(self, array):
        for _ in range(50):
            array *= 1.5
        array.fill(1)


@pytest.fixture(params=[PyTorch, CuPy], ids=lambda kind: kind.name)
def other(request, real_gpu):
    return request.param()


def test_theirs_are_shared_by_ops_layers_and_recorded_steps(other):
    values = np.random.default_rng(0).normal(size=(33, 7)).astype("f4")
    x = other.array(values)
    assert ops.reshape(x, (7, 33)).buffer.address.value != other.address(x)
    np.testing.assert_array_equal(ops.relu(x).numpy(), np.maximum(values, 0))
    np.testing.assert_array_equal(fastnn.tensor(x).numpy(), values)
    model = fastnn.Sequential([fastnn.Input((7,)), layers.Dense(3)])
    expected = model(values).numpy()
    model.to("cuda")
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5, atol=1e-5)
    step = fastnn.record(lambda a: ops.relu(a) * 2.0)
    for _ in range(2):
        np.testing.assert_array_equal(step(x).numpy(), np.maximum(values, 0) * 2)
    model.compile("sgd", "mse")
    model.fit(x, other.array(values[:, :3].copy()), epochs=2, verbose=0)
    np.testing.assert_array_equal(model.predict(x), model.predict(values))


@pytest.mark.parametrize("share", ["shared", "from_dlpack"])
def test_ours_are_shared_with_them(other, share):
    y = there(np.arange(7, dtype="f4")) + 1.0
    address = y.buffer.address.value
    z = getattr(other, share)(y)
    assert other.address(z) == address
    z += 1  # which is the tensor's memory
    np.testing.assert_array_equal(y.numpy(), np.arange(7) + 2)
    del y
    there(np.zeros(7, "f4"))
    np.testing.assert_array_equal(other.numpy(z), np.arange(7) + 2)


def test_on_the_default_stream_everything_is_in_order(other):
    x = other.array(np.zeros(LARGE, "f4"))
    other.slowly(x)
    y = ops.exp(x)  # of ones, though these are still being written
    x *= 0  # after it was read
    z = other.from_dlpack(y * 2.0)
    z += 1
    np.testing.assert_allclose(y.numpy(), np.full(LARGE, np.e), rtol=1e-6)
    np.testing.assert_allclose(other.numpy(z), np.full(LARGE, 2 * np.e + 1), rtol=1e-6)


def test_another_stream_is_waited_for(other):
    x = other.array(np.zeros(LARGE, "f4"))
    with other.stream():
        other.slowly(x)
        y = ops.exp(x)
        z = other.from_dlpack(y * 2.0)
        z += 1
        found = other.numpy(z)
    np.testing.assert_allclose(y.numpy(), np.full(LARGE, np.e), rtol=1e-6)
    np.testing.assert_allclose(found, np.full(LARGE, 2 * np.e + 1), rtol=1e-6)


def test_what_they_hold_is_freed_once(other, real_gpu):
    values = np.zeros(LARGE, "f4")
    real_gpu.wait()
    free = real_gpu.memory()[0]
    for _ in range(8):
        other.from_dlpack(there(values))
    real_gpu.wait()
    assert free - real_gpu.memory()[0] < 3 * values.nbytes
