"""FASTNN_INTERPRET=1: kernels as plain Python, with the same results within rounding, bounds checks
and tracebacks."""

import os
import subprocess
import sys

import pytest

from fastnn.devices.cpu import INTERPRETED

pytestmark = pytest.mark.skipif(
    INTERPRETED, reason="these tests start interpreted processes of their own"
)


def interpreted(*command):
    environment = {**os.environ, "FASTNN_INTERPRET": "1"}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment
    )


@pytest.mark.parametrize("tests", ["tests/ops/test_registry.py", "tests/autograd"])
def test_the_tests_of_ops_pass(tests):
    done = interpreted("-m", "pytest", "-q", tests)
    assert done.returncode == 0, done.stdout[-2000:]


def test_an_index_out_of_bounds_is_an_error_at_its_line():
    program = """
import numpy as np
from fastnn.kernels.declare import kernel
from fastnn.emit import emit
import fastnn

@kernel(x="T[n]", y="out T[n]")
def shifted(x, y):
    for i in range(x.size):
        y[i] = x[i + 1]

x = fastnn.tensor(np.ones(3))
emit("shifted", shifted, (x, fastnn.tensor(np.zeros(3))))
"""
    done = interpreted("-c", program)
    assert done.returncode == 1
    assert "IndexError: index 3 is out of bounds" in done.stderr
    assert "in shifted" in done.stderr


def test_numba_is_not_imported():
    done = interpreted(
        "-c",
        "import fastnn, sys; fastnn.ops.exp([1.0]); print(sorted({'numba', 'llvmlite'} & "
        "set(sys.modules)))",
    )
    assert done.stdout.strip() == "[]", done.stderr
