"""What kernels compile to: packed instructions, and no call of anything that is not there when it is loaded."""

import math
import platform
import re

import pytest

from fastnn.device import INTERPRETED, elf, native, pool
from fastnn.kernels import scalar
from fastnn.kernels.cpu import losses, matmul, normalization, pointwise, softmax, updates
from fastnn.kernels.marks import Kernel, T, Target, kernel

pytestmark = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
LETTER = {"f4": "s", "f8": "d"}
ELEMENTARY = {
    **{f: pointwise.unary(getattr(scalar, f)) for f in ("exp", "log", "tanh", "sigmoid", "erf", "sqrt")},
    **{f: pointwise.unary(getattr(scalar, f)) for f in ("gelu", "gelu_tanh", "silu", "softplus", "elu")},
    **{f: pointwise.unary_gradient(getattr(scalar, f)) for f in ("erf_gradient", "gelu_gradient", "gelu_tanh_gradient")},
    **{f: pointwise.unary_gradient(getattr(scalar, f)) for f in ("silu_gradient", "softplus_gradient")},
}
KERNELS = {
    **ELEMENTARY,
    "matmul": matmul.matmul,
    "softmax": softmax.softmax,
    "sigmoid_cross_entropy": losses.sigmoid_cross_entropy,
    "batch_norm": normalization.chunk_statistics,
    "adam": updates.adam,
}


def assembly(kernel, dtype):
    from fastnn.device.compiler import optimised

    cpu, features, target = native.processor()
    machine, module = optimised(kernel, dtype, target, "entry", cpu, features)
    return machine.emit_assembly(module)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names looked for are those of x86-64")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", KERNELS)
def test_arithmetic_is_packed(name, dtype):
    """vfmadd213ps and the like; a kernel that calls, or computes one number at a time, has none. And what it needs of the stack
    leaves room for its callers."""
    text = assembly(KERNELS[name], dtype)
    packed = re.findall(rf"\bv?(?:fn?m(?:add|sub)\w*|mul|div|add|sub|sqrt)p{LETTER[dtype]}\s", text)
    assert len(packed) >= (1 if name == "sqrt" else 4)
    own = set(re.findall(r"^([\w.]+):", text, flags=re.M))
    assert set(re.findall(r"\bcall\S*\s+([^\s@]+)", text)) <= own | native.MEMORY_FUNCTIONS.keys(), "calls something"
    frames = [int(size) for size in re.findall(r"\bsubq\s+\$(\d+), %rsp", text)]
    assert sum(frames) <= pool.STACK - (1 << 17), "threads have less stack"


def _sixteen(x, y, lane, lanes):
    for i in range(16):
        y[i] = x[i] + y[i]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names looked for are those of x86-64")
def test_a_short_loop_of_known_length_is_packed():
    text = assembly(kernel(x="T[n]", y="inout T[n]")(_sixteen), "f4")
    assert re.search(r"\bv?addps\s", text)
    assert not re.search(r"\bv?addss\s", text)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names looked for are those of x86-64")
@pytest.mark.parametrize("name", ELEMENTARY)
def test_float32_is_computed_in_32_bits(name):
    """No element is widened: Numba makes int64 of a difference of two int32, which halved log's speed."""
    assert not re.search(r"\bv?(?:pmovsxdq|cvtps2pd|cvtqq2ps)\s", assembly(ELEMENTARY[name], "f4"))


def test_every_kernel_needs_nothing_but_the_memory_functions():
    for k in list(Kernel.known):
        for name in k.entries:
            code = native.objects().read(native.symbol(k, name))
            if code is not None:
                assert elf.undefined_symbols(code) <= native.MEMORY_FUNCTIONS.keys(), k


def _sine(x, y, lane, lanes):
    for i in range(x.size):
        y[i] = math.sin(x[i])


def _remainder(x, y, lane, lanes):
    for i in range(x.size):
        y[i] = x[i] % T(3)


@pytest.mark.parametrize(("function", "symbol"), [(_sine, "sin"), (_remainder, "fmod")])
def test_a_kernel_that_would_call_the_c_library_is_refused(function, symbol):
    own = kernel(x="T[n]", y="out T[n]")(function)
    with pytest.raises(
        RuntimeError, match=rf"kernel {function.__name__} for f8 needs .*{symbol}.*must not raise, allocate or call"
    ):
        native.entry(own, "f8")


def test_a_kernel_split_by_what_no_array_has_is_refused():
    with pytest.raises(ValueError, match=r"kernel _sine: split by N, which no array has; they have \['n'\]"):
        kernel(split=[("N", 1)], x="T[n]", y="out T[n]")(_sine)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names looked for are those of x86-64")
@pytest.mark.parametrize(
    ("target", "cpu", "present"),
    [(Target(64, 32, "x86_64"), "skylake-avx512", True), (Target(32, 16, "x86_64"), "haswell", False)],
)
@pytest.mark.parametrize(
    ("kernel", "dtype", "with_it", "instead"),
    [
        (updates.adam, "f4", "vrcp14ps", "vdivps"),
        (updates.adam, "f8", "vrcp14pd", "vdivpd"),
        (ELEMENTARY["exp"], "f4", "vscalefps", "vpslld"),
        (ELEMENTARY["exp"], "f8", "vscalefpd", "vpsllq"),
        (ELEMENTARY["tanh"], "f4", "vperm[it]2ps", "vdivps"),
        (ELEMENTARY["log"], "f4", "vgetmantps", "vpsrad"),
        (softmax.softmax, "f4", "vscalefps", "vpslld"),
    ],
)
def test_instructions_of_avx_512_are_used_in_whole_vectors(target, cpu, present, kernel, dtype, with_it, instead):
    from fastnn.device.compiler import optimised

    machine, module = optimised(kernel, dtype, target, "entry", cpu, "-prefer-256-bit" if present else "")
    text = machine.emit_assembly(module)
    assert bool(re.search(rf"\b{with_it}\s.*%zmm", text)) == present
    assert bool(re.search(rf"\b{instead}\s.*%[xyz]mm", text)) != present
    assert not re.search(r"\bcall\S*\s+(?!\*|mem(?:set|cpy|move))", text), "calls something"
