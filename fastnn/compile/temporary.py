"""A private folder for as long as a process runs, which the processes that it starts share: where
nothing can be kept otherwise.

The process that made it removes it when it ends. Each that uses it holds a lock on it, which the
system releases however a process ends; so what a killed one has left behind is removed by the next
that needs such a folder.
"""

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

VARIABLE = "FASTNN_TEMPORARY_CACHE"  # by which processes tell those they start
PREFIX = "fastnn-until-exit-"
_made: set[str] = set()  # by this process, or by the one that forked it
_held: dict[str, int] = {}  # folder -> the file that holds the lock


def folder() -> Path | None:
    """The folder of this process, or of the one that started it, or a new one; None where none can
    be made."""
    known = os.environ.get(VARIABLE)
    if known and os.path.isdir(known) and (known in _held or _hold(known)):
        return Path(known)
    if fcntl is None:
        return None
    import shutil  # here, for they take 4 ms, and few programs need such a folder
    import tempfile
    from multiprocessing.util import Finalize

    try:
        _remove_abandoned(Path(tempfile.gettempdir()), shutil.rmtree)
        made = tempfile.mkdtemp(prefix=PREFIX)
    except OSError:
        return None
    # When this process ends, even if it is one of multiprocessing's, but not one that it has
    # forked; and after its children.
    Finalize(None, shutil.rmtree, (made, True), exitpriority=-100)
    if not _hold(made):
        return None
    _made.add(made)
    os.environ[VARIABLE] = made
    return Path(made)


def is_own(place: Path) -> bool:
    """Whether this process made it."""
    return str(place) in _made


def _hold(path):
    """Lock the folder for this process; whether that could be done."""
    file = _locked(path, fcntl.LOCK_SH) if fcntl else None
    if file is not None:
        _held[path] = file
    return file is not None


def _locked(path, kind):
    """An open file with a lock on a folder that is this user's alone, which forked children share;
    or None."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        status = os.fstat(file)
        if status.st_uid == os.getuid() and status.st_mode & 0o077 == 0:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            if os.path.samestat(status, os.stat(path)):  # nobody has removed it meanwhile
                return file
    except OSError:
        pass
    os.close(file)
    return None


def _remove_abandoned(place, rmtree):
    """Remove what processes of this user that were killed have left here."""
    for path in place.glob(f"{PREFIX}*"):
        file = _locked(path, fcntl.LOCK_EX)
        if file is not None:
            rmtree(path, ignore_errors=True)
            os.close(file)
