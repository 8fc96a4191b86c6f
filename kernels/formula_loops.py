"""What every device's loops over formulas begin with: their text, which depends on how many inputs,
numbers and results a formula has, and how the shapes of its inputs broadcast.
"""

import linecache
from math import prod

import numpy as np


def results_of(formula):
    """What a kernel calls its results."""
    several = len(formula.results) > 1
    return [f"out_{n}" for n in range(len(formula.results))] if several else ["out"]


def each(names, index, numbers=()):
    """x[i], y[i], ...; `numbers` have no elements."""
    return ", ".join(x if x in numbers else f"{x}[{index}]" for x in names)


def written(module, formula, name, parameters, *body, **names):
    """The function of a module (its globals) that these lines are, in which `function` is the
    formula, and `names` what else they name. The formula is a variable of a function around it,
    where a user's own is found (compile/names.py)."""
    lines = [
        "def define(function):",
        f"    def {name}({', '.join(parameters)}):",
        *[f"        {line}" for line in body],
        f"    return {name}",
    ]
    text, file = "\n".join(lines), f"{module['__file__']}:{name}"
    scope = {"__name__": module["__name__"], **names}
    linecache.cache[file] = len(text), None, text.splitlines(True), file  # for tracebacks
    exec(compile(text, file, "exec"), scope)
    return scope["define"](formula)


def broadcast_rows(*shapes):
    """How shapes broadcast: the result's (rows, columns); a table with a row for each outer
    dimension, of its extent and the step of each input; and each input's step within a row, 0 or 1.
    Neighbouring dimensions that behave alike are one."""
    shape = np.broadcast_shapes(*shapes)
    padded = [(1,) * (len(shape) - len(s)) + s for s in shapes]
    dims = []  # [extent, whether each input moves], outermost first
    for extent, *own in zip(shape, *padded, strict=True):
        moves = [e != 1 for e in own]
        if extent == 1:
            continue
        if dims and dims[-1][1] == moves:
            dims[-1][0] *= extent
        else:
            dims.append([extent, moves])
    columns, steps = dims.pop() if dims else (1, [True] * len(shapes))
    sizes, outer = [columns if step else 1 for step in steps], []
    for extent, moves in reversed(dims):
        outer.insert(0, (extent, *[s if m else 0 for s, m in zip(sizes, moves, strict=True)]))
        sizes = [s * (extent if m else 1) for s, m in zip(sizes, moves, strict=True)]
    table = np.array(outer, np.int64).reshape(-1, 1 + len(shapes))
    rows = prod(extent for extent, _ in dims)
    return (rows, columns), table, tuple([int(step) for step in steps])
