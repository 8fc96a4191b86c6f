"""Whole processes: how long they take to start and to train, and how much memory."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from .timing import ROOT, of, resident_bytes, time_fresh

pytestmark = pytest.mark.benchmark(timer=time.perf_counter)  # of other processes


@of("memory", "train_memory")
def test_memory(benchmark, peer, case):
    """In a process of its own, after another one that compiles."""
    of_a_fit = case.kind == "memory"
    program = (
        f"{given(peer, case, 'fit' if of_a_fit else 'train')}"
        "from bench.bench_process import peak_bytes\n"
        f"case.{'weights' if of_a_fit else 'data'}()\n"
        "print(peak_bytes(train(case)))"
    )
    output_of(program)
    output = benchmark.pedantic(output_of, (program,), rounds=1)
    benchmark.extra_info["value"] = float(output.split()[-1]) / 1e6


def given(peer, case, name):
    """The beginning of a program: a peer's function `name`, as `train`, and the case."""
    if not hasattr(peer, name):
        pytest.skip(f"{peer.__name__} has no {case}")
    return (
        f"from {peer.__name__} import {name} as train\n"
        "from bench.cases import CASES\n"
        f"case = next(c for c in CASES if c.name == {case.name!r})\n"
    )


def seconds_of_children():
    """Processor time of the processes that have ended, and of theirs."""
    return sum(os.times()[2:4])


@of("first_step")
@pytest.mark.benchmark(timer=seconds_of_children)
def test_first_step(benchmark, peer, case, tmp_path):
    program = f"{given(peer, case, 'train')}train(case)()"
    benchmark.pedantic(output_of, (program,), {"FASTNN_CACHE_DIR": str(tmp_path)}, rounds=1)
    benchmark.extra_info["units"] = 1


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
    time_fresh(benchmark, lambda: partial(output_of, program), quick)
    if ours:
        compilers = "{'numba', 'llvmlite.binding'}"
        imported = output_of(f"{program}\nimport sys\nprint(len({compilers} & set(sys.modules)))")
        benchmark.extra_info["promises"] = {
            "neither Numba nor LLVM imported": imported.split()[-1] == "0"
        }


def article(peer):
    return f"from {peer.__name__} import fit\nfrom bench.cases import ARTICLE\nfit(ARTICLE)()()"


def output_of(program, **environment):
    """What a Python process prints."""
    # an installed package has its bytecode, a checkout need not
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment}
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout
