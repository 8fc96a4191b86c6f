"""fastnn's models: `fit` of arrays that are the same batch again and again."""

from collections.abc import Callable

import numpy as np

import fastnn
from bench.kinds import Train, Write
from fastnn import applications


def train(case: Train) -> Callable[[], Callable]:
    x, y = (np.concatenate([a] * case.units) for a in case.data())
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)

    def fresh():
        model = FAMILIES[case.family](case)
        model.compile("adam", loss)
        model.fit(x[: case.batch], y[: case.batch], case.batch, verbose=0, shuffle=False)
        return lambda: model.fit(x, y, case.batch, verbose=0, shuffle=False)

    return fresh


def write(case: Write) -> Callable:
    model = FAMILIES[case.family](case)
    return lambda: model.generate([0], case.units)


FAMILIES: dict[str, Callable] = {
    "gpt": lambda case: applications.GPT2(
        case.classes, *case.shape, n_embd=128, n_layer=case.depth, n_head=4, dropout=0.0
    ),
    "resnet": lambda case: applications.ResNet.small(case.depth, case.classes, case.shape),
}
