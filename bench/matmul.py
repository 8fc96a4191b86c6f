"""Products of matrices against BLAS libraries, both sides called by a native loop: `python -m
bench.matmul`.

NumPy's own OpenBLAS is found; `--blas MKL=/path/to/libmkl_rt.so.3` adds another. `--all` prints
every shape.
"""

import argparse
import ctypes
import importlib.util
import math
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .limits import limits

os.environ.update(limits())
os.environ["MKL_THREADING_LAYER"] = "SEQUENTIAL"

import numpy as np

import fastnn
from fastnn import ops
from fastnn.devices.cpu.program import Program, Tape
from fastnn.kernels.declare import intrinsic, kernel
from fastnn.tape.record import Recorder, emit

from .floor import flops_per_second, seconds_of_streams
from .report import time_text

# of one trial at least; the fastest of the trials counts, and the sides take turns
SECONDS, TRIALS = 1e-3, 9
FEW, WORST = 40, 8  # groups of more products than that are shown by their worst
GEMM = {"f4": "sgemm", "f8": "dgemm"}
# integers of 64 bits, as different libraries call it
SYMBOLS = ("scipy_cblas_{}64_", "cblas_{}_64", "cblas_{}64_")
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112
WIDTHS, BATCHES = (10, 64, 100, 256, 784, 1024), (1, 10, 32, 128, 512)
# bytes of a matrix from which on one row times it is held against reading it
FROM_MEMORY = 256 * 1024


class Product(NamedTuple):
    """C (M, N) of A (M, K) and B (K, N); `form` says which of them stands transposed."""

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
        return f"{self.form:<3} {self.m} x {self.k} x {self.n}"


def products() -> Iterator[Product]:
    for n in (16, 24, 32, 48, 64, 96, 100, 128, 192, 256, 384, 512):
        for form in ("AB", "AtB", "ABt"):
            yield Product("square to 512", form, n, n, n)
    for batch in BATCHES:
        for k in WIDTHS:
            for n in WIDTHS:
                group = "layers, batch 1" if batch == 1 else "layers"
                yield Product(group, "AB", batch, k, n)
                yield Product(group, "AtB", k, batch, n)
                yield Product(group, "ABt", batch, k, n)
    for k, n in ((64, 64), (256, 256), (256, 1024), (1024, 256), (1024, 1024), (2048, 2048)):
        yield Product("vector", "AB", 1, k, n)
        yield Product("vector", "ABt", 1, k, n)
        yield Product("vector", "AB", k, n, 1)
        yield Product("vector", "AtB", k, n, 1)
    for form in ("AB", "AtB", "ABt"):
        for n in (768, 1000, 1024, 1536, 2048):
            yield Product("large", form, n, n, n)
        for m, k, n in ((256, 768, 3072), (512, 768, 2304), (128, 3072, 768)):
            yield Product("large", form, m, k, n)


# What is to be reached: the geometric mean of the ratios to the fastest BLAS, and the worst of
# them.
TO_REACH = {
    "square to 512": (1.15, 0.95),
    "layers": (1.15, 0.95),
    "layers, batch 1": (1.15, 0.95),
    "large": (1.0, 0.92),
}


@intrinsic("void <- int any any any int int int int int")
def call_gemm(function, a, b, c, turned_a, turned_b, m, k, n):
    """C = A B by a CBLAS function of 64-bit integers at an address; a, b: (M, K), (K, N), or
    transposed if so said."""
    raise RuntimeError("only compiled code calls a BLAS library")


@call_gemm.lowering
def _(emitter, function, a, b, c, turned_a, turned_b, m, k, n):
    from llvmlite import ir

    builder, i32, one, zero = emitter.builder, ir.IntType(32), emitter.real(1.0), emitter.real(0.0)
    arrays = [emitter.array(x, kind) for x, kind in zip((a, b, c), emitter.kinds[1:4], strict=True)]
    (a_data, a_row), (b_data, b_row), (c_data, c_row) = ((data, shape[1]) for data, shape in arrays)
    order, turns = (
        ir.Constant(i32, ROW_MAJOR),
        [builder.trunc(t, i32) for t in (turned_a, turned_b)],
    )
    values = [order, *turns, m, n, k, one, a_data, a_row, b_data, b_row, zero, c_data, c_row]
    kind = ir.FunctionType(ir.VoidType(), [v.type for v in values])
    builder.call(builder.inttoptr(function, kind.as_pointer()), values)


@kernel(
    a="T[A, B]",
    b="T[C, D]",
    c="inout T[M, N]",
    function="int",
    turned_a="int",
    turned_b="int",
    depth="int",
    repeats="int",
)
def blas(a, b, c, function, turned_a, turned_b, depth, repeats):
    for _ in range(repeats):
        call_gemm(function, a, b, c, turned_a, turned_b, c.shape[0], depth, c.shape[1])


class Library(NamedTuple):
    name: str
    functions: dict[str, int]  # element type -> address of its gemm


def libraries(given: list[str]) -> list[Library]:
    """NumPy's BLAS, if its library is found beside NumPy, and those given as NAME=PATH."""
    folder = Path(importlib.util.find_spec("numpy").origin).parent.parent / "numpy.libs"
    places = [("OpenBLAS", str(p)) for p in folder.glob("*openblas*")] + [
        tuple(g.split("=", 1)) for g in given
    ]
    found = []
    for name, path in places:
        library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        functions = {}
        for dtype, gemm in GEMM.items():
            symbol = next(s.format(gemm) for s in SYMBOLS if hasattr(library, s.format(gemm)))
            functions[dtype] = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
        found.append(Library(name, functions))
    return found


class Measured(NamedTuple):
    product: Product
    seconds: dict[str, float]  # "ours" and the libraries
    peak: float  # share of the multiply-adds' peak that ours reaches
    reading: float | None  # one row: share of the speed at which its matrix can be read

    @property
    def ratio(self) -> float | None:
        """How much longer the fastest library takes."""
        others = [s for name, s in self.seconds.items() if name != "ours"]
        return min(others) / self.seconds["ours"] if others else None


def measure(product: Product, dtype: np.dtype, blases: list[Library]) -> Measured:
    rng, turned_a, turned_b = np.random.default_rng(0), product.form == "AtB", product.form == "ABt"
    m, k, n = product.m, product.k, product.n
    a = fastnn.tensor(rng.normal(size=(k, m) if turned_a else (m, k)).astype(dtype))
    b = fastnn.tensor(rng.normal(size=(n, k) if turned_b else (k, n)).astype(dtype))
    c = fastnn.tensor(np.zeros((m, n), dtype))
    with Recorder("product") as recorder:
        result = ops.matmul(a, b, transpose_a=turned_a, transpose_b=turned_b)
    tape = Tape(recorder, [result.buffer])
    program = Program([(tape, 1 << 60)])
    runs = {"ours": lambda repeats: program.run(1, repeats)}
    flags = [TRANSPOSED if turned else PLAIN for turned in (turned_a, turned_b)]
    for library in blases:
        function = library.functions["f4" if dtype.itemsize == 4 else "f8"]
        runs[library.name] = lambda repeats, f=function: emit(
            "blas", blas, (a, b, c, f, *flags, k, repeats)
        )
    repeats = {}
    # once for compiling, touching memory, and, of the libraries, a look at the result
    for name, run in runs.items():
        run(1)
        repeats[name] = 1
        while (taken := _seconds(run, repeats[name])) < SECONDS:
            repeats[name] *= max(2, min(64, int(SECONDS / max(taken, 1e-7))))
        if name != "ours":
            error = np.abs(c.numpy() - tape.array(result)).max() / np.sqrt(max(k, 1))
            assert error < 1000 * np.finfo(dtype).eps, (
                f"{product}: ours and {name}'s differ by {error}"
            )
    trials = [
        {name: _seconds(run, repeats[name]) / repeats[name] for name, run in runs.items()}
        for _ in range(TRIALS)
    ]
    seconds = {name: min(t[name] for t in trials) for name in runs}
    large = product.matrix * dtype.itemsize >= FROM_MEMORY
    reading = (
        seconds_of_streams((1, 0, 0), product.matrix, dtype) / seconds["ours"] if large else None
    )
    return Measured(
        product, seconds, product.flops / seconds["ours"] / flops_per_second(dtype), reading
    )


def _seconds(run, repeats):
    """This thread's own time: what other processes take of the core is not in it."""
    start = time.thread_time()
    run(repeats)
    return time.thread_time() - start


def groups_of(found: list[Measured]) -> dict[str, list[Measured]]:
    groups = defaultdict(list)
    for m in found:
        groups[m.product.group].append(m)
    return groups


def summary(found: list[Measured], dtype: np.dtype) -> Iterator[str]:
    """A line a group of products, as a table in Markdown."""
    names = " or ".join(name for name in found[0].seconds if name != "ours")
    yield (
        f"| products in {dtype}, one thread, against the faster of {names} "
        "| ratio, mean | worst | of the peak | of reading |"
    )
    yield "|---|---|---|---|---|"
    for group, members in groups_of(found).items():
        ratios = [m.ratio for m in members if m.ratio is not None]
        mean, worst = (
            math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else 0,
            min(ratios, default=0),
        )
        to_reach = TO_REACH.get(group, (1.0, 1.0))
        texts = [
            f"{x:.2f} ({goal}: {mark(x >= goal)})" if ratios else ""
            for x, goal in zip((mean, worst), to_reach, strict=True)
        ]
        reading = min((m.reading for m in members if m.reading is not None), default=None)
        shown = "" if reading is None else f"from {100 * reading:.0f} %"
        least = 100 * min(m.peak for m in members)
        yield f"| {group}, {len(members)} | {' | '.join(texts)} | from {least:.0f} % | {shown} |"


def details(found: list[Measured], everything: bool) -> Iterator[str]:
    """A line a product: all of a group, or the worst."""
    names = [name for name in found[0].seconds if name != "ours"]
    yield f"| product | ours | {' | '.join(names)} | ratio | peak | reading |"
    yield "|---|---|" + "---|" * len(names) + "---|---|---|"
    for members in groups_of(found).values():
        shown = (
            members
            if everything or len(members) <= FEW
            else sorted(members, key=lambda m: m.ratio or 0)[:WORST]
        )
        for m in shown:
            times = " | ".join(time_text(m.seconds[name]) for name in names)
            ratio, reading = (
                "" if m.ratio is None else f"{m.ratio:.2f}",
                "" if m.reading is None else f"{100 * m.reading:.0f} %",
            )
            ours = time_text(m.seconds["ours"])
            yield f"| {m.product} | {ours} | {times} | {ratio} | {100 * m.peak:.0f} % | {reading} |"


def mark(reached: bool) -> str:
    return "reached" if reached else "**missed**"


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m bench.matmul", description="times products of matrices against BLAS libraries"
    )
    parser.add_argument(
        "--blas",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="another library to compare with",
    )
    parser.add_argument(
        "--dtype", choices=["float32", "float64"], action="append", help="both if not given"
    )
    parser.add_argument(
        "--match",
        default="",
        help="only products whose group and shape, as printed, match this expression",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="print every product, and not the worst of each group only",
    )
    parser.add_argument("--summary", action="store_true", help="print a line a group only")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    blases = libraries(options.blas)
    wanted = [p for p in products() if re.search(options.match, f"{p.group} {p}")]
    for dtype in map(np.dtype, options.dtype or ["float32", "float64"]):
        found = [measure(p, dtype, blases) for p in wanted]
        print("\n".join(summary(found, dtype)), end="\n\n", flush=True)
        if not options.summary:
            print("\n".join(details(found, options.all)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
