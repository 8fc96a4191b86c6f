"""Object code on disk: a private folder, files written aside and renamed, nothing loaded whose
checksum does not fit.

The checksum covers the identity of the whole build (the compiler, versions of Numba and llvmlite,
the processor) and the object's name, whose end is a digest of what the object is made of. So a
truncated file, a file of another machine and a renamed one are all just compiled again. Loading
never runs anything but the object code itself, which only the owner can have put there: see
`_make_private`.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastnn.errors import warn

from . import temporary
from .names import sha256

try:
    import fcntl
# Windows: two processes may then compile the same kernel, and the second rename wins
except ImportError:
    fcntl = None  # type: ignore[assignment]

CHECKSUM_BYTES = 32
# Objects of one kernel, made of other sources each, that are kept: several versions of the library
# may be in use side by side.
KEPT_VERSIONS = 4


class Problem(NamedTuple):
    """Why nothing can be kept in a folder, and what to type to mend it, if there is something."""

    why: str
    mend: str = ""


def default_folder() -> Path | None:
    """Where object code is kept: FASTNN_CACHE_DIR, or the user's cache folder; None where nobody
    knows of one."""
    if chosen := os.environ.get("FASTNN_CACHE_DIR"):
        return Path(chosen)
    home = os.path.expanduser("~")
    base = os.environ.get("XDG_CACHE_HOME") or (
        None if home == "~" else os.path.join(home, ".cache")
    )
    return Path(base) / "fastnn" if base else None


class ObjectCache:
    """The objects of one identity. They are kept in `folder`, or, where that cannot be, which is
    said once, in a temporary one (`is_temporary`), or nowhere (`folder` is None)."""

    def __init__(self, identity: bytes, base: Path | None = None):
        self.identity, self.name = identity, sha256(identity).hexdigest()[:20]
        self.base = base or default_folder()
        self.folder: Path | None = None
        self.readable: list[Path] = []
        self.is_temporary = False
        problem = Problem("HOME is not set")
        if self.base is not None:
            problem = _make_private(self.base) or _make_private(self.base / self.name)
            if problem is None:
                self._keep_in(self.base / self.name)
                return
        self._move(problem)

    def _keep_in(self, folder):
        self.folder = folder
        self.readable.insert(0, folder)

    def _move(self, problem):
        """From now on keep objects in the temporary folder. What lies where they were kept is still
        read."""
        base, self.folder = self.base, None
        place = None if self.is_temporary and os.path.isdir(base) else temporary.folder()
        if place is not None and _make_private(place / self.name) is None:
            self.base, self.is_temporary = place, True
            self._keep_in(place / self.name)
        # else the process that made it has said so
        if self.folder is None or temporary.is_own(place):
            _say_once(_message(base, problem, self.folder))

    def read(self, name: str) -> bytes | None:
        """The object called `name`, or None if it is not there or not what was written."""
        for folder in self.readable:
            try:
                data = (folder / f"{name}.o").read_bytes()
            except OSError:
                continue
            code = data[CHECKSUM_BYTES:]
            if data[:CHECKSUM_BYTES] == self._checksum(name, code):
                return code
        return None

    def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The object called `name`, or, if there is none, what `make()` returns, which is kept."""
        code = self.read(name)
        if code is None:
            with self.lock(name):
                code = self.read(name)  # another process may have been first
                if code is None:
                    code = make()
                    self.write(name, code)
        return code

    def has(self, name: str) -> bool:
        """Whether there is a file of that name: `read` tells whether it is good."""
        return any((folder / f"{name}.o").exists() for folder in self.readable)

    def write(self, name: str, code: bytes) -> None:
        """Keep an object: what is written aside and renamed is there as a whole or not at all."""
        data = self._checksum(name, code) + code
        while self.folder is not None:
            aside = self.folder / f"{name}.{os.getpid()}.aside"
            try:
                aside.write_bytes(data)
                aside.replace(self.folder / f"{name}.o")
                self._remove_older(name)
                return
            except OSError as error:
                with suppress(OSError):
                    aside.unlink()
                self._move(_problem(error, self.folder))

    def _remove_older(self, name):
        """Remove those of this kernel that were made of other sources, but for the newest."""
        kernel, _, digest = name.rpartition("_")
        with suppress(OSError):  # another process may be first
            versions = self.folder.glob(f"{kernel}_{'?' * len(digest)}.o") if kernel else ()
            for _, file in sorted((f.stat().st_mtime_ns, f) for f in versions)[:-KEPT_VERSIONS]:
                file.unlink()

    def keeps(self) -> bool:
        """Whether objects can be kept, be it in a temporary folder, which is found out by
        trying."""
        attempt = f"attempt {os.getpid()}"
        self.write(attempt, bytes(1 << 16))
        if self.folder is not None:
            (self.folder / f"{attempt}.o").unlink(missing_ok=True)
        return self.folder is not None

    def _checksum(self, name, code):
        return sha256(b"\0".join((self.identity, name.encode(), code))).digest()

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Held while one process compiles `name`; others wait and then find it. The system releases
        it if the process dies."""
        file = None
        while file is None and self.folder is not None and fcntl is not None:
            try:
                file = open(self.folder / "lock", "a")  # noqa: SIM115
            except OSError as error:
                self._move(_problem(error, self.folder))
        if file is None:
            yield
            return
        with file:
            # One byte of one file stands for each name, so that different kernels compile side by
            # side.
            fcntl.lockf(
                file,
                fcntl.LOCK_EX,
                1,
                int.from_bytes(sha256(name.encode()).digest()[:4], "big"),
            )
            yield

    def contents(self) -> tuple[int, int]:
        """(number of kernels, bytes of their objects, older ones too) of this identity."""
        sizes = {}
        for file in () if self.folder is None else self.folder.glob("*.o"):
            with suppress(OSError):  # another process may remove it
                sizes[file.stem] = file.stat().st_size
        return len({name.rpartition("_")[0] or name for name in sizes}), sum(sizes.values())


@cache
def _say_once(message):
    warn(message, RuntimeWarning)


def _message(base, problem, kept):
    lines = [f"fastnn cannot keep compiled kernels{f' in {base}' if base else ''}: {problem.why}."]
    if kept is None:
        lines.append("Every process compiles them anew.")
    else:
        lines.append(
            f"They lie in {kept.parent} until this process ends, for those that it starts too; "
            "others compile them anew."
        )
    if problem.mend:
        lines.append(f"To mend it: {problem.mend}")
    lines.append("To keep them elsewhere: export FASTNN_CACHE_DIR=/var/tmp/fastnn-$(id -u)")
    return "\n".join(lines)


def _make_private(folder):
    """Make the folder if need be; returns what is wrong with it, or None. Object code is run, so
    nobody else may write it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        return _problem(error, folder)
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return Problem("it belongs to another user", f"sudo chown -R $(id -u) {_quoted(folder)}")
    if sys.platform != "win32" and status.st_mode & 0o022:
        return Problem("it can be written by other users", f"chmod go-w {_quoted(folder)}")
    return None


def _quoted(path):
    from shlex import quote  # here, as those of hints alone

    return quote(str(path))


def _problem(error, folder):
    """What the system's error means to somebody who wants to keep something in `folder`."""
    place = next((p for p in (folder, *folder.parents) if os.path.lexists(p)), folder)
    here = _quoted(place)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem("there is no space left", f"df -h {here} (some 20 MB are needed)")
    if not os.path.isdir(place):
        return Problem(f"{place} is not a folder", f"mv {here} {here}.old")
    if error.errno == errno.EACCES and place.stat().st_uid == os.getuid():
        return Problem(f"you may not write to {place}", f"chmod u+rwx {here}")
    if error.errno == errno.EACCES:
        return Problem(
            f"{place} belongs to another user",
            f"sudo chown $(id -u) {here}" if place.name == ".cache" else "",
        )
    return Problem(error.strerror or str(error))
