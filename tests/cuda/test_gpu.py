"""A real GPU, where there is one: what the double is asked elsewhere."""

import numpy as np
import pytest

from fastnn.devices.cuda import code
from fastnn.devices.cuda.device import Launch
from fastnn.errors import CudaError, DeviceMemoryError
from fastnn.kernels.cuda import loops
from fastnn.kernels.scalar import Formula, arithmetic

from .test_driver import PTX, fetched, parameters, sent


@pytest.mark.parametrize("n", [1, 1000, 1_000_003])
def test_arrays_go_there_and_back(real_gpu, n):
    given = np.random.default_rng(0).random(n, np.float32)
    kept = given.copy()
    x = sent(given)
    given[...] = 0
    assert np.array_equal(fetched(x, n), kept)
    y = real_gpu.allocate(4 * n)
    real_gpu.copy(y, x, 4 * n)
    real_gpu.fill(x, 4 * n, 0)
    assert np.array_equal(fetched(y, n), kept)
    assert not fetched(x, n).any()


def test_a_launch_and_a_graph(real_gpu):
    scale = real_gpu.function(real_gpu.machine_code(PTX, "scale"), "scale")
    x, expected = sent(np.arange(70, dtype=np.float32)), np.arange(70, dtype=np.float32)
    launches = [Launch(scale, (3, 1, 1), 32, parameters(x, 70, f)) for f in (3, 0.5, -1)]
    graph = real_gpu.graph(launches, [[], [0], [1]])
    start = real_gpu.event()
    real_gpu.launch(*launches[0])
    graph.launch()
    assert 0 < start.seconds_until(real_gpu.event()) < 1
    for factor in (3, 3, 0.5, -1):
        expected = np.float32(factor) * expected + 1
    assert np.array_equal(fetched(x, 70), expected)


def test_a_kernel_of_the_librarys(real_gpu):
    given = np.random.default_rng(0).standard_normal(1025).astype(np.float32)
    x, y, status = sent(given), real_gpu.allocate(given.nbytes), sent(np.array([-1, 0]))
    add = code.function_of(loops.flat_kernel(Formula(arithmetic.add)), "f4")
    block = np.array([x, 1025, x, 1025, y, 1025, status, 0]).tobytes()
    real_gpu.launch(add, (2, 1, 1), loops.THREADS, block)
    assert np.array_equal(fetched(y, 1025), given + given)


def test_more_memory_than_there_is(real_gpu):
    with pytest.raises(DeviceMemoryError, match="GB are free"):
        real_gpu.allocate(real_gpu.memory()[1] + 1)
    assert fetched(sent(np.ones(1, np.float32)), 1) == 1


def test_ptx_that_is_refused_shows_what_the_compiler_says(real_gpu):
    with pytest.raises(CudaError, match=r"INVALID_PTX.*\n.*scale: "):
        real_gpu.machine_code(PTX.replace(b"st.global.f32", b"st.nowhere.f32"), "scale")
