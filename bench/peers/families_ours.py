"""fastnn's models: `fit` of arrays that are the same batch again and again."""

from collections.abc import Callable

import numpy as np

import fastnn
from bench.kinds import Train, Write
from fastnn import applications


def train(case: Train) -> Callable[[], Callable]:
    if case.family == "gan":
        return gan(case)
    inputs, y = case.data()

    def rows(batches):
        x, *others = (np.concatenate([a] * batches) for a in inputs)
        named = {"input_ids": x, "masked_positions": others[0]} if others else x
        return named, np.concatenate([y] * batches), case.batch

    first, all_rows = rows(1), rows(case.units)
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)

    def fresh():
        model = FAMILIES[case.family](case)
        model.compile("adam", loss)
        model.fit(*first, verbose=0, shuffle=False)
        return lambda: model.fit(*all_rows, verbose=0, shuffle=False)

    return fresh


def gan(case: Train) -> Callable[[], Callable]:
    (x,), _ = case.data()
    all_rows, (columns,) = np.concatenate([x] * case.units), case.shape
    one, other = applications.dense_generator, applications.dense_discriminator

    def fresh():
        model = applications.GAN(one(columns), other(columns))
        model.compile("adam", "adam")
        model.fit(x, batch_size=case.batch, verbose=0, shuffle=False)
        return lambda: model.fit(all_rows, batch_size=case.batch, verbose=0, shuffle=False)

    return fresh


def write(case: Write) -> Callable:
    model = FAMILIES[case.family](case)
    return lambda: model.generate([0], case.units)


def bert(case: Train) -> applications.BERTMaskedLM:
    sizes = case.classes, 128, case.depth, 4, 512
    return applications.BERTMaskedLM(
        applications.BERT(*sizes, dropout=0.0, max_position_embeddings=case.shape[0])
    )


FAMILIES: dict[str, Callable] = {
    "bert": bert,
    "gpt": lambda case: applications.GPT2(
        case.classes, *case.shape, n_embd=128, n_layer=case.depth, n_head=4, dropout=0.0
    ),
    "resnet": lambda case: applications.ResNet.small(case.depth, case.classes, case.shape),
}
