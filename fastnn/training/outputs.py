"""The results of a model, one tensor or a structure of several, and what belongs to each."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn import metrics, tree
from fastnn.errors import nearest
from fastnn.layers.base import Shape
from fastnn.losses import Loss
from fastnn.metrics import Metric

from . import data
from .measures import Column, Measured, columns_of, unique


class Output:
    """One of the results: its name in the history, its shape and element type."""

    def __init__(self, name: str, shape: Shape, dtype: np.dtype):
        self.name, self.shape, self.dtype = name, shape, dtype

    def __repr__(self) -> str:
        return self.name


def outputs_of(results: Any, names: list[str] | None = None) -> Any:
    """The same structure with an `Output` for each tensor. names: of those in a list."""
    leaves = list(tree.leaves(results))
    if not isinstance(results, list | tuple) or names is None or len(names) != len(leaves):
        names = [_name(path) for path, _ in leaves]
    found = [
        Output(name, (None, *t.shape[1:]), t.dtype)
        for name, (_, t) in zip(names, leaves, strict=True)
    ]
    return tree.pack(results, found)


def _name(path):
    """As Keras names them: by keys, or output_1, output_2 in a list; one alone has no name."""
    keys = [key.strip("'") for key in re.findall(r"\[(.+?)\]", path)]
    prefix = "output_" if keys and keys[0].isdecimal() else ""
    return prefix + "_".join(str(int(k) + 1) if k.isdecimal() else k for k in keys)


def per_output(outputs: Any, value: Any, what: str, names: list[str] | None = None) -> list[Any]:
    """What belongs to each output: of a list, tuple or dictionary like them the part at its place,
    of a dictionary by their names that of its name, of a list for outputs in a dictionary the part
    at the place of its name in order, else the same for all. A dictionary may leave some out, for
    which there is None."""
    if not isinstance(value, list | tuple | dict):
        return [value] * len(tree.flatten(outputs))
    value = _by_names(outputs, value)
    keys = list(outputs) if isinstance(outputs, dict) else names
    if isinstance(value, dict) and keys:
        unknown = [key for key in value if key not in keys]
        if unknown:
            raise ValueError(
                f"{what}: the model has no output {unknown[0]!r}; {nearest(unknown[0], keys)}"
            )
        if not isinstance(outputs, dict):
            return [value.get(name) for name in keys]
        value = {key: value.get(key) for key in keys}
    if tree.children(outputs) is None:
        if what == "loss" and isinstance(value, list | tuple) and len(value) == 1:
            return per_output(outputs, value[0], what)
        raise ValueError(
            f"{what}: the model has one output, and needs no {type(value).__name__} for it"
        )
    found: list[Any] = []
    tree.map(lambda output, part: found.append(part), outputs, value, path=what)
    return found


def _by_names(outputs, value):
    """Lists where outputs are dictionaries, as dictionaries, names in order: as Keras takes
    them."""
    if not isinstance(outputs, dict):
        return value
    if isinstance(value, list | tuple) and len(value) == len(outputs):
        value = dict(zip(sorted(outputs), value, strict=True))
    if not isinstance(value, dict):
        return value
    return {key: _by_names(outputs.get(key), part) for key, part in value.items()}


Choice = tuple[Metric, bool]  # a metric, and whether weights of rows count in it


def losses_of(outputs: Any, given: Any, names: list[str] | None = None) -> list[Loss | None]:
    """The loss of each output, or None; as Keras has it, a list of one stands for that one."""
    found = []
    for part in per_output(outputs, given, "loss", names):
        while isinstance(part, list | tuple) and len(part) == 1:
            part = part[0]
        if isinstance(part, list | tuple | dict):
            raise ValueError(
                f"loss: expected one for each output; got {len(part)} for one of them. A function "
                "of (y_true, y_pred) may add several."
            )
        found.append(part)
    return found


def metrics_of(
    outputs: Any,
    given: Any,
    weighted: Any,
    losses: list[Loss | None],
    names: list[str] | None = None,
) -> list[list[Choice]]:
    """The metrics of each output. given, weighted: names or metrics; of several outputs, a
    structure of them."""
    found: list[list[Choice]] = [[] for _ in losses]
    for what, chosen in (("metrics", given), ("weighted_metrics", weighted)):
        is_one = tree.children(outputs) is None and not isinstance(chosen, dict)
        parts = [chosen or ()] if is_one else per_output(outputs, chosen or None, what, names)
        for output, wanted, loss, of_it in zip(
            tree.flatten(outputs), parts, losses, found, strict=True
        ):
            takes_labels, columns = loss is not None and loss.takes_labels, output.shape[-1] or 1
            of_it += [
                (metrics.for_targets(name, takes_labels, columns, what), what != "metrics")
                for name in tree.flatten(wanted)
            ]
    return found


class Layout(NamedTuple):
    """What an epoch's results are of: the loss and, of several outputs, that of each; of each
    output its metrics."""

    losses: list[Column]
    measured: list[list[Measured]]

    @property
    def columns(self) -> list[Column]:
        return [
            *self.losses,
            *[column for of_it in self.measured for one in of_it for column in one.columns],
        ]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def size(self) -> int:
        """How many numbers they are."""
        return sum([column.size for column in self.columns])

    @property
    def collects(self) -> bool:
        """Whether a metric is given all predictions of an epoch."""
        return any([one.kind == "collected" for of_it in self.measured for one in of_it])


def layout_of(
    outputs: Any, losses: list[Loss | None], chosen: Sequence[Sequence[Choice]], targets: Any
) -> Layout:
    """The layout of what is measured, named as Keras names it."""
    found = tree.flatten(outputs)
    several = len(found) > 1
    names = ["loss"]
    if several:
        names += [f"{o.name}_loss" for o, loss in zip(found, losses, strict=True) if loss]
    taken = dict.fromkeys(names, 1)
    columns = [Column(name) for name in names]
    measured: list[list[Measured]] = [[] for _ in found]
    of_y = per_output(outputs, targets, "y")
    for weighted in (False, True):
        for output, y, of_it, mine in zip(found, of_y, chosen, measured, strict=True):
            for metric, counts_weights in of_it:
                if counts_weights == weighted:
                    name = f"{output.name}_{metric.name}" if several else metric.name
                    made, kind = columns_of(metric, name, y, output)
                    prefix = f"{output.name}_" if several else ""
                    named = unique([column.name for column in made], taken, weighted, prefix)
                    made = [c._replace(name=n) for c, n in zip(made, named, strict=True)]
                    mine.append(Measured(metric, weighted, made, kind))
    return Layout(columns, measured)


def targets_of(
    y: Any,
    outputs: Any,
    losses: list[Loss | None],
    metrics: Sequence[Sequence[Choice]],
    rows: int,
    what: str,
    names: list[str] | None = None,
) -> Any:
    """Targets as losses and metrics take them, checked; None for an output that has neither."""
    given, judges = targets_given(y, outputs, what, names), judges_of(losses, metrics)
    found = []
    for (path, output), target, judge in zip(tree.leaves(outputs), given, judges, strict=True):
        name = f"{what}y{path}"
        if judge is not None:
            if target is None:
                raise ValueError(f"{name} is missing: that output has a loss or metrics")
            data.expect_rows(rows, target, f"{what}x", name)
            values = judge.targets(target, output.shape, output.dtype)
            data.expect_finite(values, name, target)
        found.append(None if judge is None else values)
    return tree.pack(outputs, found)


def targets_given(y: Any, outputs: Any, what: str, names: list[str] | None = None) -> list[Any]:
    """The targets that are given for each output."""
    is_one = tree.children(outputs) is None and not isinstance(y, dict)
    return [y] if is_one else per_output(outputs, y, f"{what}y", names)


def judges_of(
    losses: list[Loss | None], metrics: Sequence[Sequence[Choice]]
) -> list[Loss | Metric | None]:
    """Who says what each output's targets are: its loss, or else its first metric."""
    for loss, of_it in zip(losses, metrics, strict=True):
        _expect_same_targets(loss, of_it)
    return [
        loss or (of_it[0][0] if of_it else None)
        for loss, of_it in zip(losses, metrics, strict=True)
    ]


def _expect_same_targets(loss, metrics):
    for metric, _ in metrics if loss is not None else ():
        if metric.takes_labels not in (None, loss.takes_labels):
            kinds = ["values of the prediction's shape", "labels"]
            raise ValueError(
                f"metric {metric.name!r} takes {kinds[metric.takes_labels]}, the loss "
                f"{loss.name} {kinds[loss.takes_labels]}: "
                "use metrics=['accuracy'], which fits itself to the loss"
            )


def weights_of(
    sample_weight: Any, outputs: Any, rows: int, dtype: np.dtype, names: list[str] | None = None
) -> Any:
    """Weights of rows: one array for all outputs, or a structure with one for each."""
    if tree.children(outputs) is None or tree.children(sample_weight) is None:
        return data.weights(sample_weight, rows, dtype)
    given = per_output(outputs, sample_weight, "sample_weight", names)
    return tree.pack(outputs, [data.weights(weights, rows, dtype) for weights in given])
