"""Callbacks that save the model while it trains, and go on from what was saved."""

import os
from pathlib import Path
from typing import Any

from fastnn import checks
from fastnn.checks import whole_number

from .base import Callback, Logs
from .monitor import Monitor


class ModelCheckpoint(Monitor):
    """Save the model after every epoch, or every so many batches. Arguments and defaults are
    Keras's.

    filepath: the file, in which {epoch} (from 1 on), {batch} and the names of logs are filled in,
    as in "{epoch:02d}-{val_loss:.2f}.fastnn"; folders are made. save_weights_only: by
    model.save_weights (a .safetensors file) instead of model.save (.fastnn). save_freq: "epoch" or
    a number of batches. save_best_only: only if `monitor` is better than ever before in this
    training, or than initial_value_threshold. Files are written aside and renamed: one that is
    there is whole.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, 0, verbose)
        self.filepath, self.save_best_only = (
            checks.path("ModelCheckpoint: filepath", filepath),
            save_best_only,
        )
        self.save_weights_only, self.save_freq = save_weights_only, save_freq
        self.initial_value_threshold = self.best = initial_value_threshold
        suffix = ".safetensors" if save_weights_only else ".fastnn"
        if not self.filepath.endswith(suffix):
            raise ValueError(
                f"ModelCheckpoint: filepath must end in {suffix}, with save_weights_only="
                f"{save_weights_only}; got {self.filepath!r}"
            )
        if save_freq != "epoch":
            self.save_freq = whole_number("ModelCheckpoint: save_freq", save_freq, 1)
            self.on_train_batch_end = self._batch_end  # type: ignore[method-assign]
        self._epoch = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def _batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches % self.save_freq == 0:  # type: ignore[operator]
            self._save(batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        if self.save_freq == "epoch":
            self._save(None, logs or {})

    def _save(self, batch: int | None, logs: Logs) -> None:
        path, said = self._path(batch, logs), ""
        if self.save_best_only:
            value = self.value(logs)  # without one, each is saved, as in Keras
            if value is not None:
                if not self.better(value, self.best):
                    if self.verbose:
                        print(
                            f"Epoch {self._epoch + 1}: {self.monitor} did not improve from "
                            f"{self.best:.5f}"
                        )
                    return
                said = f"{self.monitor} improved to {value:.5f}, "
                self.best = value
        if self.verbose:
            print(f"Epoch {self._epoch + 1}: {said}saving model to {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)

    def _path(self, batch, logs):
        values = {**logs, "epoch": self._epoch + 1}
        if batch is not None:
            values["batch"] = batch + 1
        try:
            return Path(self.filepath.format(**values))
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"ModelCheckpoint: filepath {self.filepath!r} cannot be filled in: {error}; known "
                f"are {', '.join(sorted(values))}"
            ) from None


class BackupAndRestore(Callback):
    """Save how far training is after every epoch, and go on from there when the same program is
    started again after it was stopped, by Ctrl-C, an error or `kill -9`: with the same bits as
    training that was never stopped, whatever the number of threads.

    backup_dir: a folder for this training alone, with one file. delete_checkpoint: whether that
    goes when training is through; Ctrl-C leaves it. What is kept: weights, optimizer, learning
    rate, random numbers, history, and of the callbacks beside it what they count (attributes that
    are numbers, text or lists of arrays). Keras keeps weights and epoch, and begins the history
    anew; its save_freq of batches has no counterpart: an epoch is the least that is kept.

    >>> import fastnn, tempfile
    >>> backup = fastnn.callbacks.BackupAndRestore(tempfile.mkdtemp())
    """

    def __init__(
        self, backup_dir: Any, save_freq: int | str = "epoch", delete_checkpoint: bool = True
    ):
        if not checks.path("BackupAndRestore: backup_dir", backup_dir):
            raise ValueError("BackupAndRestore: backup_dir is empty; name a folder")
        if save_freq != "epoch":
            raise ValueError(
                f"BackupAndRestore: save_freq must be 'epoch'; got {save_freq!r}. Shorter epochs, "
                "by steps_per_epoch, are saved more often."
            )
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.delete_checkpoint = delete_checkpoint
        self._is_due = False

    @property
    def _path(self) -> Path:
        return Path(self.backup_dir) / "training.fastnn"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        is_due = self._path.exists()
        if is_due:
            self._restore()  # now, for the number of the first epoch
        self._is_due = is_due  # which is among what is restored, too

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._is_due:  # and again: callbacks after this one have begun anew since
            self._is_due = False
            self._restore()

    def after_epoch(self, epoch: int) -> None:
        from fastnn.saving import checkpoint

        Path(self.backup_dir).mkdir(parents=True, exist_ok=True)
        checkpoint.save(self._path, self.model, epoch + 1, self.together)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint and not self.model.history.interrupted:
            self._path.unlink(missing_ok=True)

    def _restore(self) -> None:
        from fastnn.saving import checkpoint

        self.model._initial_epoch = checkpoint.restore(self._path, self.model, self.together)
