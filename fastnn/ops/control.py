"""Branches and loops as Keras has them, which call functions of the user's. What they decide by is
known when they are called: eagerly always, while a step is recorded if it is no tensor that the
step computes. A recorded loop is written down turn by turn."""

import builtins
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.dtypes import ANY
from fastnn.errors import shape_text

from .functions import as_tensor, of_symbolic, public, values_of
from .join import stack
from .movement import slice_copy
from .record import Op, Parameters
from .shapes import stop_gradient


def _known(name, what, value, way_out):
    return values_of(
        value,
        f"{name}: {what} is a tensor that the step computes, which is not known while it is being "
        f"recorded. {way_out}",
    )


@public()
def cond(pred: Any, true_fn: Callable, false_fn: Callable) -> Any:
    """true_fn() if pred is True, else false_fn().

    >>> from fastnn import ops
    >>> ops.cond(ops.convert_to_tensor(2.0) > 1.0, lambda: "larger", lambda: "not")
    'larger'
    """
    way_out = "Compute both and choose: ops.where(pred, x1, x2)."
    return true_fn() if bool(_known("cond", "pred", pred, way_out)) else false_fn()


@public()
def switch(index: Any, branches: Any, *operands: Any) -> Any:
    """branches[index](*operands), the index kept within the list."""
    way_out = "Compute all and choose: ops.take(ops.stack(results), index, axis=0)."
    number = int(_known("switch", "index", index, way_out))
    return branches[builtins.min(builtins.max(number, 0), len(branches) - 1)](*operands)


@public()
def while_loop(
    cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """loop_vars, replaced by body(*loop_vars) as long as cond(*loop_vars) is True, and
    maximum_iterations times at most.

    >>> from fastnn import ops
    >>> ops.while_loop(lambda i: i < 10, lambda i: (i * 2,), (3,))
    (12,)
    """
    is_one = not isinstance(loop_vars, list | tuple)
    given, turns = (loop_vars,) if is_one else loop_vars, 0
    way_out = "Run it eagerly, or a fixed number of times with where(is_going_on, new, old)."
    while (maximum_iterations is None or turns < maximum_iterations) and bool(
        _known("while_loop", "the condition", cond(*given), way_out)
    ):
        found, turns = body(*given), turns + 1
        given = found if isinstance(found, list | tuple) else (found,)
    return given[0] if is_one else type(loop_vars)(given)


@public()
def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
    """init_val, replaced by body_fun(i, value) for i from lower to upper - 1."""
    way_out = "The bounds of a recorded loop must be numbers."
    low, high = (int(_known("fori_loop", "a bound", n, way_out)) for n in (lower, upper))
    for i in range(low, high):
        init_val = body_fun(i, init_val)
    return init_val


def _rows(name, xs):
    """The first extent of all tensors of a structure, and a function that gives row n of each."""
    xs = tree.map(as_tensor, xs)
    found = {x.shape[0] if x.shape else None for x in tree.flatten(xs)}
    if len(found) != 1 or None in found:
        raise ValueError(f"{name}: what is gone through must have one first extent; got {found}")
    return found.pop(), lambda n: tree.map(lambda x: slice_copy(x, key=(n,)), xs)


def _stacked(results):
    """Structures of tensors, all alike, as one of stacks."""
    columns = zip(*[tree.flatten(result) for result in results], strict=True)
    whole = iter([stack(builtins.list(column)) for column in columns])
    return tree.map(lambda _: next(whole), results[0])


@public()
def map(f: Callable, xs: Any) -> Any:
    """f of each row of xs, a tensor or a structure of tensors, stacked.

    >>> from fastnn import ops
    >>> print(ops.map(lambda row: row * 2, [1, 2, 3]))
    [2 4 6]
    """
    n, row = _rows("map", xs)
    if not n:
        raise ValueError("map: xs has no rows, of which f could be called")
    return _stacked([f(row(i)) for i in range(n)])


@public()
def vectorized_map(function: Callable, elements: Any) -> Any:
    """The same as map: rows are gone through one after another."""
    return map(function, elements)


@public()
def scan(
    f: Callable,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> tuple:
    """(carry, ys): carry begins as init, and carry, y = f(carry, row of xs) goes through the rows,
    from the last one if `reverse`; ys are the stacked y, None if they are. length: how often, where
    xs is None.

    >>> from fastnn import ops
    >>> carry, sums = ops.scan(lambda c, x: (c + x, c + x), ops.zeros(()), [1.0, 2.0, 3.0])
    >>> print(sums)
    [1. 3. 6.]
    """
    if xs is None and length is None:
        raise ValueError("scan: xs or length must say how often f is called")
    n, row = (int(length or 0), lambda _: None) if xs is None else _rows("scan", xs)
    if length is not None and length != n:
        raise ValueError(f"scan: length is {length}, and xs has {n} rows")
    carry, ys = init, []
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, row(i))
        ys.append(y)
    ys = ys[::-1] if reverse else ys
    if not ys or not tree.flatten(ys[0]) or all(y is None for y in ys):
        return carry, None
    return carry, _stacked(ys)


@public()
def custom_gradient(f: Callable) -> Callable:
    """A function of tensors whose gradient is one's own. f(*args) returns (results, grad):
    grad(*upstream), given a gradient for each result, returns one for each of args, or None.

    >>> from fastnn import ops
    >>> import fastnn
    >>> @ops.custom_gradient
    ... def straight_through(x):
    ...     return ops.round(x), lambda upstream: upstream
    >>> x = fastnn.tensor([0.2, 1.7], requires_gradient=True)
    >>> ops.sum(straight_through(x)).backward()
    >>> x.gradient.numpy()
    array([1., 1.], dtype=float32)
    """
    name = getattr(f, "__name__", "function")

    @wraps(f)
    def call(*args, **kwargs):
        inputs = [as_tensor(x) for x in args]
        results, grad = f(*[stop_gradient(x) for x in inputs], **kwargs)
        is_one = not isinstance(results, list | tuple)
        found = [as_tensor(y) for y in ([results] if is_one else results)]

        def rule(g, dys, inputs, outputs):
            upstream = [
                as_tensor(np.zeros(y.shape, y.dtype)) if dy is None else dy
                for y, dy in zip(found, dys, strict=True)
            ]
            given = grad(*upstream)
            given = list(given) if isinstance(given, list | tuple) else [given]
            if len(given) != len(inputs):
                raise ValueError(
                    f"custom_gradient: {name} takes {len(inputs)} tensors, and its grad returned "
                    f"{len(given)} gradients"
                )
            for n, (x, dx) in enumerate(zip(inputs, given, strict=True)):
                if dx is None or not g.wants(n):
                    continue
                dx = as_tensor(dx)
                if dx.shape != x.shape:
                    raise ValueError(
                        f"custom_gradient: argument {n} of {name} has shape {shape_text(x.shape)}, "
                        f"its gradient {shape_text(dx.shape)}"
                    )
                g.pass_on(n, dx)

        names = tuple([f"x{n}" for n in range(len(inputs))])
        op = Op(
            name,
            lambda *_: [y.view(y.shape) for y in found],
            gradient=rule,
            parameters=Parameters(names, len(names), (), {}),
            results=len(found),
            dtypes=ANY,
            flops=0,
        )
        return op(*inputs)

    return of_symbolic(call)
