"""Which processor this is: LLVM is asked once, the system tells how large the caches are."""

import pytest

from fastnn.compile import target
from tests.processors import ON_X86_64

pytestmark = ON_X86_64


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """An empty cache, and how often LLVM is asked for the processor."""
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path))
    calls, ask = [], target._ask_llvm
    monkeypatch.setattr(target, "_ask_llvm", lambda: calls.append(1) or ask())
    return calls


def test_llvm_is_asked_once_about_a_processor(asked):
    first, second = target.processor.__wrapped__(), target.processor.__wrapped__()
    assert first == second == target.processor()
    assert len(asked) == (1 if target._cpuinfo() else 2)


@pytest.mark.parametrize(
    "text",
    [None, "", "processor : 0\nflags : avx2\n\n"],
    ids=["no file", "an empty one", "another system's"],
)
def test_where_the_system_does_not_describe_the_processor_llvm_is_asked(
    asked, monkeypatch, tmp_path, text
):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(target, "CPUINFO", tmp_path / "cpuinfo")
    assert target.processor.__wrapped__() == target.processor.__wrapped__() == target.processor()
    assert len(asked) == 2


def test_another_processor_has_a_description_of_its_own(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(target, "CPUINFO", tmp_path / "cpuinfo")
    for model in ("85", "143"):
        lines = [
            "vendor_id : GenuineIntel",
            "cpu family : 6",
            f"model : {model}",
            "stepping : 8",
            "flags : fpu avx2",
            "",
        ]
        (tmp_path / "cpuinfo").write_text("\n".join(lines))
        target.processor.__wrapped__()
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("text", "size"),
    [("2048K\n", 2 << 20), ("1280K", 1280 << 10), ("", 1 << 20), ("2M", 1 << 20), (None, 1 << 20)],
)
def test_the_caches_are_as_large_as_the_system_says(monkeypatch, tmp_path, text, size):
    if text is not None:
        (tmp_path / "index2").mkdir()
        (tmp_path / "index2" / "size").write_text(text)
    monkeypatch.setattr(target, "CACHES", tmp_path)
    assert target._cache_bytes().get("l2_bytes", 1 << 20) == size
