"""What a training step and an evaluation step do with a batch, and the epoch they make."""

from functools import reduce
from operator import add
from typing import Any

from fastnn import metrics, ops, tree
from fastnn.autograd import no_grad
from fastnn.random import Generator
from fastnn.tape.record import commit, context
from fastnn.tensor import Tensor

from . import data
from .data import Rows
from .epoch import Epoch
from .outputs import per_output
from .segments import InOrder, Permutation, Source, order_of, segments_of


def epoch_of(
    model: Any,
    rows: Rows | None,
    test: Rows | None,
    sizes: tuple[int, int],
    generator: Generator | None,
) -> Epoch:
    """The epoch of a model through rows like these: training, validation or both, or, without rows
    to train with, evaluation. sizes: of their batches. generator: draws the permutation of the
    rows; None: they are taken in order."""
    n_means = len(model._names)
    totals = metrics.totals(n_means * ((rows is not None) + (test is not None)))
    if rows is not None and model.run_eagerly:
        # steps from Python read all else when they run, but not which variables there are
        _ = model.trainable_variables
    gathers = context.device != "cpu" and not model.run_eagerly
    order = Permutation(generator) if generator else InOrder() if gathers else None
    train_source = None if rows is None else Source(rows.arrays(), order)
    test_order = InOrder() if gathers else None
    test_source = None if test is None else Source(test.arrays(), test_order)
    test_name, mean_start = ("evaluation", 0) if rows is None else ("validation", n_means)
    train_rows, test_rows = data.without_arrays(rows), data.without_arrays(test)

    def train(*batch):
        train_step(model, totals, tree.pack(train_rows, batch))

    def evaluate(*batch):
        test_step(model, totals, mean_start, tree.pack(test_rows, batch))

    def segments():
        training, testing = [], []
        for name, step, source, found, batch_size in (
            ("training", train, train_source, training, sizes[0]),
            (test_name, evaluate, test_source, testing, sizes[1]),
        ):
            if source is None:
                continue
            if source.order is not None:
                found.append(order_of(source.order, name))
            found += segments_of(name, step, source, batch_size)
        return training, testing

    sources = [s for s in (train_source, test_source) if s is not None]
    return Epoch(sources, segments, totals, model.run_eagerly)


def train_step(model: Any, totals: Tensor, batch: Rows) -> None:
    """Predict, judge, differentiate, update."""
    optimizer, _ = model._compiled("fit")
    loss, means = _judged(model, batch, model(batch.x, training=True))
    _add(totals, 0, means)
    loss.backward()
    optimizer.step()


def test_step(model: Any, totals: Tensor, mean_start: int, batch: Rows) -> None:
    """Predict and judge; `first` is the number of the first of the means."""
    with no_grad():
        _, means = _judged(model, batch, model(batch.x, training=False))
        _add(totals, mean_start, means)


def _judged(model: Any, batch: Rows, prediction: Any) -> tuple[Tensor, list[tuple[Tensor, int]]]:
    """The loss, and in the order of their names what means are of: values, and how often each
    counts."""
    _, loss = model._compiled("evaluate")
    losses, factors, weights, targets = (
        per_output(prediction, value, what, model.output_names)
        for value, what in (
            (loss, "loss"),
            (model.loss_weights, "loss_weights"),
            (batch.weights, "sample_weight"),
            (batch.y, "y"),
        )
    )
    predictions, metrics_of_each = tree.flatten(prediction), model._metrics or []
    terms, each, measured = [], [], []
    for y, p, loss_of, factor, weight, metrics_of_it in zip(
        targets, predictions, losses, factors, weights, metrics_of_each, strict=True
    ):
        if loss_of is not None:
            value = loss_of(y, p, weight)
            each.append((value, p.shape[0]))
            terms.append(value if factor is None else factor * value)
        with no_grad():
            measured += [(m.measure(y, p), 1) for m in metrics_of_it]
    for value in model.losses:
        terms.append(ops.sum(value) if getattr(value, "ndim", 0) else value)
    total = reduce(add, terms)
    return total, [(total, each[0][1]), *(each if len(predictions) > 1 else ()), *measured]


def _add(totals: Tensor, mean_start: int, means: list[tuple[Tensor, int]]) -> None:
    """Add a batch's loss (as often as it has rows) and metrics to the means, when the step
    commits."""

    def put():
        for number, (values, scale) in enumerate(means, mean_start):
            metrics.accumulate(values, metrics.total_of(totals, number), scale)

    commit(put)
