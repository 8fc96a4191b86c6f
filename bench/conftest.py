"""One peer a process, on as many cores as it has threads. Threads and vectors are limited here,
before the peer is imported."""

import importlib
import os

import pytest

from .limits import limits
from .peers import PEERS

THREADS = int(os.environ.get("BENCH_THREADS", "1"))
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-THREADS:])
os.environ.update(limits(THREADS))


def pytest_addoption(parser):
    parser.addoption("--peer", default="ours", choices=list(PEERS), help="whom to time")
    parser.addoption("--quick", action="store_true", help="few rounds")
    parser.addoption(
        "--grids",
        action="store_true",
        help="also 614 products against BLAS or, on several threads, how many `fit` chooses",
    )
    parser.addoption(
        "--blas", action="append", default=[], metavar="NAME=PATH", help="another BLAS library"
    )


@pytest.fixture(scope="session")
def peer(request):
    """The peer's module."""
    return importlib.import_module(f"bench.peers.{PEERS[request.config.getoption('peer')].file}")


@pytest.fixture(scope="session")
def ours(request):
    """Whether it is fastnn."""
    return request.config.getoption("peer") == "ours"


@pytest.fixture(scope="session")
def quick(request):
    return request.config.getoption("quick")


@pytest.fixture(autouse=True)
def _noted(request, benchmark, ours):
    """What `report` needs of a case. What the machine could do is measured where fastnn's compiler
    is: in our process."""
    case = request.node.callspec.params.get("case")
    if case is not None:
        benchmark.extra_info |= {"title": case.title, "units": case.units}
    if case is not None and ours:
        from .floor import seconds_of_case, work_of_case

        if work := work_of_case(case):
            benchmark.extra_info["roofline"] = work
        benchmark.extra_info["floor"] = seconds_of_case(case, THREADS)


def pytest_benchmark_update_machine_info(config, machine_info):
    if config.getoption("peer") == "ours":
        import numpy as np

        from fastnn.devices.cpu import processor
        from fastnn.devices.cpu.peaks import bytes_per_second, flops_per_second

        machine_info["vector_bits"] = 8 * processor().target.vector_bytes
        machine_info["flops_per_second"] = {
            d: flops_per_second(np.dtype(d), THREADS) for d in ("float32", "float64")
        }
        sizes = {"L1": 1 << 14, "L2": 1 << 18, "L3": 1 << 23, "memory": 1 << 26}
        machine_info["bytes_per_second"] = {
            name: bytes_per_second((2, 1, 0), size) for name, size in sizes.items()
        }


def pytest_benchmark_update_json(output_json):
    for benchmark in output_json["benchmarks"]:
        benchmark["stats"].pop("data", None)  # every round of it, megabytes
