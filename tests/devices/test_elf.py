"""Object code that is loaded without LLVM does what it does when LLVM loads it; what cannot be
loaded so is left to LLVM."""

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from fastnn.compile.backend import compile_kernel, optimised
from fastnn.compile.object_file import undefined_symbols
from fastnn.compile.target import Processor, processor
from fastnn.devices.cpu import elf
from fastnn.devices.cpu.loader import MEMORY_ADDRESSES, load_by_llvm
from fastnn.kernels.cpu import gemm, loops, movement, reduce, softmax
from fastnn.kernels.declare import Target
from fastnn.kernels.scalar import Formula, arithmetic, elementary
from tests.processors import ON_X86_64, call_at

pytestmark = ON_X86_64
CONSTANTS = """
define double @constants(double %x) {
  %product = fmul double %x, 2.5
  %sum = fadd double %product, 1.25
  ret double %sum
}"""
JUMPS = """
define i64 @jumps(i64 %n) {
  switch i64 %n,
  label %rest [ i64 0, label %a i64 1, label %b i64 2, label %c i64 3, label %d i64 4, label %e ]
a: ret i64 7
b: ret i64 19
c: ret i64 2
d: ret i64 11
e: ret i64 5
rest: ret i64 -1
}"""
COUNTER = """
@count = global i64 5
define i64 @counter() {
  %n = load i64, ptr @count
  ret i64 %n
}"""
ADDRESS = """
@elsewhere = external global i64
define ptr @address() {
  ret ptr @elsewhere
}"""


def assembled(ir, **kind):
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(opt=2, **kind)
    return machine.emit_object(binding.parse_assembly(ir))


@pytest.mark.parametrize(
    "kind",
    [{"reloc": "pic", "codemodel": "small"}, {"codemodel": "jitdefault", "jit": True}],
    ids=["near", "far"],
)
def test_code_finds_its_constants_and_its_jumps(kind):
    constants = elf.load(assembled(CONSTANTS, **kind), "constants", {})
    jumps = elf.load(assembled(JUMPS, **kind), "jumps", {})
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(constants)(3.0) == 8.75
    assert [ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(jumps)(n) for n in range(6)] == [
        7,
        19,
        2,
        11,
        5,
        -1,
    ]


@pytest.mark.parametrize("dtype", ["f4", pytest.param("f8", marks=pytest.mark.slow)])
def test_kernels_compute_the_same_bits_however_they_are_loaded(dtype):
    rng = np.random.default_rng(0)
    x, w, bias = (rng.normal(size=size).astype(dtype) for size in ((33, 65), (65, 47), (47,)))
    calls = {
        gemm.gemm: (x, w, bias, 0, 0, 0.0, 0, np.zeros((33, 47), dtype)),
        softmax.softmax_gradient: (x, x, np.zeros_like(x)),
        reduce.sum_middle: (x[None], 1.0, 0, np.zeros((1, 65), dtype)),
        movement.copy: (x.ravel(), np.zeros(x.size, dtype)),
        loops.flat_kernel(Formula(elementary.tanh)): (x.ravel(), np.zeros(x.size, dtype)),
    }
    wanted = set()
    for kernel, arguments in calls.items():
        name = f"loaded_{kernel.name}_{dtype}"
        code = compile_kernel(kernel, dtype, name, processor())
        wanted |= undefined_symbols(code)
        found = []
        for address in (
            elf.load(code, name, MEMORY_ADDRESSES),
            load_by_llvm(code, name),
        ):
            arguments[-1].fill(np.nan)
            call_at(address, kernel, *arguments)
            found.append(arguments[-1].copy())
        assert not np.isnan(found[0]).any()
        np.testing.assert_array_equal(*found)
    assert wanted >= {"memset", "memcpy"}


@pytest.mark.parametrize(
    "what", ["changes its data", "asks for an address elsewhere", "is for another processor"]
)
def test_what_it_does_not_load_is_left_to_llvm(what):
    if what == "is for another processor":
        from llvmlite import binding

        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        arm = Processor("generic", "+neon", Target(16, 32, "aarch64"), "aarch64-unknown-linux-gnu")
        negative = loops.flat_kernel(Formula(arithmetic.negative))
        machine, module = optimised(negative, "f4", "entry", arm)
        code, name = machine.emit_object(module), "entry"
    else:
        ir, name = (COUNTER, "counter") if what == "changes its data" else (ADDRESS, "address")
        code = assembled(ir, reloc="pic", codemodel="small")
    assert elf.load(code, name, MEMORY_ADDRESSES) is None
    assert undefined_symbols(code) == ({"elsewhere"} if name == "address" else set())


def test_memory_with_code_cannot_be_written_to():
    address = elf.load(assembled(CONSTANTS, reloc="pic", codemodel="small"), "constants", {})
    with open("/proc/self/maps") as maps:
        rights = {
            line.split()[1]
            for line in maps
            if int(line.split("-")[0], 16) <= address < int(line.split()[0].split("-")[1], 16)
        }
    assert rights == {"r-xp"}


def test_a_system_that_lets_nobody_make_code_is_named(monkeypatch):
    class Refusing:
        mmap = elf._library().mmap

        def mprotect(self, *_arguments):
            ctypes.set_errno(13)
            return -1

    monkeypatch.setattr(elf, "_library", Refusing)
    with pytest.raises(OSError, match="lets no process run code that it made"):
        elf.load(assembled(CONSTANTS, reloc="pic", codemodel="small"), "constants", {})


def test_the_interpreter_may_end_while_another_thread_trains():
    """Code is not unloaded with the module that loaded it: that was a crash."""
    program = """
import threading, time, numpy as np, fastnn
model = fastnn.Sequential([fastnn.layers.Dense(64, activation="relu"), fastnn.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
x = np.ones((4096, 64), "f4")
model.fit(x, x[:, :1], epochs=1, verbose=0)
threading.Thread(target=lambda: model.fit(x, x[:, :1], epochs=10**6, verbose=0),
daemon=True).start()
time.sleep(0.3)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
