"""Training steps of whole models, and what they write."""

from .timing import made, of, time_fresh


@of("train")
def test_train(benchmark, peer, case, quick):
    time_fresh(benchmark, made(peer, case), quick)


@of("write")
def test_write(benchmark, peer, case):
    call = made(peer, case)
    call()
    benchmark(call)
