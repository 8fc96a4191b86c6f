"""The driver's double in the place of a GPU's driver."""

import gc

import pytest

import fastnn
from fastnn.devices.arena import Arena
from fastnn.devices.cuda import device
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
