"""Times one peer on every case: `python -m pytest bench --peer=torch -W ignore`. `python -m bench`
runs this for each peer."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bench.cases import CASES, Decay, OpCall, Predict, Product, Record

from .conftest import THREADS

ROOT = Path(__file__).resolve().parent.parent
SECONDS, SECONDS_IF_QUICK = 5.0, 0.5  # for the rounds of a case
FEWEST, FEWEST_IF_QUICK, MOST = 3, 1, 100
STEPS_COMPARED = 10


def of(*kinds):
    cases = [c for c in CASES if c.kind in kinds and (THREADS == 1 or c.limits_of_two is not None)]
    return pytest.mark.parametrize("case", cases, ids=str)


def made(peer, case):
    """What the peer makes of a case."""
    make = getattr(peer, case.kind, None)
    missing = isinstance(case, OpCall) and case.op not in getattr(peer, "OPS", [case.op])
    if (
        make is None
        or missing
        or (getattr(case, "norm", False) and not getattr(peer, "NORM", True))
    ):
        pytest.skip(f"{peer.__name__} has no {case}")
    return make(case)


def time_fresh(benchmark, fresh, quick):
    """Time `fresh()()`, but not making it fresh, as often as there is time for; what came first
    compiles and is not counted."""
    budget, fewest = (SECONDS_IF_QUICK, FEWEST_IF_QUICK) if quick else (SECONDS, FEWEST)
    seconds = seconds_of(fresh())
    if seconds < budget:
        seconds = seconds_of(fresh())
    rounds = min(max(int(budget / seconds), fewest), MOST)
    return benchmark.pedantic(lambda run: run(), setup=lambda: ((fresh(),), {}), rounds=rounds)


def seconds_of(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@pytest.fixture(autouse=True)
def _floor(case, benchmark, ours):
    """What the machine could do is measured where fastnn's compiler is: in our process."""
    if ours:
        from bench.floor import seconds_of_case, work_of_case

        if work := work_of_case(case):
            benchmark.extra_info["roofline"] = work
        benchmark.extra_info["floor"] = seconds_of_case(case, THREADS)


@of("fit")
def test_fit(benchmark, peer, case, quick):
    time_fresh(benchmark, made(peer, case), quick)
    # For `report` to compare: steps on all rows at once, which know no order, so that all peers
    # come to one loss.
    benchmark.extra_info["loss"] = float(
        made(peer, replace(case, batch=case.rows, epochs=STEPS_COMPARED))()()
    )


@of("record")
def test_record(benchmark, peer, case, quick):
    instructions = time_fresh(benchmark, made(peer, case), quick)
    benchmark.extra_info["instructions"] = instructions
    benchmark.extra_info["seconds"] = Record.SECONDS_OF_INSTRUCTION * instructions


@of("predict", "op", "loop", "both", "chain", "update")
def test_call(benchmark, peer, case, quick, ours):
    call = made(peer, case)
    benchmark(call)
    if isinstance(case, Predict) and ours:
        calls = Predict.CALLS // (100 if quick else 1)
        benchmark.extra_info["promises"] = {
            f"no growth in memory over {calls:,} calls": growth(call, calls) < calls
        }


def growth(call, calls):
    """Bytes of memory taken meanwhile. Anything kept of a call would be more than a byte each."""
    for _ in range(10_000):
        call()
    before = resident_bytes()
    for _ in range(calls):
        call()
    return resident_bytes() - before


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@of("product")
def test_product(benchmark, peer, case, quick, ours):
    benchmark(made(peer, case))
    if ours and THREADS > 1:
        speedup = peer.speedup(case)
        benchmark.extra_info["speedup"] = speedup
        benchmark.extra_info["promises"] = {
            f"{Product.SPEEDUP} times one thread ({speedup:.2f})": bool(speedup >= Product.SPEEDUP)
        }


@of("decay")
def test_decay(benchmark, peer, case, quick):
    first, later = made(peer, case)
    slowdown = later(case.steps // (100 if quick else 1)) / first
    benchmark.pedantic(later, (1,), rounds=1)
    benchmark.extra_info["promises"] = {
        f"{Decay.SLOWDOWN} of the first ({slowdown:.2f})": bool(slowdown <= Decay.SLOWDOWN)
    }


@of("memory")
def test_memory(benchmark, peer, case):
    """In a process of its own, after another one that compiles."""
    statements = (
        f"import {peer.__name__} as peer\nfrom bench.cases import CASES\nfrom bench.test_cases "
        "import peak_bytes\n"
        "case = next(c for c in CASES if c.name == "
        f"{case.name!r})\ncase.weights()\nprint(peak_bytes(peer.fit(case)))"
    )

    def run():
        return subprocess.run(
            [sys.executable, "-c", statements], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout

    run()
    benchmark.extra_info["value"] = float(benchmark.pedantic(run, rounds=1).split()[-1]) / 1e6


def peak_bytes(fresh):
    """How much more memory a model and its training take at most than what was resident before it
    was made."""
    before = resident_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is resident now
    fresh()()
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0]) - before


@of("process")
def test_process(benchmark, peer, case, quick, ours):
    program = peer.IMPORT if case.statement == "IMPORT" else getattr(peer, "PROGRAM", article(peer))
    # an installed package has its bytecode, a checkout need not
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}

    def run(statements):
        command = [sys.executable, "-c", statements]
        return subprocess.run(
            command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        ).stdout

    time_fresh(benchmark, lambda: partial(run, program), quick)
    if ours:
        imported = run(
            f"{program}\nimport sys\nprint(len({{'numba', 'llvmlite.binding'}} & set(sys.modules)))"
        ).split()[-1]
        benchmark.extra_info["promises"] = {"neither Numba nor LLVM imported": imported == "0"}


def article(peer):
    return f"from {peer.__name__} import fit\nfrom bench.cases import ARTICLE\nfit(ARTICLE)()()"
