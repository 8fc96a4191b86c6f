"""Which metric a name stands for, given what it is to measure."""

from typing import Any

from .accuracy import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from .base import KIND, Metric
from .probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from .reduction import Mean, MeanMetricWrapper, Sum

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
        if kind in (Mean, Sum):
            return for_targets(kind(), takes_labels, columns, argument)
        if isinstance(kind, type):
            return kind(name=identifier)
        return MeanMetricWrapper(kind, identifier)
    found = KIND.get(identifier, argument)
    if type(found) in (Mean, Sum):
        raise TypeError(
            f"{argument}: {found.name!r} is a {type(found).__name__} of values, not of y_true and "
            "y_pred. Keep it in a loop of your own, or name a metric, such as 'mae'."
        )
    if isinstance(found, Metric):
        return found
    return MeanMetricWrapper(found, getattr(found, "__name__", None))
