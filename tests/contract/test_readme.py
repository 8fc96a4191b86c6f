"""What the README and the docstrings show works as shown."""

import doctest
import importlib
import os
import pkgutil
import re
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[2]
# programs, and what runs inside compiled code
NOT_EXAMPLES = ("fastnn.__main__", "fastnn.article", "fastnn.kernels")
MODULES = [
    m.name
    for m in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if not m.name.startswith(NOT_EXAMPLES)
]


def test_the_tutorial_runs(tmp_path, capsys):
    pytest.importorskip("sklearn", reason="the tutorial's digits come with scikit-learn")
    code = re.search(
        r"<!-- tutorial.*?```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    ).group(1)
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(compile(code, "README.md", "exec"), {"__name__": "tutorial"})
    finally:
        os.chdir(before)
    out = capsys.readouterr().out
    assert float(re.search(r"test accuracy (0\.\d+)", out).group(1)) > 0.9
    assert (tmp_path / "digits.safetensors").is_file()
    assert "softmax_cross_entropy" in out


def test_the_tutorial_has_some_thirty_lines():
    code = re.search(
        r"<!-- tutorial.*?```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    ).group(1)
    assert len([line for line in code.splitlines() if line.strip()]) <= 40


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        fastnn.config.set_floatx("float32")
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(test)
        assert runner.failures == 0, f"{test.name}: see the output"
