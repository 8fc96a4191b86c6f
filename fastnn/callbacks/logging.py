"""Callbacks that write what training tells: a table, TensorBoard's files."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.checks import whole_number

from .base import Callback, Logs


class CSVLogger(Callback):
    """Write a line an epoch into a table: its number and the logs, in the order of their names.

    filename: the file; separator: between numbers; append: whether to go on in an existing one
    instead of replacing it. A measure that an epoch has not is NA, as in Keras.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        self.filename = checks.path("CSVLogger: filename", filename)
        self.separator, self.append = separator, append

    def on_train_begin(self, logs: Logs | None = None) -> None:
        path = Path(self.filename)
        self._names: list[str] | None = None
        self._needs_head = not (self.append and path.is_file() and path.stat().st_size)
        if not self.append:
            path.write_text("")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        import csv  # here, as it is seldom needed

        logs = logs or {}
        # opened for each line: a training that fails leaves no open file
        with open(self.filename, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if self._names is None:
                self._names = sorted(logs)
                # validation may come later, as with validation_freq
                if self._names and not any([n.startswith("val_") for n in self._names]):
                    self._names += [f"val_{n}" for n in self._names]
                if self._needs_head:
                    writer.writerow(["epoch", *self._names])
            writer.writerow([epoch, *[logs.get(name, "NA") for name in self._names]])


class TensorBoard(Callback):
    """Write loss, metrics and learning rate for TensorBoard, as Keras names them: epoch_loss in
    the folders train and validation of log_dir. update_freq: "epoch", or every how many batches
    also batch_loss ("batch" is 1). histogram_freq: every how many epochs histograms of the weights;
    0 is never. Arguments are Keras's, whose graphs, images, profiles and embeddings have no
    counterpart here: write_graph changes nothing, of the others all but their defaults is refused.

    Needs tensorboard: pip install tensorboard.
    """

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        for name, value in (
            ("write_images", write_images),
            ("write_steps_per_second", write_steps_per_second),
            ("profile_batch", profile_batch),
            ("embeddings_freq", embeddings_freq),
            ("embeddings_metadata", embeddings_metadata),
        ):
            if value:
                raise ValueError(
                    f"TensorBoard: {name}={value!r} has no counterpart in fastnn: leave it out"
                )
        self.write_graph, self.write_images = write_graph, write_images
        self.write_steps_per_second, self.profile_batch = write_steps_per_second, profile_batch
        self.embeddings_freq, self.embeddings_metadata = embeddings_freq, embeddings_metadata
        self.log_dir = checks.path("TensorBoard: log_dir", log_dir)
        self.histogram_freq = whole_number("TensorBoard: histogram_freq", histogram_freq, 0)
        self.update_freq = update_freq
        number = {"epoch": 0, "batch": 1}.get(str(update_freq), update_freq)
        self._every = whole_number("TensorBoard: update_freq", number, 0)
        if self._every:
            self.on_train_batch_end = self._batch_end  # type: ignore[method-assign]
        self._writers: dict[str, Any] = {}
        self._batches = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        _expect_tensorboard()
        self._batches = 0

    def _batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches % self._every == 0:
            self._scalars("train", "batch_", logs or {}, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = dict(logs or {})
        logs.setdefault("learning_rate", float(self.model.optimizer.learning_rate))
        ours = {n: v for n, v in logs.items() if not n.startswith("val_")}
        tests = {n.removeprefix("val_"): v for n, v in logs.items() if n.startswith("val_")}
        self._scalars("train", "epoch_", ours, epoch)
        self._scalars("validation", "epoch_", tests, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._histograms(epoch)

    def on_train_end(self, logs: Logs | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _scalars(self, folder: str, prefix: str, values: Mapping[str, Any], step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        found = [
            Summary.Value(tag=prefix + name, simple_value=float(value))
            for name, value in values.items()
            if np.ndim(value) == 0
        ]
        if found:
            self._write(folder, Summary(value=found), step)

    def _histograms(self, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

        found = []
        for name, weight in self.model._named_weights().items():
            values = weight.numpy().ravel().astype(np.float64)
            if not values.size:
                continue
            counts, edges = np.histogram(values, 30)
            histogram = HistogramProto(
                min=values.min(), max=values.max(), num=values.size, sum=values.sum(),
                sum_squares=np.square(values).sum(), bucket_limit=edges[1:], bucket=counts,
            )  # fmt: skip
            found.append(Summary.Value(tag=f"{name}/histogram", histo=histogram))
        self._write("train", Summary(value=found), step)

    def _write(self, folder: str, summary: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if folder not in self._writers:
            self._writers[folder] = EventFileWriter(os.path.join(self.log_dir, folder))
        self._writers[folder].add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_writers": {}}


def _expect_tensorboard():
    try:
        import tensorboard.summary.writer.event_file_writer  # noqa: F401
    except ImportError:
        raise ImportError("TensorBoard needs its own package: pip install tensorboard") from None
