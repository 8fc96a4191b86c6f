"""Times one peer on every case: `python -m pytest bench --peer=torch -W ignore`. `python -m bench` runs this for each peer."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bench.cases import CASES, Predict, Record

ROOT = Path(__file__).resolve().parent.parent
SECONDS, SECONDS_IF_QUICK = 5.0, 0.5  # for the rounds of a case
FEWEST, FEWEST_IF_QUICK, MOST = 3, 1, 100
STEPS_COMPARED = 10


def of(*kinds):
    return pytest.mark.parametrize("case", [c for c in CASES if c.kind in kinds], ids=str)


def made(peer, case):
    """What the peer makes of a case."""
    make = getattr(peer, case.kind, None)
    if make is None or (case.kind == "op" and case.op not in getattr(peer, "OPS", [case.op])):
        pytest.skip(f"{peer.__name__} has no {case}")
    return make(case)


def time_fresh(benchmark, fresh, quick):
    """Time `fresh()()`, but not making it fresh, as often as there is time for; what came first compiles and is not counted."""
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
        from bench.floor import seconds_of_case

        benchmark.extra_info["floor"] = seconds_of_case(case)


@of("fit")
def test_fit(benchmark, peer, case, quick):
    time_fresh(benchmark, made(peer, case), quick)
    # For `report` to compare: steps on all rows at once, which know no order, so that all peers come to one loss.
    benchmark.extra_info["loss"] = float(made(peer, replace(case, batch=case.rows, epochs=STEPS_COMPARED))()())


@of("record")
def test_record(benchmark, peer, case, quick):
    instructions = time_fresh(benchmark, made(peer, case), quick)
    benchmark.extra_info["instructions"] = instructions
    benchmark.extra_info["seconds"] = Record.SECONDS + Record.SECONDS_OF_INSTRUCTION * instructions


@of("predict", "op", "update")
def test_call(benchmark, peer, case, quick, ours):
    call = made(peer, case)
    benchmark(call)
    if isinstance(case, Predict) and ours:
        calls = Predict.CALLS // (100 if quick else 1)
        benchmark.extra_info["promises"] = {f"no growth in memory over {calls:,} calls": growth(call, calls) < calls}


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


@of("process")
def test_process(benchmark, peer, case, quick, ours):
    program = peer.IMPORT if case.statement == "IMPORT" else getattr(peer, "PROGRAM", article(peer))
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # an installed package has its bytecode, a checkout need not

    def run(statements):
        command = [sys.executable, "-c", statements]
        return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout

    time_fresh(benchmark, lambda: partial(run, program), quick)
    if ours:
        imported = run(f"{program}\nimport sys\nprint('numba' in sys.modules)").split()[-1]
        benchmark.extra_info["promises"] = {"Numba not imported": imported == "False"}


def article(peer):
    return f"from {peer.__name__} import fit\nfrom bench.cases import ARTICLE\nfit(ARTICLE)()()"
