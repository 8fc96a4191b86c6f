"""Ops: eager calls, throughput from a tape, with gradients; and every op of the registry."""

from .cases import registry_cases
from .conftest import THREADS
from .timing import made, of


@of("op", "loop", "both", "chain", "update", "table")
def test_call(benchmark, peer, case):
    benchmark(made(peer, case))


def pytest_generate_tests(metafunc):
    if metafunc.function is test_every_op:
        ours = metafunc.config.getoption("peer") == "ours" and THREADS == 1
        metafunc.parametrize("case", registry_cases() if ours else [], ids=str)


def test_every_op(benchmark, peer, case):
    benchmark(made(peer, case))
