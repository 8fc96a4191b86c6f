"""One step with one batch."""

from typing import Any

from fastnn import checks
from fastnn.callbacks import CallbackList
from fastnn.devices.choice import where_it_lies
from fastnn.errors import RecordingError
from fastnn.tape.record import context

from .alike import Checker
from .data import ALL_ROWS, Rows
from .driver import Driver
from .progress import CompileNotice, Progress


def expect_no_recording(what: str) -> None:
    """Raise within a step that is recorded: what this does from Python would happen once, and never
    in a replay."""
    if context.recorder is not None:
        raise RecordingError(
            f"{what}: called while {context.recorder.name} is recorded, whose replays would not "
            "do it again. Call the model itself "
            f"there, model(x), or {what} outside."
        )


class OnBatch:
    """A model's methods for one batch."""

    @where_it_lies
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Train one step with all of these rows, and return what `evaluate` would, of this batch
        before the step. Arguments as in `fit`."""
        model: Any = self
        expect_no_recording("train_on_batch")
        model._expect_compiled("train_on_batch", "train")
        with model._lock, CompileNotice(False):
            batch = x, y, sample_weight
            return model._one_step("train_on_batch", batch, class_weight, return_dict)

    @where_it_lies
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and the metrics of one batch of all of these rows; otherwise as
        `train_on_batch`."""
        model: Any = self
        expect_no_recording("test_on_batch")
        model._expect_compiled("test_on_batch", "test")
        with model._lock, CompileNotice(False):
            return model._one_step("test_on_batch", (x, y, sample_weight), None, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The model's results for rows x, in one batch."""
        model: Any = self
        return model.predict(x, batch_size=ALL_ROWS)

    def _one_step(self, kind, batch, class_weight, return_dict):
        model: Any = self
        return_dict = checks.flag("return_dict", return_dict)
        check = model._programs.find((kind,))
        if check is None:
            check = Checker(model)
            model._programs.add((kind,), check)
        check.class_weight = class_weight
        arrays = check(batch)
        ready = check.found.ready if check.found is not None else None
        if ready is None or not ready.take(model):
            ready = Ready(model, kind, check.rows(arrays))
            if check.found is not None and not model._layout.collects:
                check.found.ready = ready
        named = ready.step(arrays)
        results = list(named.values())
        return named if return_dict else results if len(results) > 1 else results[0]


class Ready:
    """The program of such a step, taken, and what runs it."""

    def __init__(self, model: Any, kind: str, rows: Rows):
        self.variables, self.eagerly = [], model.run_eagerly
        if kind == "train_on_batch":
            self.variables = model._build_optimizer(kind)
        train, test = (rows, None) if kind == "train_on_batch" else (None, rows)
        self.epoch = model._program(kind, train, test, (ALL_ROWS, ALL_ROWS), False)
        self.model = model
        self.driver: Driver | None = None

    def take(self, model: Any) -> bool:
        """Whether it still is what it was, and free; it is taken then."""
        is_ready = self.eagerly == model.run_eagerly and self.epoch.fits() and self.epoch.take()
        for variable in self.variables if is_ready else ():
            variable._gradient = None
        return is_ready

    def step(self, arrays: list[Any]) -> dict[str, Any]:
        """Run it with these arrays: what is measured, by name."""
        try:
            self.epoch.begin([arrays])
            if self.driver is None:
                called = CallbackList(None, self.model, {})
                self.driver = Driver(self.model, self.epoch, called, Progress(0, 1))
            return self.driver.step()
        finally:
            self.epoch.release()
