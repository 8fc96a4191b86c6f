"""Object code on disk: nothing is loaded that is not what was written, and nobody waits for what cannot be kept."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fastnn
from fastnn.device import INTERPRETED
from fastnn.device.cache import ObjectCache

pytestmark = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels have no object code")
PACKAGE = Path(fastnn.__file__).parent
PROGRAM = (
    "import warnings; warnings.simplefilter('always'); import fastnn; from fastnn.device import backend;"
    "print(fastnn.ops.negative(fastnn.tensor([1.0])).numpy()[0], len(backend.compiled))"
)


def run(folder, root=PACKAGE.parent):
    environment = {**os.environ, "FASTNN_CACHE_DIR": str(folder), "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment, cwd=root)


@pytest.fixture
def cache(tmp_path):
    return ObjectCache(b"identity", tmp_path / "cache")


def test_what_was_written_is_read(cache):
    assert cache.read("kernel") is None
    cache.write("kernel", b"code")
    assert cache.read("kernel") == b"code"
    assert cache.contents() == (1, 32 + 4)
    assert not [p for p in cache.folder.iterdir() if p.suffix == ".aside"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "of another identity", "renamed"])
def test_a_file_that_is_not_what_was_written_is_not_read(cache, damage):
    cache.write("kernel", b"code")
    path = cache.folder / "kernel.o"
    data = path.read_bytes()
    if damage == "of another identity":
        other = ObjectCache(b"another", cache.base)
        other.write("kernel", b"code")
        shutil.copy(other.folder / "kernel.o", path)
    elif damage == "renamed":
        path.rename(cache.folder / "other.o")
        assert cache.read("other") is None
        return
    else:
        path.write_bytes({"truncated": data[:-1], "flipped": data[:-1] + b"x", "empty": b""}[damage])
    assert cache.read("kernel") is None


def test_a_folder_others_may_write_to_is_not_used(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="can be written by other users.*FASTNN_CACHE_DIR"):
        cache = ObjectCache(b"identity", folder)
    cache.write("kernel", b"code")
    assert cache.read("kernel") is None


def test_the_folder_is_the_owners_alone(cache):
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_where_nothing_can_be_kept_it_says_so_once_and_works(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    done = run(tmp_path / "file" / "cache")
    assert done.stdout.split()[0] == "-1.0"
    assert done.stderr.count("fastnn keeps no compiled kernels") == 1


def test_two_processes_compile_at_once_and_a_third_compiles_nothing(tmp_path):
    folder = tmp_path / "cache"
    with ThreadPoolExecutor(2) as both:
        results = list(both.map(run, [folder, folder]))
    assert [r.stdout.split()[0] for r in results] == ["-1.0", "-1.0"]
    assert run(folder).stdout.split() == ["-1.0", "0"]


def test_a_changed_helper_in_another_file_changes_what_runs(tmp_path):
    for name in ("fastnn", "kernels"):
        shutil.copytree(PACKAGE.parent / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "cache"
    assert run(folder, tmp_path).stdout.split()[0] == "-1.0"
    scalar = tmp_path / "kernels" / "scalar.py"
    text = scalar.read_text()
    changed = text.replace("def negative(x):\n", "def negative(x):\n    return x + x\n", 1)
    assert changed != text
    scalar.write_text(changed)
    assert run(folder, tmp_path).stdout.split()[0] == "2.0"


def test_kernels_of_a_factory_are_told_apart():
    """A user's kernels have one name and one file, and differ in the numbers their closures hold."""
    import numpy as np

    from fastnn.kernels.marks import T, helper, kernel
    from fastnn.tape.record import emit

    def times(factor, table):
        @helper
        def multiplied(value):
            return value * T(factor) + T(table[0])

        @kernel(x="T[n]", y="out T[n]")
        def scaled(x, y, lane, lanes):
            for i in range(x.size):
                y[i] = multiplied(x[i])

        return scaled

    x, y = fastnn.tensor([1.0, 2.0]), fastnn.tensor([0.0, 0.0])
    for factor, start in [(2.0, 0.0), (3.0, 0.0), (3.0, 1.0)]:
        emit("scaled", times(factor, np.array([start])), (x, y))
        assert y.numpy().tolist() == [factor + start, 2 * factor + start]
