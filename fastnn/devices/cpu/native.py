"""Compiled kernels: found in the cache or compiled, loaded and called through ctypes, without Numba
or, on x86-64, LLVM.

`entry(kernel, dtype)` gives the address of a kernel's C function `(argument block, thread,
threads)`; `call_once(address, block)` calls one at once with denormal numbers flushed to zero;
`replay(...)` runs a tape's program (kernels/cpu/replay.py).
"""

import ctypes
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache, wraps
from itertools import takewhile
from pathlib import Path
from types import CodeType

import numpy as np

from fastnn.compile.object_cache import ObjectCache
from fastnn.kernels.cpu import replay as replay_kernels
from fastnn.kernels.declare import (
    Helper,
    Intrinsic,
    Kernel,
    Target,
    by_dtype,
    global_values,
    machine,
    sources,
)
from fastnn.locks import compiling

from . import elf, threads

PACKAGE = Path(__file__).resolve().parents[2]
KERNELS = PACKAGE / "kernels"
# LLVM turns loops that fill or copy into calls of these, whatever a kernel's author writes; the
# loader is given their addresses.
MEMORY_FUNCTIONS = {
    name: ctypes.cast(function, ctypes.c_void_p).value or 0
    for name, function in (
        ("memset", ctypes.memset),
        ("memmove", ctypes.memmove),
        ("memcpy", ctypes.memmove),
    )
}
WIDTH_VARIABLE, WIDTHS = "FASTNN_VECTOR_BITS", (128, 256, 512)
CPUINFO = Path("/proc/cpuinfo")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
# Processors that begin two multiply-adds of 512 bits in a cycle, by LLVM's names; an Intel server
# that LLVM does not know has AMX.
TWO_OF_512 = ("skylake-avx512", "cascadelake", "cooperlake", "icelake-server", "znver5")
# those with AVX2 whose units have 128 bits
ONE_OF_256 = ("znver1", "gracemont", "sierraforest", "grandridge")

FROZEN = (int, float, str, bytes, tuple, np.ndarray, np.generic)
compiled: list = []  # (name, seconds) of every kernel compiled by this process
listeners: list = []  # called with a kernel's name before it is compiled
_loaded: dict = {}  # symbol -> address


def _alone(function: Callable) -> Callable:
    """Called by one thread at a time: the process forks when what is imported for it is whole."""
    return wraps(function)(lambda: compiling.run(function))


@cache
@_alone
def processor():
    """(LLVM's name, LLVM's feature string, what kernels know of it) of this machine."""
    import llvmlite

    model = _model()
    known = (
        ObjectCache("\n".join(["a processor, line by line", llvmlite.__version__, *model]).encode())
        if model
        else None
    )
    found = known.read("processor") if known else None
    name, triple, *features = found.decode().splitlines() if found else _asked_of_llvm()
    if known and not found:
        known.write("processor", "\n".join([name, triple, *features]).encode())
    return of_width(name, triple, features, asked_bits() or widest_bits(features))


def widest_bits(features: Sequence[str]) -> int:
    """How wide the vectors of a processor of these features are."""
    return 512 if "+avx512f" in features else 256 if "+avx2" in features else 128


def asked_bits() -> int | None:
    """What FASTNN_VECTOR_BITS asks for; None if it is not set."""
    text = os.environ.get(WIDTH_VARIABLE, "").strip()
    if text in ("", *map(str, WIDTHS)):
        return int(text) if text else None
    raise ValueError(
        f"the environment variable {WIDTH_VARIABLE}: expected {', '.join(map(str, WIDTHS))}; got "
        f"{text!r}"
    )


def of_width(name: str, triple: str, features: Sequence[str], bits: int) -> tuple[str, str, Target]:
    """(name, features, target) for kernels whose vectors have so many bits, no more than the
    processor's own. Narrower ones use what a processor without wider vectors would have: no AVX-512
    and its registers, at 128 bits no AVX2; FMA where there is one."""
    features, widest = list(features), widest_bits(features)
    if bits > widest:
        raise ValueError(
            f"the environment variable {WIDTH_VARIABLE}: this processor's vectors have {widest} "
            f"bits at most; got {bits}"
        )
    is_arm = triple.startswith(("aarch64", "arm64"))
    if bits == 512:
        # LLVM takes half of a register on Intel's, since the first of them slowed their clock; exp
        # took 1.4 times as long.
        features.append("-prefer-256-bit")
        ports = 2 if name in TWO_OF_512 or "+amx-tile" in features else 1
        return name, ",".join(features), Target(64, 32, "x86_64", 512, ports, *_caches())
    # What is switched off takes with it what builds on it: each kind of AVX-512, or of AVX2.
    features += [f for f, width in (("-avx512f", 512), ("-avx2", 256)) if bits < width <= widest]
    if bits == 256:
        return (
            name,
            ",".join(features),
            Target(32, 16, "x86_64", 512, 1 if name in ONE_OF_256 else 2, *_caches()),
        )
    if "+avx" in features:  # whose vectors of floats have 256 bits, without AVX2 or with it
        features.append("+prefer-128-bit")
    return name, ",".join(features), Target(16, 32 if is_arm else 16, triple.partition("-")[0])


def _model():
    """The lines by which the system tells x86-64's processors apart, if it does: LLVM need not be
    asked twice about one."""
    try:
        with CPUINFO.open() as lines:
            first = [line.strip() for line in takewhile(str.strip, lines)]
    except OSError:
        return []
    found = [
        line
        for line in first
        if line.startswith(("vendor_id", "cpu family", "model", "stepping", "flags"))
    ]
    # an emulated one has the system's /proc/cpuinfo
    return [*found, os.uname().machine] if len(found) >= 5 else []


def _caches():
    """Bytes of the first cache for data and of the second, where the system tells them in whole kB;
    else the defaults."""
    found = []
    for folder, field in (("index0", "l1_bytes"), ("index2", "l2_bytes")):
        try:
            found.append(
                int((CACHES / folder / "size").read_text().strip().removesuffix("K")) << 10
            )
        except (OSError, ValueError):
            found.append(Target._field_defaults[field])
    return found


def _asked_of_llvm():
    from llvmlite import binding

    return [
        binding.get_host_cpu_name(),
        binding.get_process_triple(),
        *binding.get_host_cpu_features().flatten().split(","),
    ]


@cache
@_alone
def objects():
    """The cache of this machine and these sources."""
    import importlib.util

    import llvmlite

    numba = Path(importlib.util.find_spec("numba").origin).parent  # found, not imported
    sources = [
        *sorted(KERNELS.rglob("*.py")),
        PACKAGE / "compile" / "frontend.py",
        PACKAGE / "compile" / "resolve.py",
        numba / "_version.py",
    ]
    digests = [f"{s.name} {hashlib.sha256(s.read_bytes()).hexdigest()}" for s in sources]
    cpu, features, target = processor()
    return ObjectCache(
        "\n".join([*digests, llvmlite.__version__, cpu, features, str(target)]).encode()
    )


@cache
def _engine():
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    for symbol, address in MEMORY_FUNCTIONS.items():
        binding.add_symbol(symbol, address)
    machine = binding.Target.from_default_triple().create_target_machine()
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)


def entry(kernel: Kernel, dtype: str) -> int:
    """The address of a kernel's entry point for an element type ("f4", "f8", "i8")."""
    address = kernel.entries.get(dtype)
    if address is None:
        address = compiling.run(_entered, kernel, dtype)
    return address


def _entered(kernel, dtype):
    if dtype not in kernel.entries:
        kernel.entries[dtype] = _load(kernel, dtype)
    return kernel.entries[dtype]


def symbol(kernel, dtype):
    """The name of a kernel's object: module, name, type and, for one that uses code outside
    kernels/, a digest of that."""
    own = _own_sources(kernel.function, set())
    digest = hashlib.sha256(b"".join(sorted(own))).hexdigest()[:12] if own else ""
    return "_".join(
        filter(None, ["fastnn", kernel.module.replace(".", "_"), kernel.symbol, dtype, digest])
    )


@cache
def _is_ours(file):
    return Path(file).resolve().is_relative_to(KERNELS.resolve())


def _own_sources(function, seen):
    """The sources, outside kernels/, of a function and the helpers it reaches: a user's own
    kernels. What those in kernels/ find in their modules lies there too; but a factory's kernel may
    hold a formula from elsewhere."""
    if function is None or function in seen:
        return set()
    seen.add(function)
    code, found = function.__code__, set()
    values = dict(
        zip(code.co_freevars, [c.cell_contents for c in function.__closure__ or ()], strict=True)
    )
    if not _is_ours(code.co_filename):
        values = {**global_values(function), **values}
        # Typed in at a prompt, a function has no file: its code stands for it.
        found.add(sources.get(function) or b"".join(_instructions(code)))
        # Numbers and arrays the compiler takes as they are now: a factory gives each of its kernels
        # others.
        frozen = {n: v for n, v in values.items() if isinstance(v, FROZEN)}
        frozen |= {
            n: (v.dtype.str, v.shape, v.tobytes())
            for n, v in frozen.items()
            if isinstance(v, np.ndarray)
        }
        found.add(repr(sorted(frozen.items())).encode())
    declarations = list(values.values())
    for declaration in declarations:
        if isinstance(declaration, by_dtype):
            declarations.extend(declaration.choices.values())
        elif isinstance(declaration, Helper | Intrinsic):
            for part in (
                declaration.function,
                getattr(declaration, "lower", None),
                getattr(declaration, "lower_vectors", None),
            ):
                found |= _own_sources(part, seen)
        elif isinstance(declaration, machine):
            found |= _own_sources(declaration.rule, seen)
    return found


def _instructions(code):
    """A function's code and that of those within it: of its constants, what they are, and no
    addresses."""
    yield code.co_code + repr((code.co_names, code.co_varnames)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
        else:
            yield repr(constant).encode()


def is_ready(name: str) -> bool:
    """Whether the kernel's object is loaded, or at least there."""
    return name in _loaded or objects().has(name)


def note(name: str) -> None:
    """Count a kernel that had to be compiled, and tell the listeners: even if another process did
    it."""
    if name not in [known for known, _ in compiled]:
        _tell(name)
        compiled.append((name, 0.0))


def _tell(name):
    for listener in listeners:
        listener(name)


def _load(kernel, dtype):
    if dtype not in kernel.dtypes:
        raise TypeError(
            f"kernel {kernel.name} is compiled for {', '.join(kernel.dtypes)}; got {dtype}"
        )
    name = symbol(kernel, dtype)
    if name in _loaded:  # the same function under another declaration
        return _loaded[name]
    code = objects().read(name)
    if code is None:
        with objects().lock(name):
            code = objects().read(name)  # another process may have been first
            if code is None:
                code = _compile(kernel, dtype, name)
                objects().write(name, code)
    _loaded[name] = elf.load(code, name, MEMORY_FUNCTIONS) or _loaded_by_llvm(code, name)
    return _loaded[name]


def _loaded_by_llvm(code, name):
    from llvmlite import binding

    _engine().add_object_file(binding.ObjectFileRef.from_data(code))
    _engine().finalize_object()
    return _engine().get_function_address(name)


def _compile(kernel, dtype, name):
    from fastnn.compile.frontend import compile_kernel

    _tell(name)
    start = time.perf_counter()
    cpu, features, target = processor()
    code = compile_kernel(kernel, dtype, target, name, cpu, features)
    unknown = elf.undefined_symbols(code) - MEMORY_FUNCTIONS.keys()
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
    from fastnn.compile.frontend import VECTOR_NOTE

    code = objects().read(symbol(kernel, dtype))
    if code is None:
        return None
    comments = b"".join(part.data for part in elf.sections(code) if part.name == ".comment")
    found = re.search(VECTOR_NOTE.encode() + rb"(\d+)", comments)
    return int(found[1]) if found else None


# The two C functions that fastnn calls. ctypes releases the GIL for the time of the call.


@cache
def _call_once():
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p)(
        entry(replay_kernels.call_once, "f4")
    )


@cache
def _replay():
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(
        entry(replay_kernels.replay, "f4")
    )


class _Thread(threading.local):
    has_room = False  # for kernels, on its stack, as far as is known


_thread = _Thread()


def call_once(address: int, block: bytes) -> int:
    """Call the kernel at `address` once, as the only thread, and return its status."""
    return (
        _call_once()(0, address, block)
        if _thread.has_room
        else _with_room(_call_once(), 0, address, block)
    )


def replay(block: int, thread: int, n_threads: int) -> int:
    """Walk a program as one of its threads; `block` is the address of the walker's argument
    block."""
    return (
        _replay()(block, thread, n_threads)
        if _thread.has_room
        else _with_room(_replay(), block, thread, n_threads)
    )


def _with_room(function, *arguments):
    """Call a C function, on a thread of its own if this one was started with less stack than
    kernels need. That takes 0.1 ms."""
    _thread.has_room = threads.stack_bytes() >= threads.STACK
    if _thread.has_room:
        return function(*arguments)
    found, interrupt = [], None
    thread = threads.started(lambda: found.append(function(*arguments)))
    while thread.is_alive():  # whatever happens: it uses memory that is freed afterwards
        try:
            thread.join()
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt:
        raise interrupt
    return found[0]
