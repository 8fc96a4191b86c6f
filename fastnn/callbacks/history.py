"""What `fit` returns: the means of every epoch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.declared import as_declared


class History:
    """What `fit` returns and `model.history` is: of each epoch the means of loss and metrics over
    its rows.

    history: {"loss": [...], ...}, one number an epoch; epoch: their numbers; params: what `fit` was
    called with; seed: of the random numbers, for `utils.set_random_seed`; interrupted: whether
    Ctrl-C ended it. It prints as its dictionary.
    """

    @as_declared
    def __init__(self, params: dict[str, Any], seed: int):
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params, self.seed, self.interrupted = params, seed, False

    def extend(self, first: int, names: Sequence[str], means: Sequence[Sequence[float]]) -> None:
        """Note epochs from number `first` on: by each name, their means."""
        for name, values in zip(names, means, strict=True):
            self.history.setdefault(name, []).extend(values)
        self.epoch.extend(range(first, first + len(means[0])))

    def note(self, logs: dict[str, Any]) -> None:
        """Add what callbacks put into the logs of the last epoch beside its means."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

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
