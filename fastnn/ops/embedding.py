"""Gradients of tables of which few rows were taken (kernels/cpu/embedding.py)."""

from math import prod

import numpy as np

from fastnn.kernels.reference import embedding as reference

from .record import Case, Op


def _met(*shape):
    return lambda rng: rng.integers(-7, 7, shape)


def _none(*shape):
    return lambda rng: np.zeros(shape, np.int64)


def _once(count, extent):
    """Rows of a table, each once, and -1 in every third place."""
    return lambda rng: np.where(np.arange(count) % 3 == 2, -1, rng.permutation(extent)[:count])


combine_rows = Op(
    "combine_rows",
    lambda index, dy, *, extent: [],
    kernels="embedding.combine_rows",
    indices=(0,),
    in_place=True,
    reference=reference.combine_rows,
    cases=[
        Case(
            (_met(*met), (*met, *row), (prod(met), prod(row)), _none(prod(met))),
            {"extent": 7},
            terms=9,
        )
        for met, row in [((0,), (3,)), ((1,), (1,)), ((40,), (5,)), ((3, 7), (70,)), ((9,), (0,))]
    ],
    flops=lambda inputs, outputs, **_: inputs[1].size,
    doc="Of each row of a table of `extent` rows the sum of dy where index names it, at the first "
    "of these places, where `rows` says which it is; zeros, and -1, elsewhere.",
)
put_rows = Op(
    "put_rows",
    lambda rows, values: [],
    kernels="embedding.put_rows",
    indices=(0,),
    in_place=True,
    reference=reference.put_rows,
    cases=[
        Case((_once(count, extent), (count, columns), (extent, columns)))
        for count, extent, columns in [(0, 3, 2), (1, 1, 1), (7, 9, 5), (40, 131, 70)]
    ],
    flops=0,
    doc="table[rows[n]] = values[n], where rows[n] is not -1.",
)
