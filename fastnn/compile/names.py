"""What a kernel's object code goes by: its module, name and type, and a digest of what it is made
of. An edit in kernels/ changes the names of those kernels only that can see it.
"""

import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from fastnn.kernels.declare import (
    HERE,
    Helper,
    Intrinsic,
    Kernel,
    by_dtype,
    global_values,
    machine,
    sources,
)

COMPILE_TIME = (int, float, str, bytes, np.ndarray, np.generic)
# `from ..places import around`, `from .. import (a, b)`, wherever they stand
IMPORT = re.compile(r"from (\.+)([\w.]*) import ([^(\n]+|\([^)]*\))")


def symbol(kernel: Kernel, dtype: str) -> str:
    """The name of a kernel's object for an element type. Last in it stands the digest of what it is
    made of in kernels/, before that, of a user's kernel or formula, that of the sources
    elsewhere."""
    ours, own = {_declaration(kernel), *_reached("declare.py")}, set[bytes]()
    _find_sources(kernel.function, set(), ours, own)
    parts = ["fastnn", kernel.module.replace(".", "_"), kernel.symbol, dtype]
    return "_".join([*parts, *[_digest(found) for found in (own, ours) if found]])


def sha256(data: bytes) -> Any:
    """hashlib's, which loads OpenSSL, in 3 ms: no program needs it before it calls a kernel."""
    from hashlib import sha256

    return sha256(data)


def _digest(found):
    return sha256(b"\0".join(sorted(found))).hexdigest()[:12]


def _declaration(kernel):
    """What the entry point is made of: a factory may be told it from anywhere."""
    arguments = [(p.dtype, p.letters and len(p.letters)) for p in kernel.parameters]
    launch = kernel.threads, kernel.batched, kernel.resident_blocks
    return repr((arguments, kernel.split, kernel.range_names, launch)).encode()


def _find_sources(
    function: Callable | None, seen: set[Callable], ours: set[bytes], own: set[bytes]
) -> None:
    """Add what a function and the helpers it reaches are made of: in kernels/ to `ours`, a user's
    to `own`. What those in kernels/ find in their modules is among what these import; but a
    factory's closure holds what it was given."""
    if function is None or function in seen:
        return
    seen.add(function)
    code = function.__code__
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    values: dict[str, Any] = dict(zip(code.co_freevars, cells, strict=True))
    file, is_text = _file(code.co_filename)
    if file:
        ours |= _reached(file)
        ours.add(_compile_time_values(values))
        if is_text:
            ours.update(_instructions(code))
    else:
        values = {**global_values(function), **values}
        # Typed in at a prompt, a function has no file: its code stands for it.
        own.add(sources.get(function) or b"".join(_instructions(code)))
        own.add(_compile_time_values(values))
    declarations = list(values.values())
    for declared in declarations:
        if isinstance(declared, by_dtype):
            declarations.extend(declared.choices.values())
        elif isinstance(declared, Helper):
            _find_sources(declared.function, seen, ours, own)
        elif isinstance(declared, Intrinsic):
            for part in (declared.function, declared.lower, declared.lower_vectors):
                _find_sources(part, seen, ours, own)
        elif isinstance(declared, machine):
            _find_sources(declared.rule, seen, ours, own)
        elif file and isinstance(declared, FunctionType):
            _find_sources(declared, seen, ours, own)


@cache
def _file(name: str) -> tuple[str, bool]:
    """Where in kernels/ a function's code stands, or "" if elsewhere; and whether a file there
    wrote it down (formula_loops.py), which adds the function's name to its own."""
    if not name.startswith(HERE):
        return "", False
    path, written, _ = name[len(HERE) :].replace(os.sep, "/").partition(".py:")
    return (path + ".py" if written else path), bool(written)


@cache
def _files() -> dict[str, bytes]:
    """The files of kernels/. All are read when the first is needed: edited while the process runs,
    they would not be what it has imported."""
    found = {}
    for folder, _, names in os.walk(HERE):
        inside = folder[len(HERE) :].replace(os.sep, "/")
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    found[f"{inside}/{name}".lstrip("/")] = file.read()
    return found


@cache
def _reached(file: str) -> frozenset[bytes]:
    """A file of kernels/ and those that it imports, and so on: the digest of each."""
    found, todo = set[str](), {file}
    while todo:
        found |= todo
        todo = set[str]().union(*map(_imported, todo)) - found
    return frozenset(map(_digest_of_file, found))


@cache
def _imported(file: str) -> set[str]:
    """The files that a file of kernels/ imports from. Its text is searched, not parsed, which takes
    a tenth of the time."""
    found, files = set[str](), _files()
    for dots, path, names in IMPORT.findall(files[file].decode()):
        module = "/".join([*file.split("/")[: -len(dots)], *filter(None, path.split("."))])
        places = [module]
        if f"{module}.py" not in files:  # a package, of which modules may be imported
            places += [f"{module}/{name}" for name in re.findall(r"\w+", names)]
        ends = [f"{place}{end}".lstrip("/") for place in places for end in (".py", "/__init__.py")]
        found.update(end for end in ends if end in files)
    return found


@cache
def _digest_of_file(file: str) -> bytes:
    return file.encode() + sha256(_files()[file]).digest()


def _compile_time_values(values):
    """Numbers and arrays, which the compiler takes as they are now: a factory gives each of its
    kernels others."""
    found = {
        name: (v.dtype.str, v.shape, v.tobytes()) if isinstance(v, np.ndarray) else v
        for name, v in values.items()
        if _is_compile_time(v)
    }
    return repr(sorted(found.items())).encode()


def _is_compile_time(value):
    if isinstance(value, tuple):
        return all(map(_is_compile_time, value))
    return isinstance(value, COMPILE_TIME)


def _instructions(code: CodeType) -> Iterator[bytes]:
    """A function's code and that of those within it: of its constants, what they are, and no
    addresses."""
    yield code.co_code + repr((code.co_names, code.co_varnames)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
        else:
            yield repr(constant).encode()
