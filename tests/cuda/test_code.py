"""Machine code of kernels: compiled once, then found without a compiler."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn.compile import object_code
from fastnn.compile.names import symbol
from fastnn.compile.target import CAPABILITIES, gpu_architecture
from fastnn.devices.cuda import code
from fastnn.devices.cuda.device import Launch, device, use
from fastnn.devices.quota import Allowed
from fastnn.kernels.cuda import loops
from fastnn.kernels.declare import kernel
from fastnn.kernels.scalar import Formula, activations, arithmetic

from .double import Double

ROOT = Path(__file__).parents[2]
# A process with a GPU that only notes what code it is given.
WARM = """
import json, sys
from types import SimpleNamespace
from fastnn.compile import object_code
from fastnn.devices.cuda import code, device
from fastnn.kernels.cuda import loops
from fastnn.kernels.scalar import Formula, arithmetic

device._device = SimpleNamespace(
    architecture="sm_80", capability=(8, 0), version=(99, 0), functions={},
    function=lambda code, name: len(code),
)
size = code.function_of(loops.flat_kernel(Formula(arithmetic.negative)), "f4")
print(json.dumps([size > 1000, object_code.compiled, "numba" in sys.modules]))
"""


@pytest.fixture
def double(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path))
    code.kept.cache_clear()
    use(Double(memory=1 << 16))
    yield
    use(None)
    code.kept.cache_clear()


def test_a_process_whose_kernels_are_kept_imports_no_compiler(double):
    code.function_of(loops.flat_kernel(Formula(arithmetic.negative)), "f4")
    command = [sys.executable, "-c", WARM]
    found = subprocess.check_output(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert json.loads(found) == [True, [], False]


def test_a_kernel_is_compiled_once_and_loaded_once(double, monkeypatch):
    heard = []
    monkeypatch.setattr(object_code, "listeners", [heard.append])
    negative = loops.flat_kernel(Formula(arithmetic.negative))
    handle = code.function_of(negative, "f4")
    assert code.function_of(negative, "f4") == handle
    assert len(heard) == 1
    use(Double(memory=1 << 16))  # another GPU: found, and loaded there
    code.function_of(negative, "f4")
    assert list(device().functions) == heard
    assert len(heard) == 1


def test_a_kernel_launched_singly_and_in_a_graph(double):
    gpu = device()
    add = code.function_of(loops.flat_kernel(Formula(arithmetic.add)), "f4")
    relu = code.function_of(loops.flat_kernel(Formula(activations.relu)), "f4")
    given = np.random.default_rng(0).standard_normal(1025).astype(np.float32)
    x, y, z, status = (gpu.allocate(n) for n in (*[given.nbytes] * 3, 16))
    gpu.send(x, given)
    gpu.send(status, np.array([-1, 0]))

    def block(*arrays):
        return np.array([w for a in arrays for w in (a, given.size)] + [status, 0]).tobytes()

    def found():
        result = np.empty_like(given)
        gpu.fetch(result, y)
        return result

    gpu.launch(add, (2, 1, 1), loops.THREADS, block(x, x, y))
    assert np.array_equal(found(), given + given)
    graph = gpu.graph(
        [
            Launch(relu, (2, 1, 1), loops.THREADS, block(x, z)),
            Launch(add, (2, 1, 1), loops.THREADS, block(x, z, y)),
        ],
        [[], [0]],
    )
    gpu.fill(y, given.nbytes, 0xFF)
    graph.launch()
    assert np.array_equal(found(), given + np.maximum(given, 0))


def test_several_are_compiled_side_by_side(double, monkeypatch):
    heard, started = [], []

    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            started.append(self)

    monkeypatch.setattr(object_code, "listeners", [heard.append])
    monkeypatch.setattr(object_code, "compiled", [])
    monkeypatch.setattr(subprocess, "Popen", Popen)
    monkeypatch.setattr(code.quota, "allowed", lambda: Allowed(2, "this test"))
    formulas = (arithmetic.negative, arithmetic.add, arithmetic.multiply, activations.relu)
    forms = [(loops.flat_kernel(Formula(f)), d) for f in formulas for d in ("f4", "f8")]
    handles = code.functions_of(forms)
    assert len(set(handles)) == len(set(heard)) == len(heard) == len(forms)
    assert len(started) == 1
    assert code.functions_of(forms) == handles
    assert len(started) == 1


def test_a_helper_needs_no_gpu(double):
    name = symbol(loops.flat_kernel(Formula(arithmetic.negative)), "f4")
    command = [sys.executable, "-c", code.HELPER.format("sm_80"), name, "a user's own"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert code.kept("sm_80").read(name).startswith(b"//")


def test_what_cannot_run_on_a_gpu_is_said_by_name(double):
    wrong = kernel(split=[("n", 32)], threads=32, x="T[n]", y="out T[n]")(calls_c)
    with pytest.raises(RuntimeError, match=r"kernel calls_c for f4: its PTX has .*C library"):
        code.function_of(wrong, "f4")
    with pytest.raises(TypeError, match="compiled for f4, f8; got i8"):
        code.function_of(wrong, "i8")


def calls_c(x, y):
    y[0] = math.lgamma(x[0])


def test_capabilities_are_those_that_llvm_knows():
    from llvmlite import binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    empty = binding.parse_assembly('target triple = "nvptx64-nvidia-cuda"')
    for capability in CAPABILITIES:
        name = gpu_architecture(capability)
        assert name == "sm_{}{}".format(*capability)
        target = binding.Target.from_triple("nvptx64-nvidia-cuda")
        text = target.create_target_machine(cpu=name).emit_assembly(empty)
        version = re.search(r"^\.version (\d)", text, re.M)[1]
        assert int(version) >= 7  # of an unknown one 3.2
    assert [gpu_architecture(c) for c in ((8, 4), (9, 1), (12, 9), (13, 0))] == [
        *("sm_80", "sm_90", "sm_121", "sm_121")
    ]
