"""Imports point one way, and Numba is imported to compile and for nothing else."""

import ast
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each may import those before it, and itself.
ORDER = [
    "kernels", "errors", "dtypes", "checks", "tree", "declared", "registry", "when_used", "locks",
    "frames", "ops", "buffer", "tape", "compile", "devices", "emit", "watch", "config", "convert",
    "operators", "tensor", "variable", "symbolic", "apply", "arguments", "indexing", "autograd",
    "gradcheck", "scalar_text", "own_ops", "foreign_random", "recording", "random", "profiling",
    "utils", "initializers", "regularizers", "constraints", "activations", "layers", "targets",
    "losses", "metrics", "optimizers", "callbacks", "files", "weights", "preprocessing", "training",
    "models", "saving", "sklearn", "applications", "keras", "article", "demo", "__main__",
]  # fmt: skip
# Imports within functions, or for type checkers, of what comes later.
LAZY = {
    ("buffer", "devices"),  # a copy of a buffer takes memory of the device
    ("tape", "watch"),  # a type
    ("registry", "applications"),  # a model of a configuration
    ("ops", "config"),  # what makes a tensor of nothing asks for the process's element type
    ("ops", "tensor"),
    ("tensor", "autograd"),  # methods of a tensor are made of what is built on tensors
    ("operators", "indexing"),
    ("models", "saving"),  # model.save
    ("callbacks", "saving"),  # that writes checkpoints
    ("symbolic", "indexing"),
    ("utils", "models"),
    ("models", "saving"),  # keras.models.load_model
}
SOURCES = [
    p
    for name in ORDER
    for p in [ROOT / "fastnn" / f"{name}.py", *(ROOT / "fastnn" / name).rglob("*.py")]
    if p.is_file()
]


def part_of(path):
    """The part of the library that a file belongs to."""
    return path.relative_to(ROOT / "fastnn").parts[0].removesuffix(".py")


def imported(path, everywhere=True):
    """Names of modules a file imports, in full; with everywhere=False, only those at its top."""
    package = ["fastnn", *path.relative_to(ROOT / "fastnn").parts[:-1]]
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (
                (f"{module}.{a.name}" for a in node.names)
                if module in ("fastnn", "fastnn.kernels")
                else [module]
            )


def test_every_part_has_a_place():
    parts = {part_of(p) for p in (ROOT / "fastnn").glob("**/*.py")} - {"__init__"}
    assert parts <= set(ORDER)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    own, at_top = part_of(path), set(imported(path, everywhere=False))
    before = ORDER[: ORDER.index(own) + 1]
    for name in imported(path):
        if name.startswith("fastnn.") and name.split(".")[1] not in before:
            is_lazy = name not in at_top and (own, name.split(".")[1]) in LAZY
            assert is_lazy, f"imports {name}, which comes after it"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_devices_cpu_knows_kernels_of_the_cpu(path):
    if not path.is_relative_to(ROOT / "fastnn" / "devices" / "cpu"):
        found = [n for n in imported(path) if n.startswith("fastnn.kernels.cpu")]
        assert not found or part_of(path) == "kernels", f"imports {found}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "kernels").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_kernels_import_neither_fastnn_nor_numba(path):
    top = [
        line
        for line in ast.parse(path.read_text()).body
        if isinstance(line, ast.Import | ast.ImportFrom)
    ]
    names = [a.name for n in top if isinstance(n, ast.Import) for a in n.names]
    names += [n.module or "" for n in top if isinstance(n, ast.ImportFrom) and not n.level]
    assert not [n for n in names if n.split(".")[0] in ("fastnn", "numba", "llvmlite")]


def test_neither_imports_nor_a_run_with_a_warm_cache_import_numba_or_llvm():
    program = (
        "import sys, fastnn, pkgutil, importlib\n"
        "import fastnn.kernels.cpu as cpu\n"
        "[importlib.import_module(f'fastnn.kernels.cpu.{m.name}') for m in "
        "pkgutil.iter_modules(cpu.__path__)]\n"
        "compilers = {'numba', 'llvmlite.binding'}\n"
        "assert not compilers & set(sys.modules), 'importing'\n"
        "(fastnn.tensor([1.0]) + 1.0).numpy()\n"
        "print(sorted(compilers & set(sys.modules)))"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    expected = [] if platform.machine() in ("x86_64", "AMD64") else ["llvmlite.binding"]
    assert second.stdout.strip() == str(expected), (
        f"imported though the cache was warm ({first.stdout.strip()} at first)"
    )
