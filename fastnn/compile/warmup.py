"""Compiling ahead: every kernel that can be asked for, on all cores."""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .object_code import current_cache


def warmup(names: Sequence[str], compile_named: Callable, n_processes: int) -> None:
    """Compile what is missing in the cache, and print how far it is. `compile_named([name])`
    compiles the object of that name, in other processes."""
    cache = current_cache()
    if not cache.keeps() or cache.is_temporary:
        raise SystemExit("fastnn warmup: what it compiles could not be kept; see the warning.")
    start = time.perf_counter()
    with ProcessPoolExecutor(n_processes, get_context("spawn")) as processes:
        for number, _ in enumerate(processes.map(compile_named, [[n] for n in names]), 1):
            if sys.stdout.isatty():
                print(f"\r{number} of {len(names)} kernels", end="", flush=True)
    count, size = cache.contents()
    print("\r\x1b[K" if sys.stdout.isatty() else "", end="")
    print(
        f"{count} kernels, {size / 1e6:.1f} MB, ready after {time.perf_counter() - start:.0f} s "
        f"in {cache.folder}"
    )
