"""Locks: whose turn it is to work on some weights, and what a forked child finds of all this.

A run of training, evaluation or prediction is made of slices of native work of a tenth of a second
at most, each of which ends between two steps. `Turn` lets one slice at a time work on some memory,
and lets those go first who wait.

Every lock of the library is made by `lock`: a child that is forked while another thread holds one
finds it free, since that thread is not there to release it. What such a thread is in the middle of
that would leave something half done is waited for before the process forks: native work on weights,
a layer being built, a step being recorded, a kernel being compiled.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any
from weakref import WeakSet

MAX_WAIT_SECONDS = 0.1  # of those who give way; and for what is in use, before another is made
GIVE_WAY_INTERVAL_SECONDS = 0.005  # at the soonest
POLL_INTERVAL_SECONDS = 1e-4
# only a thread that waits for the one that forks would hold it up for so long
MAX_FORK_WAIT_SECONDS = 60.0

_locks: WeakSet[Any] = WeakSet()
_turns: WeakSet["Turn"] = WeakSet()
_numbers = count()


def lock() -> Any:
    """A lock that the thread which has it may take again."""
    made = threading.RLock()
    _locks.add(made)
    return made


# Held while a step is recorded or a layer built, which puts gradients and weights where other
# threads see them: one thread at a time does that. Never taken by a thread that has a turn, so a
# fork can take all locks in one order: this, the turns of weights by number, `compiling`.
making = lock()


class Turn:
    """A fair mutex: `run` calls a function when no other thread is in one.

    A Python lock goes to the thread that has just released it: between two slices of training it
    takes the lock again before another has woken up. So those who wait say so, and whoever comes
    lets them go first; but not more often than every few milliseconds, since waking a thread takes
    longer than many a prediction.
    """

    __slots__ = ("__weakref__", "mutex", "next_yield", "number", "of_weights", "waiting")

    def __init__(self, of_weights: bool = False):
        self.mutex, self.number, self.of_weights = lock(), next(_numbers), of_weights
        self.waiting: set[object] = set()  # whoever runs among them
        self.next_yield = 0.0  # when to give way again, at the soonest
        _turns.add(self)

    def __reduce__(self):
        return Turn, (self.of_weights,)  # a copy's memory is its own

    def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What `call(*arguments)` returns. Whatever happens, Ctrl-C between any two lines included,
        the lock is free afterwards."""
        if self.waiting:
            self.give_way()
        token = object()
        try:
            self.waiting.add(token)
            with self.mutex:
                return call(*arguments)
        finally:
            self.waiting.discard(token)

    def give_way(self) -> None:
        """Let those who wait now go first."""
        now = time.perf_counter()
        if now < self.next_yield or self.mutex._is_owned():
            return
        for token in tuple(self.waiting):
            while token in self.waiting and time.perf_counter() < now + MAX_WAIT_SECONDS:
                time.sleep(POLL_INTERVAL_SECONDS)
        self.next_yield = time.perf_counter() + GIVE_WAY_INTERVAL_SECONDS


class Turns:
    """Several of them at once, taken in the order in which they were made."""

    def __init__(self, turns: list[Turn]):
        self.turns = turns

    @property
    def waiting(self) -> set[object]:
        return set().union(*[turn.waiting for turn in self.turns])

    def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        for turn in self.turns:
            if turn.waiting:
                turn.give_way()
        for turn in reversed(self.turns[1:]):
            call, arguments = turn.run, (call, *arguments)
        return self.turns[0].run(call, *arguments)


def combined(turns: Iterable[Turn]) -> Turn | Turns:
    """All of these as one; of none, one that is nobody else's."""
    found = set(turns)
    if len(found) > 1:
        return Turns(sorted(found, key=lambda turn: turn.number))
    return found.pop() if found else Turn()


compiling = Turn()  # of whoever loads or compiles a kernel


class _Forking(threading.local):
    held: Any = ()  # what this thread took to fork


_forking = _Forking()


def _before_fork():
    deadline, token = time.monotonic() + MAX_FORK_WAIT_SECONDS, object()
    turns = [
        *sorted([turn for turn in list(_turns) if turn.of_weights], key=lambda turn: turn.number),
        compiling,
    ]
    for turn in turns:
        turn.waiting.add(token)  # no slice begins before this thread had its turn
    _forking.held = []
    for one in [making, *[turn.mutex for turn in turns]]:
        if one.acquire(timeout=max(0.0, deadline - time.monotonic())):
            _forking.held.append(one)
    for turn in turns:
        turn.waiting.discard(token)


def _after_fork():
    for one in _forking.held:
        one.release()
    _forking.held = ()


def _after_fork_in_child():
    _after_fork()
    for one in list(_locks):
        if not one._is_owned():
            one._at_fork_reinit()
    for turn in list(_turns):
        turn.waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )
