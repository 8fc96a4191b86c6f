"""Dimensions split, ordered and joined by a pattern of their names, as in einops."""

import re
from math import prod
from typing import Any

from fastnn.errors import ShapeError, shape_text

from .functions import as_tensor, public
from .shapes import reshape, transpose


@public()
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """A tensor whose dimensions are split, put in order and joined as a pattern says: on its left
    the names of the dimensions, on its right the same ones in their new order. Several names in
    parentheses are one dimension; axes_lengths gives the extents of all of them but one.

    >>> from fastnn import ops
    >>> ops.rearrange(ops.zeros((2, 6, 4, 3)), "b (h p) w c -> b h w (p c)", p=2).shape
    (2, 3, 4, 6)
    """
    x = as_tensor(tensor)
    sides = pattern.split("->")
    left, right = (_groups(side, pattern) for side in (sides if len(sides) == 2 else ("", "")))
    names = [name for group in left for name in group]
    if len(sides) != 2 or sorted(names) != sorted(n for group in right for n in group):
        raise ValueError(
            f"rearrange: pattern must have the same names on both sides of '->'; got {pattern!r}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"rearrange: a name stands twice on a side of {pattern!r}")
    if unknown := sorted(set(axes_lengths) - set(names)):
        raise ValueError(f"rearrange: pattern {pattern!r} has no {unknown[0]!r}")
    if len(left) != len(x.shape):
        raise ShapeError(
            f"rearrange: pattern {pattern!r} has {len(left)} dimensions; got shape "
            f"{shape_text(x.shape)}"
        )
    extents: dict[str, int] = dict(axes_lengths)
    for group, extent in zip(left, x.shape, strict=True):
        unknown = [name for name in group if name not in extents]
        known = prod([extents[name] for name in group if name in extents])
        if len(unknown) > 1:
            raise ValueError(
                f"rearrange: give the extents of all but one of {group} in {pattern!r}, as in "
                f"{unknown[0]}=2"
            )
        if unknown and known and extent % known == 0:
            extents[unknown[0]] = extent // known
        elif unknown or known != extent:
            raise ShapeError(
                f"rearrange: a dimension of {extent} elements is not {' times '.join(group)} of "
                f"{pattern!r}, with {axes_lengths}"
            )
    x = reshape(x, newshape=[extents[name] for name in names])
    order = [names.index(name) for group in right for name in group]
    x = transpose(x, axes=order)
    return reshape(x, newshape=[prod([extents[name] for name in group]) for group in right])


def _groups(side, pattern):
    """The names of each dimension: of "b (h w)", [["b"], ["h", "w"]]."""
    found = re.findall(r"\(([\w\s]*)\)|(\w+)", side)
    if re.sub(r"\([\w\s]*\)|\w+|\s", "", side):
        raise ValueError(f"rearrange: pattern {pattern!r} has more than names and parentheses")
    return [[name] if name else inner.split() for inner, name in found]
