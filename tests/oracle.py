"""The tests of ops are derived from their records: inputs, reference, tolerance and edges all stand
there."""

import numpy as np

from fastnn.apply import apply
from fastnn.devices.cpu.memory import buffer_of
from fastnn.ops.record import registry
from fastnn.tensor import Tensor

DTYPES = ("float32", "float64")


def cases(gradients=False, of=registry):
    """(op, number of the case) of every op, or of those that have a gradient."""
    return [
        (name, i)
        for name, op in of.items()
        if not gradients or ((op.gradient or op.composite) and _has_gradients(op))
        for i in range(len(op.cases))
    ]


def _has_gradients(op):
    """Whether any input has one."""
    return len({*op.constant, *op.fixed}) < op.arity


def updated(op, case, arrays):
    """Arrays of a case of an op that works in place, as tensors: what the op writes over."""
    tensors = [Tensor(buffer_of(a), a.shape, a.dtype) for a in arrays]
    given, places = tensors[: op.arity], tensors[op.arity :]
    apply(op, tuple(given), case.attributes, places)
    return places


def draw(case, seed):
    """The inputs of a case, in float64 and int64."""
    rng = np.random.default_rng(seed)
    return [
        np.asarray(i(rng) if callable(i) else rng.uniform(*case.domain, i)) for i in case.inputs
    ]


def as_type(arrays, dtype):
    """The arrays of floats as `dtype`; indices as they are."""
    return [a.astype(dtype) if a.dtype.kind in "fc" else a for a in arrays]


def results(outputs):
    """All results of a call, or of a reference, as a tuple."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


def difference(got, expected):
    """|got - expected|, 0 where both are NaN or the same infinity."""
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.abs(got.astype(np.float64) - expected))


def bound(op, reference, dtype, terms=1):
    """How far a result may be from the float64 reference: a model, not a number found by trying."""
    eps = np.finfo(dtype).eps
    return (
        eps * (op.tolerance.absolute + op.tolerance.relative * np.abs(reference)) * np.sqrt(terms)
    )
