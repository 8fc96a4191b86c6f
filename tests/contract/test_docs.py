"""What the README, the pages of docs/ and the docstrings show works as shown."""

import doctest
import importlib
import os
import pkgutil
import re
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
# programs, and what runs inside compiled code
NOT_EXAMPLES = ("fastnn.__main__", "fastnn.article", "fastnn.kernels")
MODULES = [
    m.name
    for m in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if not m.name.startswith(NOT_EXAMPLES)
]


@pytest.mark.parametrize("name", ["fastnn", *MODULES])
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        fastnn.config.set_floatx("float32")
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(test)
        assert runner.failures == 0, f"{test.name}: see the output"


def blocks():
    """(page, number, code) of every Python block."""
    for page in PAGES:
        codes = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        for number, code in enumerate(codes, 1):
            yield pytest.param(page, code, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize(("page", "code"), list(blocks()))
def test_the_code_of_pages_runs(page, code, tmp_path, monkeypatch):
    if "sklearn" in code:
        pytest.importorskip("sklearn", reason="its digits come with scikit-learn")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(page), "exec"), {"__name__": "example"})


def test_what_the_readmes_program_prints(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn", reason="its digits come with scikit-learn")
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "example"})
    assert float(re.search(r"accuracy (0\.\d+)", capsys.readouterr().out)[1]) > 0.9
    assert os.listdir(tmp_path) == ["digits.safetensors"]
