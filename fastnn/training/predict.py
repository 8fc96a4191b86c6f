"""Prediction: forward steps over all rows; for few rows, one tape that is called again and again."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn.autograd import no_grad
from fastnn.callbacks import CallbackList
from fastnn.device.locks import PATIENCE, lock
from fastnn.errors import NotFiniteError
from fastnn.kernels.cpu import reduce, updates
from fastnn.tape.pace import Pace
from fastnn.tape.record import emit
from fastnn.tape.run import FOREVER, StepFailed
from fastnn.tensor import Tensor

from . import data
from .epoch import Source, parts_of, program_of, recorded

CHECK_OF_INPUT = "check of x"


class Predictor:
    """The model's results for rows of one shape. A single batch is copied to the tape's own memory and back, so that a call costs
    a few microseconds; more rows are read and written where they lie, batches in slices of native work between which other threads
    may have their turn."""

    fits: Callable[[], bool]  # whether the model is as it was recorded

    def __init__(self, model: Any, shape: Sequence[int], output_shape: Sequence[Any], batch_size: int, eager: bool):
        self.model, self.shape, self.dtype = model, tuple(shape), model.dtype
        self.another = lambda: Predictor(model, shape, output_shape, batch_size, eager)
        self.taken = lock()  # by a call for many batches
        self.output_shape = (shape[0], *output_shape[1:])
        self.single = shape[0] <= batch_size
        self.x, self.y = np.zeros(self.shape, self.dtype), np.empty(self.output_shape, self.dtype)
        self.source = Source([self.x, self.y])
        self.parts = parts_of("prediction", self._step, self.source, batch_size)
        self.tapes = [] if eager else recorded(self.parts)
        self.program = program_of(self.parts, self.tapes)
        self.pace, self.turn = Pace(self.program), self.program.turn
        if not self.single:
            self.x = self.y = np.empty(0)
            self.source.release()

    def _step(self, x: Tensor, out: Tensor) -> None:
        emit(CHECK_OF_INPUT, updates.check_finite, (x.flat(),))
        with no_grad():
            emit("copy", reduce.copy, (self.model(x, training=False).flat(), out.flat()))

    def __call__(self, x: Any, callbacks: CallbackList | None = None) -> np.ndarray:
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
            raise data.not_finite(x, "x") from None

    def _at_once(self, x):
        self.x[...] = x
        self.program.rewind()
        self.program.run(1)
        return self.y.copy()

    def _in_slices(self, x, callbacks):
        if self.taken._is_owned():  # a callback predicts
            return self.another()(x, callbacks)
        try:
            if not self.taken.acquire(timeout=PATIENCE):
                return self.another()(x, callbacks)
            x, y = np.ascontiguousarray(x), np.empty(self.output_shape, self.dtype)
            if not self.single:
                self.source.bind([x, y], self.tapes)
                self.program.position = (0, 0, 0)
            if callbacks is not None:
                self._watched(x, y, callbacks)
            while callbacks is None and self.program.position[0] < 1:
                self.pace.run(1, FOREVER)
            return y
        finally:
            if self.taken._is_owned():
                if not self.single:
                    self.source.release()
                self.taken.release()

    def _watched(self, x, y, callbacks):
        callbacks.call("on_predict_begin", None)
        first = 0
        batches = [p.rows for p in self.parts for _ in range(p.repeats)]
        for number, rows in enumerate(batches):
            callbacks.call("on_predict_batch_begin", number, None)
            if self.single:
                y[...] = self.turn.run(self._at_once, x)
            else:
                self.turn.run(self.program.run, 1, 1)
            callbacks.call("on_predict_batch_end", number, {"outputs": y[first : first + rows].copy()})
            first += rows
        callbacks.call("on_predict_end", None)
