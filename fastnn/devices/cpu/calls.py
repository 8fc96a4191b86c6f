"""Calls of compiled kernels through ctypes, which releases the GIL for their time.

A kernel's entry point is a C function `(argument block, thread, n_threads)` at an address.
kernels/cpu/replay.py has the two that are called from Python: one calls a single kernel, one
replays a program.
"""

import ctypes
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from fastnn.kernels.cpu import replay as replay_kernels
from fastnn.kernels.declare import Kernel
from fastnn.locks import compiling

from . import threads
from .loader import load

# what the processes run that help to compile
HELPER = "import sys; from fastnn.devices.cpu.catalogue import compile_named as c; c(sys.argv[1:])"


def entry(kernel: Kernel, dtype: str) -> int:
    """The address of a kernel's entry point for an element type ("f4", "f8", "i8")."""
    address = kernel.entries.get(dtype)
    return compiling.run(_entry, kernel, dtype) if address is None else address


def _entry(kernel, dtype):
    if dtype not in kernel.entries:
        kernel.entries[dtype] = load(kernel, dtype)
    return kernel.entries[dtype]


def entries(forms: Sequence[tuple[Kernel, str]]) -> list[int]:
    """The same of several kernels. Those that are new here are compiled side by side, and the
    replay loop with them."""
    missing = dict.fromkeys(
        [(k, d) for k, d in [*forms, (replay_kernels.replay, "f4")] if d not in k.entries]
    )
    if len(missing) > 1:
        from fastnn.compile.object_code import current_cache
        from fastnn.compile.parallel import compile_in_parallel

        n_processes = threads.allowed().number
        compile_in_parallel(list(missing), entry, HELPER, n_processes, current_cache())
    return [entry(kernel, dtype) for kernel, dtype in forms]


@cache
def _call_once() -> Callable[[int, int, bytes], int]:
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p)
    return kind(entry(replay_kernels.call_once, "f4"))


@cache
def _replay() -> Callable[[int, int, int], int]:
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    return kind(entry(replay_kernels.replay, "f4"))


class _Thread(threading.local):
    has_room = False  # for kernels, on its stack, as far as is known


_thread = _Thread()


def call_once(address: int, block: bytes) -> int:
    """Call the kernel at `address` once, as the only thread, with denormal numbers flushed to zero,
    and return its status."""
    if _thread.has_room:
        return _call_once()(0, address, block)
    return _with_room(_call_once(), 0, address, block)


def replay(block: int, thread: int, n_threads: int) -> int:
    """Replay a program as one of its threads; `block` is the address of the replay loop's argument
    block."""
    if _thread.has_room:
        return _replay()(block, thread, n_threads)
    return _with_room(_replay(), block, thread, n_threads)


def _with_room(function: Callable[..., int], *arguments: Any) -> int:
    """Call a C function, on a thread of its own if this one was started with less stack than
    kernels need. That takes 0.1 ms."""
    _thread.has_room = threads.stack_bytes() >= threads.STACK_BYTES
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
