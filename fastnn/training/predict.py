"""Prediction: forward steps over all rows; for few rows, one tape that is called again and
again."""

from typing import Any

import numpy as np

from fastnn import tree
from fastnn.apply import apply
from fastnn.autograd import no_grad
from fastnn.callbacks import CallbackList
from fastnn.devices.base import FOREVER, StepFailed
from fastnn.dtypes import FLOATS
from fastnn.errors import NotFiniteError, ShapeError, shape_text
from fastnn.frames import not_finite
from fastnn.locks import MAX_WAIT_SECONDS
from fastnn.ops.movement import copy
from fastnn.ops.updates import check_finite
from fastnn.tape.record import context
from fastnn.tensor import Tensor
from fastnn.utils import pack_x_y_sample_weight

from . import data
from .outputs import Output
from .own_steps import OwnSteps
from .programs import Programs
from .segments import Source, segments_of


class Predictor:
    """The model's results for rows of one shape. A single batch (`shape` says of how many rows) is
    copied to the tape's own memory and back, so that a call costs a few microseconds; more rows,
    any number (None), are read and written where they lie, batches in slices of native work between
    which other threads may have their turn."""

    def __init__(
        self, model: Any, rows: Any, size: int | None, outputs: Any, batch_size: int, eager: bool
    ):
        self.model, self.single = model, size is not None
        like = data.without_arrays(rows)

        def another_of(rows_of_it: int | None) -> Predictor:
            rows_like = [a[:rows_of_it] for a in self.x]
            return Predictor(
                model, tree.pack(like, rows_like), rows_of_it, outputs, batch_size, eager
            )

        self.another = lambda: another_of(size)
        self.another_of = another_of
        self.of_size: dict[int, Predictor] = {}  # of single batches, for a GPU
        self.batch_size = batch_size
        self.inputs, self.outputs = like, outputs
        held = batch_size if size is None else size
        self.x: list[np.ndarray] = [
            np.zeros((held, *a.shape[1:]), a.dtype) for a in tree.flatten(rows)
        ]
        self.y = self._room(held)
        source = Source([*self.x, *self.y])
        n_threads = 1 if self.single else None  # to wake another takes longer than most batches
        self.programs = Programs(
            [source],
            lambda: (segments_of("prediction", self._step, source, batch_size), []),
            eager,
            n_threads,
        )
        self.watches = self.programs.watches
        if not self.single:
            self.fits = self.programs.fits  # type: ignore[method-assign]
        if self.single:
            self.program = self.programs.through([[*self.x, *self.y]]).program
            self.turn = self.program.turn

    def fits(self) -> bool:
        """Whether the model is as it was recorded."""
        return all([watch.holds() for watch in self.watches])

    def _room(self, rows):
        """Memory for so many results."""
        return [np.empty((rows, *o.shape[1:]), o.dtype) for o in tree.flatten(self.outputs)]

    def _step(self, *batch: Tensor) -> None:
        x, y = batch[: len(self.x)], batch[len(self.x) :]
        for tensor in x:
            if tensor.dtype in FLOATS:
                apply(check_finite, (tensor,), {})
        with no_grad():
            given = tree.pack(self.inputs, x)
            if type(self.model).predict_step is OwnSteps.predict_step:
                results = tree.flatten(self.model(given, training=False))
            else:
                results = tree.flatten(self.model.predict_step(pack_x_y_sample_weight(given)))
            for result, out in zip(results, y, strict=True):
                if (result.shape, result.dtype) != (out.shape, out.dtype):
                    raise ShapeError(
                        f"predict: model {self.model.name!r} returns {shape_text(result.shape)} "
                        f"{result.dtype}, and had said {shape_text(out.shape)} {out.dtype}"
                    )
                apply(copy, (result,), {}, (out,))

    def __call__(self, x: Any, callbacks: CallbackList | None = None, given: Any = None) -> Any:
        given = x if given is None else given
        if type(x) is np.ndarray and x.dtype == self.x[0].dtype:
            arrays = [x]
        else:  # one array of another kind, or rows that are checked already
            arrays = [data.inputs(x, self.x[0].dtype)] if hasattr(x, "shape") else tree.flatten(x)
        watched = callbacks is not None and callbacks.callbacks
        try:
            if self.single and not watched:
                return self._packed(self.turn.run(self._at_once, arrays))
            return self._packed(self._in_slices(arrays, callbacks if watched else None))
        except (StepFailed, NotFiniteError) as error:
            if isinstance(error, StepFailed) and error.instruction.name != check_finite.name:
                raise error.error() from None
            named = zip(tree.leaves(self.inputs, "x"), arrays, tree.flatten(given), strict=True)
            for (name, _), array, of_it in [*named] if len(arrays) > 1 else ():
                data.expect_finite(array, name, of_it)
            raise not_finite(arrays[0], "x", given) from None

    def _packed(self, results):
        """Results in the model's structure."""
        return results[0] if isinstance(self.outputs, Output) else tree.pack(self.outputs, results)

    def _at_once(self, arrays):
        self.x[0][...] = arrays[0]  # a loop costs a tenth of a call
        if len(arrays) > 1:
            for held, array in zip(self.x, arrays, strict=True):
                held[...] = array
        self.program.rewind()
        self.program.run(1)
        return [self.y[0].copy()] if len(self.y) == 1 else [y.copy() for y in self.y]

    def _in_slices(self, x, callbacks):
        taken = self.programs.taken
        if taken._is_owned():  # a callback predicts
            return self.another()._in_slices(x, callbacks)
        if context.device != "cpu" and not self.single:
            return self._by_batches(x)
        try:
            if not taken.acquire(timeout=MAX_WAIT_SECONDS):
                return self.another()._in_slices(x, callbacks)
            x, y = [np.ascontiguousarray(a) for a in x], self._room(len(x[0]))
            schedule = self.programs.through([[*self.x, *self.y] if self.single else [*x, *y]])
            if callbacks is not None:
                self._watched(schedule, x, y, callbacks)
            while callbacks is None and schedule.program.position[0] < 1:
                schedule.autotuner.run(1, FOREVER)
            return y
        finally:
            if taken._is_owned():
                if self.single:
                    taken.release()
                else:
                    self.programs.release()

    def _by_batches(self, x):
        """Batch by batch, on a device whose steps cannot be told where the next rows are."""
        y = self._room(len(x[0]))
        for start in range(0, len(x[0]), self.batch_size):
            part = [a[start : start + self.batch_size] for a in x]
            size = len(part[0])
            if size not in self.of_size:
                self.of_size[size] = self.another_of(size)
            one = self.of_size[size]
            for whole, found in zip(y, one.turn.run(one._at_once, part), strict=True):
                whole[start : start + size] = found
        return y

    def _watched(self, schedule, x, y, callbacks):
        callbacks.call("on_predict_begin", None)
        start, sizes = 0, [s.rows for s in schedule.segments for _ in range(s.repeats)]
        for number, rows in enumerate(sizes):
            callbacks.call("on_predict_batch_begin", number, None)
            if self.single:
                y[:] = self.turn.run(self._at_once, x)
            else:
                schedule.program.turn.run(schedule.program.run, 1, 1)
            found = self._packed([a[start : start + rows].copy() for a in y])
            callbacks.call("on_predict_batch_end", number, {"outputs": found})
            start += rows
        callbacks.call("on_predict_end", None)
