"""Object code on disk: a private folder, files written aside and renamed, nothing loaded whose checksum does not fit.

The checksum covers the identity of the whole build (every kernel's source, the compiler's, the versions of Numba and llvmlite,
the processor) and the object's name, so a truncated file, a file of another machine and a renamed one are all just compiled
again. Loading never runs anything but the object code itself, which only the owner can have put there: see `_private`.
"""

import hashlib
import os
import sys
import warnings
from contextlib import contextmanager
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two processes may then compile the same kernel, and the second rename wins
    fcntl = None  # type: ignore[assignment]

CHECKSUM_BYTES = 32


def default_folder():
    """Where object code is kept: FASTNN_CACHE_DIR, or the user's cache folder."""
    if chosen := os.environ.get("FASTNN_CACHE_DIR"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "fastnn"


class ObjectCache:
    """The objects of one identity. `folder` is None where nothing can be kept, which is said once."""

    def __init__(self, identity, base=None):
        self.identity = identity
        self.base = default_folder() if base is None else base
        self.folder = self.base / hashlib.sha256(identity).hexdigest()[:20]
        problem = _make_private(self.base) or _make_private(self.folder)
        if problem:
            self._give_up(problem)

    def _give_up(self, problem):
        self.folder = None
        _say_once(
            f"fastnn keeps no compiled kernels: {problem}. Every process compiles them anew; set FASTNN_CACHE_DIR to a folder "
            "that only you can write to."
        )

    def read(self, name):
        """The object called `name`, or None if it is not there or not what was written."""
        if self.folder is None:
            return None
        try:
            data = (self.folder / f"{name}.o").read_bytes()
        except OSError:
            return None
        code = data[CHECKSUM_BYTES:]
        return code if data[:CHECKSUM_BYTES] == self._checksum(name, code) else None

    def has(self, name):
        """Whether there is a file of that name: `read` tells whether it is good."""
        return self.folder is not None and (self.folder / f"{name}.o").exists()

    def write(self, name, code):
        if self.folder is None:
            return
        aside = self.folder / f"{name}.{os.getpid()}.aside"
        try:
            aside.write_bytes(self._checksum(name, code) + code)
            aside.replace(self.folder / f"{name}.o")
        except OSError as error:
            aside.unlink(missing_ok=True) if os.access(self.folder, os.W_OK) else None
            self._give_up(f"{self.folder} cannot be written ({error.strerror})")

    def _checksum(self, name, code):
        return hashlib.sha256(b"\0".join((self.identity, name.encode(), code))).digest()

    @contextmanager
    def lock(self, name):
        """Held while one process compiles `name`; others wait and then find it. The system releases it if the process dies."""
        try:
            file = None if self.folder is None or fcntl is None else open(self.folder / "lock", "a")  # noqa: SIM115
        except OSError:
            file = None  # a read-only cache is still read; nobody writes it, so nobody waits
        if file is None:
            yield
            return
        with file:
            # One byte of one file stands for each name, so that different kernels compile side by side.
            fcntl.lockf(file, fcntl.LOCK_EX, 1, int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))
            yield

    def contents(self):
        """(number of objects, bytes) of this identity."""
        files = [] if self.folder is None else list(self.folder.glob("*.o"))
        return len(files), sum(f.stat().st_size for f in files)


@cache
def _say_once(message):
    warnings.warn(message, RuntimeWarning, stacklevel=3)


def _make_private(folder):
    """Make the folder if need be; returns what is wrong with it, or None. Object code is run, so nobody else may write it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        return f"{folder} cannot be made ({error.strerror})"
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return f"{folder} belongs to another user"
    if sys.platform != "win32" and status.st_mode & 0o022:
        return f"{folder} can be written by other users"
    return None
