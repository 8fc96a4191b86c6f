"""What is run once on a machine with a GPU (bench/gpu/) runs on the driver's double, needs no
fastnn there, and notices a kernel that is wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREPARE = """
import sys
from pathlib import Path
from bench.gpu import images
from bench.gpu.prepare import prepare
wanted = {"relu", "sparse_categorical_accuracy"}
prepare(Path(sys.argv[1]), "sm_80", wanted.__contains__, images.STEPS[:0])
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu") / "prepared"
    python("-c", PREPARE, folder, FASTNN_VECTOR_BITS="256")
    return folder


def python(*arguments, status=0, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def found(folder):
    """What the run has written down: lines by their first words."""
    rows = json.loads((folder / "results.json").read_text())
    return {row["what"]: row for row in rows}


def test_it_passes_on_the_double(prepared):
    said = python("-m", "bench.gpu", "run", prepared, "--double")
    rows = found(prepared)
    assert rows["calls that are wrong"]["found"] == "0"
    assert int(rows["results with the CPU's bits"]["found"]) > 20
    assert rows["relu, 660 elements: share of the copy"]["found"]
    table = said.rpartition("\n\n")[2]
    assert [line.split("  ")[0] for line in table.splitlines()] == [*rows]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_everything_passes_on_the_double(tmp_path):
    """Every op, and the steps of training that are small; the large ones are made ready."""
    python("-m", "bench.gpu", "prepare", tmp_path)
    python("-m", "bench.gpu", "run", tmp_path, "--double")
    rows = found(tmp_path)
    assert "ops without a kernel for the GPU" not in rows
    assert float(rows["small-16: farthest weight from the CPU's, 4 steps"]["found"]) < 1e-5


def test_it_needs_no_fastnn(prepared):
    """Only what was copied: the driver."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import bench.gpu.run, fastnn.devices.cuda.device\n"
        "print(sorted({'numba', 'llvmlite'} & {*sys.modules}), bench.__file__, fastnn.__file__)"
    )
    said = python("-c", program, prepared, PYTHONPATH="")
    assert said.split() == ["[]", *[str(prepared / p / "__init__.py") for p in ("bench", "fastnn")]]


def test_a_wrong_kernel_is_noticed(prepared, tmp_path):
    folder = tmp_path / "wrong"
    shutil.copytree(prepared, folder)
    (kernel,) = folder.glob("kernels/*_loops_relu_f4*.ptx")
    text = kernel.read_text()
    assert "setp.lt.ftz.f32" in text
    kernel.write_text(text.replace("setp.lt.ftz.f32", "setp.gt.ftz.f32"))
    python("-m", "bench.gpu", "run", folder, "--double", "--checks-only", status=1)
    wrong = [row for row in found(folder).values() if row["verdict"] == "WRONG"]
    assert any(row["what"].startswith("relu float32") for row in wrong)
    assert not any("float64" in row["what"] for row in wrong)


def test_a_driver_that_is_missing_is_said(prepared):
    command = [sys.executable, "-m", "bench.gpu", "run", str(prepared)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("device 'cuda'")
