"""Rows of a table that were taken, in NumPy."""

import numpy as np


def combine_rows(index, dy, total, rows, extent):
    """total and rows: of each row of the table the sum of dy where it was met, at the first of
    these places; and which it is, -1 elsewhere."""
    total, rows = np.zeros_like(total), np.full_like(rows, -1)
    met = (index.ravel() % extent).tolist()
    for n, (row, own) in enumerate(zip(met, dy.reshape(total.shape), strict=True)):
        first = met.index(row)
        total[first] += own
        rows[first] = row
    return total, rows


def put_rows(rows, values, table):
    """table with values in those of its rows; -1 stands for none."""
    table = table.copy()
    table[rows[rows >= 0]] = values[rows >= 0]
    return (table,)
