"""Kernels for narrower vectors than the machine has: FASTNN_VECTOR_BITS."""

import os
import platform
import re
import subprocess
import sys

import pytest

from fastnn.compile import object_code, target
from fastnn.compile.target import VECTOR_BITS_VARIABLE, widest_bits, with_vector_bits
from fastnn.devices.cpu import INTERPRETED
from fastnn.kernels.cpu import gemm, loops
from fastnn.kernels.scalar import Formula, elementary

pytestmark = pytest.mark.skipif(
    INTERPRETED or platform.machine() not in ("x86_64", "AMD64"),
    reason="only x86-64 has vectors of several widths",
)
# registers that such a processor has not
WIDER = {128: r"%[yz]mm", 256: r"%zmm|%[xy]mm(?:1[6-9]|2\d|3[01])|\{%k", 512: "none"}


def description():
    """(name, triple, features) of this machine."""
    name, triple, *features = target._ask_llvm()
    return name, triple, features


WIDTHS = [bits for bits in target.VECTOR_BITS if bits <= widest_bits(description()[2])]


def run(program, bits, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, VECTOR_BITS_VARIABLE: bits, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("kernel", "bits"),
    [(loops.flat_kernel(Formula(elementary.exp)), bits) for bits in WIDTHS]
    + [pytest.param(gemm.gemm, b, marks=pytest.mark.slow if b > 128 else ()) for b in WIDTHS],
)
def test_kernels_use_vectors_of_that_width_and_registers_of_such_a_processor(kernel, bits):
    from fastnn.compile.backend import optimised

    processor = with_vector_bits(*description(), bits)
    assert processor.target.vector_bytes == bits // 8
    machine, module = optimised(kernel, "f4", "entry", processor)
    text = machine.emit_assembly(module)
    assert re.search({128: r"ps\s.*%xmm", 256: r"ps\s.*%ymm", 512: r"ps\s.*%zmm"}[bits], text)
    assert not re.search(WIDER[bits], text)
    assert ("vfmadd" in text) == ("+fma" in description()[2])


def test_objects_of_each_width_are_kept_apart(monkeypatch):
    folders = set()
    monkeypatch.setattr(object_code, "processor", target.processor.__wrapped__)
    for bits in WIDTHS:
        monkeypatch.setenv(VECTOR_BITS_VARIABLE, str(bits))
        folders.add(object_code.current_cache.__wrapped__().folder)
    assert len(folders) == len(WIDTHS)


def test_a_process_takes_the_width_it_is_told():
    program = (
        "import fastnn, numpy as np\n"
        "from fastnn.devices.cpu import processor, vector_bits\n"
        "x = np.linspace(-2, 2, 999, dtype='f4')\n"
        "assert np.allclose(fastnn.ops.exp(x).numpy(), np.exp(x), rtol=1e-6)\n"
        "from fastnn.kernels.cpu.loops import flat_kernel\n"
        "kernel = flat_kernel(fastnn.ops.exp.formula)\n"
        "print(processor().target.vector_bytes, vector_bits(kernel, 'f4'))"
    )
    done = run(program, str(WIDTHS[0]))
    assert done.stdout.split() == ["16", "128"], done.stderr


@pytest.mark.parametrize(
    ("text", "message"), [("300", "expected 128, 256, 512; got '300'"), ("wide", "got 'wide'")]
)
def test_another_width_is_refused(monkeypatch, text, message):
    monkeypatch.setenv(VECTOR_BITS_VARIABLE, text)
    with pytest.raises(
        ValueError, match=f"the environment variable FASTNN_VECTOR_BITS: .*{message}"
    ):
        target.processor.__wrapped__()


def test_a_width_that_the_processor_has_not_is_refused():
    with pytest.raises(ValueError, match="this processor's vectors have 256 bits at most; got 512"):
        with_vector_bits("haswell", "x86_64-unknown-linux-gnu", ["+avx", "+avx2", "+fma"], 512)


@pytest.mark.parametrize(
    ("name", "features", "bits", "ports"),
    [
        ("znver4", ["+avx512f"], 512, 1),
        ("znver5", ["+avx512f"], 512, 2),
        ("icelake-server", ["+avx512f"], 512, 2),
        ("rocketlake", ["+avx512f"], 512, 1),
        # what LLVM calls a server that it does not know
        ("rocketlake", ["+avx512f", "+amx-tile"], 512, 2),
        ("znver4", ["+avx512f"], 256, 2),
        ("znver3", ["+avx2"], 256, 2),
        ("znver1", ["+avx2"], 256, 1),
        ("nehalem", [], 128, 1),
    ],
)
def test_how_many_multiply_adds_begin_in_a_cycle(name, features, bits, ports):
    assert (
        with_vector_bits(
            name, "x86_64-unknown-linux-gnu", [*features, "+avx2"], bits
        ).target.fma_ports
        == ports
    )


def test_the_doctor_says_who_chose_the_width():
    done = subprocess.run(
        [sys.executable, "-m", "fastnn", "doctor"],
        env={**os.environ, VECTOR_BITS_VARIABLE: "128"},
        capture_output=True,
        text=True,
    )
    assert "vectors of 128 bits, as FASTNN_VECTOR_BITS has it" in done.stdout, done.stderr
