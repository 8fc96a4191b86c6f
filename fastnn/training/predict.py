"""Prediction: forward steps over all rows; for few rows, one tape that is called again and
again."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.autograd import no_grad
from fastnn.callbacks import CallbackList
from fastnn.devices.cpu.program import FOREVER, StepFailed
from fastnn.errors import NotFiniteError
from fastnn.frames import not_finite
from fastnn.kernels.cpu import reduce, updates
from fastnn.locks import PATIENCE
from fastnn.tape.record import emit
from fastnn.tensor import Tensor

from . import data
from .epoch import Source, Steps, parts_of

CHECK_OF_INPUT = "check of x"


class Predictor:
    """The model's results for rows of one shape. A single batch (`shape` says of how many rows) is
    copied to the tape's own memory and back, so that a call costs a few microseconds; more rows,
    any number (None), are read and written where they lie, batches in slices of native work between
    which other threads may have their turn."""

    def __init__(
        self,
        model: Any,
        shape: Sequence[Any],
        output_shape: Sequence[Any],
        batch_size: int,
        eager: bool,
    ):
        self.model, self.dtype = model, model.dtype
        self.another = lambda: Predictor(model, shape, output_shape, batch_size, eager)
        self.output_shape = tuple(output_shape[1:])
        self.single, (rows, *columns) = shape[0] is not None, shape
        rows = batch_size if rows is None else rows
        self.x, self.y = (
            np.zeros((rows, *columns), self.dtype),
            np.empty((rows, *self.output_shape), self.dtype),
        )
        source = Source([self.x, self.y])
        n_threads = 1 if self.single else None  # to wake another takes longer than most batches
        self.steps = Steps(
            [source],
            lambda: (parts_of("prediction", self._step, source, batch_size), []),
            eager,
            n_threads,
        )
        self.watches = self.steps.watches
        if not self.single:
            self.fits = self.steps.fits  # type: ignore[method-assign]
        if self.single:
            self.program = self.steps.through([[self.x, self.y]]).program
            self.turn = self.program.turn

    def fits(self) -> bool:
        """Whether the model is as it was recorded."""
        return all([watch.holds() for watch in self.watches])

    def _step(self, x: Tensor, out: Tensor) -> None:
        emit(CHECK_OF_INPUT, updates.check_finite, (x.flat(),))
        with no_grad():
            emit("copy", reduce.copy, (self.model(x, training=False).flat(), out.flat()))

    def __call__(
        self, x: Any, callbacks: CallbackList | None = None, given: Any = None
    ) -> np.ndarray:
        given = x if given is None else given
        if type(x) is not np.ndarray or x.dtype != self.dtype:
            x = data.inputs(x, self.dtype)
        watched = callbacks is not None and callbacks.callbacks
        try:
            if self.single and not watched:
                return self.turn.run(self._at_once, x)
            return self._in_slices(x, callbacks if watched else None)
        except (StepFailed, NotFiniteError) as error:
            if isinstance(error, StepFailed) and error.instruction.name != CHECK_OF_INPUT:
                raise error.error() from None
            raise not_finite(x, "x", given) from None

    def _at_once(self, x):
        self.x[...] = x
        self.program.rewind()
        self.program.run(1)
        return self.y.copy()

    def _in_slices(self, x, callbacks):
        taken = self.steps.taken
        if taken._is_owned():  # a callback predicts
            return self.another()(x, callbacks)
        try:
            if not taken.acquire(timeout=PATIENCE):
                return self.another()(x, callbacks)
            x, y = np.ascontiguousarray(x), np.empty((len(x), *self.output_shape), self.dtype)
            laid = self.steps.through([[self.x, self.y] if self.single else [x, y]])
            if callbacks is not None:
                self._watched(laid, x, y, callbacks)
            while callbacks is None and laid.program.position[0] < 1:
                laid.pace.run(1, FOREVER)
            return y
        finally:
            if taken._is_owned():
                if self.single:
                    taken.release()
                else:
                    self.steps.release()

    def _watched(self, laid, x, y, callbacks):
        callbacks.call("on_predict_begin", None)
        first = 0
        for number, rows in enumerate([p.rows for p in laid.parts for _ in range(p.repeats)]):
            callbacks.call("on_predict_batch_begin", number, None)
            if self.single:
                y[...] = self.turn.run(self._at_once, x)
            else:
                laid.program.turn.run(laid.program.run, 1, 1)
            callbacks.call(
                "on_predict_batch_end", number, {"outputs": y[first : first + rows].copy()}
            )
            first += rows
        callbacks.call("on_predict_end", None)
