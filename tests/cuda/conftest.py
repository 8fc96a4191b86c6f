"""The driver's double in the place of a GPU's driver, and the GPU itself where there is one."""

import gc

import pytest

import fastnn
from fastnn.devices.arena import Arena
from fastnn.devices.cuda import device
from fastnn.errors import CudaError
from tests.cuda.double import Double


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that is a double, for the time of a test."""
    monkeypatch.setattr(Arena, "CHUNK_BYTES", 1 << 14)
    double = Double()
    device.use(double)
    yield double
    fastnn.set_device("cpu")
    gc.collect()
    device.use(None)


@pytest.fixture
def real_gpu():
    """The GPU of this machine. Without one the test is skipped, for the reason that is given."""
    device.use(None)
    try:
        return device.device()
    except CudaError as error:
        pytest.skip(str(error))
