"""Pointwise ops: a formula of kernels/scalar/ applied to each element of inputs that broadcast. To
add one: its formula and gradient in kernels/scalar/, and one record made by `elementwise`."""

from collections.abc import Sequence
from functools import lru_cache, partial
from math import inf
from typing import Any, NamedTuple

import numpy as np

from fastnn.dtypes import BOOL, names_of
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.declare import FLOATS as FLOAT_LETTERS
from fastnn.kernels.scalar import Formula

from .record import Case, Op, Parameters, expect_attribute, expect_dtype, expect_shape

# Sizes around a vector register (4 to 16 elements), around a thread's grain (64), and a prime; with
# all of them one formula stands for those that the same loop is made of.
SIZES = (0, 1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 127, 131)
SHAPES = ((), *((n,) for n in SIZES), (3, 5, 7))
FEW_SHAPES = ((), (0,), (1,), (17,), (131,), (3, 5, 7))
PAIRS = (
    *(((n,), (n,)) for n in SIZES),
    *(
        ((5, 7), (7,)),
        ((5, 1), (7,)),
        ((5, 7), ()),
        ((), (4, 17)),
        ((3, 1, 5), (4, 1)),
        ((2, 3, 4, 5), (3, 1, 5)),
        ((0, 3), (3,)),
    ),
)
FEW_PAIRS = (
    ((1,), (1,)),
    ((131,), (131,)),
    ((5, 1), (7,)),
    ((5, 7), ()),
    ((2, 3, 4, 5), (3, 1, 5)),
    ((0, 3), (3,)),
)
PASS = object()  # a gradient that is the upstream gradient
# where every op is compared with NumPy's
EXTREMES = (-inf, inf, np.nan, 0.0, -0.0, 1.0, -1.0, 1e30, -1e30)


def elementwise(
    function: Any,
    *,
    name: str | None = None,
    gradient: Any = None,
    saves: str = "x",
    broadcasts: bool = True,
    conditions: int = 0,
    result: str = "T",
    dtypes: Sequence[str] = FLOAT_LETTERS,
    reference: Any,
    doc: str,
    domain: tuple[float, float] = (-4.0, 4.0),
    tested: Sequence[dict] = (),
    few: bool = False,
    fusable: bool = True,
    signed: bool = False,
    cases: Sequence[Case] = (),
    expect_integers: Any = None,
    far: Any = None,
    far_gradient: Any = None,
    gradient_flops: float | None = None,
    **record: Any,
) -> Op:
    """The op of a formula, which gives it its name, inputs and attributes (numbers from 0 on, one
    object code for all of them).

    name      where the formula cannot have it, because it calls the builtin of that name.
    gradient  the formula of each input's gradient, (what `saves` names, upstream gradient,
              attributes); PASS where that is the upstream gradient itself, None if it is 0, or
              there is none. The last inputs, if `constant`, need none.
    saves     what they read: "x", all inputs; "y", the result; or "xy".
    broadcasts  if not, all inputs must have one shape, as a loss's do: a target (N,) and a
              prediction (N, 1) would make (N, N).
    conditions  so many of the first inputs, or all, are booleans.
    result    the element type of the result: "T", that of the inputs, or "b1".
    tested    attributes to test it with, besides the defaults.
    few       whether to test it with few shapes.
    cases     to test and time besides those of SHAPES or PAIRS.
    signed    whether attributes may be negative.
    expect_integers  called with inputs that are integers, to refuse some.
    far       `Far`: the formula of inputs that the first does not hold for; far_gradient likewise.
    fusable   whether a product may compute it along, where its gradient reads the result only.
    """
    formula = Formula(function, (result,), tuple(dtypes), far=far)
    types = ("b1",) * conditions + ("T",) * (len(formula.names) - conditions)
    if conditions:
        formula = formula._replace(types=types)
    name, names, defaults = name or formula.name, formula.names, formula.defaults
    formula = formula._replace(whole=0 if broadcasts else len(names))
    all_booleans = conditions == len(names)
    taken = (BOOL,) if all_booleans else tuple(map(np.dtype, formula.dtypes))
    gradients = gradient if isinstance(gradient, tuple) else (gradient,) * (gradient is not None)

    def infer(*inputs, **given):
        if len(inputs) != len(names):
            raise TypeError(f"{name}: takes {', '.join(names)}; got {len(inputs)} inputs")
        alike = inputs
        if conditions:
            alike = inputs[conditions:] or inputs
            expect_dtype(name, (BOOL,), **dict(zip(names, inputs[:conditions], strict=False)))
        dtype, shape = alike[0].dtype, inputs[0].shape
        is_taken, is_one_shape = dtype in taken, not conditions
        for x in alike[1:]:  # for two inputs comprehensions took 0.5 us longer
            is_taken = is_taken and x.dtype == dtype
            is_one_shape = is_one_shape and x.shape == shape
        if not is_taken:
            expect_dtype(name, taken, **dict(zip(names[conditions:], alike, strict=True)))
        if expect_integers is not None and dtype.kind != "f":
            expect_integers(*inputs)
        for attribute, value in given.items():
            expect_attribute(name, attribute, value, defaults, dtype, signed)
        if formula.whole:
            for argument, x in zip(names[1:], inputs[1:], strict=True):
                expect_shape(name, argument, x.shape, shape)
        elif not is_one_shape:
            shape = broadcast_shape(name, *[x.shape for x in inputs])
        return [(shape, dtype if result == "T" else BOOL)]

    def changed(given):
        return {a: value for a, value in given.items() if value != defaults[a]}

    flops = gradient_flops or (3.0 if saves == "y" else record.get("flops", 1.0))
    whole = 1 + ("y" in saves) + formula.whole * ("x" in saves)
    read = (*types, *("T",) * (1 + ("y" in saves))) if conditions else ()
    gradient_ops = [
        None if f is None or f is PASS else _gradient_op(name, f, read, whole, flops, far_gradient)
        for f in gradients
    ]

    def rule(g, dys, inputs, outputs, **given):
        saved = [*(inputs if "x" in saves else ()), *(outputs if "y" in saves else ())]
        for i, op in enumerate(gradient_ops):
            if gradients[i] is PASS:
                g.pass_on(i, dys[0])
            elif op is not None:
                g.gradient(i, op, *saved, dys[0], **changed(given))

    alike = len(names) == 1 or not broadcasts
    # of an op of integers alone they are whole
    whole_in = None if conditions or {*formula.dtypes} & {*FLOAT_LETTERS} else domain
    singles, pairs = (FEW_SHAPES, FEW_PAIRS) if few else (SHAPES, PAIRS)
    shapes = [(shape,) for shape in singles] if alike else pairs

    def made_cases():
        drawn = [_drawn(s, conditions, len(names), whole_in) for s in shapes]
        return [
            *[Case(s, given, domain=domain) for given in ({}, *tested) for s in drawn],
            *cases,
        ]

    if all_booleans:
        doc = f"{doc} {', '.join(names)}: bool; of other numbers 0 is False."
    elif len(names) == 1:
        has = "both" if result == "T" else "the shape"
        doc = f"{doc} x: any shape, {names_of(taken)}; the result has {has}."
    else:
        both = "both" if len(names) - conditions == 2 else "all"
        shaped = "shapes broadcast" if broadcasts else "of one shape"
        doc = f"{doc} {', '.join(names[conditions:])}: {names_of(taken)}, {both} alike; {shaped}."
    is_fused = fusable and saves == "y" and len(names) == 1
    op = Op(
        name,
        infer,
        parameters=Parameters(tuple(names), len(names), tuple(defaults), defaults),
        kernels="loops.elementwise",
        formula=formula,
        dtypes=taken,
        conditions=range(conditions),
        gradient=rule if gradients else None,
        reference=reference,
        cases=made_cases,
        doc=doc,
        fusable_into_matmul_gradient=lambda **given: is_fused and not changed(given),
        **record,
    )
    if is_fused:
        gradient_from_output[name] = GradientFromOutput(
            function, gradient, gradient_ops[0], _gradient_and_sums(name, gradient, flops + 1)
        )
    return op


def _drawn(shapes, conditions, count, whole_in=None):
    """`count` inputs of a case that have these shapes in turns, conditions drawn as booleans, or
    all as whole numbers within a range."""
    turns = [shapes[n % len(shapes)] for n in range(count)]
    if whole_in is not None:
        return tuple([partial(_whole, s, whole_in) for s in turns])
    return tuple([partial(_booleans, s) if n < conditions else s for n, s in enumerate(turns)])


def _whole(shape, domain, rng):
    return rng.integers(*domain, shape)


def _booleans(shape, rng):
    return rng.integers(0, 2, shape).astype(bool)


def _gradient_op(name, function, types, whole, flops, far):
    """The op of one input's gradient, which has the result's shape: what was broadcast is summed
    afterwards. So have the last `whole` tensors that it reads, the upstream gradient being one."""
    return Op(
        f"gradient of {name}",
        lambda *tensors, **_: [(tensors[-1].shape, tensors[-1].dtype)],
        kernels="loops.elementwise",
        formula=Formula(function, types=types, whole=whole, far=far),
        flops=flops,
    )


def _gradient_and_sums(name, function, flops):
    """The op of dx = function(y, dy), (N, C), and of the sums of its columns, (C,)."""
    return Op(
        f"gradient of {name} and its sums",
        lambda y, dy, *, accumulate=False: [(dy.shape, dy.dtype), (dy.shape[1:], dy.dtype)],
        kernels="loops.gradient_and_sums",
        formula=function,
        flops=flops,
        results=2,
        accumulates=True,
    )


class GradientFromOutput(NamedTuple):
    """An op that can be fused into a product (`matmul.linear`), because its gradient reads the
    output only: its formula and gradient, the gradient's op, and the op that gives, of (N, C), the
    sums of the gradient's columns as well."""

    formula: Any
    derivative: Any
    gradient: Any  # an Op
    gradient_and_sums: Op


gradient_from_output: dict[str, GradientFromOutput] = {}


def broadcast_shape(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that these have together."""
    try:
        return _broadcast_shape(shapes)
    except ValueError:
        given = [shape_text(s) for s in shapes]
        raise ShapeError(
            f"{name}: shapes {', '.join(given[:-1])} and {given[-1]} do not broadcast: from the "
            "last dimension on, extents must be equal or 1."
        ) from None


@lru_cache(maxsize=1024)
def _broadcast_shape(shapes):
    return np.broadcast_shapes(*shapes)
