"""What is generated is current: what editors and type checkers see of the ops, and the page of
Keras's names."""

from tools import keras_page, ops_stub


def test_the_stub_of_the_ops_is_current():
    assert ops_stub.PATH.read_text() == ops_stub.text(), "stale: run python -m tools.ops_stub"


def test_the_page_of_keras_names_is_current():
    assert keras_page.PATH.read_text() == keras_page.text(), "stale: run python -m tools.keras_page"
