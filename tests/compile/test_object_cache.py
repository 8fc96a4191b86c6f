"""Object code on disk: nothing is loaded that is not what was written, and nobody waits for what
cannot be kept."""

import ast
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fastnn
from fastnn.compile import names, object_code
from fastnn.compile.names import symbol
from fastnn.compile.object_cache import KEPT_VERSIONS, ObjectCache
from fastnn.devices.cpu import INTERPRETED, catalogue
from fastnn.devices.cuda import catalogue as cuda_catalogue
from fastnn.devices.cuda import code
from fastnn.kernels.cpu import loops
from fastnn.kernels.declare import Declaration, global_values
from fastnn.kernels.scalar import Formula, arithmetic

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


@pytest.fixture(scope="module")
def every_kernel():
    return [*catalogue.kernels(), *cuda_catalogue.kernels()]


def stems(kernels):
    return {f"{k.module}.{k.symbol}" for k in kernels}


@pytest.fixture
def edited(monkeypatch, every_kernel):
    """The kernels whose object code another text of a file in kernels/ would change."""
    cached = (names._reached, names._imported, names._digest_of_file)

    def edited(file):
        before, files = [symbol(k, "f4") for k in every_kernel], names._files()
        with monkeypatch.context() as patch:
            patch.setattr(names, "_files", lambda: {**files, file: files[file] + b"# edited"})
            for function in cached:
                function.cache_clear()
            after = [symbol(k, "f4") for k in every_kernel]
        for function in cached:
            function.cache_clear()
        return [k for k, a, b in zip(every_kernel, before, after, strict=True) if a != b]

    return edited


@pytest.mark.parametrize(
    ("file", "changed", "unchanged"),
    [
        ("cpu/softmax.py", "cpu.softmax", "cpu.replay"),
        ("cuda/softmax.py", "cuda.softmax", "cpu.softmax"),
        ("cpu/simd/transpose.py", "cpu.gemm", "cpu.replay"),  # which pack.py imports
        ("scalar/elementary.py", "cuda.random", "cuda.replay"),
        ("declare.py", "cpu.gemm", None),
        ("reference/linear.py", None, "cpu.gemm"),
    ],
)
def test_an_edit_makes_those_kernels_anew_that_can_see_it(
    file, changed, unchanged, edited, every_kernel
):
    found, modules = edited(file), {k.module for k in every_kernel}
    assert {changed, unchanged} <= {*modules, None}
    assert {k for k in every_kernel if k.module == changed} <= set(found)
    assert unchanged not in {k.module for k in found}


def test_the_formula_that_a_factory_is_given_counts(edited):
    """The loops import no formula: each kernel has one in its closure."""
    found = stems(edited("scalar/special.py"))
    assert {"cpu.loops.gelu", "cuda.loops.gelu"} < found
    assert not {"cpu.loops.negative", "cpu.loops.relu", "cuda.loops.relu"} & found


def test_every_edit_of_what_a_kernel_names_is_seen(every_kernel):
    """What each kernel and helper finds in its module and its closure stands in a file that is part
    of the digest: imports are looked for in the text, and one could be overlooked."""

    def files(function, seen):
        if function is None or function in seen:
            return
        seen.add(function)
        yield names._file(function.__code__.co_filename)[0]
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        for value in [*global_values(function).values(), *cells]:
            if not isinstance(value, Declaration):
                continue
            inner = [getattr(value, part, None) for part in ("function", "lower", "rule")]
            inner += getattr(value, "choices", {}).values()
            for part in inner:
                yield from files(getattr(part, "function", part), seen)

    for k in every_kernel:
        ours, own = set(), set()
        names._find_sources(k.function, set(), ours, own)
        needed = {file for file in files(k.function, set()) if file}
        assert {names._digest_of_file(file) for file in needed} <= ours, k


def test_every_import_within_the_kernels_is_found():
    for file, text in names._files().items():
        package = ".".join(["fastnn", "kernels", *file.split("/")[:-1]])
        for line in ast.walk(ast.parse(text)):
            if isinstance(line, ast.ImportFrom) and line.level:
                module = importlib.util.resolve_name(
                    "." * line.level + (line.module or ""), package
                )
                path = "/".join(module.split(".")[2:])
                inner = [f"{path}/{name.name}" for name in line.names]
                places = {
                    f"{place}{end}".lstrip("/")
                    for place in (path, *inner)
                    for end in (".py", "/__init__.py")
                }
                assert places & names._files().keys() <= names._imported(file), (file, line.lineno)
            else:
                assert "kernels" not in ast.unparse(line) or not isinstance(line, ast.Import)


def test_what_a_factory_is_told_is_part_of_the_name():
    told = [
        Formula(arithmetic.negative),
        Formula(arithmetic.negative, types=("b1",)),
        Formula(arithmetic.negative, results=("b1",)),
    ]
    assert len({symbol(loops.flat_kernel(formula), "f4") for formula in told}) == len(told)


def test_of_a_kernels_objects_the_newest_are_kept(cache):
    for number in range(KEPT_VERSIONS + 2):
        cache.write(f"kernel_{number:012x}", b"code")
        os.utime(cache.folder / f"kernel_{number:012x}.o", (number, number))
        for other in ("kernel", "another_kernel", "kernel_f4"):
            cache.write(f"{other}_{'a' * 12}", b"code")
    kept = [cache.has(f"kernel_{number:012x}") for number in range(KEPT_VERSIONS + 2)]
    assert kept == [False] * 3 + [True] * (KEPT_VERSIONS - 1)
    assert all(cache.has(f"{other}_{'a' * 12}") for other in ("another_kernel", "kernel_f4"))
    assert cache.contents() == (3, (KEPT_VERSIONS + 2) * (32 + 4))


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
