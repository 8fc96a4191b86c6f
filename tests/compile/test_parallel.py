"""Kernels that are compiled side by side, by this process and its helpers."""

import subprocess
import sys
import time

import pytest

from fastnn.compile import object_code, parallel, temporary
from fastnn.compile.names import symbol
from fastnn.devices.cpu import INTERPRETED, entry, loader
from fastnn.devices.cpu.calls import HELPER
from fastnn.kernels.cpu import loops
from fastnn.kernels.scalar import Formula, activations, arithmetic

pytestmark = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
FORMS = [
    (loops.flat_kernel(Formula(f)), d)
    for f in (arithmetic.negative, activations.relu, arithmetic.sqrt, activations.softsign)
    for d in ("f4", "f8")
]
NAMES = [symbol(*form) for form in FORMS]


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """An empty cache, and kernels that are not loaded; and the helpers that are started."""
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path))
    object_code.current_cache.cache_clear()
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    for name, (kernel, dtype) in zip(NAMES, FORMS, strict=True):
        monkeypatch.delitem(loader._addresses, name, raising=False)
        monkeypatch.delitem(kernel.entries, dtype, raising=False)
    yield started
    object_code.current_cache.cache_clear()
    for name, (kernel, dtype) in zip(NAMES, FORMS, strict=True):
        loader._addresses.pop(name, None)
        kernel.entries.pop(dtype, None)


def test_a_helper_compiles_what_it_is_told(empty):
    with parallel._helpers(HELPER, [*NAMES[:2], "a user's own"], 1, object_code.current_cache()):
        deadline = time.monotonic() + 60
        while not all(object_code.current_cache().has(name) for name in NAMES[:2]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert object_code.current_cache().read(NAMES[0]) is not None
    assert [helper.poll() is not None for helper in empty] == [True]


def test_all_kernels_are_there_and_counted_whoever_compiled_them(empty, monkeypatch):
    found, heard = [], []
    monkeypatch.setattr(object_code, "compiled", found)
    monkeypatch.setattr(object_code, "listeners", [heard.append])
    parallel.compile_in_parallel(FORMS, entry, HELPER, 2, object_code.current_cache())
    assert sorted(heard) == sorted(name for name, _ in found) == sorted(NAMES)
    assert all(object_code.current_cache().has(name) for name in NAMES)
    assert len(empty) == 1
    parallel.compile_in_parallel(
        FORMS, entry, HELPER, 2, object_code.current_cache()
    )  # nothing is missing now
    assert len(empty) == 1
    assert len(found) == len(NAMES)


def test_without_a_cache_they_share_a_temporary_one(empty, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv(temporary.VARIABLE, "")
    object_code.current_cache.cache_clear()
    with pytest.warns(RuntimeWarning, match="They lie in"):
        assert object_code.current_cache().keeps()
    with parallel._helpers(HELPER, NAMES[:2], 1, object_code.current_cache()):
        deadline = time.monotonic() + 60
        while not all(object_code.current_cache().has(name) for name in NAMES[:2]):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize(
    "why",
    ["one processor", "few kernels", "a frozen program", "no cache", "no process may be started"],
)
def test_where_helpers_cannot_help_there_are_none(empty, monkeypatch, why):
    if why == "a frozen program":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    elif why == "no cache":
        monkeypatch.setattr(object_code.current_cache(), "keeps", lambda: False)
    elif why == "no process may be started":

        def refused(*_arguments, **_named):
            raise PermissionError("no")

        monkeypatch.setattr(subprocess, "Popen", refused)
    forms, n_processes = (
        FORMS[: 7 if why == "few kernels" else 8],
        1 if why == "one processor" else 2,
    )
    parallel.compile_in_parallel(
        forms, lambda _kernel, _dtype: 0, HELPER, n_processes, object_code.current_cache()
    )
    assert empty == []


def test_an_interrupt_ends_the_helpers(empty):
    def interrupted(_kernel, _dtype):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parallel.compile_in_parallel(FORMS, interrupted, HELPER, 2, object_code.current_cache())
    assert [helper.poll() is not None for helper in empty] == [True]
