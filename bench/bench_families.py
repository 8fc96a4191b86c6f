"""Training steps of whole models."""

from .timing import made, of, time_fresh


@of("train")
def test_train(benchmark, peer, case, quick):
    time_fresh(benchmark, made(peer, case), quick)
