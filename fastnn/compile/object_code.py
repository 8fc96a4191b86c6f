"""The object code of kernels: found in the cache, or compiled and kept there.

Neither Numba nor LLVM is imported for what is found.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from fastnn.kernels.declare import Kernel

from .names import sha256, symbol
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
    """The cache of this machine and this compiler."""
    cpu, features, target, _ = processor()
    return ObjectCache(identity(COMPILER, cpu, features, str(target)))


def identity(compiler: Sequence[str], *machine: str) -> bytes:
    """What all object code for a machine depends on: the compiler, of which these parts show in it.
    What one kernel is made of stands in its name."""
    import importlib.util

    import llvmlite

    numba = importlib.util.find_spec("numba")  # found, not imported
    assert numba is not None
    assert numba.origin is not None
    files = [
        *[Path(__file__).with_name(f"{name}.py") for name in compiler],
        Path(numba.origin).with_name("_version.py"),
    ]
    digests = [f"{file.name} {sha256(file.read_bytes()).hexdigest()}" for file in files]
    return "\n".join([*digests, llvmlite.__version__, *machine]).encode()


def object_code(kernel: Kernel, dtype: str, name: str) -> bytes:
    """The object code of a kernel for an element type, whose symbol is `name`."""
    return current_cache().get(name, lambda: _compile(kernel, dtype, name))


def count(name: str) -> None:
    """Count a kernel that had to be compiled, and tell the listeners: even if another process did
    it."""
    if name not in [known for known, _ in compiled]:
        _tell(name)
        compiled.append((name, 0.0))


def _tell(name):
    for listener in listeners:
        listener(name)


@contextmanager
def counted(name: str) -> Iterator[None]:
    """Within it a kernel is compiled: the listeners are told, and it is counted."""
    _tell(name)
    start = time.perf_counter()
    yield
    compiled.append((name, time.perf_counter() - start))


def _compile(kernel, dtype, name):
    from .backend import compile_kernel

    with counted(name):
        code = compile_kernel(kernel, dtype, name, processor())
        unknown = undefined_symbols(code) - MEMORY_FUNCTIONS
        if unknown:
            raise RuntimeError(
                f"kernel {kernel.name} for {dtype} needs {sorted(unknown)}: a kernel must not "
                "raise, allocate or call the C library. Use the functions of "
                "fastnn.kernels.scalar for exp, log and tanh, and no % on floats."
            )
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
