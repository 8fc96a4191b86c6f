"""Settings of the process: the element type of new tensors and layers, the number of threads."""

from typing import Any

from fastnn.devices.cpu import threads
from fastnn.errors import nearest
from fastnn.watch import settings

_floatx = "float32"
settings["floatx"] = _floatx
EPSILON = 1e-7  # in the formulas of losses and metrics, as in Keras
_interactive = True


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


# ---- Keras's other settings: what fastnn has of each


def backend() -> str:
    """What computes: "fastnn".

    >>> import fastnn
    >>> fastnn.keras.config.backend()
    'fastnn'
    """
    return "fastnn"


def epsilon() -> float:
    """The small number that losses and metrics add to what they divide by or take the logarithm
    of, 1e-7.

    >>> import fastnn
    >>> fastnn.keras.config.epsilon()
    1e-07
    """
    return EPSILON


def set_epsilon(value: float) -> None:
    """Takes 1e-7 and raises ValueError for anything else: formulas have that number in their
    compiled code, unlike Keras's. Layers and optimizers take an `epsilon` of their own."""
    _expect("set_epsilon", value, EPSILON, "losses and metrics are compiled with it")


def image_data_format() -> str:
    """How images lie in memory: "channels_last", (N, height, width, channels).

    >>> import fastnn
    >>> fastnn.keras.config.image_data_format()
    'channels_last'
    """
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """Takes "channels_last" and raises ValueError for "channels_first", which fastnn has not."""
    _expect("set_image_data_format", data_format, "channels_last", "there is no other")


def dtype_policy() -> str:
    """The element type of new layers, `floatx`: Keras's policies of two types are not here.

    >>> import fastnn
    >>> fastnn.keras.config.dtype_policy()
    'float32'
    """
    return _floatx


def set_dtype_policy(policy: Any) -> None:
    """`set_floatx` by another name: "float32" or "float64". There is no half precision yet."""
    if policy not in ("float32", "float64"):
        raise ValueError(
            f"set_dtype_policy: expected 'float32' or 'float64'; got {policy!r}: fastnn has no "
            "half or mixed precision yet"
        )
    set_floatx(policy)


def _expect(name, value, only, reason):
    if value != only:
        raise ValueError(f"{name}: expected {only!r}, for {reason}; got {value!r}")


def enable_interactive_logging() -> None:
    """Let training change its line on a terminal within an epoch, as it does from the start."""
    global _interactive
    _interactive = True


def disable_interactive_logging() -> None:
    """Let training print whole lines only, on a terminal too.

    >>> import fastnn
    >>> fastnn.keras.config.disable_interactive_logging()
    >>> fastnn.keras.config.is_interactive_logging_enabled()
    False
    >>> fastnn.keras.config.enable_interactive_logging()
    """
    global _interactive
    _interactive = False


def is_interactive_logging_enabled() -> bool:
    """Whether training changes its line on a terminal within an epoch."""
    return _interactive


def disable_traceback_filtering() -> None:
    """Nothing: tracebacks are whole in any case."""


def is_traceback_filtering_enabled() -> bool:
    """False: tracebacks are whole."""
    return False


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
