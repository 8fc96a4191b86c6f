"""examples/bert.py learns what it should. FASTNN_DATA is a folder with the sets of examples, each
in a folder."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import fastnn

from .test_examples import run

DATA = Path(os.environ.get("FASTNN_DATA", "")) / "sentence_polarity"


def test_the_classifier_that_it_saves_tells_classes(quick):
    _, folder = quick("bert")
    model = fastnn.load_model(folder / "bert.fastnn")
    about = json.loads((folder / "bert.json").read_text())
    number = {word: i for i, word in enumerate(about["vocabulary"])}
    rows = [[number[word] for word in f"[CLS] a {kind} film".split()] for kind in ("good", "bad")]
    assert model.predict(np.array(rows)).shape == (2, 2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not DATA.is_dir(), reason="FASTNN_DATA is no folder with sentence_polarity")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hidden_words_and_classes_are_told(seed, tmp_path):
    line = run("bert", tmp_path, "--data", str(DATA.resolve()), "--seed", str(seed))
    assert line["value"] >= line["bar"]
    assert json.loads((tmp_path / "bert.json").read_text())["nats"] <= 5.75
    assert line["seconds"] <= 900
