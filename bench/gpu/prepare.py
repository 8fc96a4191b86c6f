"""Make ready what a machine with a GPU checks and times: PTX of the kernels, calls with the CPU's
results, steps of training as images of memory.

There nothing is compiled by Numba, and of fastnn only the driver is imported, which is copied here.
"""

import ast
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fastnn.compile.parallel import compile_in_parallel
from fastnn.devices import quota
from fastnn.devices.cuda import code

from . import images, timed
from .calls import Call, every_call, spread
from .launches import Forms
from .store import KERNELS, MANIFEST, Writer

ROOT = Path(__file__).resolve().parents[2]
# What `run` imports of fastnn; what these import at their top is copied too
DRIVER = ("fastnn.devices.cuda.device", "fastnn.compile.ptx_entry")


def prepare(
    folder: Path,
    architecture: str = "sm_90",
    is_wanted: Callable[[str], bool] = lambda op: True,
    steps: Sequence[images.Step] = images.STEPS,
) -> None:
    """Write all of it to a folder, which is made anew: of the ops whose names are wanted, and of
    these steps of training."""
    for old in (KERNELS, "fastnn", "bench"):
        shutil.rmtree(folder / old, ignore_errors=True)
    (folder / KERNELS).mkdir(parents=True)
    forms: Forms = {}
    writer = Writer(folder)
    calls, without_kernel = every_call(is_wanted)
    calls = spread(calls)
    manifest: dict[str, Any] = {
        "architecture": architecture,
        "without_kernel": sorted(without_kernel),
    }
    manifest["cases"] = [_case(call, writer) for call in calls]
    for call in calls:
        forms |= call.launches.forms
    manifest["speeds"] = {}
    for name, sizes in (("large", timed.LARGE), ("small", timed.SMALL)):
        found = list(timed.entries(sizes, writer, is_wanted))
        manifest["speeds"][name] = [entry for entry, _ in found]
        for _, own in found:
            forms |= own
    manifest["images"] = []
    for image, kernels in images.images(architecture, folder, writer, steps):
        manifest["images"].append(image)
        for name in kernels:
            (folder / KERNELS / f"{name}.ptx").write_bytes(images.ptx(name, architecture))
    writer.close()
    _compile(forms, architecture, folder)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    for module in _needed(DRIVER):
        _copy(module, folder)
    for source in (ROOT / "bench" / "__init__.py", *(ROOT / "bench" / "gpu").glob("*.py")):
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    size = sum([file.stat().st_size for file in folder.rglob("*") if file.is_file()])
    print(f"{len(forms)} kernels, {len(calls)} calls, {size / 1e6:.0f} MB in {folder}")


def _case(call: Call, writer: Writer) -> dict[str, Any]:
    """A call as `run` reads it. Its memories: those of inputs, outputs, then scratch."""
    inputs = [*call.inputs, *[None] * (call.op.arity - len(call.inputs))]
    values = [a for a in inputs if a is not None] + call.before
    expected = [None] * (len(values) - len(call.after)) + call.after
    memories = []
    for number, (shape, dtype, constant) in enumerate(call.launches.memories):
        own = values[number] if number < len(values) else constant
        after = expected[number] if number < len(expected) else None
        if after is not None and number not in call.launches.read:
            own = None  # all of it must be written
        memories.append(
            {
                "shape": shape,
                "dtype": dtype.str,
                "values": None if own is None else writer.add(own),
                "expected": None if after is None else writer.add(after),
            }
        )
    shapes = ", ".join([str(a.shape) for a in call.inputs if a is not None])
    dtype = next(a.dtype for a in (*call.inputs, *call.after) if a is not None)
    return {
        "title": f"{call.op.name} {dtype} {shapes}",
        "memories": memories,
        "launches": call.launches.made,
        "tolerance": call.tolerance,
    }


def _compile(forms: Forms, architecture: str, folder: Path) -> None:
    def load(kernel, dtype):
        return code.ptx(kernel, dtype, code.symbol(kernel, dtype), architecture)

    n = quota.allowed().number
    kept = code.kept(architecture)
    compile_in_parallel(list(forms.values()), load, code.HELPER.format(architecture), n, kept)
    for name, form in forms.items():
        (folder / KERNELS / f"{name}.ptx").write_bytes(load(*form))


# ---- the driver, without fastnn


def _needed(modules: tuple[str, ...]) -> set[str]:
    """These modules of fastnn, and what they import at their top."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imported(module)
    return found


def _file(module: str) -> Path:
    return ROOT / Path(*module.split(".")).with_suffix(".py")


def _imported(module: str) -> Iterator[str]:
    for node in ast.parse(_file(module).read_text()).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        package = module.split(".")[: -node.level] if node.level else []
        base = ".".join([*package, *([node.module] if node.module else [])])
        for name in (base, *[f"{base}.{alias.name}" for alias in node.names]):
            if name.startswith("fastnn.") and _file(name).is_file():
                yield name


def _copy(module: str, folder: Path) -> None:
    """A module, in packages that import nothing."""
    target = folder / _file(module).relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_file(module), target)
    for parent in target.relative_to(folder).parents:
        if parent.parts:
            (folder / parent / "__init__.py").touch()
