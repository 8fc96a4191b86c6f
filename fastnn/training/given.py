"""What `fit` and `evaluate` are given: arrays that are there as a whole, or batches."""

import math
from typing import Any, NamedTuple

import numpy as np

from fastnn import checks
from fastnn.callbacks import CallbackList
from fastnn.errors import ShapeError, warn

from . import data, preparing
from .alike import Checker
from .batches import BatchDriver, Batches, are_batches, of_rows
from .data import ALL_ROWS, Rows
from .driver import Driver
from .epoch import Epoch
from .progress import Progress


class Given(NamedTuple):
    """Rows to train with and to validate with, or None, all or the first batch of them; sizes of
    batches; how many steps an epoch has, or None."""

    rows: Rows
    test: Rows | None
    sizes: tuple[int, int]
    steps: int | None
    train_batches: Batches | None = None
    test_batches: Batches | None = None
    class_weight: Any = None

    @classmethod
    def of(
        cls,
        model: Any,
        train: tuple[Any, Any, Any],
        class_weight: Any,
        validation_data: Any,
        validation_split: float,
        sizes: tuple[int, int],
        shuffle: bool,
        steps: int | None,
        test_steps: int | None,
    ) -> "Given":
        """The arguments of `fit`, in which arrays are preprocessed already."""

        def order(number: int) -> np.ndarray:
            return np.argsort(model._drawing().uniform((number,)).numpy(), kind="stable")

        drawn = order if shuffle else None
        rows, batches, size = part(
            model, train, class_weight, sizes[0], steps, drawn, is_split=bool(validation_split)
        )
        test, test_batches, test_size = None, None, sizes[1]
        if validation_data is not None:
            pair = (validation_data, None, None)
            if not are_batches(validation_data):
                pair = data.pair(validation_data)
            test, test_batches, test_size = part(
                model,
                pair,
                None,
                sizes[1],
                test_steps,
                None,
                "validation_",
                not are_batches(train[0]),
            )
        elif validation_split:
            rows, test = data.split(rows, validation_split)
        length = batches.length if batches is not None else math.ceil(rows.number / size)
        if batches is None:
            expect_whole_batches(model, rows.number, "fit")
        if test is not None and test_batches is None:
            expect_whole_batches(model, test.number, "fit: validation data")
        return cls(rows, test, (size, test_size), length, batches, test_batches, class_weight)

    @classmethod
    def to_evaluate(
        cls, model: Any, test: tuple[Any, Any, Any], size: int, steps: int | None
    ) -> "Given":
        """The arguments of `evaluate`."""
        rows, batches, size = part(model, test, None, size, steps, is_ready=False)
        length = batches.length if batches is not None else math.ceil(rows.number / size)
        if batches is None:
            expect_whole_batches(model, rows.number, "evaluate")
        return cls(rows, None, (size, size), length, None, batches)

    def driver(self, model: Any, epoch: Epoch, called: CallbackList, progress: Progress) -> Driver:
        """What runs it."""
        common = model, epoch, called, progress
        if self.train_batches is None and self.test_batches is None:
            return Driver(*common)
        found = BatchDriver(*common, train=self.train_batches, test=self.test_batches)
        test_name, test = ("", self.rows) if self.test is None else ("validation_", self.test)
        found.check = {
            "train": Checker(model, self.class_weight, "", self.rows),
            "test": Checker(model, None, test_name, test),
        }
        found.held = [r.arrays() for r in (self.rows, self.test) if r is not None]
        return found


def size_of_batches(model: Any, given: Any) -> int:
    """A `batch_size` that is given, 32 for None; that of the model's inputs where they have one."""
    fixed = model.batch_rows
    size = checks.whole_number("batch_size", (fixed or 32) if given is None else given, 1)
    if fixed is not None and size not in (fixed, ALL_ROWS):
        raise ValueError(
            f"batch_size must be {fixed}, for which model {model.name!r} was built (batch_shape of "
            f"its inputs); got {size}"
        )
    return size


def expect_whole_batches(model: Any, rows: int, what: str) -> None:
    """Raise where a model that was built for batches of so many rows would get a smaller one."""
    if model.batch_rows is not None and rows % model.batch_rows:
        raise ShapeError(
            f"{what}: {rows} rows do not make whole batches of {model.batch_rows}, for which model "
            f"{model.name!r} was built (batch_shape of its inputs). Give a multiple of these, or "
            "build it for any number of rows, by Input(shape)."
        )


def part(
    model: Any,
    given: tuple[Any, Any, Any],
    class_weight: Any,
    size: int,
    steps: int | None,
    order: Any = None,
    what: str = "",
    is_ready: bool = True,
    is_split: bool = False,
) -> tuple[Rows, Batches | None, int]:
    """Rows, or the first batch and all batches, and their size. is_ready: whether arrays are
    preprocessed already."""
    x, y, _ = given
    if are_batches(x):
        if y is not None or is_split:
            raise ValueError(
                f"{what}x gives batches, with targets in them: "
                f"{'validation_split' if is_split else 'y'} has no meaning beside it"
            )
        batches = Batches(x, steps, f"{what}x", order)
        return checked(model, batches.first(), class_weight, what), batches, ALL_ROWS
    rows = checked(model, given, class_weight, what, is_ready)
    if steps is None or is_split:
        return rows, None, size
    parts = of_rows(rows, size, order)
    batches = Batches(parts, steps, f"{what}x")
    if steps > len(parts):
        warn(
            f"{what}x: {steps} steps are asked for and there are {len(parts)} batches, so an epoch "
            "goes through the arrays more than once (Keras ends it with them). Leave the number "
            "of steps out to go through them once."
        )
    batches.are_checked = True
    first = Rows(*batches.first())
    return first, batches, ALL_ROWS


def checked(
    model: Any, given: Any, class_weight: Any = None, what: str = "", is_ready: bool = False
) -> Rows:
    """Rows of x, y and weights. is_ready: whether x and y are preprocessed already."""
    if is_ready:
        x, y, weights = given
        given = x, y, data.with_class_weights(class_weight, y, weights)
    else:
        given = preparing.batch(model, given, class_weight)
    rows: Rows = model._rows(*given, what=what)
    return rows
