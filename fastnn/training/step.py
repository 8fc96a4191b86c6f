"""What a training step and an evaluation step do with a batch, and the epoch they make."""

from functools import reduce
from operator import add
from typing import Any

from fastnn import ops, tree
from fastnn.autograd import no_grad
from fastnn.devices.cpu.memory import reserve
from fastnn.dtypes import FLOAT64
from fastnn.random import Generator
from fastnn.tape.record import context
from fastnn.tensor import Tensor

from . import data
from .data import Rows
from .epoch import Epoch
from .measures import TOTAL_BYTES, Measures
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
    layout, passes = model._layout, [r for r in (rows, test) if r is not None]
    columns = len(passes) * layout.size
    totals = Tensor(reserve(TOTAL_BYTES * columns), (columns, 2), FLOAT64)
    measures = [
        Measures(totals, number * layout.size, layout.losses, layout.measured, r.number)
        for number, r in enumerate(passes)
    ]
    if rows is not None and model.run_eagerly:
        # steps from Python read all else when they run, but not which variables there are
        _ = model.trainable_variables
    gathers = context.device != "cpu" and not model.run_eagerly
    order = Permutation(generator) if generator else InOrder() if gathers else None
    train_source = None if rows is None else Source(rows.arrays(), order)
    test_order = InOrder() if gathers else None
    test_source = None if test is None else Source(test.arrays(), test_order)
    test_name = "evaluation" if rows is None else "validation"
    train_rows, test_rows = data.without_arrays(rows), data.without_arrays(test)

    def train(*batch):
        train_step(model, measures[0], tree.pack(train_rows, batch))

    def evaluate(*batch):
        test_step(model, measures[-1], tree.pack(test_rows, batch))

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
    return Epoch(sources, segments, totals, measures, model.run_eagerly)


def train_step(model: Any, measures: Measures, batch: Rows) -> None:
    """Predict, judge, differentiate, update."""
    optimizer, _ = model._compiled("fit")
    loss, adding = _judged(model, measures, batch, model(batch.x, training=True))
    measures.commit(adding)
    optimizer.scale_loss(loss).backward()
    optimizer.step()


def test_step(model: Any, measures: Measures, batch: Rows) -> None:
    """Predict and judge."""
    with no_grad():
        _, adding = _judged(model, measures, batch, model(batch.x, training=False))
        measures.commit(adding)


def _judged(model: Any, measures: Measures, batch: Rows, prediction: Any) -> tuple[Tensor, list]:
    """The loss, and what is added to the measures when the step commits: the loss, and of several
    outputs that of each, as often as the batch has rows; metrics."""
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
    predictions = tree.flatten(prediction)
    terms, each, metrics = [], [], []
    for number, (y, p, loss_of, factor, weight) in enumerate(
        zip(targets, predictions, losses, factors, weights, strict=True)
    ):
        if loss_of is not None:
            value = loss_of(y, p, weight)
            each.append((value, p.shape[0]))
            terms.append(value if factor is None else factor * value)
        with no_grad():
            metrics += measures.measure(number, y, p, weight)
    for value in model.losses:
        terms.append(ops.sum(value) if getattr(value, "ndim", 0) else value)
    if not terms:
        raise RuntimeError(
            f"model {model.name!r} has no loss: compile with one, or add_loss(...) within call"
        )
    total = reduce(add, terms)
    judged = [(total, predictions[0].shape[0]), *(each if len(predictions) > 1 else ())]
    adding = [
        measures.adding(place, value, None, rows)
        for place, (value, rows) in enumerate(judged, measures.start)
    ]
    return total, [*adding, *metrics]
