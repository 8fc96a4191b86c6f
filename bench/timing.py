"""What the bench_*.py share."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .cases import CASES
from .conftest import THREADS
from .kinds import Case, OpCall, Update

ROOT = Path(__file__).resolve().parent.parent
SECONDS, SECONDS_IF_QUICK = 5.0, 0.5  # for the rounds of a case
FEW = ("sgd", "adam")  # updates that every peer has
MIN_ROUNDS, MIN_ROUNDS_IF_QUICK, MAX_ROUNDS = 3, 1, 100


def of(*kinds: str) -> pytest.MarkDecorator:
    """Parametrizes a test with the cases of these kinds; with more than one thread, with those that
    say what to reach on two."""
    cases = [c for c in CASES if c.kind in kinds and (THREADS == 1 or c.limits_of_two is not None)]
    return pytest.mark.parametrize("case", cases, ids=str)


def made(peer: Any, case: Case) -> Any:
    """What the peer makes of a case."""
    make = getattr(peer, case.kind, None)
    missing = isinstance(case, OpCall) and case.op not in getattr(peer, "OPS", [case.op])
    missing |= isinstance(case, Update) and case.optimizer not in getattr(peer, "UPDATES", FEW)
    has_no_norm = getattr(case, "norm", False) and not getattr(peer, "NORM", True)
    if make is None or missing or has_no_norm:
        pytest.skip(f"{peer.__name__} has no {case}")
    return make(case)


def time_fresh(benchmark: Any, fresh: Callable[[], Callable], quick: bool) -> Any:
    """Time `fresh()()`, but not making it fresh, as often as there is time for; what came first
    compiles and is not counted."""
    budget, least = (SECONDS_IF_QUICK, MIN_ROUNDS_IF_QUICK) if quick else (SECONDS, MIN_ROUNDS)
    seconds = seconds_of(fresh())
    if seconds < budget:
        seconds = seconds_of(fresh())
    rounds = min(max(int(budget / seconds), least), MAX_ROUNDS)
    return benchmark.pedantic(lambda run: run(), setup=lambda: ((fresh(),), {}), rounds=rounds)


def seconds_of(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
