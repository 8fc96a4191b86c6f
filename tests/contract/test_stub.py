"""Editors and type checkers see the ops that there are."""

from tools import ops_stub


def test_the_stub_of_the_ops_is_current():
    assert ops_stub.PATH.read_text() == ops_stub.text(), "stale: run python -m tools.ops_stub"
