"""`einsum`: sums of products by the names of dimensions, made of transposes, products of matrices
and sums. Operands are multiplied two by two, in the order that takes the fewest multiplications."""

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from fastnn.dtypes import SUMMED
from fastnn.errors import ShapeError, shape_text

from .arithmetic import multiply
from .arrange import diagonal
from .functions import public
from .matmul import matmul
from .record import Op, expect_dtype
from .reduce import sum
from .shapes import reshape, transpose


class Equation(NamedTuple):
    """The names of each operand's dimensions and of the result's; "..." stands for `dots` names,
    which are numbers, those of the last dimensions first."""

    operands: tuple[tuple, ...]
    result: tuple
    extents: dict


@lru_cache(maxsize=1024)
def parsed(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> Equation:
    """The Equation of a text such as "bij,bjk->bik"."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"einsum: {subscripts!r} names {len(terms)} operands; got {len(shapes)}")
    operands = tuple(
        _names(subscripts, term, len(shape)) for term, shape in zip(terms, shapes, strict=True)
    )
    extents: dict = {}
    for names, shape in zip(operands, shapes, strict=True):
        for name, extent in zip(names, shape, strict=True):
            if extents.setdefault(name, extent) == 1:
                extents[name] = extent
            if extent not in (1, extents[name]):
                raise ShapeError(
                    f"einsum: {subscripts!r}: dimension {name!r} is {extents[name]} and {extent} "
                    f"long, of operands {', '.join(map(shape_text, shapes))}"
                )
    dots = sorted({name for name in extents if isinstance(name, int)}, reverse=True)
    if not arrow:  # in the order of the alphabet, those that are named once
        letters = [name for names in operands for name in names if isinstance(name, str)]
        right = "..." + "".join(sorted(n for n in set(letters) if letters.count(n) == 1))
    result = _names(subscripts, right, len(right.replace("...", "")) + len(dots), len(dots))
    unknown = [name for name in result if name not in extents]
    if unknown or len(set(result)) < len(result):
        what = f"{unknown[0]!r}, which no operand has" if unknown else "a dimension twice"
        raise ValueError(f"einsum: {subscripts!r}: the result has {what}")
    return Equation(operands, result, extents)


def _names(subscripts, term, ndim, dots=None):
    """The names of an operand's or the result's dimensions."""
    before, there, after = term.partition("...")
    letters = before + after
    hidden = ndim - len(letters) if there else 0
    if not all([letter.isalpha() for letter in letters]) or hidden < 0 or (dots and not there):
        if dots and not there and all([letter.isalpha() for letter in letters]):
            raise ValueError(
                f"einsum: {subscripts!r}: the operands have '...', and the result has not: write "
                "it there too"
            )
        raise ValueError(
            f"einsum: cannot read {term!r} of {subscripts!r} for an operand of {ndim} dimensions: "
            "a letter is a dimension, '...' any number of them, as in 'bij,bjk->bik'"
        )
    if not there and len(letters) != ndim:
        raise ShapeError(
            f"einsum: {term!r} of {subscripts!r} names {len(letters)} dimensions; the operand has "
            f"{ndim}"
        )
    return (*before, *range(hidden - 1, -1, -1), *after)


@lru_cache(maxsize=1024)
def pairs(operands: tuple, result: tuple, sizes: tuple) -> tuple[tuple[int, int], ...]:
    """Which two operands are multiplied in each step, by their places; what they make is put last.
    Of all pairs always the one that takes the fewest multiplications, and of equals the one whose
    product is smallest."""
    extents, left, found = dict(sizes), [frozenset(names) for names in operands], []
    while len(left) > 1:
        best: Any = None
        for j in range(1, len(left)):
            for i in range(j):
                both = left[i] | left[j]
                others = [names for n, names in enumerate(left) if n not in (i, j)]
                kept = both & frozenset(result).union(*others)
                cost = prod([extents[n] for n in both]), prod([extents[n] for n in kept]), i, j
                if best is None or cost < best[0]:
                    best = cost, kept
        (_, _, i, j), kept = best
        found.append((i, j))
        left = [names for n, names in enumerate(left) if n not in (i, j)] + [kept]
    return tuple(found)


def _infer(*operands, subscripts):
    named = {f"operand {n}": x for n, x in enumerate(operands)}
    expect_dtype("einsum", SUMMED, **named)
    equation = parsed(subscripts, tuple([x.shape for x in operands]))
    left = [
        _without_repeats(x, names) for x, names in zip(operands, equation.operands, strict=True)
    ]
    names = tuple([tuple(names) for _, names in left])
    for i, j in pairs(names, equation.result, tuple(equation.extents.items())):
        a, b = left[i], left[j]
        left = [x for n, x in enumerate(left) if n not in (i, j)]
        needed = set(equation.result).union(*[names for _, names in left])
        left.append(_product(a, b, needed))
    x, found = _summed(*left[0], set(equation.result))
    return [_in_order(x, found, equation.result)]


def _without_repeats(x, names):
    """x with the diagonal of what is named twice."""
    names = list(names)
    for name in dict.fromkeys(names):
        while names.count(name) > 1:
            first = names.index(name)
            second = names.index(name, first + 1)
            x = diagonal(x, axis1=first, axis2=second)
            names = [n for d, n in enumerate(names) if d not in (first, second)] + [name]
    return x, names


def _summed(x, names, needed):
    """x summed over what is not needed."""
    axes = tuple([d for d, name in enumerate(names) if name not in needed])
    return (sum(x, axis=axes), [n for n in names if n in needed]) if axes else (x, names)


def _in_order(x, names, wanted):
    if list(names) == list(wanted):
        return x
    return transpose(x, axes=tuple([names.index(name) for name in wanted]))


def _product(a, b, needed):
    """Two operands multiplied and summed over what they have in common and nobody else needs."""
    (a, a_names), (b, b_names) = a, b
    a, a_names = _summed(a, a_names, needed | set(b_names))
    b, b_names = _summed(b, b_names, needed | set(a_names))
    a, a_names = _without_ones(a, a_names, dict(zip(b_names, b.shape, strict=True)))
    b, b_names = _without_ones(b, b_names, dict(zip(a_names, a.shape, strict=True)))
    # what stood in one of them with extent 1 alone may now have to be summed in the other
    a, a_names = _summed(a, a_names, needed | set(b_names))
    b, b_names = _summed(b, b_names, needed | set(a_names))
    common = [n for n in a_names if n in b_names]
    batch, depth = [n for n in common if n in needed], [n for n in common if n not in needed]
    rows = [n for n in a_names if n not in common]
    columns = [n for n in b_names if n not in common]
    extents = dict(zip((*a_names, *b_names), (*a.shape, *b.shape), strict=True))
    names = [*batch, *rows, *columns]
    if depth:
        left, is_transposed = _matrices(a, a_names, batch, rows, depth, extents, False)
        right, is_straight = _matrices(b, b_names, batch, columns, depth, extents, True)
        found = matmul(left, right, transpose_a=is_transposed, transpose_b=not is_straight)
    else:
        found = multiply(
            _spread(a, a_names, [*batch, *rows, *[None] * len(columns)], extents),
            _spread(b, b_names, [*batch, *[None] * len(rows), *columns], extents),
        )
    return reshape(found, newshape=[extents[n] for n in names]), names


def _without_ones(x, names, others):
    """x without dimensions of extent 1 that are longer in the other operand."""
    kept = [n for n, e in zip(names, x.shape, strict=True) if e != 1 or others.get(n, 1) == 1]
    if len(kept) == len(names):
        return x, names
    extents = dict(zip(names, x.shape, strict=True))
    return reshape(x, newshape=[extents[n] for n in kept]), kept


def _matrices(x, names, batch, outer, depth, extents, depth_first):
    """x as a stack of matrices of (outer, depth), or of (depth, outer), in which it lies already or
    else which is said; and whether that is so."""
    orders = {False: [*batch, *outer, *depth], True: [*batch, *depth, *outer]}
    depth_first = next((first for first, order in orders.items() if names == order), depth_first)
    sizes = [prod([extents[n] for n in some]) for some in (outer, depth)]
    stack = [extents[n] for n in batch]
    x = _in_order(x, names, orders[depth_first])
    return reshape(x, newshape=(*stack, *(sizes[::-1] if depth_first else sizes))), depth_first


def _spread(x, names, wanted, extents):
    """x in this order, with dimensions of extent 1 where None stands."""
    x = _in_order(x, names, [n for n in wanted if n is not None])
    return reshape(x, newshape=[1 if n is None else extents[n] for n in wanted])


_einsum = Op("einsum", _infer, composite=True, dtypes=SUMMED)


@public()
def einsum(subscripts: str, *operands: Any) -> Any:
    """Sums of products by Einstein's convention: subscripts such as "bij,bjk->bik" name the
    dimensions of each operand and of the result; what the result does not name is summed. "..." are
    any dimensions, which broadcast. Without "->" the result has those named once, in the order of
    the alphabet. A letter twice in an operand is its diagonal. Operands are multiplied two by two
    as products of matrices, those first that take the fewest multiplications; of integers int64 or
    int32.

    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.einsum("bij,bjk->bik", np.ones((2, 3, 4)), np.ones((2, 4, 5))).shape
    (2, 3, 5)
    """
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: subscripts must be a text; got {type(subscripts).__name__}")
    if not operands:
        raise TypeError("einsum: takes at least one operand after the subscripts; got none")
    return Op.run(_einsum, operands, {"subscripts": subscripts})
