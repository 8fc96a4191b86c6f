"""What a kernel's object code goes by. A kernel of the library is told by module, name and type,
since all of kernels/ is part of the cache's identity; a user's own also by a digest of its sources.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from fastnn.kernels.declare import (
    Helper,
    Intrinsic,
    Kernel,
    by_dtype,
    global_values,
    machine,
    sources,
)

KERNELS = Path(__file__).resolve().parents[1] / "kernels"
COMPILE_TIME = (int, float, str, bytes, tuple, np.ndarray, np.generic)


def symbol(kernel: Kernel, dtype: str) -> str:
    """The name of a kernel's object for an element type."""
    own = _own_sources(kernel.function, set())
    digest = hashlib.sha256(b"".join(sorted(own))).hexdigest()[:12] if own else ""
    parts = ["fastnn", kernel.module.replace(".", "_"), kernel.symbol, dtype, digest]
    return "_".join(filter(None, parts))


@cache
def _is_ours(file: str) -> bool:
    return Path(file).resolve().is_relative_to(KERNELS.resolve())


def _own_sources(function: Callable | None, seen: set) -> set[bytes]:
    """The sources, outside kernels/, of a function and the helpers it reaches: a user's own
    kernels. What those in kernels/ find in their modules lies there too; but a factory's kernel may
    hold a formula from elsewhere."""
    if function is None or function in seen:
        return set()
    seen.add(function)
    code, found = function.__code__, set()
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    values: dict[str, Any] = dict(zip(code.co_freevars, cells, strict=True))
    if not _is_ours(code.co_filename):
        values = {**global_values(function), **values}
        # Typed in at a prompt, a function has no file: its code stands for it.
        found.add(sources.get(function) or b"".join(_instructions(code)))
        found.add(_compile_time_values(values))
    declarations = list(values.values())
    for declared in declarations:
        if isinstance(declared, by_dtype):
            declarations.extend(declared.choices.values())
        elif isinstance(declared, Helper):
            found |= _own_sources(declared.function, seen)
        elif isinstance(declared, Intrinsic):
            for part in (declared.function, declared.lower, declared.lower_vectors):
                found |= _own_sources(part, seen)
        elif isinstance(declared, machine):
            found |= _own_sources(declared.rule, seen)
    return found


def _compile_time_values(values):
    """Numbers and arrays, which the compiler takes as they are now: a factory gives each of its
    kernels others."""
    found = {
        name: (v.dtype.str, v.shape, v.tobytes()) if isinstance(v, np.ndarray) else v
        for name, v in values.items()
        if isinstance(v, COMPILE_TIME)
    }
    return repr(sorted(found.items())).encode()


def _instructions(code: CodeType) -> Iterator[bytes]:
    """A function's code and that of those within it: of its constants, what they are, and no
    addresses."""
    yield code.co_code + repr((code.co_names, code.co_varnames)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
        else:
            yield repr(constant).encode()
