"""Runs the program of an epoch over and over, natively, and comes back to Python when somebody has
to be told."""

from collections.abc import Callable
from typing import Any

from fastnn.callbacks import CallbackList, Logs
from fastnn.devices.base import StepFailed
from fastnn.errors import NotFiniteError
from fastnn.recording import explained

from .data import every_epoch
from .epoch import MAX_UNREAD_EPOCHS, Epoch
from .progress import Progress
from .segments import Segment


class Driver:
    """One run of `fit` or `evaluate`. What validation measures is named behind `val_`."""

    def __init__(
        self,
        model: Any,
        epoch: Epoch,
        callbacks: CallbackList,
        progress: Progress,
    ):
        self.model, self.epoch = model, epoch
        self.callbacks, self.progress = callbacks, progress
        self.can_test = bool(epoch.test)  # in some epochs
        # whether batches come one at a time, and how many of this epoch's did
        self.in_batches, self.batches_done = False, 0
        self.finished: Callable[[int, list[str], list[list[Any]]], None] = (
            lambda first, names, means: None
        )
        self.noted: Callable[[Logs], None] = lambda logs: None

    # ---- fit

    def fit(
        self,
        first: int,
        epochs: int,
        renew: Callable[[int], Epoch],
        is_tested: Callable[[int], bool],
    ) -> None:
        """Train from epoch `first` to before `epochs`. `finished` is told of epochs that are over:
        number of the first one, names, and the means by each name; `noted` of what callbacks
        added to its logs. `renew` gives an epoch's program anew, when a callback has changed
        a layer or the optimizer and where it is validated (`is_tested`) and the last one was not.
        """
        hooks = ("on_epoch_begin", "on_epoch_end", "after_epoch", "on_test_begin", "on_test_end")
        watched = self.callbacks.watches_batches("train") or self.callbacks.watches_batches("test")
        each = watched or self.epoch.collects or self.callbacks.overrides(*hooks)
        if not each and not self.in_batches and (is_tested is every_epoch or not self.can_test):
            self._stand(first, renew)
            self._replay((epochs - first) * self.epoch.steps, epochs)
            return
        for number in range(first, epochs):
            self.callbacks.call("on_epoch_begin", number)
            self._stand(number, renew, is_tested(number))
            self._phase("train", self.epoch.train, 0)
            if self.epoch.test:
                self._test(1)
            self._replay(1)
            over = self.epoch.row.value
            self.epoch.collect(over - 1)
            logs = self._finish(number, over - 1, over)
            self.callbacks.call("on_epoch_end", number, logs)
            own = self.names_of_epoch
            self.noted({name: value for name, value in logs.items() if name not in own})
            for callback in self.callbacks.callbacks:
                callback.after_epoch(number)
            if self.model.stop_training or self.is_over(number + 1 == epochs):
                break

    def is_over(self, is_last: bool) -> bool:
        """Whether there is nothing to train another epoch with. is_last: whether none is wanted."""
        return False

    def _stand(self, number, renew, tested=True):
        """Be at the beginning of an epoch, with a program that fits."""
        is_other = self.can_test and tested != bool(self.epoch.test)
        if is_other or not self.epoch.fits():
            self.epoch.release()
            self.epoch = renew(number)
        if self.epoch.program.position[0] != number:
            self.epoch.program.position = (number, 0, 0)
            self.epoch.row.value = number

    def evaluate(self) -> list[Any]:
        """Loss and metrics over the data."""
        self._test(0)
        self._replay(1)
        self.epoch.collect(0)
        return [value for (value,) in self.epoch.finished(0, 1)]

    def step(self) -> Logs:
        """One step, and what is measured so far."""
        self._replay(self.epoch.steps - 1)  # but for the epoch's end
        return self._logs(0)

    @property
    def names_of_epoch(self) -> list[str]:
        first, *others = self.epoch.measures
        return first.names + [f"val_{name}" for m in others for name in m.names]

    def _test(self, number):
        self.callbacks.call("on_test_begin", None)
        self._phase("test", self.epoch.test, number)
        self.callbacks.call("on_test_end", self._logs(number))

    def _phase(self, kind: str, segments: list[Segment], number: int) -> None:
        """number: of its measures."""
        if not self.callbacks.watches_batches(kind):
            self._replay(sum(s.repeats for s in segments))
            return
        batch = 0
        for segment in segments:
            for _ in range(segment.repeats):
                if segment.source is None:  # the beginning of the epoch
                    self._replay(1)
                    continue
                self.callbacks.call(f"on_{kind}_batch_begin", batch)
                self._replay(1)
                self.callbacks.call(f"on_{kind}_batch_end", batch, self._logs(number))
                batch += 1
                # as in Keras, what is left of the epoch is validation
                if kind == "train" and self.model.stop_training:
                    program = self.epoch.program
                    program.position = (program.position[0], len(self.epoch.train), 0)
                    return

    def _logs(self, number: int) -> Logs:
        measures = self.epoch.measures[number]
        found = zip(measures.names, measures.so_far(), strict=True)
        return {name: value for name, value in found if value is not None}

    def _finish(self, number: int, start: int, stop: int) -> Logs:
        """Tell of the program's epochs from `start` to before `stop`, which are over; the first one
        is the user's `number`. Returns the last one's logs."""
        if start == stop:
            return {}
        means = self.epoch.finished(start, stop)
        self.finished(number, self.names_of_epoch, means)
        if self.progress.on:
            for i, row in enumerate(zip(*means, strict=True), number):
                self.progress.epoch(i, dict(zip(self.names_of_epoch, row, strict=True)))
        return dict(zip(self.names_of_epoch, [m[-1] for m in means], strict=True))

    def _replay(self, steps: int, epochs: int = 1 << 62) -> None:
        """Run so many steps, in slices; where they span epochs, tell of those that are over."""
        epoch, spans = self.epoch, epochs < 1 << 62
        program, autotuner, done = epoch.program, epoch.autotuner, 0
        if spans:
            done = program.position[0]
        while steps > 0:
            try:
                steps -= autotuner.run(epochs, min(steps, MAX_UNREAD_EPOCHS * epoch.steps))
            except (StepFailed, FloatingPointError, IndexError) as error:
                raise self._located(error) from None
            finally:
                if spans:
                    over = program.position[0]
                    self._finish(done, done, over)
                    done = over
            if self.progress.live:
                self.progress.within(program.position, epoch, self._logs)
            if spans and self.model.stop_training:
                break

    def _located(self, error):
        """The error with the place where training stood."""
        number, current, step = self.epoch.program.position
        step += self.batches_done
        segment = self.epoch.segments[current]
        if isinstance(error, StepFailed):
            error = error.error()
        error = explained(error, lambda: segment(step - self.batches_done))
        before = sum(
            s.repeats
            for s in self.epoch.segments[:current]
            if s.source is not None and s.name == segment.name
        )
        kind = NotFiniteError if isinstance(error, NotFiniteError) else type(error)
        return kind(f"{segment.name}, epoch {number + 1}, step {before + step + 1}: {error}")
