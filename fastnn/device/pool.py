"""The threads that walk a program together: one pool for the process, started when first needed, asleep when not."""

import ctypes
import os
import threading
from collections.abc import Callable
from functools import cache, partial
from queue import SimpleQueue

_lock = threading.Lock()  # held while the pool runs a program; who finds it taken runs on one lane, with the same bits
_queues: list[SimpleQueue] = []


def default_lanes() -> int:
    """As many lanes as processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def yield_address() -> int:
    """The address of a C function that offers the processor to other threads, for barriers."""
    try:
        return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
    except (AttributeError, OSError, TypeError):  # Windows
        return ctypes.cast(ctypes.windll.kernel32.SwitchToThread, ctypes.c_void_p).value or 0  # type: ignore[attr-defined]


def _work(queue):
    while True:
        call = queue.get()
        call()


def run(walk: Callable[[int, int], int], lanes: int, abort: Callable[[], None]) -> int:
    """Call `walk(lane, lanes)` on `lanes` threads, this one among them, and wait for all; returns what lane 0 did.

    Whatever happens here, Ctrl-C between any two lines included, the other lanes have been told to stop and have left before
    this returns or raises: they use memory that is freed afterwards.
    """
    if lanes == 1 or not _lock.acquire(blocking=False):
        return walk(0, 1)
    try:
        while len(_queues) < lanes - 1:
            queue: SimpleQueue = SimpleQueue()
            threading.Thread(target=_work, args=(queue,), daemon=True, name="fastnn lane").start()
            _queues.append(queue)
        for lane in range(1, lanes):
            _queues[lane - 1].put(partial(walk, lane, lanes))
        return walk(0, lanes)
    finally:
        _leave(abort, lanes)
        _lock.release()


def _leave(abort, lanes):
    """Stop the lanes and wait until each has come to the end of its queue. Ctrl-C is put off till then."""
    interrupted = False
    while True:
        try:
            abort()
            for queue in _queues[: lanes - 1]:
                done = threading.Semaphore(0)
                queue.put(done.release)
                done.acquire()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt


def _after_fork():
    """A forked child has none of its parent's threads, and perhaps its locks, held."""
    global _lock
    _lock = threading.Lock()
    _queues.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
