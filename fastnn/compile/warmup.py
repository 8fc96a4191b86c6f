"""Compiling ahead: every kernel that can be asked for, on all cores."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

from fastnn.devices.cpu import native, threads
from fastnn.devices.cpu.device import kernels
from fastnn.kernels.declare import Kernel


def warmup() -> None:
    """Compile what is missing in the cache, and print how far it is."""
    if not native.objects().keeps() or native.objects().is_temporary:
        raise SystemExit("fastnn warmup: what it compiles could not be kept; see the warning.")
    start, todo = time.perf_counter(), sorted(forms())
    with ProcessPoolExecutor(threads.allowed().number, get_context("spawn")) as processes:
        for number, _ in enumerate(processes.map(load, todo), 1):
            if sys.stdout.isatty():
                print(f"\r{number} of {len(todo)} kernels", end="", flush=True)
    count, size = native.objects().contents()
    print("\r\x1b[K" if sys.stdout.isatty() else "", end="")
    print(
        f"{count} kernels, {size / 1e6:.1f} MB, ready after {time.perf_counter() - start:.0f} s "
        f"in {native.objects().folder}"
    )


@cache
def forms() -> dict[tuple[str, str], Kernel]:
    """Every kernel in each of its element types, by (symbol, type)."""
    return {
        (native.symbol(k, d), d): k
        for k in kernels()
        for d in (k.dtypes if k.element is not None else ("f4",))
    }


def load(form: tuple[str, str]) -> None:
    """Compile one, or find it compiled."""
    native.entry(forms()[form], form[1])


def load_named(names: Sequence[str]) -> None:
    """Compile those of these, by their objects' names, that nobody has compiled meanwhile; but none
    of a user's own."""
    types = dict(iter(forms()))  # each form is a name and a type
    for name in names:
        if name in types and not native.objects().has(name):
            load((name, types[name]))
