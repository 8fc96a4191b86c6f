"""A callback that evaluates and saves the averages of weights instead of the weights."""

from .base import Callback, Logs


class SwapEMAWeights(Callback):
    """Put the averages that an optimizer with use_ema=True keeps in the weights' place for
    validation, and the weights back after it; training goes on from the weights. `fit` itself ends
    with the averages. Averages: Polyak and Juditsky, "Acceleration of stochastic approximation by
    averaging", 1992. Arguments and defaults are Keras's.

    swap_on_epoch: at the end of an epoch too, so that callbacks after this one, such as
    ModelCheckpoint, see and save the averages.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
    >>> model.compile(fastnn.optimizers.SGD(use_ema=True), "mse")
    >>> swap = fastnn.callbacks.SwapEMAWeights()
    >>> _ = model.fit([[1.0]], [[1.0]], callbacks=[swap], verbose=0)
    """

    def __init__(self, swap_on_epoch: bool = False):
        self.swap_on_epoch = bool(swap_on_epoch)
        self._is_swapped = False

    def _expect_averages(self):
        if not getattr(self.model.optimizer, "use_ema", False):
            raise ValueError(
                "SwapEMAWeights: the optimizer keeps no averages; compile the model with one made "
                "with use_ema=True"
            )

    def _swap(self, wanted):
        """Have averages in the weights' place, or weights."""
        if wanted != self._is_swapped:
            self._expect_averages()
            self.model.optimizer.swap_averages()
            self._is_swapped = wanted

    def _begin(self, logs: Logs | None = None) -> None:
        self._swap(True)

    def _end(self, logs: Logs | None = None) -> None:
        self._swap(False)

    on_test_begin = on_predict_begin = _begin
    # and after Ctrl-C amid validation
    on_test_end = on_predict_end = on_train_end = _end

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._expect_averages()
        self._is_swapped = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._swap(False)  # what BackupAndRestore saved before this one's `after_epoch`

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(True)

    def after_epoch(self, epoch: int) -> None:
        self._swap(False)
