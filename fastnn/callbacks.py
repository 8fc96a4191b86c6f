"""What a program of one's own can do while a model trains, at the moments that Keras names."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.checks import whole_number
from fastnn.errors import nearest, warn
from fastnn.registry import Configured, Kind

Logs = dict[str, float]


KIND = Kind("callback", "callbacks")


class Callback(Configured):
    """Methods that `fit`, `evaluate` and `predict` call; override those you need. `self.model` is
    the model, `self.params` what `fit` was called with: epochs, steps, verbose.

    Training runs natively between them: overriding none costs nothing, a hook of an epoch stops
    once an epoch, a hook of a batch after every step. A hook may read and assign weights, set
    `self.model.optimizer.learning_rate`, and end training with `self.model.stop_training = True`.
    What else it assigns, of layers or of the optimizer (`momentum`, `trainable`), counts from the
    next epoch on, or from this one in `on_epoch_begin`: steps are then recorded anew.

    >>> import fastnn
    >>> class Halve(fastnn.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.optimizer.learning_rate *= 0.5
    """

    _kind = KIND
    model: Any = None
    params: dict[str, Any]

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last one; logs: as of the last `on_epoch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """logs: loss, metrics, and with the prefix val_ those of validation."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """An older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """An older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Batches count from 0 in every epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """logs: the means of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before validation or `evaluate`."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """logs: loss and metrics, without a prefix."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_predict_begin(self, logs: Logs | None = None) -> None: ...

    def on_predict_end(self, logs: Logs | None = None) -> None: ...

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """logs: {"outputs": the predictions of the batch}."""


class CallbackList:
    """Callbacks called together; a hook that none of them overrides is not called at all."""

    def __init__(
        self, callbacks: Callback | Sequence[Callback] | None, model: Any, params: dict[str, Any]
    ):
        self.callbacks = (
            list(callbacks or ()) if isinstance(callbacks, list | tuple | None) else [callbacks]
        )
        for c in self.callbacks:
            if not isinstance(c, Callback):
                hint = " Call it: callbacks are objects." if isinstance(c, type) else ""
                raise TypeError(
                    f"callbacks: expected fastnn.callbacks.Callback objects; got {c!r}.{hint}"
                )
            c.set_model(model)
            c.set_params(params)

    def overrides(self, *hooks: str) -> bool:
        """Whether a callback does something at one of these moments."""
        return any(
            getattr(type(c), hook) is not getattr(Callback, hook)
            for c in self.callbacks
            for hook in hooks
        )

    def watches_batches(self, kind: str) -> bool:
        """Whether a callback wants to know of every batch of training, testing or prediction."""
        older = ("on_batch_begin", "on_batch_end") if kind == "train" else ()
        return self.overrides(f"on_{kind}_batch_begin", f"on_{kind}_batch_end", *older)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call a hook with its number, if it has one, and logs, which are {} where there is nothing
        to tell, as in Keras."""
        if not isinstance(arguments[-1], dict):
            arguments = (*[a for a in arguments if a is not None], {})
        for c in self.callbacks:
            getattr(c, hook)(*arguments)


class History:
    """What `fit` returns and `model.history` is: of each epoch the means of loss and metrics over
    its rows.

    history: {"loss": [...], ...}, one number an epoch; epoch: their numbers; params: what `fit` was
    called with; seed: of the random numbers, for `utils.set_random_seed`. It prints as its
    dictionary.
    """

    def __init__(self, params: dict[str, Any], seed: int):
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params, self.seed = params, seed

    def extend(self, first: int, names: Sequence[str], means: Sequence[Sequence[float]]) -> None:
        """Note epochs from number `first` on: by each name, their means."""
        for name, values in zip(names, means, strict=True):
            self.history.setdefault(name, []).extend(values)
        self.epoch.extend(range(first, first + len(means[0])))

    def cut(self) -> None:
        """Forget epochs that are only half noted, since Ctrl-C came just then."""
        for name, values in list(self.history.items()):
            del values[len(self.epoch) :]
            if not values:
                del self.history[name]

    def __repr__(self):
        return repr(self.history)

    def plot(self, path: str | None = None) -> Any:
        """Curves over the epochs, one panel for each measure with its validation; written to `path`
        if given.

        Needs matplotlib: pip install 'fastnn-numba[plot]'. Returns its figure.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError(
                "history.plot needs matplotlib: pip install 'fastnn-numba[plot]'"
            ) from None
        names = [n for n in self.history if not n.startswith("val_")]
        figure = Figure(figsize=(5 * max(1, len(names)), 3.5), layout="constrained")
        for axes, name in zip(
            figure.subplots(1, max(1, len(names)), squeeze=False)[0], names, strict=False
        ):
            for key in (name, f"val_{name}"):
                if key in self.history:
                    axes.plot(
                        np.add(self.epoch, 1),
                        self.history[key],
                        label="validation" if key != name else "training",
                    )
            axes.set_xlabel("epoch")
            axes.set_title(name)
            axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure


class EarlyStopping(Callback):
    """End training when a measure has stopped to improve. Arguments and defaults are Keras's.

    monitor: which; min_delta: the least change that counts; patience: for how many epochs without
    improvement to go on; mode: "min", "max", or "auto", which takes "max" for accuracies; baseline:
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
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"EarlyStopping: mode must be 'auto', 'min' or 'max'; got {mode!r}")
        patience = whole_number("EarlyStopping: patience", patience, 0)
        self.monitor, self.min_delta, self.patience, self.verbose = (
            monitor,
            abs(min_delta),
            patience,
            verbose,
        )
        self.baseline, self.restore_best_weights, self.start_from_epoch = (
            baseline,
            restore_best_weights,
            start_from_epoch,
        )
        self.mode = mode
        rises = mode == "max" or (mode == "auto" and monitor.endswith(("acc", "accuracy")))
        self.sign = -1.0 if rises else 1.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best, self.best_weights, self._warned = None, None, False

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            if not self._warned:
                self._warned = True
                hint = " Give fit validation data." if self.monitor.startswith("val_") else ""
                warn(
                    f"EarlyStopping: there is no {self.monitor!r}; "
                    f"{nearest(self.monitor, logs or {})}.{hint}"
                )
            return
        if epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            # if it never improves, of the first epoch
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}."
                )
            self.model.set_weights(self.best_weights)

    def _better(self, value, than):
        return than is None or self.sign * (than - value) > self.min_delta


get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
