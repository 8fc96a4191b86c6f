"""examples/gan.py draws digits as well as it should."""

import pytest

import fastnn

from .test_examples import run


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_digits_as_they_are(seed, tmp_path):
    line = run("gan", tmp_path, "--seed", str(seed))
    assert line["value"] <= line["bar"]
    assert line["seconds"] <= 600
    assert (tmp_path / "gan.png").read_bytes().startswith(b"\x89PNG")
    generator = fastnn.load_model(tmp_path / "gan.fastnn")
    assert generator.predict(fastnn.random.normal((3, 32))).shape == (3, 64)
