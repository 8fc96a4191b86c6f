"""Odds and ends of Keras's surface."""

from typing import Any

import numpy as np

from fastnn import config, dtypes, random, registry, tree
from fastnn.checks import extents, number, whole_number
from fastnn.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from fastnn.convert import as_numbers
from fastnn.declared import as_declared
from fastnn.errors import DTypeError, ShapeError
from fastnn.ops.record import expect_axis
from fastnn.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from fastnn.registry import deserialize as deserialize_keras_object
from fastnn.registry import serialize as serialize_keras_object
from fastnn.symbolic import KerasTensor

CustomObjectScope = custom_object_scope


def set_random_seed(seed: int) -> None:
    """Seed fastnn's generator, Python's and NumPy's, as Keras does: from here on the same program
    gives the same bits.

    Models draw initial weights and the order of rows from it. Without it a fresh seed is used;
    `history.seed` tells which.

    >>> import fastnn
    >>> fastnn.utils.set_random_seed(0)
    """
    import random as python_random  # here, for the time it takes

    random.default.reset(seed)
    python_random.seed(seed)
    np.random.seed(seed % (1 << 32))


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Classes (...) as rows (..., num_classes) of zeros with a 1 at the class, an array of
    `config.floatx()`. num_classes: the largest class + 1 unless given. A last dimension of 1 is
    dropped, as in Keras.

    >>> import fastnn
    >>> fastnn.utils.to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    classes = as_numbers(x, "to_categorical: x")
    whole = classes.astype(np.int64)
    if classes.dtype.kind not in "biuf" or (whole != classes).any():
        raise DTypeError(f"to_categorical: expected whole numbers; got {classes.dtype}: {x!r}")
    if whole.ndim > 1 and whole.shape[-1] == 1:
        whole = whole[..., 0]
    if num_classes is None:
        num_classes = int(whole.max(initial=-1)) + 1
    num_classes = whole_number("to_categorical: num_classes", num_classes, 1)
    extents("to_categorical: num_classes", (*whole.shape, num_classes))
    if whole.size and not 0 <= whole.min() <= whole.max() < num_classes:
        raise ValueError(
            f"to_categorical: classes must lie in 0 to {num_classes - 1}; got "
            f"{whole.min()} to {whole.max()}"
        )
    return (whole[..., None] == np.arange(num_classes)).astype(config.floatx())


def normalize(x: Any, axis: int = -1, order: float = 2) -> np.ndarray:
    """x divided by its norm of this order along an axis, where that is not 0.

    >>> import fastnn
    >>> fastnn.utils.normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    array = as_numbers(x, "normalize: x")
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    axis = expect_axis("normalize", axis, array.shape)
    order = number("normalize: order", order, lambda v: v == v, "be a number")
    norm = np.atleast_1d(np.linalg.norm(array, order, axis))
    norm[norm == 0] = 1
    return array / np.expand_dims(norm, axis)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of what a `train_step` is given; None for what is not there.

    >>> import fastnn
    >>> fastnn.utils.unpack_x_y_sample_weight(("x", "y"))
    ('x', 'y', None)
    """
    if not isinstance(data, tuple | list):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"unpack_x_y_sample_weight: expected x, (x,), (x, y) or (x, y, sample_weight); got "
            f"{len(data)} of them"
        )
    x, y, weight = (*data, None, None)[:3]
    return x, y, weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What `unpack_x_y_sample_weight` takes apart: x alone, (x, y) or (x, y, sample_weight).

    >>> import fastnn
    >>> fastnn.utils.pack_x_y_sample_weight("x", "y")
    ('x', 'y')
    """
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, tuple | list) else x


def plot_model(model: Any, to_file: Any = "model.svg", **shown: Any) -> str:
    """Draw a model as SVG: see `models.plot.plot_model`."""
    from fastnn.models.plot import plot_model as drawn

    return drawn(model, to_file, **shown)


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of any lengths as rows of one array (N, maxlen, ...).

    maxlen: the longest one's length unless given. padding: whether `value` fills up a short one
    before what it holds ("pre") or after ("post"). truncating: which end of a long one is cut off.
    dtype: of the array, NumPy's.

    >>> import fastnn
    >>> fastnn.utils.pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    for name, end in (("padding", padding), ("truncating", truncating)):
        if end not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name} must be 'pre' or 'post'; got {end!r}")
    try:
        if isinstance(sequences, str):
            raise TypeError
        rows = [np.asarray(s) if len(s) else None for s in sequences]
    except (TypeError, ValueError):
        raise ValueError(
            f"pad_sequences: expected a list of sequences; got {sequences!r:.80}"
        ) from None
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"pad_sequences: dtype must be one of NumPy's; got {dtype!r}") from None
    if isinstance(value, str) and kind.kind not in "OUS":
        raise ValueError(
            f"pad_sequences: value {value!r} is no number, as dtype {dtype} has them: pass "
            "dtype=object"
        )
    if maxlen is None:
        maxlen = max([0 if row is None else len(row) for row in rows], default=0)
    else:
        maxlen = whole_number("pad_sequences: maxlen", maxlen, 1)
        extents("pad_sequences: maxlen", (len(rows), maxlen))
    inner = next((row.shape[1:] for row in rows if row is not None), ())
    try:
        result = np.full((len(rows), maxlen, *inner), value, kind)
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(f"pad_sequences: value {value!r} as {kind}: {error}") from None
    for place, row in enumerate(rows):
        if row is None:
            continue
        if row.shape[1:] != inner:
            raise ShapeError(
                f"pad_sequences: entries of sequence {place} have shape {row.shape[1:]}, those of "
                f"the first {inner}"
            )
        kept = row[-maxlen:] if truncating == "pre" else row[:maxlen]
        result[place, slice(-len(kept), None) if padding == "pre" else slice(len(kept))] = kept
    return result


@as_declared
def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Two parts of arrays, in lists, tuples and dictionaries as they are given: the first rows and
    the last ones, of each array alike. Keras makes TensorFlow's or PyTorch's data sets of them.

    left_size, right_size: how many rows, or, of type float, which fraction of them; the other part
    of one that is left out is the rest. shuffle: take rows in another order, which `seed` tells.

    >>> import fastnn
    >>> train, test = fastnn.utils.split_dataset(np.arange(10), left_size=0.8)
    >>> test
    array([8, 9])
    """
    arrays = [np.asarray(a) for a in tree.flatten(dataset)]
    counts = {a.shape[:1] for a in arrays}
    if len(counts) != 1 or counts == {()}:
        raise ShapeError(
            "split_dataset: expected arrays of the same number of rows; got shapes "
            f"{', '.join(str(a.shape) for a in arrays) or 'of none'}"
        )
    ((count,),) = counts
    left, right = (
        None if size is None else _rows(name, size, count)
        for name, size in (("left_size", left_size), ("right_size", right_size))
    )
    if left is None and right is None:
        raise ValueError("split_dataset: expected left_size, right_size or both; got neither")
    left = count - right if left is None else left
    right = count - left if right is None else right
    if left + right > count:
        raise ValueError(
            f"split_dataset: left_size and right_size are {left + right} rows together; there are "
            f"{count}"
        )
    order: Any = slice(None)
    if shuffle:
        order = random._generator(seed).uniform((count,), dtype="float64").numpy().argsort()
    parts = (
        (order[:left], order[left : left + right])
        if shuffle
        else (slice(left), slice(left, left + right))
    )
    first, second = (tree.pack(dataset, [a[part] for a in arrays]) for part in parts)
    return first, second


def _rows(name, size, count):
    """How many rows a size stands for: one at least, and not all."""
    if isinstance(size, float) and 0 < size < 1 and 0 < round(size * count) < count:
        return round(size * count)
    if isinstance(size, int | np.integer) and not isinstance(size, bool) and 0 < size < count:
        return int(size)
    raise ValueError(
        f"split_dataset: {name} must be a whole number from 1 to {count - 1}, or a fraction that "
        f"leaves rows on both sides; got {size!r}"
    )


def is_keras_tensor(x: Any) -> bool:
    """Whether it stands for a tensor in a functional model, as `Input` and layers called on it
    give it.

    >>> import fastnn
    >>> fastnn.utils.is_keras_tensor(fastnn.Input((3,)))
    True
    """
    return isinstance(x, KerasTensor)


def standardize_dtype(dtype: Any) -> str:
    """The name of an element type: `config.floatx()` for None, int32 for int. Raises DTypeError for
    one that tensors do not have.

    >>> import fastnn
    >>> fastnn.utils.standardize_dtype(int)
    'int32'
    """
    if dtype is None or dtype is float:
        return config.floatx()
    if dtype in (int, bool, str):
        return {int: "int32", bool: "bool", str: "string"}[dtype]
    return dtypes.expected(dtype, "standardize_dtype").name


def clear_session(free_memory: bool = True) -> None:
    """Let names that are made up count from the start: dense, dense_1, ... There is nothing else
    that models leave behind. free_memory: taken for Keras's sake.

    >>> import fastnn
    >>> fastnn.utils.clear_session()
    >>> fastnn.layers.Dense(2).name, fastnn.layers.Dense(2).name
    ('dense', 'dense_1')
    """
    registry.reset_names()


class PyDataset:
    """A sequence of batches for `fit`, as Keras has it: subclasses define `__len__`, the number of
    batches, and `__getitem__(i)`, which gives (x, y) or (x, y, sample_weight); and, if need be,
    on_epoch_end(). Any object with these methods serves as well. workers, use_multiprocessing and
    max_queue_size are taken for Keras's sake: batches are made where they are used.

    >>> import numpy as np, fastnn
    >>> class Squares(fastnn.utils.PyDataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, i):
    ...         x = np.arange(8.0 * i, 8 * i + 8)[:, None]
    ...         return x, x * x
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> len(model.fit(Squares(), epochs=2, verbose=0).history["loss"])
    2
    """

    @as_declared
    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ):
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} does not define __len__, the number of batches")

    def __getitem__(self, index: int) -> Any:
        raise TypeError(f"{type(self).__name__} does not define __getitem__(index), a batch")

    def on_epoch_end(self) -> None:
        """After every pass through the batches."""


Sequence = PyDataset
