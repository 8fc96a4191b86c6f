"""Whole processes: how long they take to start and to train, and how much memory."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from .timing import ROOT, of, resident_bytes, time_fresh


@of("memory")
def test_memory(benchmark, peer, case):
    """In a process of its own, after another one that compiles."""
    program = (
        f"import {peer.__name__} as peer\n"
        "from bench.cases import CASES\n"
        "from bench.bench_process import peak_bytes\n"
        f"case = next(c for c in CASES if c.name == {case.name!r})\n"
        "case.weights()\n"
        "print(peak_bytes(peer.fit(case)))"
    )
    output_of(program)
    output = benchmark.pedantic(output_of, (program,), rounds=1)
    benchmark.extra_info["value"] = float(output.split()[-1]) / 1e6


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


def output_of(program):
    """What a Python process prints."""
    # an installed package has its bytecode, a checkout need not
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout
