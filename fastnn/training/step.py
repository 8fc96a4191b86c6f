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
from .outputs import losses_of, per_output
from .own_steps import OwnMeasures, OwnSteps, own_columns, owns, packed
from .segments import InOrder, Permutation, Segment, Source, order_of, segments_of


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
    passes = [(kind, r) for kind, r in (("train", rows), ("test", test)) if r is not None]
    layouts = [
        own_columns(model, kind, r) if owns(model, kind) else model._layout for kind, r in passes
    ]
    sizes_of = [sum([c.size for c in _columns(layout)]) for layout in layouts]
    totals = Tensor(reserve(TOTAL_BYTES * sum(sizes_of)), (sum(sizes_of), 2), FLOAT64)
    measures: list[Measures] = []
    for (_, r), layout in zip(passes, layouts, strict=True):
        start = measures[-1].stop if measures else 0
        if isinstance(layout, list):
            measures.append(OwnMeasures(totals, start, layout, model.metrics))
        else:
            measures.append(Measures(totals, start, layout.losses, layout.measured, r.number))
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
            if found is testing and training and isinstance(measures[-1], OwnMeasures):
                found.append(Segment("metrics begin anew", measures[-1].begin))
            found += segments_of(name, step, source, batch_size)
        return training, testing

    sources = [s for s in (train_source, test_source) if s is not None]
    return Epoch(sources, segments, totals, measures, model.run_eagerly)


def train_step(model: Any, measures: Measures, batch: Rows) -> None:
    """Predict, judge, differentiate, update."""
    if isinstance(measures, OwnMeasures):
        measures.note(model.train_step(packed(batch)))
        return
    optimizer, _ = model._compiled("fit")
    loss, adding = _judged(model, measures, batch, model(batch.x, training=True), True)
    measures.commit(adding)
    optimizer.scale_loss(loss).backward()
    optimizer.step()


def test_step(model: Any, measures: Measures, batch: Rows) -> None:
    """Predict and judge."""
    with no_grad():
        if isinstance(measures, OwnMeasures):
            measures.note(model.test_step(packed(batch)))
            return
        prediction = model(batch.x, training=False)
        _, adding = _judged(model, measures, batch, prediction, False)
        measures.commit(adding)


def _judged(
    model: Any, measures: Measures, batch: Rows, prediction: Any, training: bool
) -> tuple[Tensor, list]:
    """The loss, and what is added to the measures when the step commits: the loss, and of several
    outputs that of each, as often as the batch has rows; metrics."""
    terms, each, metrics = [], [], []
    for number, (y, p, loss_of_it, factor, weight) in enumerate(
        _by_output(model, batch.y, prediction, batch.weights)
    ):
        if loss_of_it is not None:
            value = loss_of_it(y, p, weight)
            each.append((value, p.shape[0]))
            terms.append(value if factor is None else factor * value)
        with no_grad():
            metrics += measures.measure(number, y, p, weight)
    if type(model).compute_loss is OwnSteps.compute_loss:
        total = _sum_of(model, [*terms, *_added(model)])
    else:
        total = model.compute_loss(batch.x, batch.y, prediction, batch.weights, training=training)
    rows = tree.flatten(prediction)[0].shape[0]
    judged = [(total, rows), *(each if len(measures.losses) > 1 else ())]
    adding = [
        measures.adding(place, value, None, rows)
        for place, (value, rows) in enumerate(judged, measures.start)
    ]
    return total, [*adding, *metrics]


def _by_output(model, y, prediction, weights):
    """(target, prediction, loss, its weight, weights of rows) of each output."""
    _, loss = model._compiled("evaluate")
    losses = losses_of(prediction, loss, model.output_names)
    targets, factors, weights = (
        per_output(prediction, value, what, model.output_names)
        for value, what in (
            (y, "y"),
            (model.loss_weights, "loss_weights"),
            (weights, "sample_weight"),
        )
    )
    return zip(targets, tree.flatten(prediction), losses, factors, weights, strict=True)


def _added(model):
    """What layers and regularizers add to the loss."""
    return [ops.sum(v) if getattr(v, "ndim", 0) else v for v in model.losses]


def loss_of(model: Any, y: Any, prediction: Any, weights: Any) -> Tensor:
    """The loss of a batch, as `compile` has it."""
    terms = _added(model)
    for target, p, loss, factor, weight in _by_output(model, y, prediction, weights):
        if loss is not None:
            value = loss(target, p, weight)
            terms.append(value if factor is None else factor * value)
    return _sum_of(model, terms)


def _sum_of(model, terms):
    if not terms:
        raise RuntimeError(
            f"model {model.name!r} has no loss: compile with one, or add_loss(...) within call"
        )
    return reduce(add, terms)


def update_metrics(model: Any, y: Any, prediction: Any, weights: Any) -> None:
    """Add a batch to the metrics, as `compile` has them."""
    given = list(_by_output(model, y, prediction, weights))
    for (target, p, _, _, weight), chosen in zip(given, model._metrics or (), strict=False):
        for metric, is_weighted in chosen:
            metric.update_state(
                target, p, *([weight] if is_weighted and weight is not None else [])
            )


def _columns(layout):
    return layout if isinstance(layout, list) else layout.columns
