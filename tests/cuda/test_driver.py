"""The driver's door: what a GPU is asked for, every error by name, on the driver's double."""

import gc
import os
import re
import threading

import numpy as np
import pytest

from fastnn.__main__ import doctor
from fastnn.devices.cuda import device as module
from fastnn.devices.cuda import driver
from fastnn.devices.cuda.device import Launch, device, use
from fastnn.errors import CudaError, DeviceMemoryError

from .double import Double

# x[i] = factor * x[i] + 1, by blocks of 32 threads: x, n, factor; status, number
PTX = b"""
.version 7.0
.target sm_80
.address_size 64
.visible .entry scale(.param .u64 x, .param .u64 n, .param .f64 factor,
                      .param .u64 status, .param .u64 number)
.reqntid 32, 1, 1
{
  .reg .pred %p1; .reg .b32 %r<4>; .reg .b64 %rd<6>; .reg .f64 %fd<3>; .reg .f32 %f<5>;
  ld.param.u64 %rd1, [x];
  ld.param.u64 %rd2, [n];
  ld.param.f64 %fd1, [factor];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %tid.x;
  shl.b32 %r3, %r1, 5;
  add.s32 %r3, %r3, %r2;
  cvt.u64.u32 %rd3, %r3;
  setp.ge.s64 %p1, %rd3, %rd2;
  @%p1 bra $end;
  shl.b64 %rd4, %rd3, 2;
  add.s64 %rd5, %rd1, %rd4;
  cvt.rn.f32.f64 %f1, %fd1;
  ld.global.f32 %f2, [%rd5];
  fma.rn.f32 %f4, %f1, %f2, 0f3F800000;
  st.global.f32 [%rd5], %f4;
$end:
  ret;
}
"""


@pytest.fixture
def double():
    made = Double(memory=1 << 20)
    use(made)
    yield made
    use(None)


def parameters(address, n, factor, status=0):
    return (
        np.array([address, n], np.int64).tobytes()
        + np.float64(factor).tobytes()
        + np.array([status, 0], np.int64).tobytes()
    )


def loaded():
    return device().function(device().machine_code(PTX, "scale"), "scale")


def sent(array):
    address = device().allocate(array.nbytes)
    device().send(address, array)
    return address


def fetched(address, n):
    found = np.empty(n, np.float32)
    device().fetch(found, address)
    return found


# ---- what works


def test_the_gpu_says_what_it_is(double):
    gpu = device()
    assert gpu is device()
    assert (gpu.name, gpu.capability, gpu.version) == ("Double", (8, 0), (99, 0))
    assert gpu.multiprocessors == 4
    assert gpu.memory() == (1 << 20, 1 << 20)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (200, 100)])
def test_arrays_go_there_and_back(double, shape):
    given = np.random.default_rng(0).random(shape)
    kept = given.copy()
    address = sent(given)
    given[...] = 0  # which is allowed at once
    found = np.empty_like(given)
    device().fetch(found, address)
    assert np.array_equal(found, kept)


def test_a_view_that_is_not_contiguous_is_sent_as_it_reads(double):
    given = np.arange(60_000, dtype=np.float32).reshape(2, -1)[:, ::3].T
    assert np.array_equal(fetched(sent(given), 20_000), given.ravel())
    with pytest.raises(ValueError, match="contiguous"):
        device().fetch(np.empty((4, 4)).T[1:], sent(np.zeros(16)))


def test_copies_and_fills_within_the_gpu(double):
    x, y = sent(np.arange(6, dtype=np.float32)), device().allocate(24)
    device().fill(y, 24, 0)
    device().copy(y + 8, x, 12)
    assert fetched(y, 6).tolist() == [0, 0, 0, 1, 2, 0]
    device().copy(y, x, 0)
    device().fill(y, 0, 1)


def test_a_launch_and_then_a_graph(double):
    function, x = loaded(), sent(np.arange(70, dtype=np.float32))
    expected = np.arange(70, dtype=np.float32)
    device().launch(function, (3, 1, 1), 32, parameters(x, 70, 2))
    assert double.launches == 0  # it waits in the stream
    expected = 2 * expected + 1
    assert np.array_equal(fetched(x, 70), expected)
    launches = [Launch(function, (3, 1, 1), 32, parameters(x, 70, f)) for f in (3, 0.5, -1)]
    graph = device().graph(launches, [[], [0], [0, 1]])
    for _ in range(2):
        graph.launch()
        for factor in (3, 0.5, -1):
            expected = np.float32(factor) * expected + 1
    assert np.array_equal(fetched(x, 70), expected)
    assert double.launches == 7


def test_branches_of_a_graph_run_in_any_order(double):
    function, x = loaded(), sent(np.zeros(1, np.float32))
    steps = [Launch(function, (1, 1, 1), 32, parameters(x, 1, factor)) for factor in (0, 2, 3)]
    found = set()
    for edges in ([[], [0], [0]], [[], [0], [1]]):
        graph = device().graph(steps, edges)
        results = set()
        for _ in range(20):
            graph.launch()
            results.add(float(fetched(x, 1)[0]))
        found.add(frozenset(results))
    # 0 * x + 1 = 1, then 2 x + 1 and 3 x + 1 in either order; or in this one
    assert found == {frozenset([10, 9]), frozenset([10])}


def test_graphs_events_and_memory_are_given_back_when_the_stream_is_waited_for(double):
    function, x = loaded(), sent(np.zeros(1, np.float32))
    device().wait()
    handles, used = len(double.handles), double.memory.used
    graph = device().graph([Launch(function, (1, 1, 1), 32, parameters(x, 1, 1))], [[]])
    graph.launch()
    start = device().event()
    other = device().allocate(4096)
    device().free(other)
    del graph, start
    gc.collect()
    assert double.memory.used == used + 4096  # queued work may need it
    device().wait()
    # the graph's node is the double's alone
    assert (len(double.handles), double.memory.used) == (handles + 1, used)


def test_events_tell_the_time_between_them(double):
    function, x = loaded(), sent(np.zeros(1, np.float32))
    start = device().event()
    for _ in range(3):
        device().launch(function, (1, 1, 1), 32, parameters(x, 1, 1))
    assert start.seconds_until(device().event()) == pytest.approx(0.003)


def test_every_thread_can_use_it_and_keeps_its_own_context(double):
    x, found = sent(np.ones(4, np.float32)), []

    def work():
        double.cuCtxSetCurrent(77)  # another library's
        found.append(fetched(x, 4).sum())
        found.append(double._stack()[:])

    for target in (lambda: found.append(fetched(x, 4).sum()), work):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert found == [4, 4, [77]]


def test_many_small_copies_do_not_pile_up(double):
    x = device().allocate(8)
    for n in range(1000):
        device().send(x, np.array([n]))
    assert len(device().in_flight) < 300
    found = np.empty(1, np.int64)
    device().fetch(found, x)
    assert found[0] == 999
    assert not device().in_flight


def test_an_interrupt_leaves_what_is_in_flight_to_the_next_wait(double, monkeypatch):
    x, used = sent(np.ones(1, np.float32)), double.memory.used
    device().free(device().allocate(4096))

    def interrupted(stream):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(double, "_cuStreamSynchronize", interrupted)
        with pytest.raises(KeyboardInterrupt):
            device().wait()
    assert double.memory.used == used + 4096
    assert fetched(x, 1) == 1
    assert double.memory.used == used


# ---- no GPU


def test_no_driver(monkeypatch):
    monkeypatch.setattr(driver, "LIBRARY", "libcuda-that-is-not-here.so")
    use(None)
    with pytest.raises(CudaError, match=r"NVIDIA's driver is not installed.*--gpus all"):
        device()


def test_a_driver_without_a_function(monkeypatch):
    monkeypatch.setattr(driver, "LIBRARY", None)  # the program itself
    use(None)
    with pytest.raises(CudaError, match=r"too old: it has no cuInit.*CUDA 11\.4"):
        device()


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("cuInit", 100, r"CUDA_ERROR_NO_DEVICE \(100\), from cuInit.*nvidia-smi"),
        ("cuInit", 3, "forked.*spawn"),
        ("cuInit", 803, "restart the machine"),
        ("cuInit", 999, "modprobe"),
        ("cuInit", 888, r"an error it has no name for \(888\), from cuInit\.$"),
        ("cuDevicePrimaryCtxRetain", 46, "Another process"),
        ("cuDevicePrimaryCtxRetain", 2, "OUT_OF_MEMORY"),
    ],
)
def test_a_gpu_that_cannot_be_opened(double, monkeypatch, name, status, said):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    double.fails[name] = status
    for _ in range(2):
        with pytest.raises(CudaError, match=said):
            device()
    del double.fails[name]
    assert device().name == "Double"  # once it can


def test_gpus_that_a_variable_hides(double, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    double.fails["cuInit"] = 100
    with pytest.raises(CudaError, match="CUDA_VISIBLE_DEVICES is '', which hides"):
        device()


def test_a_gpu_or_a_driver_that_is_too_old(double):
    double.attributes[75], double.attributes[76] = 7, 5
    with pytest.raises(CudaError, match=r"the Double has compute capability 7\.5; .* 8\.0"):
        device()
    double.version = 11020
    with pytest.raises(CudaError, match=r"supports CUDA 11\.2; fastnn needs 11\.4"):
        device()


def test_the_doctor_names_the_gpu_or_says_why_there_is_none(double, capsys):
    def said():
        doctor()
        return re.search(r"^cuda +(.*)$", capsys.readouterr().out, re.M)[1]

    assert said() == "Double, compute capability 8.0, 0.0 of 0.0 GB free, driver for CUDA 99.0"
    use(double)
    double.fails["cuInit"] = 802
    assert said().startswith("an error it has no name for (802), from cuInit. The system's GPUs")


# ---- errors while it is used


def test_out_of_memory(double):
    kept = device().allocate(900_000)
    with pytest.raises(DeviceMemoryError, match=r"OUT_OF_MEMORY.*0\.00 of 0\.00 GB.*batches") as e:
        device().allocate(200_000)
    assert isinstance(e.value, MemoryError)
    device().free(kept)
    assert device().allocate(900_000)  # which waits for what was freed
    assert device().allocate(100_000)


def test_an_illegal_address_ends_the_use_of_the_gpu(double):
    function, x = loaded(), sent(np.zeros(1, np.float32))
    graph = device().graph([Launch(function, (1, 1, 1), 32, parameters(x, 1, 1))], [[]])
    double.lose_at = 1
    graph.launch()
    graph.launch()
    with pytest.raises(
        CudaError, match=r"ILLEGAL_ADDRESS \(700\), from cuStreamSynchronize.*earlier.*a new one"
    ):
        fetched(x, 1)
    for call in (
        lambda: device().allocate(8),
        lambda: device().send(x, np.zeros(1)),
        device().wait,
        graph.launch,
        device().memory,
        device().event,
        loaded,
    ):
        with pytest.raises(CudaError, match=r"earlier error \(CUDA_ERROR_ILLEGAL_ADDRESS.*gone"):
            call()
    device().free(x)
    del graph  # which raises nothing
    gc.collect()


def test_memory_that_was_freed_is_nobodys(double):
    function, x = loaded(), sent(np.zeros(1, np.float32))
    device().free(x)
    device().wait()
    with pytest.raises(CudaError, match="INVALID_VALUE"):
        device().send(x, np.zeros(1, np.float32))
    with pytest.raises(CudaError, match="INVALID_VALUE"):
        device().copy(x, x, 4)
    device().free(x)  # twice
    with pytest.raises(CudaError, match=r"INVALID_VALUE \(1\), from cuMemFree_v2"):
        device().wait()
    device().launch(function, (1, 1, 1), 32, parameters(x, 1, 1))
    with pytest.raises(Exception, match="global address"):  # the interpreter's, with its line
        device().wait()
    with pytest.raises(CudaError, match=r"earlier error|ILLEGAL_ADDRESS"):
        device().wait()


@pytest.mark.parametrize(
    ("grid", "threads", "block"),
    [
        ((0, 1, 1), 32, parameters(0, 0, 1)),
        ((1, 65536, 1), 32, parameters(0, 0, 1)),
        ((1, 1, 1), 64, parameters(0, 0, 1)),
        ((1, 1, 1), 32, parameters(0, 0, 1)[:-8]),
        ((1, 1, 1), 32, parameters(0, 0, 1) + bytes(8)),
    ],
)
def test_a_launch_that_does_not_fit_its_kernel(double, grid, threads, block):
    function = loaded()
    with pytest.raises(CudaError, match=r"INVALID_VALUE.*from cuLaunchKernel"):
        device().launch(function, grid, threads, block)
    with pytest.raises(CudaError, match=r"INVALID_VALUE.*from cuGraphAddKernelNode"):
        device().graph([Launch(function, grid, threads, block)], [[]])
    device().wait()
    assert double.launches == 0


def test_an_edge_to_a_launch_that_comes_later(double):
    launch = Launch(loaded(), (1, 1, 1), 32, parameters(0, 0, 1))
    with pytest.raises(IndexError):
        device().graph([launch, launch], [[1], []])
    with pytest.raises(CudaError, match="cuGraphAddKernelNode"):
        device().graph([launch, launch], [[], [0, 0]])


def test_ptx_that_is_refused_shows_what_the_compiler_says(double):
    with pytest.raises(CudaError, match=r"INVALID_PTX.*\nnew: ptxas error: no kernel for this GPU"):
        device().machine_code(PTX.replace(b"sm_80", b"sm_99"), "new")
    with pytest.raises(CudaError, match="NOT_FOUND"):
        device().function(device().machine_code(PTX, "scale"), "another")
    with pytest.raises(CudaError, match="INVALID_IMAGE"):
        device().function(b"no cubin", "scale")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_is_told_so_and_lives(double):
    x = sent(np.ones(1, np.float32))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            device().free(x)
            fetched(x, 1)
        except CudaError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    assert b"forked" in os.read(read, 1000)
    assert os.waitpid(child, 0)[1] == 0
    os.close(read)
    assert fetched(x, 1) == 1  # the parent's is as it was


# ---- the double itself refuses what a driver may not be given


def test_host_memory_that_is_let_go_while_it_is_copied(double, monkeypatch):
    nothing = property(lambda _: [], lambda _, arrays: None)
    monkeypatch.setattr(module.Device, "in_flight", nothing, raising=False)
    x = sent(np.zeros(1))
    with pytest.raises(AssertionError, match="was let go"):
        device().wait()
    assert x


def test_numbers_that_ctypes_would_cut_off(double):
    with pytest.raises(AssertionError, match="cut off"):
        device().launch(loaded(), (1 << 32, 1, 1), 32, parameters(0, 0, 1))
    with pytest.raises(AttributeError, match="cuMemcpy "):
        _ = double.cuMemcpy


def test_what_was_never_written_is_not_read(double):
    with pytest.raises(AssertionError, match="never written"):
        fetched(device().allocate(4), 1)


def test_freed_memory_is_given_out_again_only_when_all_was(double):
    seen = []
    for _ in range(12):
        seen.append(device().allocate(200_000))
        device().free(seen[-1])
        device().wait()
    assert len(set(seen[:10])) == 10
    assert len(set(seen)) < 12
