"""Odds and ends of Keras's surface."""

from typing import Any

import numpy as np

from fastnn import config, random
from fastnn.checks import whole_number
from fastnn.errors import DTypeError
from fastnn.registry import custom_object_scope as custom_object_scope
from fastnn.registry import get_registered_name as get_registered_name
from fastnn.registry import register_keras_serializable as register_keras_serializable
from fastnn.registry import reset_names


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
    classes = np.asarray(x.numpy() if hasattr(x, "numpy") else x)
    whole = classes.astype(np.int64)
    if classes.dtype.kind not in "biuf" or (whole != classes).any():
        raise DTypeError(f"to_categorical: expected whole numbers; got {classes.dtype}: {x!r}")
    if whole.ndim > 1 and whole.shape[-1] == 1:
        whole = whole[..., 0]
    if num_classes is None:
        num_classes = int(whole.max(initial=-1)) + 1
    num_classes = whole_number("to_categorical: num_classes", num_classes, 1)
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
    array = np.asarray(x.numpy() if hasattr(x, "numpy") else x)
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
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


def clear_session(free_memory: bool = True) -> None:
    """Let names that are made up count from the start: dense, dense_1, ... There is nothing else
    that models leave behind. free_memory: taken for Keras's sake.

    >>> import fastnn
    >>> fastnn.utils.clear_session()
    >>> fastnn.layers.Dense(2).name, fastnn.layers.Dense(2).name
    ('dense', 'dense_1')
    """
    reset_names()


def plot_model(model: Any, to_file: Any = "model.svg", **shown: Any) -> str:
    """Draw a model as SVG: see `models.plot.plot_model`."""
    from fastnn.models.plot import plot_model as drawn

    return drawn(model, to_file, **shown)


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
