"""Callbacks that watch a measure: end training, or lower the learning rate, when it does not
improve."""

from typing import Any

from fastnn import tree
from fastnn.checks import fraction, not_negative, real, whole_number
from fastnn.errors import nearest, warn

from .base import Callback, Logs

MODES = ("auto", "min", "max")
RISING = ("acc", "accuracy", "auc", "precision", "recall", "score", "iou", "similarity")


class Monitor(Callback, aliases=None):
    """Arguments of what watches a measure. monitor: its name in the logs; mode: "min" or "max", in
    which direction it improves, or "auto", which knows it of losses and of fastnn's metrics;
    min_delta: the least change that counts as an improvement."""

    def __init__(self, monitor: str, mode: str, min_delta: float, verbose: int):
        what = type(self).__name__
        if mode not in MODES:
            raise ValueError(f"{what}: mode must be 'auto', 'min' or 'max'; got {mode!r}")
        self.monitor, self.mode, self.verbose = monitor, mode, verbose
        self.min_delta = abs(real(f"{type(self).__name__}: min_delta", min_delta))
        self.best: float | None = None
        self._warned, self._falls = False, None if mode == "auto" else mode == "min"

    def value(self, logs: Logs | None) -> float | None:
        """The measure, or None, after a warning, if there is none."""
        value = (logs or {}).get(self.monitor)
        if value is None and not self._warned:
            self._warned = True
            hint = " Give fit validation data." if self.monitor.startswith("val_") else ""
            warn(
                f"{type(self).__name__}: there is no {self.monitor!r}; "
                f"{nearest(self.monitor, logs or {})}.{hint}"
            )
        return value

    def better(self, value: float, than: float | None) -> bool:
        """Whether a value improves on another by more than min_delta."""
        if self._falls is None:
            self._falls = falls(self.monitor, self.model, type(self).__name__)
        return than is None or (than - value if self._falls else value - than) > self.min_delta


def falls(monitor: str, model: Any, what: str) -> bool:
    """Whether a measure improves as it falls: losses do, and metrics that say so."""
    name = monitor.removeprefix("val_")
    if name.endswith("loss"):
        return True
    for metric in tree.flatten(getattr(model, "_metrics", None) or []):
        if getattr(metric, "name", None) == name and getattr(metric, "_direction", None):
            return bool(metric._direction != "up")
    if name.endswith(RISING):
        return False
    if name.endswith(("error", "crossentropy", "mse", "mae", "mape", "msle")):
        return True
    raise ValueError(
        f"{what}: it is not known whether {monitor!r} improves as it rises or as it falls: pass "
        "mode='max' or mode='min'"
    )


class EarlyStopping(Monitor):
    """End training when a measure has stopped to improve. Arguments and defaults are Keras's.

    monitor: which; min_delta: the least change that counts; patience: for how many epochs without
    improvement to go on; mode: "min", "max", or "auto", which knows losses and metrics; baseline:
    what the measure must beat at first; restore_best_weights: whether the weights of the best epoch
    are put back; start_from_epoch: how many epochs to wait first. verbose: 1 prints what happens.
    `stopped_epoch`: when it did; `best`, `best_epoch`.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta, verbose)
        self.patience = whole_number("EarlyStopping: patience", patience, 0)
        self.baseline, self.restore_best_weights = baseline, restore_best_weights
        self.start_from_epoch = start_from_epoch

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best, self.best_weights, self._warned = None, None, False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            # if it never improves, of the first epoch
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}."
                )
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` when a measure has not improved for `patience` epochs.
    Arguments and defaults are Keras's.

    min_delta: the least change that counts; cooldown: for how many epochs after a reduction nothing
    is counted; min_lr: what the rate does not fall below. The rate of each epoch is in the logs and
    the history as "learning_rate".
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta, verbose)
        self.factor = fraction("ReduceLROnPlateau: factor", factor)
        self.patience = whole_number("ReduceLROnPlateau: patience", patience, 0)
        self.cooldown = whole_number("ReduceLROnPlateau: cooldown", cooldown, 0)
        self.min_lr = not_negative("ReduceLROnPlateau: min_lr", min_lr)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait, self.cooldown_counter, self.best, self._warned = 0, 0, None, False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(optimizer.learning_rate)
        value = self.value(logs)
        if value is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.better(value, self.best):
            self.best, self.wait = value, 0
            return
        if self.cooldown_counter:
            return
        self.wait += 1
        rate = float(optimizer.learning_rate)
        if self.wait >= self.patience and rate > self.min_lr:
            optimizer.learning_rate = max(rate * self.factor, self.min_lr)
            self.cooldown_counter, self.wait = self.cooldown, 0
            if self.verbose:
                print(
                    f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to "
                    f"{optimizer.learning_rate}."
                )
