"""Arrays shared with other libraries, on the driver's double: theirs are faked, capsules are read
as a consumer in C reads them."""

import ctypes
import gc
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.devices.cuda.device import device
from fastnn.errors import DTypeError, RecordingError
from tests.ptx import GLOBAL_BASE

X = np.random.default_rng(0).normal(size=(5, 7)).astype("f4")


class Foreign:
    """Another library's array on the GPU."""

    def __init__(self, gpu, array, **said):
        self.gpu, self.shape = gpu, array.shape
        self.address = gpu.memory.allocate(max(array.nbytes, 1))
        self.write(array)
        data = (self.address if array.size else 0, False)
        said = {"version": 3, "stream": 1, "strides": None, "mask": None, **said}
        self.said = {"shape": array.shape, "typestr": array.dtype.str, "data": data, **said}

    def write(self, array):
        start = self.address - GLOBAL_BASE
        self.gpu.memory.mem[start : start + array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
        self.gpu.memory.init[start : start + array.nbytes] = True

    @property
    def __cuda_array_interface__(self):
        return self.said

    def __array__(self, *arguments, **named):
        raise TypeError("implicit conversion to a NumPy array is not allowed")


class Unstreamed(Foreign):
    """As PyTorch's tensors on the GPU: the interface names no stream, DLPack is asked."""

    def __init__(self, gpu, array):
        super().__init__(gpu, array, version=2)
        del self.said["stream"], self.said["mask"]
        self.waited = []

    def __dlpack__(self, stream=None):
        self.waited.append(stream)
        return object()


# ---- ours, described


def test_the_interface_of_a_tensor_on_the_gpu(gpu):
    y = fastnn.tensor(X).to("cuda") + 1.0  # which is queued
    said = y.__cuda_array_interface__
    address, is_read_only = said["data"]
    assert (said["shape"], said["typestr"], said["version"]) == ((5, 7), "<f4", 3)
    assert said["strides"] is None
    assert said["stream"] == device().stream
    assert not is_read_only
    start = address - GLOBAL_BASE
    found = gpu.memory.mem[start : start + X.nbytes].view("f4").reshape(5, 7)
    np.testing.assert_array_equal(found, X + 1)


def test_an_empty_array_has_no_address(gpu):
    assert fastnn.tensor(X[:0]).to("cuda").__cuda_array_interface__["data"][0] == 0


def test_a_tensor_on_the_cpu_has_no_such_interface():
    assert not hasattr(fastnn.tensor(X), "__cuda_array_interface__")
    assert fastnn.tensor(X).__dlpack_device__() == (1, 0)


# ---- DLPack


class Capsule(ctypes.Structure):
    """DLManagedTensor. A versioned one has 32 bytes before the tensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("manager", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


python = ctypes.pythonapi
python.PyCapsule_GetPointer.restype = ctypes.c_void_p
python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_IsValid.argtypes = [ctypes.py_object, ctypes.c_char_p]


def consumed(capsule):
    """What a consumer takes: the tensor, and a function that gives it back."""
    place = python.PyCapsule_GetPointer(capsule, b"dltensor")
    python.PyCapsule_SetName(capsule, b"used_dltensor")
    found = Capsule.from_address(place)
    give_back = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(found.deleter)
    return found, lambda: give_back(place)


def is_allocated(gpu, address):
    gc.collect()
    device().wait()
    return address in gpu.memory.sizes


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i4", "u1", "b1"])
def test_a_capsule_says_what_lies_where(gpu, dtype):
    y = fastnn.tensor(np.ones((5, 7), dtype)).to("cuda")
    found, give_back = consumed(y.__dlpack__(stream=2))
    codes = {"f": 2, "i": 0, "u": 1, "b": 6}
    assert (found.device_type, found.device_id) == y.__dlpack_device__() == (2, 0)
    assert found.data + found.byte_offset == y.buffer.address.value
    assert (found.code, found.bits, found.lanes) == (codes[dtype[0]], 8 * int(dtype[1]), 1)
    assert found.shape[: found.ndim] == [5, 7]
    assert not found.strides or found.strides[:2] == [7, 1]
    give_back()


def test_a_versioned_capsule(gpu):
    y = fastnn.tensor(X).to("cuda")
    capsule = y.__dlpack__(max_version=(1, 0))
    assert python.PyCapsule_IsValid(capsule, b"dltensor_versioned")
    place = python.PyCapsule_GetPointer(capsule, b"dltensor_versioned")
    found = Capsule.from_address(place + 32)
    assert (found.device_type, found.data) == (2, y.buffer.address.value)


def test_memory_stays_while_a_capsule_lives_and_is_freed_once(gpu):
    y = fastnn.tensor(X).to("cuda")
    address = y.buffer.address.value
    capsule = y.__dlpack__()
    del y
    assert is_allocated(gpu, address)
    freed = gpu.calls.get("cuMemFree_v2", 0)
    del capsule  # which nobody has consumed
    assert not is_allocated(gpu, address)
    assert gpu.calls["cuMemFree_v2"] == freed + 1


def test_a_consumer_holds_the_memory_until_it_gives_it_back(gpu):
    y = fastnn.tensor(X).to("cuda")
    address = y.buffer.address.value
    capsule = y.__dlpack__()
    found, give_back = consumed(capsule)
    del y, capsule
    assert is_allocated(gpu, address)
    assert found.data == address
    freed = gpu.calls.get("cuMemFree_v2", 0)
    give_back()
    assert not is_allocated(gpu, address)
    assert gpu.calls["cuMemFree_v2"] == freed + 1


def test_a_tensor_outlives_its_capsules(gpu):
    y = fastnn.tensor(X).to("cuda")
    for _ in range(3):
        _, give_back = consumed(y.__dlpack__())
        give_back()
        y.__dlpack__()
    np.testing.assert_array_equal(y.numpy(), X)


def test_lent_memory_is_not_used_for_others_though_it_is_free(gpu):
    """A consumer's stream may still read it, which freeing waits for."""
    y = fastnn.tensor(X).to("cuda")
    address = y.buffer.address.value
    y.__dlpack__()
    del y
    assert fastnn.tensor(X).to("cuda").buffer.address.value != address


@pytest.mark.parametrize(
    ("stream", "waits"), [(None, False), (1, False), (-1, False), (2, True), (0x1234, True)]
)
def test_a_consumers_stream_sees_what_is_queued(gpu, stream, waits):
    """The driver orders the default stream with ours by itself."""
    y = fastnn.tensor(X).to("cuda") + 1.0
    before = gpu.calls.get("cuStreamSynchronize", 0)
    y.__dlpack__(stream=stream)
    assert (gpu.calls.get("cuStreamSynchronize", 0) > before) == waits


def test_stream_0_may_mean_two(gpu):
    with pytest.raises(ValueError, match="stream 0 may mean two"):
        fastnn.tensor(X).to("cuda").__dlpack__(stream=0)


def test_a_capsule_of_a_copy_or_on_another_device(gpu):
    y = fastnn.tensor(X).to("cuda")
    found, give_back = consumed(y.__dlpack__(copy=True))
    assert found.data not in (None, y.buffer.address.value)
    give_back()
    found, give_back = consumed(y.__dlpack__(dl_device=(1, 0)))
    assert found.device_type == 1
    there = (ctypes.c_float * X.size).from_address(found.data)
    np.testing.assert_array_equal(np.ctypeslib.as_array(there), X.reshape(-1))
    give_back()
    found, give_back = consumed(fastnn.tensor(X).__dlpack__(dl_device=(2, 0)))
    assert found.device_type == 2
    give_back()
    with pytest.raises(BufferError, match="'cpu' if copied"):
        y.__dlpack__(dl_device=(1, 0), copy=False)
    with pytest.raises(BufferError, match=r"device \(2, 1\) is neither"):
        y.__dlpack__(dl_device=(2, 1))


# ---- theirs


def test_an_op_shares_another_librarys_array(gpu):
    x = Foreign(gpu, X)
    sent = dict(gpu.calls)
    y = ops.relu(x)
    assert y.device == "cuda"
    assert gpu.calls.get("cuMemcpyDtoHAsync_v2") == sent.get("cuMemcpyDtoHAsync_v2")
    assert "cuMemcpyDtoDAsync_v2" not in gpu.calls
    np.testing.assert_array_equal(y.numpy(), np.maximum(X, 0))
    np.testing.assert_array_equal((fastnn.tensor(X) * x).numpy(), X * X)
    np.testing.assert_array_equal((x.__class__(gpu, X) > fastnn.tensor(X)).numpy(), X > X)


def test_their_memory_is_not_ours_to_free(gpu):
    x = Foreign(gpu, X)
    address, kept = x.address, weakref.ref(x)
    y = fastnn.tensor(X).to("cuda")
    y.requires_gradient = True
    z = y * x  # whose gradient reads x
    del x
    gc.collect()
    assert kept() is not None
    z.backward(np.ones_like(X))
    np.testing.assert_array_equal(y.gradient.numpy(), X)
    del y, z
    assert is_allocated(gpu, address)
    assert kept() is None


def test_what_shares_their_memory_is_no_result(gpu):
    x = Foreign(gpu, X)
    y = ops.reshape(x, (7, 5))
    device().wait()
    x.write(np.zeros_like(X))
    np.testing.assert_array_equal(y.numpy(), X.reshape(7, 5))


def test_a_tensor_of_it_is_a_copy_beside_it(gpu):
    x = Foreign(gpu, X)
    y = fastnn.tensor(x)
    assert y.device == "cuda"
    device().wait()
    x.write(np.zeros_like(X))
    np.testing.assert_array_equal(y.numpy(), X)
    assert fastnn.tensor(Foreign(gpu, X[:0])).shape == (0, 7)
    assert fastnn.tensor(fastnn.tensor(X).to("cuda")).device == "cuda"


def test_a_layer_takes_it(gpu):
    model = fastnn.Sequential([fastnn.Input((7,)), layers.Dense(3, activation="relu")])
    expected = model(X).numpy()
    model.to("cuda")
    y = model(Foreign(gpu, X))
    assert y.device == "cuda"
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_it_has_the_element_type_of_what_it_meets_as_numpys_has(gpu):
    x = Foreign(gpu, X.astype("f8"))
    assert ops.exp(x).dtype == np.float64
    assert (fastnn.tensor(X) * x).dtype == np.float32
    assert fastnn.tensor(x, dtype="float32").dtype == np.float32
    assert fastnn.record(lambda a: a * fastnn.tensor(X).to("cuda"))(x).dtype == np.float32


def test_a_recorded_step_takes_it_where_it_lies(gpu):
    step = fastnn.record(lambda a, b: {"y": ops.relu(a * 2.0) + b, "same": a})
    x = Foreign(gpu, X)
    found = step(x, 1.0)
    assert found["y"].device == "cuda"
    np.testing.assert_array_equal(found["y"].numpy(), np.maximum(X * 2, 0) + 1)
    np.testing.assert_array_equal(found["same"].numpy(), X)
    x.write(-X)
    again = step(x, 2.0)
    np.testing.assert_array_equal(again["y"].numpy(), np.maximum(-X * 2, 0) + 2)
    np.testing.assert_array_equal(found["same"].numpy(), X)
    assert len(step.tapes) == 1
    sent = gpu.calls["cuMemcpyHtoDAsync_v2"], gpu.calls["cuMemcpyDtoHAsync_v2"]
    step(x, 2.0)
    after = gpu.calls["cuMemcpyHtoDAsync_v2"], gpu.calls["cuMemcpyDtoHAsync_v2"]
    step(fastnn.tensor(X).to("cuda"), 2.0)  # recorded: a tensor is no array
    assert after[1] - sent[1] == 1  # whether something failed
    np.testing.assert_array_equal(step(X, 2.0)["same"].numpy(), X)


def test_what_a_recorded_step_captures_is_a_constant(gpu):
    x = Foreign(gpu, X)
    with fastnn.device("cuda"):
        step = fastnn.record(lambda a: a + x)
        step(X)
        x.write(np.zeros_like(X))
        np.testing.assert_array_equal(step(X).numpy(), X + X)


@pytest.mark.parametrize(
    ("array", "said", "error", "message"),
    [
        (X, {"strides": (4, 20)}, ValueError, r"relu: .* C's order; got shape \(5, 7\) with str"),
        (X.astype("f2"), {}, DTypeError, "relu: an array on the GPU must be .*got '<f2'. Convert"),
        (X, {"typestr": "<V2"}, DTypeError, "got '<V2'"),  # bfloat16
        (X, {"mask": X}, ValueError, "relu: .* with a mask"),
    ],
)
def test_what_is_refused_by_name(gpu, array, said, error, message):
    with pytest.raises(error, match=message):
        ops.relu(Foreign(gpu, array, **said))


def test_strides_that_say_nothing_else_are_taken(gpu):
    x = Foreign(gpu, X[:1], strides=(400, 4))
    np.testing.assert_array_equal(ops.relu(x).numpy(), np.maximum(X[:1], 0))


def test_another_gpu_is_named(gpu, monkeypatch):
    x = Foreign(gpu, X)

    def second(place, which, address):
        place._obj.value = 1
        return 0

    monkeypatch.setattr(gpu, "_cuPointerGetAttribute", second)
    with pytest.raises(ValueError, match=r"it lies on the GPU cuda:1; .* cuda:0 alone"):
        ops.relu(x)


def test_a_stream_of_its_own_is_waited_for_and_the_array_copied(gpu, monkeypatch):
    stream = device().asked(ctypes.c_void_p, "cuStreamCreate", 1).value
    waited, wait = [], gpu._cuStreamSynchronize
    monkeypatch.setattr(gpu, "_cuStreamSynchronize", lambda s: waited.append(s) or wait(s))
    x = Foreign(gpu, X, stream=stream)
    y = ops.relu(x)
    assert waited[0] == stream
    assert waited[-1] == device().stream
    x.write(np.zeros_like(X))  # though the op is still queued
    np.testing.assert_array_equal(y.numpy(), np.maximum(X, 0))


def test_an_interface_without_a_stream_lets_dlpack_order_them(gpu):
    x = Unstreamed(gpu, X)
    np.testing.assert_array_equal(ops.relu(x).numpy(), np.maximum(X, 0))
    assert x.waited == [device().stream]


def test_fit_evaluate_and_predict_take_it(gpu):
    x, y = X, (X[:, :1] > 0).astype("f4")

    def trained(x, y):
        fastnn.utils.set_random_seed(0)
        model = fastnn.Sequential([fastnn.Input((7,)), layers.Dense(1, activation="sigmoid")])
        model.to("cuda")
        model.compile("sgd", "binary_crossentropy")
        model.fit(x, y, batch_size=3, verbose=0)
        return model.evaluate(x, y, verbose=0), model.predict(x)

    expected, found = trained(x, y), trained(Foreign(gpu, x), Foreign(gpu, y))
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])


def test_a_step_that_is_recorded_has_nothing_to_share(gpu):
    def step(a):
        a.__dlpack__()

    with fastnn.device("cuda"), pytest.raises(RecordingError, match="was read while"):
        fastnn.record(step)(X)


# ---- on the CPU


class OnlyDLPack:
    """What has nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **named):
        return self.array.__dlpack__(**named)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_a_tensor_on_the_cpu_is_numpys_by_dlpack():
    x = fastnn.tensor(X)
    shared = np.from_dlpack(x)
    assert shared.ctypes.data == x.buffer.address
    del x
    gc.collect()
    np.testing.assert_array_equal(shared, X)
    copied = np.from_dlpack(y := fastnn.tensor(X), copy=True)
    assert copied.ctypes.data != y.buffer.address
    with pytest.raises(ValueError, match="no streams"):
        y.__dlpack__(stream=1)


def test_what_has_dlpack_alone_is_taken():
    given = OnlyDLPack(X)
    np.testing.assert_array_equal(ops.relu(given).numpy(), np.maximum(X, 0))
    np.testing.assert_array_equal(fastnn.tensor(given).numpy(), X)
    np.testing.assert_array_equal(fastnn.record(lambda a: a + 1.0)(given).numpy(), X + 1)
    np.testing.assert_array_equal(layers.ReLU()(given).numpy(), np.maximum(X, 0))
    with pytest.raises(DTypeError, match="relu: NumPy cannot take a OnlyDLPack"):
        ops.relu(OnlyDLPack(UnknownDevice()))


class UnknownDevice:
    def __dlpack__(self, **named):
        raise BufferError("it is on the device 9")

    def __dlpack_device__(self):
        return 9, 0


def test_pytorch_there_and_back():
    torch = pytest.importorskip("torch")
    x = fastnn.tensor(X)
    there = torch.from_dlpack(x)
    there[0, 0] = 7
    assert x.numpy()[0, 0] == 7
    del x
    gc.collect()
    assert there[0, 0] == 7
    back = ops.relu(OnlyDLPack(there))
    np.testing.assert_array_equal(back.numpy(), np.maximum(there.numpy(), 0))
    assert not hasattr(there, "__cuda_array_interface__")
    np.testing.assert_array_equal(fastnn.tensor(there).numpy(), there.numpy())
