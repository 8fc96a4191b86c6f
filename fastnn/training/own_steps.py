"""What a subclass may define in place of a step's parts, as in Keras, and what is measured then."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.buffer import Buffer
from fastnn.locks import making
from fastnn.metrics import Mean, Metric
from fastnn.tape.record import Recorder, Search
from fastnn.tensor import Tensor, operand
from fastnn.utils import pack_x_y_sample_weight, unpack_x_y_sample_weight

from .data import Rows
from .measures import Column, Measures


class OwnSteps:
    """The parts of a model's steps that a subclass may define.

    A step is given (x, y) or (x, y, sample_weight), tensors of a batch, and returns a dictionary of
    names and tensors: the last ones of an epoch are its results, as in Keras. Metrics that are
    attributes begin anew with each epoch, so that `result()` of one is a mean over it. Steps are
    recorded: what they do with Python's own values happens once.

    >>> import fastnn
    >>> class Own(fastnn.Model):
    ...     def train_step(self, data):
    ...         x, y = data
    ...         y_pred = self(x, training=True)
    ...         loss = self.compute_loss(y=y, y_pred=y_pred)
    ...         loss.backward()
    ...         self.optimizer.step()
    ...         return {"loss": loss, "largest": fastnn.ops.max(abs(y_pred))}
    >>> x = fastnn.Input((3,))
    >>> model = Own(x, fastnn.layers.Dense(1)(x))
    >>> model.compile("adam", "mse")
    >>> rows = fastnn.random.normal((64, 3), seed=0).numpy()
    >>> list(model.fit(rows, rows[:, 0], verbose=0).history)
    ['loss', 'largest']
    """

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """The loss of a batch: the sum of the outputs' losses, each times its weight, and what
        layers and regularizers add."""
        from .step import loss_of

        return loss_of(self, y, y_pred, sample_weight)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Add a batch to what `compile` was given as metrics, and return the results of all
        metrics, by their names."""
        from .step import update_metrics

        update_metrics(self, y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics, by their names."""
        found: dict[str, Any] = {}
        for metric in self.metrics:
            result = metric.result()
            found.update(result if isinstance(result, dict) else {metric.name: result})
        return found

    def train_step(self, data: Any) -> dict[str, Any]:
        """Predict, judge, differentiate, update."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        model: Any = self
        y_pred = model(x, training=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
        model.optimizer.scale_loss(loss).backward()
        model.optimizer.step()
        self._tracker().update_state(_detached(loss))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Predict and judge."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        model: Any = self
        y_pred = model(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._tracker().update_state(_detached(loss))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """Predict."""
        model: Any = self
        return model(unpack_x_y_sample_weight(data)[0], training=False)

    def _tracker(self):
        """The mean of the loss."""
        if self._loss_tracker is None:
            self._loss_tracker = Mean(name="loss")
        return self._loss_tracker

    _loss_tracker: Any = None

    @property
    def metrics(self) -> list[Metric]:
        """The mean of the loss, what `compile` was given, and the metrics among the attributes of
        the model and its layers."""
        model: Any = self
        found = [self._tracker()] if tree.flatten(model.loss) else []
        found += [choice[0] for of_it in model._metrics or () for choice in of_it]
        for layer in model._all_layers():
            for name, value in list(vars(layer).items()):
                if name not in ("_metrics", "_loss_tracker", "_metric_names"):
                    found += _metrics_in(value)
        return list({id(metric): metric for metric in found}.values())

    def reset_metrics(self) -> None:
        """Let all metrics begin anew."""
        for metric in self.metrics:
            metric.reset_state()


def _metrics_in(value):
    if isinstance(value, Metric):
        return [value]
    if isinstance(value, list | tuple):
        return [metric for inner in value for metric in _metrics_in(inner)]
    if isinstance(value, dict):
        return [metric for inner in value.values() for metric in _metrics_in(inner)]
    return []


def _detached(x):
    return x.view(x.shape)


def owns(model: Any, kind: str) -> bool:
    """Whether a model defines its own "train" or "test" step, or part of it that returns what is
    measured."""
    names = (f"{kind}_step", "compute_metrics")
    return any([getattr(type(model), name) is not getattr(OwnSteps, name) for name in names])


class OwnMeasures(Measures):
    """What a step of a model's own returns: the last of an epoch are its results."""

    def __init__(self, totals: Tensor, start: int, columns: list[Column], metrics: list[Metric]):
        super().__init__(totals, start, columns, [], 0)
        self.own, self.stop = metrics, start + sum([column.size for column in columns])

    def note(self, logs: Any) -> None:
        """Take what a step returned as what is measured so far, when it commits."""
        found, place = _expect_logs(logs), self.start
        names = [column.name for column in self.columns]
        if list(found) != names:
            raise ValueError(
                f"a step returned {', '.join(map(repr, found))}, and {', '.join(names)} before: it "
                "must return values of the same names for every batch"
            )
        adding: list[Callable[[], None]] = []
        for column in self.columns:
            value = operand(found[column.name])
            adding.append(partial(self._put, value, column, place))
            place += column.size
        self.commit(adding)

    def begin(self) -> None:
        for metric in self.own:
            metric.reset_state()

    def end(self) -> None:
        self.begin()


def _expect_logs(logs):
    if not isinstance(logs, Mapping):
        raise TypeError(
            "a step must return a dictionary of names and tensors, as {'loss': loss}; got "
            f"{type(logs).__name__}"
        )
    return {str(name): value for name, value in logs.items()}


def own_columns(model: Any, kind: str, rows: Rows) -> list[Column]:
    """What a step of a model's own returns: found by calling it without computing; of a model that
    runs eagerly, which may ask for values, by computing, and committing nothing."""
    step = getattr(model, f"{kind}_step")
    name = f"{kind}_step of {model.name}"
    if model.run_eagerly:
        with Search(name, checks=False):
            logs = _expect_logs(step(packed(tree.map(lambda a: operand(a[:2], a.dtype), rows))))
    else:
        with making, Recorder(name) as recorder:
            logs = _expect_logs(step(packed(tree.map(partial(_placeholder, recorder), rows))))
        recorder.restore_gradients()
    return [Column(name, operand(value).shape) for name, value in logs.items()]


def _placeholder(recorder, array):
    shape = (min(2, len(array)), *array.shape[1:])
    nbytes = int(np.prod(shape)) * array.dtype.itemsize
    return Tensor(Buffer(None, nbytes, None, 0, recorder), shape, array.dtype)


def packed(batch: Rows) -> Any:
    """A batch as steps are given it."""
    return pack_x_y_sample_weight(*batch)
