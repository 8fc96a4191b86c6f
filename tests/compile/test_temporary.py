"""Where objects cannot be kept: what is wrong is said once, and processes share a private temporary
folder."""

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import fastnn
from fastnn.compile import object_cache as cache_module
from fastnn.compile import temporary
from fastnn.compile.object_cache import ObjectCache
from fastnn.devices.cpu import INTERPRETED
from tests.compile.test_object_cache import PROGRAM

pytestmark = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels have no object code")
PACKAGE = Path(fastnn.__file__).parent


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Where temporary folders are made, by a process that has none yet and has not warned."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv(temporary.VARIABLE, "")
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    cache_module._say_once.cache_clear()
    return place


def refuse(monkeypatch, method, folder, number):
    """Let a method of paths fail within a folder, as the system makes it fail."""
    original = getattr(Path, method)

    def refused(path, *arguments, **named):
        if path.is_relative_to(folder):
            raise OSError(number, os.strerror(number), str(path))
        return original(path, *arguments, **named)

    monkeypatch.setattr(Path, method, refused)


@pytest.mark.parametrize(
    ("why", "said", "mend"),
    [
        ("a file", r"in {folder}: {folder} is not a folder\.", "mv {folder} {folder}.old"),
        (
            "a link to nothing",
            r"in {folder}: {folder} is not a folder\.",
            "mv {folder} {folder}.old",
        ),
        (
            "others may write",
            r"in {folder}: it can be written by other users\.",
            "chmod go-w {folder}",
        ),
        (
            "another's",
            r"in {folder}: it belongs to another user\.",
            r"sudo chown -R $(id -u) {folder}",
        ),
        (
            "its folder is not writable",
            r"in {folder}: you may not write to {parent}\.",
            "chmod u+rwx {parent}",
        ),
        (
            "its folder is another's",
            r"in {folder}: {parent} belongs to another user\.",
            r"sudo chown $(id -u) {parent}",
        ),
        ("read-only", r"in {folder}: Read-only file system\.", None),
        (
            "full",
            r"in {folder}: there is no space left\.",
            "df -h {parent} (some 20 MB are needed)",
        ),
        ("no home", "kernels: HOME is not set", None),
    ],
)
def test_a_folder_that_cannot_be_used_is_named_with_why_and_what_to_type(
    elsewhere, monkeypatch, tmp_path, why, said, mend
):
    parent = tmp_path / ".cache"
    folder = parent / "fastnn"
    parent.mkdir()
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(folder))
    if why == "a file":
        folder.write_text("")
    elif why == "a link to nothing":
        folder.symlink_to("nothing")
    elif why == "others may write":
        folder.mkdir()
        folder.chmod(0o777)
    elif why == "another's":
        folder.mkdir()
        monkeypatch.setattr(os, "getuid", lambda: -1)
    elif why == "no home":
        for name in ("FASTNN_CACHE_DIR", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    else:
        if why == "its folder is another's":
            monkeypatch.setattr(os, "getuid", lambda: -1)
        number = {"read-only": errno.EROFS, "full": errno.ENOSPC}.get(why, errno.EACCES)
        refuse(monkeypatch, "mkdir", folder, number)
    with pytest.warns(RuntimeWarning, match="fastnn cannot keep compiled kernels") as warned:
        cache = ObjectCache(b"identity")
    first, second, *rest = str(warned[0].message).splitlines()
    assert re.search(said.format(folder=folder, parent=parent), first)
    lines = ["To keep them elsewhere: export FASTNN_CACHE_DIR=/var/tmp/fastnn-$(id -u)"]
    assert (
        rest
        == ([f"To mend it: {mend.format(folder=folder, parent=parent)}"] if mend else []) + lines
    )
    cache.write("kernel", b"code")
    if "another's" in why:  # than os.getuid says: so is the temporary one
        assert second == "Every process compiles them anew."
        assert cache.read("kernel") is None
    else:
        (made,) = elsewhere.iterdir()
        assert second.startswith(f"They lie in {made} until this process ends")
        assert cache.read("kernel") == b"code"
        assert made.stat().st_mode & 0o777 == 0o700
    assert not cache.has("another")


@pytest.mark.parametrize("method", ["write_bytes", "replace"])
def test_what_was_kept_before_the_disk_was_full_is_still_read(
    elsewhere, monkeypatch, tmp_path, method
):
    cache = ObjectCache(b"identity", tmp_path / "cache")
    cache.write("first", b"1")
    refuse(monkeypatch, method, tmp_path / "cache", errno.ENOSPC)
    with pytest.warns(RuntimeWarning, match="there is no space left"):
        assert cache.keeps()
    cache.write("second", b"2")
    assert [cache.read(name) for name in ("first", "second")] == [b"1", b"2"]
    assert cache.has("first")
    refuse(monkeypatch, method, elsewhere, errno.ENOSPC)
    with pytest.warns(RuntimeWarning, match="Every process compiles them anew"):
        assert not cache.keeps()
    assert cache.read("first") == b"1"


def test_a_cache_that_may_only_be_read_is_read_in_silence(elsewhere, monkeypatch, tmp_path):
    ObjectCache(b"identity", tmp_path / "cache").write("kernel", b"code")
    refuse(monkeypatch, "write_bytes", tmp_path / "cache", errno.EROFS)
    assert ObjectCache(b"identity", tmp_path / "cache").read("kernel") == b"code"
    assert list(elsewhere.iterdir()) == []


SHARED = """
import os, subprocess, sys
{program}
print(subprocess.run([sys.executable, "-c", {program!r}], capture_output=True, text=True))
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
print(os.listdir(os.environ["TMPDIR"]), flush=True)
{end}
"""


def start(elsewhere, tmp_path, end=""):
    """A program that has no cache; the lines it prints."""
    (tmp_path / "file").write_text("not a folder")
    environment = {
        **os.environ,
        "FASTNN_CACHE_DIR": str(tmp_path / "file" / "cache"),
        "PYTHONPATH": str(PACKAGE.parent),
    }
    command = [sys.executable, "-c", SHARED.format(program=PROGRAM, end=end)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_processes_without_a_cache_share_a_folder_that_the_first_removes(elsewhere, tmp_path):
    out, err = start(elsewhere, tmp_path).communicate()
    first, second, third = out.splitlines()
    assert first.split()[0] == "-1.0"
    assert int(first.split()[1]) > 0
    assert "stdout='-1.0 0\\n', stderr=''" in second
    assert temporary.PREFIX in third
    assert err.count("fastnn cannot keep compiled kernels") == 1
    assert list(elsewhere.iterdir()) == []


def test_what_a_killed_process_left_behind_is_removed_by_the_next(elsewhere, tmp_path):
    (elsewhere / "fastnn-1000").mkdir(mode=0o700)  # somebody's own
    killed = start(elsewhere, tmp_path, "import time; time.sleep(60)")
    for _ in range(3):
        killed.stdout.readline()
    (left,) = elsewhere.glob(f"{temporary.PREFIX}*")
    start(elsewhere, tmp_path).communicate()
    assert left.exists()  # it is in use
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert left.exists()
    start(elsewhere, tmp_path).communicate()
    assert [p.name for p in elsewhere.iterdir()] == ["fastnn-1000"]


def test_workers_of_multiprocessing_share_it_or_remove_their_own(elsewhere, tmp_path):
    """Such a process ends without what atexit was told."""
    program = """
import multiprocessing, sys, warnings
warnings.simplefilter("ignore")
def work(_):
    import fastnn
    return float(fastnn.ops.negative([1.0]).numpy()[0])
if __name__ == "__main__":
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.map(work, [0]))
            pool.close()
            pool.join()
"""
    path = tmp_path / "program.py"
    path.write_text(program)
    (tmp_path / "file").write_text("not a folder")
    environment = {
        **os.environ,
        "FASTNN_CACHE_DIR": str(tmp_path / "file" / "cache"),
        "PYTHONPATH": str(PACKAGE.parent),
    }
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["[-1.0]", "[-1.0]"], done.stderr
    assert list(elsewhere.iterdir()) == []


def test_without_a_cache_warming_up_is_refused(elsewhere, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    environment = {
        **os.environ,
        "FASTNN_CACHE_DIR": str(tmp_path / "file" / "cache"),
        "PYTHONPATH": str(PACKAGE.parent),
    }
    done = subprocess.run(
        [sys.executable, "-m", "fastnn", "warmup"], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "what it compiles could not be kept" in done.stderr
    assert "To mend it: mv" in done.stderr
