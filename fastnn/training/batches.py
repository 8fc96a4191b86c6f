"""Batches that come from elsewhere, one at a time: generators, sequences of batches, loaders."""

from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np

from fastnn import checks, tree
from fastnn.errors import warn
from fastnn.tensor import Tensor
from fastnn.utils import unpack_x_y_sample_weight

from .data import Rows
from .driver import Driver

NO_BATCHES = (Tensor, np.ndarray, np.generic, list, tuple, dict, str, bytes, int, float, type(None))
ARRAYS_HAVE = ("__array__", "__array_interface__", "__dlpack__", "columns", "shape")


def are_batches(x: Any) -> bool:
    """Whether x gives batches: a generator, what can be iterated, a sequence by __len__ and
    __getitem__; not an array, a frame or a structure of these."""
    if isinstance(x, NO_BATCHES) or any([hasattr(x, name) for name in ARRAYS_HAVE]):
        return False
    kind = type(x)
    return hasattr(kind, "__iter__") or (hasattr(kind, "__getitem__") and hasattr(kind, "__len__"))


class Batches:
    """Batches (x,), (x, y) or (x, y, sample_weight), taken one epoch after another.

    source: a generator, which goes on from epoch to epoch; what can be iterated again and again,
    as PyTorch's DataLoader; or a sequence, as Keras's PyDataset, whose batches are taken in the
    order of `order(their number)`, drawn for each epoch, and whose on_epoch_end is called. steps:
    how many an epoch takes; None: all there are.
    """

    def __init__(
        self,
        source: Any,
        steps: int | None = None,
        name: str = "x",
        order: Callable[[int], Any] | None = None,
    ):
        self.source, self.name, self.order = source, name, order
        self.steps = None if steps is None else checks.whole_number("steps_per_epoch", steps, 1)
        self.is_sequence = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        self.is_once = iter(source) is source if hasattr(source, "__iter__") else False
        self._left: Iterator[Any] | None = None  # of the pass that goes on
        self.is_over = False  # whether it was a generator, and ended
        self.are_checked = False  # being parts of arrays

    @property
    def length(self) -> int | None:
        """How many batches an epoch has, if that is known."""
        if self.steps is not None:
            return self.steps
        if getattr(self.source, "num_batches", None) is not None:
            return int(self.source.num_batches)
        return len(self.source) if hasattr(type(self.source), "__len__") else None

    def first(self) -> tuple[Any, Any, Any]:
        """The first batch, which the epoch gives again."""
        left = self._pass()
        try:
            batch = next(left)
        except StopIteration:
            raise ValueError(f"{self.name}: it gives no batch") from None
        self._left = chain([batch], left)
        return self._parts(batch)

    def epoch(self) -> Iterator[tuple[Any, Any, Any]]:
        """The batches of an epoch."""
        taken = 0
        while self.steps is None or taken < self.steps:
            is_new, found = self._left is None, 0
            left = self._left = self._pass() if self._left is None else self._left
            for batch in islice(left, None if self.steps is None else self.steps - taken):
                found += 1
                yield self._parts(batch)
            taken += found
            if self.steps is not None and taken == self.steps:
                return
            self._left = None  # it is through
            if hasattr(self.source, "on_epoch_end"):
                self.source.on_epoch_end()
            # a pass that goes on from the last epoch may have nothing left
            if self.steps is None or self.is_once or (is_new and not found):
                break
        self.is_over = self.is_once
        if self.steps is not None and taken < self.steps:
            warn(
                f"{self.name}: it ran out of batches after {taken} of the {self.steps} of an "
                "epoch. Let it give more, a generator for ever, or take fewer steps_per_epoch."
            )

    def _pass(self):
        if not self.is_sequence:
            return iter(self.source)
        number = self.length or 0
        places = range(number) if self.order is None else self.order(number)
        return (self.source[int(i)] for i in places)

    def _parts(self, batch):
        if batch.__class__ is tuple and len(batch) == 2:  # as most are
            return (*batch, None)
        try:
            return unpack_x_y_sample_weight(batch)
        except ValueError:
            raise ValueError(
                f"{self.name}: a batch must be x, (x, y) or (x, y, sample_weight); got "
                f"{len(batch)} parts"
            ) from None


def of_rows(rows: Rows, batch_size: int, order: Callable[[int], Any] | None) -> Any:
    """Batches of arrays, which can be iterated again and again, each time in another order."""

    class OfRows:
        def __iter__(self):
            number = rows.number
            places = None if order is None else np.asarray(order(number))
            for start in range(0, number, batch_size):
                chosen = slice(start, start + batch_size)
                part = rows.part(chosen if places is None else places[chosen])
                yield part.x, part.y, part.weights

        def __len__(self):
            return -(-rows.number // batch_size)

    return OfRows()


class BatchDriver(Driver):
    """A run whose batches come one at a time: `train` or `test` are Batches, or None where that
    part's rows are all there."""

    def __init__(self, *given: Any, train: Batches | None = None, test: Batches | None = None):
        super().__init__(*given)
        self.in_batches = True
        self.batches = {"train": train, "test": test}
        self.check: dict[str, Callable[[Any], list[Any]]] = {}  # of each part: arrays of a batch
        self.held: list[Any] = []  # the arrays of each part

    def _phase(self, kind, segments, mean_start):
        batches = self.batches[kind]
        if batches is None:
            super()._phase(kind, segments, mean_start)
            return
        epoch, number = self.epoch, self.epoch.program.position[0]
        is_watched = self.callbacks.watches_batches(kind)
        place = 0 if kind == "train" else len(self.held) - 1
        check = tree.flatten if batches.are_checked else self.check[kind]
        for self.batches_done, batch in enumerate(batches.epoch()):
            self.held[place] = check(batch)
            if is_watched:
                self.callbacks.call(f"on_{kind}_batch_begin", self.batches_done)
            # an epoch that is not validated has no place for what validates others
            epoch.go_on(self.held if epoch.test else self.held[:1], number)
            steps = epoch.train_steps
            if kind == "test":
                steps, epoch.program.position = epoch.test_steps, (number, len(epoch.train), 0)
            self._replay(steps)
            if epoch.collects:
                epoch.keep()
            if is_watched:
                self.callbacks.call(
                    f"on_{kind}_batch_end", self.batches_done, self._logs(mean_start)
                )
            if kind == "train" and self.model.stop_training:
                break
        self.batches_done = 0
        rest = len(epoch.train) if kind == "train" else len(epoch.segments) - 1
        epoch.program.position = (number, rest, 0)

    def is_over(self, is_last: bool) -> bool:
        train = self.batches["train"]
        if train is None or not train.is_over:
            return False
        if not is_last and train.steps is None:
            warn(
                f"{train.name}: the generator is through after one epoch, and training with it. "
                "Let it go on for ever, and give steps_per_epoch."
            )
        return True
