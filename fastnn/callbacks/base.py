"""What a program of one's own can do while a model trains, at the moments that Keras names."""

from collections.abc import Sequence
from typing import Any

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
    together: list["Callback"]  # all that are called, this one among them

    def handles(self, error: Exception) -> bool:
        """Whether training ends by this failure of a step, as if it were over, instead of raising
        it. The weights are those before the step."""
        return False

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

    def after_epoch(self, epoch: int) -> None:
        """After `on_epoch_end` of all callbacks: the history has the epoch. Keras has no such
        moment; what saves everything needs it."""

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
        self.callbacks: list[Callback] = (
            list(callbacks or ()) if isinstance(callbacks, list | tuple | None) else [callbacks]  # type: ignore[list-item]
        )
        for c in self.callbacks:
            if not isinstance(c, Callback):
                hint = " Call it: callbacks are objects." if isinstance(c, type) else ""
                raise TypeError(
                    f"callbacks: expected fastnn.callbacks.Callback objects; got {c!r}.{hint}"
                )
            c.set_model(model)
            c.together = self.callbacks
            c.set_params(params)

    def overrides(self, *hooks: str) -> bool:
        """Whether a callback does something at one of these moments."""
        return any(
            hook in vars(c) or getattr(type(c), hook) is not getattr(Callback, hook)
            for c in self.callbacks
            for hook in hooks
        )

    def handle(self, error: Exception) -> bool:
        """Whether a callback handles a failure of a step."""
        return any([c.handles(error) for c in self.callbacks])

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


get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
