"""Object code on disk: nothing is loaded that is not what was written, and nobody waits for what
cannot be kept."""

import ast
import importlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fastnn
from fastnn.compile import object_code
from fastnn.compile.names import symbol
from fastnn.compile.object_cache import ObjectCache
from fastnn.devices.cpu import INTERPRETED
from fastnn.devices.cuda import code

pytestmark = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels have no object code")
PACKAGE = Path(fastnn.__file__).parent
PROGRAM = (
    "import warnings; warnings.simplefilter('always'); import fastnn; "
    "from fastnn.compile import object_code; "
    "print(fastnn.ops.negative(fastnn.tensor([1.0])).numpy()[0], len(object_code.compiled))"
)


def run(folder, root=PACKAGE.parent):
    environment = {
        **os.environ,
        "FASTNN_CACHE_DIR": str(folder),
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=root,
    )


@pytest.fixture
def cache(tmp_path):
    return ObjectCache(b"identity", tmp_path / "cache")


def test_what_was_written_is_read(cache):
    assert cache.read("kernel") is None
    cache.write("kernel", b"code")
    assert cache.read("kernel") == b"code"
    assert cache.contents() == (1, 32 + 4)
    assert not [p for p in cache.folder.iterdir() if p.suffix == ".aside"]


@pytest.mark.parametrize(
    "damage", ["truncated", "flipped", "empty", "of another identity", "renamed"]
)
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
        path.write_bytes(
            {"truncated": data[:-1], "flipped": data[:-1] + b"x", "empty": b""}[damage]
        )
    assert cache.read("kernel") is None


def test_the_folder_is_the_owners_alone(cache):
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_two_processes_compile_at_once_and_a_third_compiles_nothing(tmp_path):
    folder = tmp_path / "cache"
    with ThreadPoolExecutor(2) as both:
        results = list(both.map(run, [folder, folder]))
    assert [r.stdout.split()[0] for r in results] == ["-1.0", "-1.0"]
    assert run(folder).stdout.split() == ["-1.0", "0"]


def test_a_changed_helper_in_another_file_changes_what_runs(tmp_path):
    for name in ("fastnn", "kernels"):
        shutil.copytree(
            PACKAGE.parent / name,
            tmp_path / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    folder = tmp_path / "cache"
    assert run(folder, tmp_path).stdout.split()[0] == "-1.0"
    scalar = tmp_path / "kernels" / "scalar" / "arithmetic.py"
    text = scalar.read_text()
    changed = text.replace("def negative(x):\n", "def negative(x):\n    return x + x\n", 1)
    assert changed != text
    scalar.write_text(changed)
    assert run(folder, tmp_path).stdout.split()[0] == "2.0"


@pytest.mark.parametrize(
    ("part", "compiler"), [("backend", object_code.COMPILER), ("ptx", code.COMPILER)]
)
def test_all_of_the_compiler_is_part_of_the_identity(part, compiler):
    """What `compile_kernel` is made of; but not target.py: what it tells is a part itself."""
    found, todo = set(), {part}
    while todo:
        found |= todo
        names = {
            line.module or name.name
            for part in todo
            for line in ast.walk(ast.parse((PACKAGE / "compile" / f"{part}.py").read_text()))
            if isinstance(line, ast.ImportFrom) and line.level == 1
            for name in line.names
        }
        todo = names - found - {"target"}
    assert found == set(compiler)


def test_kernels_of_one_device_are_no_part_of_the_others_identity(tmp_path, monkeypatch):
    """Who mends a kernel of the GPU's need not compile the CPU's again."""
    monkeypatch.setattr(object_code, "KERNELS", tmp_path)
    files = [tmp_path / name for name in ("both.py", "cpu/loops.py", "cuda/loops.py")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("before")

    def identities():
        return [object_code.identity(other, ()) for other in ("cuda", "cpu")]

    for file, changes in zip(files, ([True, True], [True, False], [False, True]), strict=True):
        before = identities()
        file.write_text("after")
        assert [a != b for a, b in zip(before, identities(), strict=True)] == changes


def test_kernels_of_a_factory_are_told_apart():
    """A user's kernels have one name and one file, and differ in the numbers their closures
    hold."""
    import numpy as np

    from fastnn.emit import emit
    from fastnn.kernels.declare import T, helper, kernel

    def times(factor, table):
        @helper
        def multiplied(value):
            return value * T(factor) + T(table[0])

        @kernel(x="T[n]", y="out T[n]")
        def scaled(x, y):
            for i in range(x.size):
                y[i] = multiplied(x[i])

        return scaled

    x, y = fastnn.tensor([1.0, 2.0]), fastnn.tensor([0.0, 0.0])
    for factor, start in [(2.0, 0.0), (3.0, 0.0), (3.0, 1.0)]:
        emit("scaled", times(factor, np.array([start])), (x, y))
        assert y.numpy().tolist() == [factor + start, 2 * factor + start]


USERS = """
from fastnn.kernels.declare import T, helper, kernel

@helper
def changed(value):
    return value * T({factor})

@kernel(x="T[n]", y="out T[n]")
def users(x, y):
    for i in range(x.size):
        y[i] = changed(x[i])
"""


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_kernel_that_is_edited_while_the_process_runs_is_stored_under_the_source_it_was_made_of(
    tmp_path, monkeypatch, is_gone
):
    from fastnn.emit import emit

    def made():
        """What the module's file says now."""
        sys.modules.pop("users_kernels", None)
        importlib.invalidate_caches()
        return importlib.import_module("users_kernels").users

    def scaled(kernel):
        x, y = fastnn.tensor([1.0, 2.0]), fastnn.tensor([0.0, 0.0])
        emit("users", kernel, (x, y))
        return y.numpy().tolist()

    file = tmp_path / "users_kernels.py"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file.write_text(USERS.format(factor=2.0))
    first = made()
    if is_gone:
        file.unlink()
    else:
        file.write_text(USERS.format(factor=3.0))
    assert scaled(first) == [2, 4]
    file.write_text(USERS.format(factor=3.0))
    second = made()
    assert symbol(first, "f4") != symbol(second, "f4")
    assert scaled(second) == [3, 6]
    file.write_text(USERS.format(factor=2.0))
    assert symbol(made(), "f4") == symbol(first, "f4"), "it is found again"
