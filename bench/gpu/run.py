"""One run on a machine with a GPU: is every kernel right there, is a training step, and how near
are they to what the GPU can do. The table comes last, and lies in results.json too."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fastnn.errors import CudaError

from . import checks, speeds, steps
from .gpu import Gpu
from .store import Prepared
from .table import Table

ROOT = Path(__file__).resolve().parents[2]
SHIFTS = (0, 1)  # elements after a multiple of 256 bytes
MAX_SHOWN = 20  # results that are wrong
DOUBLE_BYTES = 1 << 24
TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")
TOOL_SECONDS = 90
COMPILE_BEFORE_SECONDS = 110  # later there is no time for torch.compile's half a minute


def run(folder: Path, double: bool, sanitize: bool, checks_only: bool) -> int:
    """All of it; returns the exit status, 1 if something is wrong."""
    prepared, table, start = Prepared(folder), Table(), time.perf_counter()
    if double:
        use_double(prepared.manifest["architecture"])
    try:
        gpu = Gpu(prepared)
    except CudaError as error:
        sys.exit(str(error))
    try:
        introduce(gpu, table)
        check_kernels(gpu, table)
        trained = steps.check(gpu, table, double or checks_only)
        if not checks_only:
            best = speeds.ceilings(gpu, table, double)
            speeds.time_kernels(gpu, table, best, double)
            for step in trained:
                may_compile = time.perf_counter() - start < COMPILE_BEFORE_SECONDS
                steps.time_step(table, step, best, double, may_compile)
    except CudaError as error:  # nothing works after it
        table.add("ended by an error", "", str(error), is_wrong=True)
    if sanitize:
        sanitized(folder, table)
    table.add("seconds in all", f"{time.perf_counter() - start:.0f}")
    print(f"\n{table.text()}")
    (folder / "results.json").write_text(json.dumps(table.rows, indent=1))
    return 1 if table.wrong else 0


def introduce(gpu: Gpu, table: Table) -> None:
    """Which GPU it is."""
    capability, architecture = gpu.device.capability, gpu.prepared.manifest["architecture"]
    table.add(
        "GPU",
        gpu.device.name,
        "compute capability {}.{}, driver for CUDA {}.{}".format(
            *capability, *gpu.device.driver.version
        ),
    )
    if "sm_{}{}".format(*capability) < architecture:
        sys.exit(f"this GPU is older than {architecture}: prepare DIR --architecture sm_80")


def use_double(architecture: str) -> None:
    """In the driver's place put the tests', which runs PTX on the CPU."""
    from fastnn.devices.cuda.device import use

    sys.path.append(str(ROOT))
    from tests.cuda.double import Double

    number = int(architecture.removeprefix("sm_"))
    use(Double(DOUBLE_BYTES, capability=divmod(number, 10), checks=False))


def check_kernels(gpu: Gpu, table: Table) -> None:
    cases: list[dict[str, Any]] = gpu.prepared.manifest["cases"]
    start = time.perf_counter()
    if missing := gpu.prepared.manifest["without_kernel"]:
        table.add("ops without a kernel for the GPU", len(missing), ", ".join(missing)[:100])
    names = gpu.prepared.kernels()
    gpu.compile(names)
    table.add("kernels compiled by the driver", len(names), f"{time.perf_counter() - start:.1f} s")
    start, results, alike, wrong, shown = time.perf_counter(), 0, 0, 0, 0
    for case in cases:
        for shift in SHIFTS:
            try:
                found = checks.check(gpu, case, shift)
            except CudaError:
                table.add(case["title"][:60], "", f"shift {shift}: it ends the run", is_wrong=True)
                raise
            results, alike = results + found.results, alike + found.alike
            wrong += bool(found.wrong)
            if found.wrong and shown < MAX_SHOWN:
                shown += 1
                table.add(case["title"][:60], "", f"shift {shift}: {found.wrong}", is_wrong=True)
    seconds = f"{time.perf_counter() - start:.1f} s"
    table.add("calls checked, each aligned and one element off", 2 * len(cases), seconds)
    table.add("results with the CPU's bits", alike, f"of {results}")
    table.add("calls that are wrong", wrong, is_wrong=wrong > 0)


def sanitized(folder: Path, table: Table) -> None:
    """The checks again, under each of compute-sanitizer's tools."""
    program = [sys.executable, "-m", "bench.gpu", "run", str(folder.resolve()), "--checks-only"]
    for tool in TOOLS:
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *program]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TOOL_SECONDS, cwd=folder
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            table.add(f"compute-sanitizer {tool}", "not run", str(error)[:60])
            continue
        (said, *_) = done.stdout.strip().splitlines()[-1:] or [""]
        bad = done.returncode != 0
        table.add(f"compute-sanitizer {tool}", "trouble" if bad else "clean", said[:60], bad)
