"""Every example runs to its end on the data that travels with it."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = [path.stem for path in sorted(FOLDER.glob("*.py")) if path.stem != "common"]
KEYS = ["family", "metric", "value", "bar", "seconds", "steps_per_second", "threads"]


def run(name, folder, *arguments):
    command = [sys.executable, "-W", "error", FOLDER / f"{name}.py", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_few_steps_end_with_a_line_that_programs_read(name, quick):
    line, folder = quick(name)
    assert list(line) == KEYS
    assert line["family"] == name
    assert math.isfinite(line["value"])
    assert (folder / f"{name}.fastnn").stat().st_size


def test_data_that_is_not_there_is_told(tmp_path):
    command = [sys.executable, FOLDER / "gpt.py", "--data", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"--data: {tmp_path} has no input.txt" in done.stderr
