"""The threads that replay a program together: one pool for the process, started when first needed,
asleep when not."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from queue import SimpleQueue

from fastnn.checks import is_whole
from fastnn.devices import quota
from fastnn.devices.quota import Allowed
from fastnn.locks import lock

MAX_THREADS = 64  # a barrier has a cache line for each
VARIABLE = "FASTNN_NUM_THREADS"

# held while the pool runs a program; when it is busy, run on one thread, with the same bits
_lock = lock()
_chosen: int | None = None  # by `choose`


def checked_count(name: str, value: object) -> int:
    """`value` if it is a number of threads, or a ValueError that says of `name` what it may be."""
    if not isinstance(value, int) or not is_whole(value, 1) or value > MAX_THREADS:
        raise ValueError(f"{name}: expected a whole number from 1 to {MAX_THREADS}; got {value!r}")
    return value


def choose(count: int | None) -> None:
    """Use so many threads from now on; None: as many as the environment or the system says."""
    global _chosen
    _chosen = count


def allowed() -> Allowed:
    """How many threads may be used, and who says so: set_threads, the environment's variable, or
    what the system allows."""
    if _chosen is not None:
        return Allowed(_chosen, "set_threads")
    text = os.environ.get(VARIABLE, "").strip()
    if text:
        count = int(text) if text.isascii() and text.isdigit() else text
        return Allowed(checked_count(f"the environment variable {VARIABLE}", count), VARIABLE)
    count, reason = quota.allowed()
    return Allowed(min(count, MAX_THREADS), reason)


@cache
def yield_address() -> int:
    """The address of a C function that offers the processor to other threads, for barriers."""
    if sys.platform == "win32":
        return ctypes.cast(ctypes.windll.kernel32.SwitchToThread, ctypes.c_void_p).value or 0
    return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0


@cache
def clock_address() -> int:
    """The address of C's `clock_gettime`, for the replay loop; 0 where there is none."""
    return (
        0
        if sys.platform == "win32"
        else ctypes.cast(ctypes.CDLL(None).clock_gettime, ctypes.c_void_p).value or 0
    )


def now() -> int:
    """Nanoseconds on the clock that the replay loop reads."""
    return 0 if sys.platform == "win32" else time.clock_gettime_ns(time.CLOCK_MONOTONIC)


THREAD_NAME = "fastnn thread"  # of those made here
# of a thread that calls kernels: their own memory, 1.34 MB at most, and what calls them
STACK_BYTES = 3 << 19


def started(call: Callable[[], object]) -> threading.Thread:
    """A thread that runs `call`, with the stack that kernels need, whatever the user's own threads
    are given."""
    thread = threading.Thread(target=call, daemon=True, name=THREAD_NAME)
    before = threading.stack_size(2 * STACK_BYTES)  # some C libraries count a guard page out
    try:
        thread.start()
    finally:
        threading.stack_size(before)
    return thread


def stack_bytes() -> int:
    """The size of this thread's stack; STACK_BYTES where the C library does not tell."""
    library, attributes, size = (
        ctypes.CDLL(None),
        (ctypes.c_uint64 * 16)(),
        ctypes.c_size_t(STACK_BYTES),
    )
    if hasattr(library, "pthread_getattr_np"):
        library.pthread_self.restype = ctypes.c_void_p
        if library.pthread_getattr_np(ctypes.c_void_p(library.pthread_self()), attributes) == 0:
            library.pthread_attr_getstacksize(attributes, ctypes.byref(size))
            library.pthread_attr_destroy(attributes)
    return size.value


class Worker:
    """A thread that takes calls from a queue."""

    def __init__(self):
        self.queue: SimpleQueue = SimpleQueue()
        self.thread = started(self._work)
        self.processors: set[int] = set()  # it was put on; none: the system's choice

    def _work(self):
        while True:
            call = self.queue.get()
            call()

    def place(self, processors: set[int]) -> None:
        """Run it on these from now on."""
        if processors != self.processors and self.thread.native_id is not None:
            # Ctrl-C may come between any two lines: nothing is known until all is done
            self.processors = set()
            try:
                os.sched_setaffinity(self.thread.native_id, processors)
            except OSError:  # not allowed: the system's choice then
                return
            self.processors = processors


_workers: list[Worker] = []


@cache
def _current_processor() -> Callable[[], int]:
    """C's `sched_getcpu`."""
    return ctypes.CDLL(None).sched_getcpu


def _keep_apart(workers):
    """Keep the other threads off this thread's processor, if there are enough. The system wakes a
    thread where the one runs that wakes it, and since that one runs on, it takes milliseconds until
    one of them is moved: slices of two threads were seen to take as long as on one."""
    if not hasattr(os, "sched_setaffinity"):
        return
    processors = os.sched_getaffinity(0)
    others = processors - {_current_processor()()}
    for worker in workers:
        worker.place(others if len(others) >= len(workers) else processors)


def run(replay: Callable[[int, int], int], n_threads: int, abort: Callable[[], None]) -> int:
    """Call `replay(thread, n_threads)` on `n_threads` threads, this one among them, and wait for
    all; returns what thread 0 did.

    Whatever happens here, Ctrl-C between any two lines included, the other threads have been told
    to stop and have left before this returns or raises: they use memory that is freed afterwards.
    """
    # by this thread, which a signal has called away from a run
    if n_threads == 1 or _lock._is_owned():
        return replay(0, 1)
    try:
        if not _lock.acquire(blocking=False):
            return replay(0, 1)
        return _on_pool(replay, n_threads, abort)
    finally:
        if _lock._is_owned():
            _lock.release()


def _on_pool(replay, n_threads, abort):
    try:
        while len(_workers) < n_threads - 1:
            _workers.append(Worker())
        _keep_apart(_workers[: n_threads - 1])
        for thread, worker in enumerate(_workers[: n_threads - 1], 1):
            worker.queue.put(partial(replay, thread, n_threads))
        return replay(0, n_threads)
    finally:
        _leave(abort, n_threads)


def _leave(abort, n_threads):
    """Stop the threads and wait until each has come to the end of its queue. Ctrl-C is put off till
    then."""
    interrupted = False
    while True:
        try:
            abort()
            for worker in _workers[: n_threads - 1]:
                done = threading.Semaphore(0)
                worker.queue.put(done.release)
                done.acquire()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt


def _after_fork():
    """A forked child has none of its parent's threads."""
    _workers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
