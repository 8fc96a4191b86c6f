"""Kernels that are compiled side by side, by this process and its helpers."""

import subprocess
import sys
import time

import pytest

from fastnn.compile import parallel, temporary
from fastnn.devices.cpu import INTERPRETED, native
from fastnn.kernels.cpu import loops
from fastnn.kernels.scalar import Formula, activations, arithmetic

pytestmark = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
FORMS = [
    (loops.flat_kernel(Formula(f)), d)
    for f in (arithmetic.negative, activations.relu, arithmetic.sqrt, activations.softsign)
    for d in ("f4", "f8")
]
NAMES = [native.symbol(*form) for form in FORMS]


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """An empty cache, and kernels that are not loaded; and the helpers that are started."""
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path))
    native.objects.cache_clear()
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            started.append(self)

    monkeypatch.setattr(parallel.subprocess, "Popen", Popen)
    for name, (kernel, dtype) in zip(NAMES, FORMS, strict=True):
        monkeypatch.delitem(native._loaded, name, raising=False)
        monkeypatch.delitem(kernel.entries, dtype, raising=False)
    yield started
    native.objects.cache_clear()
    for name, (kernel, dtype) in zip(NAMES, FORMS, strict=True):
        native._loaded.pop(name, None)
        kernel.entries.pop(dtype, None)


def test_a_helper_compiles_what_it_is_told(empty):
    with parallel._helpers([*NAMES[:2], "a user's own"], 1):
        deadline = time.monotonic() + 60
        while not all(native.objects().has(name) for name in NAMES[:2]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert native.objects().read(NAMES[0]) is not None
    assert [helper.poll() is not None for helper in empty] == [True]


def test_all_kernels_are_there_and_counted_whoever_compiled_them(empty, monkeypatch):
    found, heard = [], []
    monkeypatch.setattr(native, "compiled", found)
    monkeypatch.setattr(native, "listeners", [heard.append])
    parallel.compile_together(FORMS, 2)
    assert sorted(heard) == sorted(name for name, _ in found) == sorted(NAMES)
    assert all(native.objects().has(name) for name in NAMES)
    assert len(empty) == 1
    parallel.compile_together(FORMS, 2)  # nothing is missing now
    assert len(empty) == 1
    assert len(found) == len(NAMES)


def test_without_a_cache_they_share_a_temporary_one(empty, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv(temporary.VARIABLE, "")
    native.objects.cache_clear()
    with pytest.warns(RuntimeWarning, match="They lie in"):
        assert native.objects().keeps()
    with parallel._helpers(NAMES[:2], 1):
        deadline = time.monotonic() + 60
        while not all(native.objects().has(name) for name in NAMES[:2]):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize(
    "why",
    ["one processor", "few kernels", "a frozen program", "no cache", "no process may be started"],
)
def test_where_helpers_cannot_help_there_are_none(empty, monkeypatch, why):
    monkeypatch.setattr(native, "entry", lambda _kernel, _dtype: 0)
    if why == "a frozen program":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    elif why == "no cache":
        monkeypatch.setattr(native.objects(), "keeps", lambda: False)
    elif why == "no process may be started":

        def refused(*_arguments, **_named):
            raise PermissionError("no")

        monkeypatch.setattr(parallel.subprocess, "Popen", refused)
    parallel.compile_together(
        FORMS[: 7 if why == "few kernels" else 8], 1 if why == "one processor" else 2
    )
    assert empty == []


def test_an_interrupt_ends_the_helpers(empty, monkeypatch):
    def interrupted(_kernel, _dtype):
        raise KeyboardInterrupt

    monkeypatch.setattr(native, "entry", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parallel.compile_together(FORMS, 2)
    assert [helper.poll() is not None for helper in empty] == [True]
