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
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "bench/README.md")),
    *sorted(p for p in (ROOT / "docs").rglob("*.md")),
]
# programs, and what runs inside compiled code
NOT_EXAMPLES = ("fastnn.__main__", "fastnn.article", "fastnn.kernels")
MODULES = [
    m.name
    for m in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if not m.name.startswith(NOT_EXAMPLES)
]
WRITTEN_BY_PROGRAMS = ("docs/benchmarks.md", "docs/keras.md")  # as long as it takes
ELSEWHERE = ("/proc/", "~/")  # paths of the machine's and the user's


@pytest.mark.parametrize("name", ["fastnn", *MODULES])
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        fastnn.config.set_floatx("float32")
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(test)
        assert runner.failures == 0, f"{test.name}: see the output"


def blocks():
    """(page, code) of every Python block but the README's, whose output is looked at."""
    for page in PAGES[1:]:
        codes = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        for number, code in enumerate(codes, 1):
            yield pytest.param(page, code, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize(("page", "code"), list(blocks()))
def test_the_code_of_pages_runs(page, code, tmp_path, monkeypatch):
    if "sklearn" in code:
        pytest.importorskip("sklearn", reason="its digits come with scikit-learn")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f"{page.stem}.py"  # for what reads its own source
    file.write_text(code)
    exec(compile(code, str(file), "exec"), {"__name__": "example"})


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_paths_that_pages_name_are_there(page):
    """`folder/file.py`, also `folder/{one,other}.py` and file.py::name; links likewise. A path
    begins at the root, beside the page, or in fastnn/."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    named = re.findall(r"`([\w~][\w./{},~-]*/[\w./{},-]*)`", text)
    named += re.findall(r"`([\w{},/-]+\.(?:py|md|toml|svg|json))`", text)
    named += re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", text)
    missing = [
        path
        for written in named
        if not written.startswith(ELSEWHERE)
        for path in expanded(written)
        if not any((base / path).exists() for base in (ROOT, page.parent, ROOT / "fastnn"))
    ]
    assert not missing


def expanded(path):
    """What a shell makes of braces."""
    if match := re.search(r"\{([^{}]*)\}", path):
        for part in match[1].split(","):
            yield from expanded(path[: match.start()] + part + path[match.end() :])
    else:
        yield path


@pytest.mark.parametrize(
    ("page", "most"),
    [
        ("README.md", 110),
        *((p, 150) for p in (ROOT / "docs" / "how_it_works").glob("*.md")),
        *((p, 120) for p in PAGES if p.parent.name in ("docs", "coming_from")),
    ],
)
def test_pages_are_short(page, most):
    if page not in [ROOT / written for written in WRITTEN_BY_PROGRAMS]:
        assert len((ROOT / page).read_text().splitlines()) <= most


def test_what_the_readmes_program_prints(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn", reason="its digits come with scikit-learn")
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "example"})
    assert float(re.search(r"accuracy .*(0\.\d+)", capsys.readouterr().out)[1]) > 0.9
    assert os.listdir(tmp_path) == ["digits.fastnn"]
