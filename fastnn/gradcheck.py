"""Gradients against central differences: for ops of a user's own."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.autograd import backward, no_grad
from fastnn.convert import as_array
from fastnn.tensor import Tensor, tensor


def gradcheck(
    function: Callable[..., Tensor],
    inputs: Sequence[Any],
    epsilon: float = 1e-6,
    tolerance: float = 1e-6,
) -> float:
    """Compare the gradients of `function` with central differences in float64; returns the largest
    error.

    function: takes tensors and returns a tensor; its outputs are weighted by fixed random numbers,
    so that no error cancels. inputs: arrays, taken as float64. Errors are relative to 1 +
    |gradient|.

    Raises AssertionError that names the input and the element if an error exceeds `tolerance`.

    >>> import fastnn
    >>> fastnn.gradcheck(lambda x: fastnn.ops.exp(x) * x, [[0.5, 1.0]]) < 1e-8
    True
    """
    if not callable(function):
        raise TypeError(f"gradcheck: function must be a function of tensors; got {function!r}")
    if not isinstance(inputs, Sequence | np.ndarray):
        raise TypeError(f"gradcheck: inputs must be a list of arrays; got {inputs!r}")
    epsilon = checks.positive("gradcheck: epsilon", epsilon)
    tolerance = checks.not_negative("gradcheck: tolerance", tolerance)
    tensors = [
        tensor(np.array(as_array(x, np.float64, "gradcheck: inputs")), requires_gradient=True)
        for x in inputs
    ]
    output = function(*tensors)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, output.shape)
    backward(output, tensor(weights, output.dtype))
    largest = 0.0
    for number, t in enumerate(tensors):
        got = np.zeros(t.shape) if t.gradient is None else t.gradient.numpy()
        values = t.numpy()
        for place in np.ndindex(t.shape):
            middle, sides = values[place], []
            for step in (epsilon, -epsilon):
                values[place] = middle + step
                t.buffer.write(values)
                with no_grad():
                    sides.append(float((function(*tensors).numpy() * weights).sum()))
            values[place] = middle
            t.buffer.write(values)
            expected = (sides[0] - sides[1]) / (2 * epsilon)
            error = float(abs(got[place] - expected) / (1 + abs(expected)))
            if not error <= tolerance:
                raise AssertionError(
                    f"gradcheck: input {number}, element {place}: gradient is {got[place]!r}, "
                    f"differences give {expected!r}"
                )
            largest = max(largest, error)
    return largest
