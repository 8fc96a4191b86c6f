"""Errors that say what was expected, what came and the way out, and the words they are made of."""

import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.kernels.status import CODE_BITS, INDEX_OUT_OF_RANGE, NOT_FINITE

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
    """Something that cannot be written down in a tape: reading a value, drawing numbers
    elsewhere."""


class CudaError(RuntimeError):
    """What NVIDIA's driver reported, or why there is no GPU that can be used."""


class DeviceMemoryError(CudaError, MemoryError):
    """Too little of the GPU's memory is free."""


# What Keras and PyTorch call by these names is something else than what is spelled alike here: no
# slip of the fingers.
ELSEWHERE = """
    adadelta adafactor adagrad adamax adamw auc categorical_crossentropy categorical_hinge celu
    cosine_similarity elu exponential gelu glorot_normal glu hard_shrink hard_sigmoid hard_silu
    hard_swish hard_tanh he_normal he_uniform hinge huber kl_divergence lamb leaky_relu
    lecun_normal lecun_uniform lion log_cosh log_sigmoid log_softmax mae mape
    mean_absolute_error mean_absolute_percentage_error mean_squared_error
    mean_squared_logarithmic_error mish mse msle muon nadam orthogonal precision prelu recall
    relu relu6 rmse root_mean_squared_error rrelu selu silu soft_shrink softmax softmin softplus
    softsign sparsemax squared_hinge squareplus swish tanh tanh_shrink
    top_k_categorical_accuracy truncated_normal variance_scaling
"""
MAX_NAMES = 60  # in a message


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known one that it must be a slip of, or all
    of them."""
    names, given = sorted(known), str(name).lower()
    slips = {n: _slips(given, n.lower()) for n in names}
    most = 0 if given in ELSEWHERE.split() else max(1, len(given) // 4)
    close = [
        n
        for n in sorted(names, key=lambda n: slips[n])
        if slips[n] <= most and not _is_another(given, n.lower())
    ]
    # not written to its end
    close += [n for n in names if most and len(given) > 2 and n.lower().startswith(given)]
    if len(names) > MAX_NAMES and not close:
        nearest_ones = sorted(names, key=lambda n: slips[n])[:MAX_NAMES]
        return f"of {len(names)} that are known these are nearest: {', '.join(nearest_ones)}"
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"


def _is_another(a, b):
    """Whether one short word has another letter where the other has one: that makes another name,
    as of mae and mse."""
    return len(a) == len(b) < 5 and sorted(a) != sorted(b)


def _slips(a, b):
    """How many slips of the fingers lead from one word to the other: a letter too many, too few,
    another, or two exchanged."""
    before, row = [], list(range(len(b) + 1))
    for i, letter in enumerate(a):
        earlier, before, row = before, row, [i + 1]
        for j, other in enumerate(b):
            row.append(min(before[j] + (letter != other), before[j + 1] + 1, row[j] + 1))
            if i and j and letter == b[j - 1] and a[i - 1] == other:
                row[-1] = min(row[-1], earlier[j - 1] + 1)
    return row[-1]


def shape_text(shape: Iterable[object]) -> str:
    """A shape as the messages write it: (32, 10), (any, 10)."""
    return "(" + ", ".join("any" if extent is None else str(extent) for extent in shape) + ")"


def name_layer(error: Exception, layer: str) -> None:
    """Let the error of an op say in which layer it was called, the innermost one."""
    if not getattr(error, "names_layer", False):
        message = str(error)
        if repr(layer) not in message and not message.startswith(f"{layer}:"):
            error.args = (f"layer {layer!r}: {message}",)
        error.names_layer = True  # type: ignore[attr-defined]


class IndexOutOfRange(IndexError):
    """What a kernel says of an index: its number among all of an array, row after row."""

    where: str
    place: int

    @classmethod
    def of(cls, where: str, place: int) -> "IndexOutOfRange":
        """One of a place. The class takes a message alone, as errors must that are pickled."""
        error = cls(f"{where}: index number {place} of the batch is out of range")
        error.where, error.place = where, place
        return error

    def among(self, indices: Sequence[Any], read: Callable[[Any, int], Any]) -> IndexError:
        """The same with the index and where it stands, of an op's tensors. Of several, which
        broadcast, it is the last one's. read: a tensor's element of a number, None where that is
        no longer known."""
        if not indices:
            return self
        shape, last = np.broadcast_shapes(*[x.shape for x in indices]), indices[-1]
        at = list(map(int, np.unravel_index(self.place, shape)))
        own = [min(i, n - 1) for i, n in zip(at[len(at) - last.ndim :], last.shape, strict=True)]
        index = read(last, int(np.ravel_multi_index(own, last.shape)) if own else 0)
        spot = f" at {shape_text(at)}" if at and (len(indices) == 1 or index is None) else ""
        of = " (what NaN, infinity and all beyond int64 become)" if index == -(2**63) else ""
        index = "an index" if index is None else f"index {index}{of}"
        return IndexError(f"{self.where}: {index}{spot} is out of range")


def kernel_error(status: int, name: str, layer: str) -> Exception:
    """The error for what a kernel reported."""
    code, place = status & ((1 << CODE_BITS) - 1), status >> CODE_BITS
    where = f"{name} in layer {layer!r}" if layer else name
    if code == INDEX_OUT_OF_RANGE:
        return IndexOutOfRange.of(where, place)
    if code == NOT_FINITE:
        return NotFiniteError(f"{where}: element {place} is not finite")
    return FloatingPointError(
        f"{where}: the update of element {place} would overflow, and was not made. Lower the "
        "learning rate or the gradient, by clipping or by a smaller loss."
    )


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's that led here, the innermost outside this package."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
