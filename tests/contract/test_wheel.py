"""The wheel holds every file, and works away from the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import importlib, pkgutil
import numpy as np
import fastnn
for module in pkgutil.walk_packages(fastnn.__path__, "fastnn."):
    if module.name not in ("fastnn.__main__", "fastnn.article"):
        importlib.import_module(module.name)
rng = np.random.default_rng(0)
x = rng.normal(size=(64, 4))
model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1)])
model.compile("sgd", "mse")
losses = model.fit(x, x.sum(axis=1, keepdims=True), epochs=20, verbose=0).history["loss"]
assert losses[-1] < losses[0] / 2, losses
print(fastnn.__file__)
"""


def test_the_wheel_holds_everything_and_trains_in_a_fresh_environment(tmp_path):
    source = tmp_path / "source"  # a copy: setuptools writes beside what it builds
    for folder in ("fastnn", "kernels"):
        shutil.copytree(ROOT / folder, source / folder, symlinks=True)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ["--no-deps", "--no-index"]
    wheels = ["wheel", "--no-build-isolation", *offline, "--wheel-dir", tmp_path, source]
    run([*pip, *wheels], tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    expected = {
        str(path.relative_to(source))
        for folder, _, names in os.walk(source / "fastnn", followlinks=True)
        for path in (Path(folder, name) for name in names)
        if path.suffix in (".py", ".pyi") or path.name in ("py.typed", "names.txt")
    }
    assert "fastnn/kernels/cpu/matmul.py" in expected
    assert expected == {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("fastnn/")}

    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    run([*pip, "--python", python, "install", *offline, wheel], tmp_path)
    # NumPy and Numba of the environment that runs the tests; its .pth files are not followed
    paths = {"base": str(environment), "platbase": str(environment)}
    installed = Path(sysconfig.get_path("purelib", vars=paths))
    (installed / "numba.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run([python, "-W", "error", "-c", PROGRAM], tmp_path).strip()
    assert Path(where) == installed / "fastnn" / "__init__.py"


def run(command, folder):
    """A command's output; its folder and environment know nothing of the checkout."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout
