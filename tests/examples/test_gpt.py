"""examples/gpt.py learns what it should. FASTNN_DATA is a folder with the sets of examples, each in
a folder."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import fastnn

from .test_examples import run

DATA = Path(os.environ.get("FASTNN_DATA", "")) / "tinyshakespeare"


def test_the_model_that_it_saves_writes(quick):
    _, folder = quick("gpt")
    model = fastnn.load_model(folder / "gpt.fastnn")
    characters = json.loads((folder / "gpt.json").read_text())
    written = model.generate([characters.index("T")], 9, seed=0)
    assert "".join(np.array(characters)[written]).startswith("T")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not DATA.is_dir(), reason="FASTNN_DATA is no folder with tinyshakespeare")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_comes_next_is_told(seed, tmp_path):
    line = run("gpt", tmp_path, "--data", str(DATA.resolve()), "--seed", str(seed))
    assert 1.0 < line["value"] <= line["bar"]  # less would be a leak
    assert line["seconds"] <= 900
