"""One step with one batch."""

from typing import Any

from fastnn.callbacks import CallbackList
from fastnn.devices.choice import where_it_lies
from fastnn.errors import RecordingError
from fastnn.tape.record import context

from .data import ALL_ROWS
from .driver import Driver
from .given import checked
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
            rows = checked(model, (x, y, sample_weight), class_weight)
            model._build_optimizer("train_on_batch")
            return model._one_step("train_on_batch", rows, None, return_dict)

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
            rows = checked(model, (x, y, sample_weight))
            return model._one_step("test_on_batch", None, rows, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The model's results for rows x, in one batch."""
        model: Any = self
        return model.predict(x, batch_size=ALL_ROWS)

    def _one_step(self, kind, rows, test, return_dict):
        model: Any = self
        epoch = model._program(kind, rows, test, (ALL_ROWS, ALL_ROWS), False)
        try:
            epoch.begin([(rows or test).arrays()])
            named = Driver(model, epoch, CallbackList(None, model, {}), Progress(0, 1)).step()
        finally:
            epoch.release()
        results = list(named.values())
        return named if return_dict else results if len(results) > 1 else results[0]
