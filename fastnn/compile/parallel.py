"""Several kernels compiled side by side, for a tape that is new to this machine: by this process
and by helpers, which are Python processes of their own, because Numba compiles one kernel at a
time.

Nobody hands out work. Each helper goes round the same list from another place on, and passes over
what lies in the cache, where a lock for each kernel lets only one process compile it. A helper that
fails or never starts costs time and nothing else.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fastnn.kernels.declare import Kernel

from . import object_code
from .names import symbol
from .object_cache import ObjectCache

# Python and Numba take a second to start, and a kernel some 0.7
MIN_KERNELS_PER_PROCESS = 4


def compile_in_parallel(
    forms: Sequence[tuple[Kernel, str]],
    load: Callable[[Kernel, str], object],
    program: str,
    n_processes: int,
    cache: ObjectCache,
) -> None:
    """`load` these kernels for these element types, of which what is missing in the cache is
    compiled by `n_processes` processes at most. `program`: what helpers run, in Python; its
    arguments are names of objects, of which it compiles those that the cache has not."""
    missing = {
        name: form
        for name, form in ((symbol(*form), form) for form in forms)
        if not cache.has(name)
    }
    if not missing:
        return
    n_useful = len(missing) // MIN_KERNELS_PER_PROCESS
    with _helpers(program, list(missing), min(n_processes, n_useful) - 1, cache):
        for name, form in missing.items():
            load(*form)
            object_code.count(name)


@contextmanager
def _helpers(program: str, names: list[str], count: int, cache: ObjectCache) -> Iterator[None]:
    helpers: list[Any] = []
    try:
        if count > 0 and _is_python() and cache.keeps():
            import subprocess  # here: it takes 3 ms, and where all is compiled it is not needed

            # They find what this process finds, and nothing that only happens to lie in the current
            # folder.
            path = os.pathsep.join(os.path.abspath(p) for p in sys.path)
            environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
            for n in range(count):
                start = len(names) * (n + 1) // (count + 1)
                command = [sys.executable, "-c", program, *names[start:], *names[:start]]
                nothing = subprocess.DEVNULL
                with suppress(OSError):  # where no process may be started
                    helpers.append(
                        subprocess.Popen(
                            command, stdin=nothing, stdout=nothing, stderr=nothing, env=environment
                        )
                    )
        yield
    finally:
        for helper in helpers:
            helper.kill()
            helper.wait()


def _is_python():
    """Whether the running program is Python itself: where it is another one, that has Python
    within, or a frozen one, to call it again would do who knows what."""
    return Path(sys.executable or "").name.lower().startswith("python") and not getattr(
        sys, "frozen", False
    )
