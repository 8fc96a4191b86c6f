"""Matrix products: square ones of every peer, and with `--grids` 614 shapes against BLAS."""

import os
import time

import pytest

from .conftest import THREADS
from .kinds import Product
from .timing import made, of

TRIALS = 9  # of each side, which take turns; the fastest counts
READ_FROM_BYTES = 256 * 1024  # of a matrix, from which on gemv is held against reading it


@of("product")
def test_product(benchmark, peer, case, ours):
    benchmark(made(peer, case))
    if ours and THREADS > 1:
        speedup = peer.speedup(case)
        benchmark.extra_info["speedup"] = speedup
        benchmark.extra_info["promises"] = {
            f"{Product.SPEEDUP} times one thread ({speedup:.2f})": bool(speedup >= Product.SPEEDUP)
        }


def pytest_generate_tests(metafunc):
    if "gemm" in metafunc.fixturenames:
        gemms = []
        if metafunc.config.getoption("grids") and THREADS == 1:
            from .blas import gemms

            gemms = list(gemms())
        metafunc.parametrize("gemm", gemms, ids=str)


@pytest.fixture(scope="module")
def blases(request):
    from .blas import libraries

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return libraries(request.config.getoption("blas"))


@pytest.mark.benchmark(timer=time.thread_time, warmup=False)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_against_blas(benchmark, gemm, dtype, blases):
    import numpy as np

    from . import blas
    from .floor import flops_per_second, seconds_of_streams

    dtype = np.dtype(dtype)
    runs = blas.sides(gemm, dtype, blases)
    repeats = {name: blas.repeats_of(run) for name, run in runs.items()}
    seconds = dict.fromkeys(runs, float("inf"))

    def time_others():
        for name, run in runs.items():
            if name != "ours":
                each = blas.seconds_of(run, repeats[name]) / repeats[name]
                seconds[name] = min(seconds[name], each)

    def ours():
        runs["ours"](repeats["ours"])

    benchmark.pedantic(ours, setup=time_others, rounds=TRIALS)
    if benchmark.stats is None:  # --benchmark-disable
        return
    each = seconds["ours"] = benchmark.stats.stats.min / repeats["ours"]
    reads = gemm.matrix * dtype.itemsize >= READ_FROM_BYTES
    benchmark.extra_info["gemm"] = {
        **gemm._asdict(),
        "dtype": dtype.name,
        "seconds": seconds,
        "peak": gemm.flops / each / flops_per_second(dtype),
        "reading": seconds_of_streams((1, 0, 0), gemm.matrix, dtype) / each if reads else None,
    }
