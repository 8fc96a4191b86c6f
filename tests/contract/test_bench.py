"""Every case of the benchmarks runs."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_case_runs_once():
    arguments = [
        "-m",
        "pytest",
        "bench",
        "--peer=ours",
        "--benchmark-disable",
        "-q",
        "-x",
        "-W",
        "ignore",
    ]
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
