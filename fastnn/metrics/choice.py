"""Which metric a name stands for, given what it is to measure."""

from typing import Any

from .accuracy import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from .base import KIND, Metric
from .probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from .reduction import MeanMetricWrapper

BY_TARGETS = {
    **dict.fromkeys(
        ("accuracy", "acc"), (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)
    ),
    **dict.fromkeys(
        ("crossentropy", "ce"),
        (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy),
    ),
}


def for_targets(
    identifier: Any, takes_labels: bool, columns: int, argument: str = "metrics"
) -> Metric:
    """A metric by its name, which it then bears, or as `get` has it; of a function, the mean of
    what it gives. "accuracy" and "crossentropy" are those for such targets and such a number of
    columns."""
    if isinstance(identifier, str):
        if identifier.lower() in BY_TARGETS:
            kinds = BY_TARGETS[identifier.lower()]
            kind: Any = kinds[1] if takes_labels else kinds[0] if columns == 1 else kinds[2]
        else:
            kind = KIND.find(identifier, argument, tuple(BY_TARGETS))
        if isinstance(kind, type):
            return kind(name=identifier)
        return MeanMetricWrapper(kind, identifier)
    found = KIND.get(identifier, argument)
    if isinstance(found, Metric):
        return found
    return MeanMetricWrapper(found, getattr(found, "__name__", None))
