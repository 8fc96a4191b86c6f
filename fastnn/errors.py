"""Errors that say what was expected, what came and the way out, and the words they are made of."""

import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

PACKAGE = str(Path(__file__).resolve().parent)


class ShapeError(ValueError):
    """Shapes that do not fit."""


class DTypeError(TypeError):
    """An element type that an operation does not take."""


class DeadTensorError(RuntimeError):
    """A tensor whose memory ended with the recorded step that made it."""


class NotFiniteError(FloatingPointError):
    """A loss, gradient or input that is NaN or infinite."""


class RecordingError(RuntimeError):
    """Something that cannot be written down in a tape: reading a value, drawing numbers elsewhere."""


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    import difflib  # here, as it is seldom needed and takes longer than a tenth of our own import

    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, 1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"


def shape_text(shape: Iterable[object]) -> str:
    """A shape as the messages write it: (32, 10), (any, 10)."""
    return "(" + ", ".join("any" if extent is None else str(extent) for extent in shape) + ")"


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's that led here, the innermost outside this package."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
