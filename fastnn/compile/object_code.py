"""The object code of kernels: found in the cache, or compiled and kept there.

Neither Numba nor LLVM is imported for what is found.
"""

import hashlib
import re
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from fastnn.kernels.declare import Kernel

from .names import KERNELS, symbol
from .object_cache import ObjectCache
from .object_file import sections, undefined_symbols
from .target import one_thread, processor

# what of the compiler shows in the object code
COMPILER = ("frontend", "lowering", "resolve", "entry_point", "backend")
# LLVM turns loops that fill or copy into calls of these, whatever a kernel's author writes; who
# loads the code gives it their addresses.
MEMORY_FUNCTIONS = frozenset(["memset", "memmove", "memcpy"])

compiled: list[tuple[str, float]] = []  # (name, seconds) of every kernel compiled by this process
listeners: list[Callable[[str], object]] = []  # called with a kernel's name before it is compiled


@cache
@one_thread
def current_cache() -> ObjectCache:
    """The cache of this machine and these sources."""
    import importlib.util

    import llvmlite

    numba = importlib.util.find_spec("numba")  # found, not imported
    assert numba is not None
    assert numba.origin is not None
    files = [
        *sorted(KERNELS.rglob("*.py")),
        *[Path(__file__).with_name(f"{name}.py") for name in COMPILER],
        Path(numba.origin).with_name("_version.py"),
    ]
    digests = [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    cpu, features, target, _ = processor()
    return ObjectCache(
        "\n".join([*digests, llvmlite.__version__, cpu, features, str(target)]).encode()
    )


def object_code(kernel: Kernel, dtype: str, name: str) -> bytes:
    """The object code of a kernel for an element type, whose symbol is `name`."""
    code = current_cache().read(name)
    if code is None:
        with current_cache().lock(name):
            code = current_cache().read(name)  # another process may have been first
            if code is None:
                code = _compile(kernel, dtype, name)
                current_cache().write(name, code)
    return code


def count(name: str) -> None:
    """Count a kernel that had to be compiled, and tell the listeners: even if another process did
    it."""
    if name not in [known for known, _ in compiled]:
        _tell(name)
        compiled.append((name, 0.0))


def _tell(name):
    for listener in listeners:
        listener(name)


def _compile(kernel, dtype, name):
    from .backend import compile_kernel

    _tell(name)
    start = time.perf_counter()
    code = compile_kernel(kernel, dtype, name, processor())
    unknown = undefined_symbols(code) - MEMORY_FUNCTIONS
    if unknown:
        raise RuntimeError(
            f"kernel {kernel.name} for {dtype} needs {sorted(unknown)}: a kernel must not raise, "
            "allocate or call the C library. "
            "Use the functions of fastnn.kernels.scalar for exp, log and tanh, and no % on floats."
        )
    compiled.append((name, time.perf_counter() - start))
    return code


def vector_bits(kernel: Kernel, dtype: str) -> int | None:
    """How wide the vectors are that the kernel's object code works on, in bits, as the compiler
    noted in it: 0 where it has none; None where the object is not kept."""
    from .backend import VECTOR_NOTE

    code = current_cache().read(symbol(kernel, dtype))
    if code is None:
        return None
    comments = b"".join(part.data for part in sections(code) if part.name == ".comment")
    found = re.search(VECTOR_NOTE.encode() + rb"(\d+)", comments)
    return int(found[1]) if found else None
