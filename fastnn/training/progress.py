"""What training prints: a line an epoch, a live one within long epochs, and a word about kernels
being compiled."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from fastnn.compile import object_code
from fastnn.config import is_interactive_logging_enabled

LIVE_LINE_SECONDS = 0.2  # seconds between two changes of the live line


class Progress:
    """verbose: 0 prints nothing, 1 (and "auto") a line an epoch and, on a terminal, how far the
    current one is, 2 lines only."""

    def __init__(self, verbose: Any, epochs: int, title: str = "Epoch"):
        if verbose not in (0, 1, 2, "auto", False, True):
            raise ValueError(f"verbose must be 0, 1, 2 or 'auto'; got {verbose!r}")
        self.on = bool(verbose)
        self.live = (
            self.on and verbose != 2 and sys.stdout.isatty() and is_interactive_logging_enabled()
        )
        self.epochs, self.title = epochs, title
        self.start = self.shown = time.perf_counter()
        self.steps = 0

    def epoch(self, number: int, logs: dict[str, float]) -> None:
        """An epoch is over."""
        if self.on:
            head = f"{self.title} {number + 1}/{self.epochs}" if self.epochs else self.title
            print(f"{_clear(self.live)}{head} - {_text(logs)}", flush=self.live)

    def within(
        self, position: tuple[int, int, int], epoch: Any, logs: Callable[[int], dict[str, float]]
    ) -> None:
        """A slice is over, somewhere in an epoch; `logs(0)` gives the means so far."""
        if time.perf_counter() - self.shown > LIVE_LINE_SECONDS and position[0] < max(
            1, self.epochs
        ):
            self.shown = time.perf_counter()
            number, segment, step = position
            done = sum(s.repeats for s in epoch.segments[:segment]) + step
            head = f"{self.title} {number + 1}/{self.epochs}" if self.epochs else self.title
            print(
                f"{_clear(True)}{head} {done}/{epoch.steps} - {_text(logs(0))}", end="", flush=True
            )


def _clear(live):
    return "\r\x1b[K" if live else ""


def _text(logs):
    return " - ".join(
        f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {np.round(value, 4)}"
        for name, value in logs.items()
    )


class CompileNotice:
    """Within it, kernels that have to be compiled first are announced once and counted, if `on`. Of
    nested ones the outermost speaks."""

    def __init__(self, on: bool):
        self.on, self.count = on, 0

    def __enter__(self):
        self.on = self.on and not object_code.listeners
        if self.on:
            object_code.listeners.append(self._heard)
        return self

    def _heard(self, name):
        if self.count == 0:
            self.start = time.perf_counter()
            print(
                "fastnn compiles kernels for this processor; they are kept for the next time ...",
                flush=True,
            )
        self.count, self.last = self.count + 1, time.perf_counter()

    def __exit__(self, *_):
        if self.on:
            with suppress(ValueError):  # in a forked child
                object_code.listeners.remove(self._heard)
            if self.count:
                seconds = self.last - self.start + object_code.compiled[-1][1]
                print(f"... {self.count} kernels compiled in {seconds:.0f} s", flush=True)


if hasattr(os, "register_at_fork"):
    # those who listened are not there
    os.register_at_fork(after_in_child=object_code.listeners.clear)
