"""Settings of the process: the element type of new tensors and layers, the number of threads."""

from fastnn.devices.cpu import threads
from fastnn.errors import nearest
from fastnn.watch import settings

_floatx = "float32"
settings["floatx"] = _floatx


def floatx() -> str:
    """The element type that layers and converted numbers have unless told otherwise: "float32" or
    "float64".

    >>> import fastnn
    >>> fastnn.keras.config.floatx()
    'float32'
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Set what `floatx` returns. Layers already built keep their type."""
    global _floatx
    if value not in ("float32", "float64"):
        raise ValueError(
            f"set_floatx: expected 'float32' or 'float64'; got {value!r}; "
            f"{nearest(value, ['float32', 'float64'])}"
        )
    _floatx = settings["floatx"] = value


def get_threads() -> int:
    """How many threads may train and predict together: see `set_threads`.

    >>> import fastnn
    >>> fastnn.set_threads(2)
    >>> fastnn.get_threads()
    2
    >>> fastnn.set_threads(None)
    """
    return threads.allowed().number


def set_threads(count: int | None) -> None:
    """Use so many threads from now on, or one where that is faster; the results have the same bits.

    count: from 1 to 64; None, as at the start: what the environment variable FASTNN_NUM_THREADS
    says, or else as many as there are processors that this process may use, by its affinity and its
    cgroup CPU quotas. Steps that were recorded before are recorded anew when they
    are next used. Raises ValueError for anything else.
    """
    threads.choose(count if count is None else threads.checked_count("set_threads", count))
    settings["n_threads"] = threads.allowed().number
