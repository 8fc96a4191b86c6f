"""The other side of `bench_matmul.test_against_blas`: BLAS libraries, called by a native loop as
our own products are."""

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ["MKL_THREADING_LAYER"] = "SEQUENTIAL"

import numpy as np

import fastnn
from fastnn import ops
from fastnn.devices.cpu.program import Program, Tape
from fastnn.emit import emit
from fastnn.kernels.declare import intrinsic, kernel
from fastnn.tape.record import Recorder

SECONDS = 1e-3  # of one trial at least
GEMM = {"f4": "sgemm", "f8": "dgemm"}
# integers of 64 bits, as different libraries call it
SYMBOLS = ("scipy_cblas_{}64_", "cblas_{}_64", "cblas_{}64_")
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112
WIDTHS, BATCHES = (10, 64, 100, 256, 784, 1024), (1, 10, 32, 128, 512)


class Gemm(NamedTuple):
    """C (M, N) = A (M, K) B (K, N); `form` says which of them is stored transposed."""

    group: str
    form: str  # "AB", "AtB", "ABt"
    m: int
    k: int
    n: int

    @property
    def flops(self) -> int:
        return 2 * self.m * self.k * self.n

    @property
    def matrix(self) -> int:
        """Elements of the matrix that one row is multiplied with, or 0."""
        return self.k * self.n if self.m == 1 else self.m * self.k if self.n == 1 else 0

    def __str__(self):
        return f"{self.group.replace(' ', '-')}-{self.form}-{self.m}x{self.k}x{self.n}"


def gemms() -> Iterator[Gemm]:
    for n in (16, 24, 32, 48, 64, 96, 100, 128, 192, 256, 384, 512):
        for form in ("AB", "AtB", "ABt"):
            yield Gemm("square to 512", form, n, n, n)
    for batch in BATCHES:
        for k in WIDTHS:
            for n in WIDTHS:
                group = "layers, batch 1" if batch == 1 else "layers"
                yield Gemm(group, "AB", batch, k, n)
                yield Gemm(group, "AtB", k, batch, n)
                yield Gemm(group, "ABt", batch, k, n)
    for k, n in ((64, 64), (256, 256), (256, 1024), (1024, 256), (1024, 1024), (2048, 2048)):
        yield Gemm("vector", "AB", 1, k, n)
        yield Gemm("vector", "ABt", 1, k, n)
        yield Gemm("vector", "AB", k, n, 1)
        yield Gemm("vector", "AtB", k, n, 1)
    for form in ("AB", "AtB", "ABt"):
        for n in (768, 1000, 1024, 1536, 2048):
            yield Gemm("large", form, n, n, n)
        for m, k, n in ((256, 768, 3072), (512, 768, 2304), (128, 3072, 768)):
            yield Gemm("large", form, m, k, n)


@intrinsic("void <- int any any any int int int int int")
def call_gemm(function, a, b, c, transposed_a, transposed_b, m, k, n):
    """C = A B by a CBLAS function of 64-bit integers at an address; a, b: (M, K), (K, N), or
    transposed if so said."""
    raise RuntimeError("only compiled code calls a BLAS library")


@call_gemm.lowering
def _(emitter, function, a, b, c, transposed_a, transposed_b, m, k, n):
    from llvmlite import ir

    builder, i32, one, zero = emitter.builder, ir.IntType(32), emitter.real(1.0), emitter.real(0.0)
    arrays = [emitter.array(x, kind) for x, kind in zip((a, b, c), emitter.kinds[1:4], strict=True)]
    (a_data, a_row), (b_data, b_row), (c_data, c_row) = ((data, shape[1]) for data, shape in arrays)
    order, transposes = (
        ir.Constant(i32, ROW_MAJOR),
        [builder.trunc(t, i32) for t in (transposed_a, transposed_b)],
    )
    values = [order, *transposes, m, n, k, one, a_data, a_row, b_data, b_row, zero, c_data, c_row]
    kind = ir.FunctionType(ir.VoidType(), [v.type for v in values])
    builder.call(builder.inttoptr(function, kind.as_pointer()), values)


@kernel(
    a="T[A, B]",
    b="T[C, D]",
    c="inout T[M, N]",
    function="int",
    transposed_a="int",
    transposed_b="int",
    depth="int",
    repeats="int",
)
def blas(a, b, c, function, transposed_a, transposed_b, depth, repeats):
    for _ in range(repeats):
        call_gemm(function, a, b, c, transposed_a, transposed_b, c.shape[0], depth, c.shape[1])


class Library(NamedTuple):
    name: str
    functions: dict[str, int]  # element type -> address of its gemm


def libraries(given: list[str]) -> list[Library]:
    """NumPy's BLAS, if its library is found beside NumPy, and those given as NAME=PATH."""
    folder = Path(np.__file__).parent.parent / "numpy.libs"
    places = [f"OpenBLAS={path}" for path in folder.glob("*openblas*")] + given
    found = []
    for name, path in (place.split("=", 1) for place in places):
        library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        functions = {}
        for dtype, gemm in GEMM.items():
            symbol = next(s.format(gemm) for s in SYMBOLS if hasattr(library, s.format(gemm)))
            functions[dtype] = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value or 0
        found.append(Library(name, functions))
    return found


def sides(gemm: Gemm, dtype: np.dtype, blases: list[Library]) -> dict[str, Callable[[int], None]]:
    """Of "ours" and each library what makes the product so many times; their results agree."""
    rng, transposed_a, transposed_b = (
        np.random.default_rng(0),
        gemm.form == "AtB",
        gemm.form == "ABt",
    )
    m, k, n = gemm.m, gemm.k, gemm.n
    a = fastnn.tensor(rng.normal(size=(k, m) if transposed_a else (m, k)).astype(dtype))
    b = fastnn.tensor(rng.normal(size=(n, k) if transposed_b else (k, n)).astype(dtype))
    c = fastnn.tensor(np.zeros((m, n), dtype))
    with Recorder("product") as recorder:
        result = ops.matmul(a, b, transpose_a=transposed_a, transpose_b=transposed_b)
    tape = Tape(recorder, [result.buffer])
    program = Program([(tape, 1 << 60)])
    runs: dict[str, Callable[[int], None]] = {"ours": partial(program.run, 1)}
    runs["ours"](1)
    flags = [TRANSPOSED if t else PLAIN for t in (transposed_a, transposed_b)]

    def multiply(function, repeats):
        emit("blas", blas, (a, b, c, function, *flags, k, repeats))

    for library in blases:
        runs[library.name] = partial(multiply, library.functions[dtype.str[1:]])
        runs[library.name](1)
        error = np.abs(c.numpy() - tape.array(result)).max() / np.sqrt(max(k, 1))
        assert error < 1000 * np.finfo(dtype).eps, f"{library.name}'s differs by {error}"
    return runs


def repeats_of(run: Callable[[int], None]) -> int:
    """How often a trial repeats it, so that it can be timed."""
    repeats = 1
    while (taken := seconds_of(run, repeats)) < SECONDS:
        repeats *= max(2, min(64, int(SECONDS / max(taken, 1e-7))))
    return repeats


def seconds_of(run: Callable[[int], None], repeats: int) -> float:
    """This thread's own time: what other processes take of the core is not in it."""
    start = time.thread_time()
    run(repeats)
    return time.thread_time() - start
