"""Callbacks that do something at a moment: set the learning rate, end training, call functions."""

from collections.abc import Callable
from inspect import signature
from numbers import Real
from typing import Any

from fastnn.errors import nearest

from .base import Callback, Logs


class LearningRateScheduler(Callback):
    """Before each epoch set the learning rate to schedule(epoch, rate), or schedule(epoch) of a
    function of one argument. The rate is in the logs and the history as "learning_rate". verbose: 1
    prints it.

    >>> import fastnn
    >>> halve = fastnn.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        if not callable(schedule):
            raise TypeError(
                "LearningRateScheduler: schedule must be a function of (epoch, rate); got "
                f"{schedule!r}"
            )
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        try:
            takes_rate = len(signature(self.schedule).parameters) != 1
        except ValueError:  # of what is written in C
            takes_rate = True
        rate = (epoch, float(optimizer.learning_rate)) if takes_rate else (epoch,)
        found = self.schedule(*rate)
        if not isinstance(found, Real) and getattr(found, "shape", None) != ():
            raise ValueError(
                f"LearningRateScheduler: the schedule must return a number; got {found!r} for "
                f"epoch {epoch}"
            )
        optimizer.learning_rate = float(found)
        if self.verbose:
            print(
                f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {float(found)}."
            )

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class TerminateOnNaN(Callback):
    """End training, without an error, at a step whose loss or gradients are not finite, or that
    would make a weight so. The weights are those before the step; without this callback `fit`
    raises FloatingPointError there. Keras, whose weights are gone by then, looks at the loss
    alone. raise_error: raise all the same, as Keras 3.12 has it."""

    def __init__(self, raise_error: bool = False):
        self.raise_error = raise_error

    def handles(self, error: Exception) -> bool:
        if self.raise_error or not isinstance(error, FloatingPointError):
            return False
        print(f"{error} Training ends.")
        self.model.stop_training = True
        return True


class LambdaCallback(Callback):
    """Functions as hooks, each with the arguments of the method of its name. A name that is no
    hook's is an error; Keras takes it and never calls it.

    >>> import fastnn
    >>> seen = []
    >>> note = lambda epoch, logs: seen.append(logs["loss"])
    >>> callback = fastnn.callbacks.LambdaCallback(on_epoch_end=note)
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **others: Callable[..., Any],
    ):
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **others,
        }
        hooks = [name for name in vars(Callback) if name.startswith("on_")]
        for name, function in given.items():
            if name not in hooks:
                raise TypeError(f"LambdaCallback: unknown hook {name!r}; {nearest(name, hooks)}")
            if function is not None:
                setattr(self, name, function)


class ProgbarLogger(Callback):
    """What `fit` prints by itself as `verbose` says: taken for Keras's sake, it prints nothing
    more."""
