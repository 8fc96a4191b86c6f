"""Training and prediction by models."""

from dataclasses import replace

from .kinds import Decay, Predict, Record
from .timing import made, of, resident_bytes, time_fresh

STEPS_COMPARED = 10


@of("fit")
def test_fit(benchmark, peer, case, quick):
    time_fresh(benchmark, made(peer, case), quick)
    # For `report` to compare: steps on all rows at once, whatever their order, so that all peers
    # come to one loss.
    benchmark.extra_info["loss"] = float(
        made(peer, replace(case, batch=case.rows, epochs=STEPS_COMPARED))()()
    )


@of("fit_batches")
def test_fit_batches(benchmark, peer, case, quick):
    time_fresh(benchmark, made(peer, case), quick)


@of("record")
def test_record(benchmark, peer, case, quick):
    instructions = time_fresh(benchmark, made(peer, case), quick)
    benchmark.extra_info["instructions"] = instructions
    benchmark.extra_info["seconds"] = Record.SECONDS_OF_INSTRUCTION * instructions


@of("predict")
def test_predict(benchmark, peer, case, quick, ours):
    call = made(peer, case)
    benchmark(call)
    if ours:
        calls = Predict.CALLS // (100 if quick else 1)
        benchmark.extra_info["promises"] = {
            f"no growth in memory over {calls:,} calls": growth(call, calls) < calls
        }


def growth(call, calls):
    """Bytes of memory taken meanwhile. Anything kept of a call would be more than a byte each."""
    for _ in range(10_000):
        call()
    before = resident_bytes()
    for _ in range(calls):
        call()
    return resident_bytes() - before


@of("decay")
def test_decay(benchmark, peer, case, quick):
    first, later = made(peer, case)
    slowdown = later(case.steps // (100 if quick else 1)) / first
    benchmark.pedantic(later, (1,), rounds=1)
    benchmark.extra_info["promises"] = {
        f"{Decay.SLOWDOWN} of the first ({slowdown:.2f})": bool(slowdown <= Decay.SLOWDOWN)
    }
