"""What a step of an optimizer does, in two parts: all that can fail, then calls that commit it.

gradients  of neighbouring variables are one run; the mean of several steps; clipped by value
norms      sums of squares, of runs or of all
updates    by an op of ops/updates.py, which scales gradients and lets parameters decay itself:
           its check now, the op to commit it. By ops (`Optimizer.update`), or where there is a
           constraint, what comes of it is computed aside, checked, and copied to commit it
averages   then constraints
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from fastnn import ops
from fastnn.apply import apply, device_of
from fastnn.dtypes import FLOAT64
from fastnn.emit import new_buffer
from fastnn.errors import DTypeError, ShapeError, shape_text
from fastnn.locks import Turn
from fastnn.ops import updates
from fastnn.ops.embedding import put_rows
from fastnn.tensor import Tensor, copied, copy_to, operand
from fastnn.variable import Variable

from .runs import runs_of

if TYPE_CHECKING:
    from .base import Optimizer

Calls = list[Callable[[], Any]]


def prepared(
    optimizer: "Optimizer", pairs: Sequence[tuple[Variable, Tensor]]
) -> tuple[list[Turn], Calls]:
    """Check a step, and give what commits it; and whose turn that must be."""
    op, every = optimizer.op, optimizer.gradient_accumulation_steps or 1
    counted = {"steps_before": optimizer.steps_before, "every": every}
    apart = op is None or optimizer.clipnorm is not None
    runs = runs_of(
        pairs, lambda v: id(v) if apart or v.constraint is not None else optimizer.decays(v)
    )
    for run in runs:
        if run.rows is not None:
            _expect_rows(optimizer, run)
    rate = optimizer.rate_of_step()
    runs, unscale, accumulated = _gradients(optimizer, runs, every, counted)
    squares, limit = _norms(optimizer, runs)
    commits: Calls = []
    averaged = []
    for run, square in zip(runs, squares, strict=True):
        if run.rows is None:
            written = run.parameter, *[optimizer.kept(run, name) for name in optimizer.states]
        else:
            written = _rows_of(optimizer, run)
        numbers = {**limit, **({"unscale": unscale} if unscale != 1.0 else {})}
        if optimizer.weight_decay and optimizer.decays(run.variables[0]):
            numbers["decay"] = optimizer.weight_decay
        if op is None:
            aside = _by_ops(optimizer, run, written, rate, square, numbers)
        else:
            norm = rate if square is None else square  # which is not looked at
            inputs = run.gradient, rate, optimizer.steps, norm, *optimizer.cells.values()
            given = inputs, {**optimizer.attributes(), **counted, **numbers}
            flag = (optimizer.is_large,) if op.formula.flag else ()
            apply(updates.check_of[op], *given, (*written, *flag))
            if run.rows is not None:
                apply(op, *given, (*written, *flag))
                commits += _put_back(optimizer, run, written)
                continue
            if run.variables[0].constraint is None:
                commits.append(partial(apply, op, *given, (*written, *flag)))
                averaged.append(run)
                continue
            aside = [copied(x) for x in written]
            apply(op, *given, (*aside, *flag))
        commits += _copies(optimizer, run, written, aside, counted)
    for run in averaged if optimizer.use_ema else ():
        places = run.parameter, optimizer.kept(run, "average")
        commits.append(partial(_average, optimizer, places, counted))
    commits += [*accumulated, partial(optimizer.commit_besides, counted)]
    return [r.chunk.turn for r in runs], commits


def _gradients(optimizer, runs, every, counted):
    """Runs with the gradients that the update takes, what it multiplies them by, and what commits
    besides."""
    unscale = 1.0 / (optimizer.loss_scale_factor or 1.0)
    limit = optimizer.clipvalue
    if every == 1 and limit is None:
        return runs, unscale, []
    found, commits = [], []
    for run in runs:
        g = run.gradient
        if every > 1:
            total = optimizer.kept(run, "accumulated_gradient")
            given = (g, optimizer.steps), {"unscale": unscale, **counted}, (total,)
            commits.append(partial(apply, updates.accumulate_gradient, *given))
            g = (total + g * unscale) * (1.0 / every)
        elif unscale != 1.0:
            g = g * unscale
        apply(updates.check_finite, (g,), {})  # by every step, and before infinity is clipped
        if limit is not None:
            g = ops.maximum(ops.minimum(g, limit), -limit)
        found.append(run._replace(gradient=g))
    return found, 1.0, commits


def sum_of_squares(x: Tensor) -> Tensor:
    """That of x, float64 of shape (1,)."""
    out = Tensor(new_buffer(8, device_of([x])), (1,), FLOAT64)
    apply(updates.sum_of_squares, (x.flat(),), {}, (out,))
    return out


def _norms(optimizer, runs):
    """Of each run the sum of squares of the gradients whose norm is clipped, and the attribute that
    says how. Those of float32 are added up in float64, where none overflows."""
    if optimizer.clipnorm is None and optimizer.global_clipnorm is None:
        return [None] * len(runs), {}
    squares = [sum_of_squares(r.gradient) for r in runs]
    if optimizer.clipnorm is not None:
        return squares, {"clipnorm": optimizer.clipnorm}
    total = sum(squares[1:], squares[0])
    return [total] * len(runs), {"clipnorm": optimizer.global_clipnorm}


def _tables(optimizer, run):
    """A variable of which some rows are updated, and what is kept of it."""
    (v,) = run.variables
    kept = [optimizer._memory_of(v, name) for name in optimizer.states]
    return v, *[Tensor(memory, v.shape, v.dtype) for memory in kept]


def _expect_rows(optimizer, run):
    """Raise where rows cannot be updated by themselves."""
    (v,) = run.variables
    others = {
        "use_ema": optimizer.use_ema,
        "gradient_accumulation_steps": optimizer.gradient_accumulation_steps,
        "a constraint": v.constraint,
        "an update made of ops": optimizer.op is None,
    }
    for name, value in others.items():
        if value:
            raise ValueError(
                f"{optimizer.name}: the gradient of {v.name!r} is sparse, which does not go with "
                f"{name}; sparse_gradient=False of its layer makes it dense"
            )


def _rows_of(optimizer, run):
    """Copies of rows of a variable that have a gradient, and of what is kept of them. Where a row
    was met before, the last of the variable, with a gradient of 0, for rows are counted from the
    end by -1; it is not put back."""
    taken = [ops.take(table, run.rows, axis=0) for table in _tables(optimizer, run)]
    return tuple([x.flat() for x in taken])


def _put_back(optimizer, run, written):
    """What commits the rows."""
    shape = run.rows.shape[0], -1
    return [
        partial(apply, put_rows, (run.rows, ops.reshape(x, shape)), {}, (table,))
        for x, table in zip(written, _tables(optimizer, run), strict=True)
    ]


def _by_ops(optimizer, run, written, rate, squares, numbers):
    """What `update` makes of a run, which is one variable."""
    (v,), dtype, names = run.variables, run.parameter.dtype, optimizer.states
    shapes = [v.shape, *[optimizer.state_shape(name, v.shape) for name in names]]
    old = [_first(x, shape) for x, shape in zip(written, shapes, strict=True)]
    rate = rate.view(()).astype(dtype)
    gradient, parameter = run.gradient.view(v.shape), old[0]
    scale = numbers.get("unscale", 1.0)
    if squares is not None:
        limit = numbers["clipnorm"]
        scale = scale * (limit / ops.maximum(ops.sqrt(squares.view(())) * scale, limit))
        gradient = gradient * scale.astype(dtype)
    elif scale != 1.0:
        gradient = gradient * scale
    if decay := numbers.get("decay"):
        parameter = parameter - parameter * (rate * decay)
    found = optimizer.update(parameter, gradient, rate, *old[1:])
    found = [operand(x, dtype) for x in (found if isinstance(found, tuple) else (found,))]
    if len(found) != len(written):
        raise ValueError(
            f"{optimizer.name}: update returns the variable and {len(names)} states; got "
            f"{len(found)} tensors"
        )
    for name, x, shape in zip(("the variable", *names), found, shapes, strict=True):
        if x.dtype != dtype:
            raise DTypeError(f"{optimizer.name}: update gave {name} as {x.dtype}, not {dtype}")
        if x.shape != shape:
            raise ShapeError(
                f"{optimizer.name}: update gave {name} shape {shape_text(x.shape)}, not "
                f"{shape_text(shape)}"
            )
    if (every := optimizer.gradient_accumulation_steps) is not None:
        steps = optimizer.steps.view(()).astype(FLOAT64) + (optimizer.steps_before + 1)
        is_update = optimizer.update_number() * every == steps
        found = [ops.where(is_update, x, o) for x, o in zip(found, old, strict=True)]
    # what is the memory of another is written over before it is read
    taken = {w.buffer.address for w in written}
    return [(copied(x) if x.buffer.address in taken else x).flat() for x in found]


def _copies(optimizer, run, written, aside, counted):
    """Average and constrain what was computed aside, check it, and give what commits it."""
    (v,) = run.variables
    if optimizer.use_ema:
        average = optimizer.kept(run, "average")
        written, aside = (*written, average), [*aside, copied(average)]
        _average(optimizer, (aside[0], aside[-1]), counted)
    if v.constraint is not None:
        constrained = v.constraint(aside[0].view(v.shape))
        if constrained.shape != v.shape or constrained.dtype != v.dtype:
            raise ShapeError(
                f"the constraint of {v.name!r} must give {v.dtype} of shape "
                f"{shape_text(v.shape)}; got {constrained.dtype} of "
                f"{shape_text(constrained.shape)}"
            )
        aside[0] = constrained.flat()
    # squares that an op of updates keeps may be infinite
    for x in aside if optimizer.op is None else aside[:1]:
        apply(updates.check_finite, (x,), {})
    return [
        partial(copy_to, x, _first(place, x.shape)) for x, place in zip(aside, written, strict=True)
    ]


def _average(optimizer, places, counted):
    frequency = optimizer.ema_overwrite_frequency or 0
    given = {"momentum": optimizer.ema_momentum, "frequency": frequency, **counted}
    apply(updates.moving_average, (optimizer.steps,), given, places)


def _first(x, shape):
    """The first elements of x, in a shape."""
    nbytes = prod(shape) * x.dtype.itemsize
    buffer = x.buffer if nbytes == x.buffer.nbytes else x.buffer.part(0, nbytes)
    return Tensor(buffer, shape, x.dtype)
