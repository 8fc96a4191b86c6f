"""examples/resnet.py learns what it should. FASTNN_DATA is a folder with the sets of examples, a
folder each."""

import os
from pathlib import Path

import pytest

from .test_examples import run

DATA = Path(os.environ.get("FASTNN_DATA", "")) / "fashion_mnist"


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="FASTNN_DATA is no folder with fashion_mnist")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clothes_are_told_apart(seed, tmp_path):
    line = run("resnet", tmp_path, "--data", str(DATA.resolve()), "--seed", str(seed))
    assert line["value"] >= line["bar"]
    assert line["seconds"] <= 1500
