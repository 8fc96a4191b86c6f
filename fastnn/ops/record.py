"""What an op is: everything other code asks about it, in one place. Dispatch, tests, benchmarks and
tables are derived."""

import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from operator import index as as_index
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastnn.checks import flag
from fastnn.dtypes import BOOL, FLOATS, INT64, names_of
from fastnn.errors import DTypeError, ShapeError, nearest, shape_text

registry: dict[str, "Op"] = {}
KERAS_NAMES = {"x": "x1", "y": "x2", "a": "x1", "b": "x2"}  # of inputs, besides their own
in_place: dict[str, "Op"] = {}


class Tolerance(NamedTuple):
    """|result - reference| <= eps (absolute scale + relative |reference|) sqrt(terms), eps that of
    the element type."""

    absolute: float = 2.0
    relative: float = 4.0


class Case(NamedTuple):
    """One call to test and to time. An input is a shape, drawn evenly from `domain`, or a function
    that draws the array from a NumPy generator. `terms` is how many numbers are summed for one
    element."""

    inputs: tuple
    attributes: dict = {}
    terms: int = 1
    domain: tuple[float, float] = (-4.0, 4.0)


class Parameters(NamedTuple):
    """What may be given: inputs by position, of which the last may be left out beyond `required`,
    and attributes by name."""

    inputs: tuple[str, ...]
    required: int
    attributes: tuple[str, ...]
    defaults: Mapping[str, Any]


def parameters_of(function: Callable) -> Parameters:
    """What a function takes, from its code: inspect.signature takes 20 us, for each op there is."""
    code = function.__code__
    named = code.co_argcount + code.co_kwonlyargcount
    return Parameters(
        code.co_varnames[: code.co_argcount],
        code.co_argcount - len(function.__defaults__ or ()),
        code.co_varnames[code.co_argcount : named],
        function.__kwdefaults__ or {},
    )


@dataclass(frozen=True, eq=False)
class Op:
    """A differentiable function of tensors.

    infer      (inputs, *, attributes) -> (shape, dtype) of each output, or the output itself where
               it shares an input's memory; raises where the inputs do not fit. Outputs beyond
               `results` are kept for the gradient and not returned.
    kernels    the launcher that computes the outputs, "family.name" of kernels/<device>/, or the
               kernel, where one call does it all: see `devices/launchers.py`. None: a view.
    formula    what the launcher is made of, where it is made of a formula.
    parameters what `infer` takes, where its code does not say so.
    gradient   (g, dys, inputs, outputs, **attributes): says, through `g`, by which ops the inputs'
               gradients are made. dys: one upstream gradient for each of `results`; None for a
               result that the loss does not use (of a single one, never).
    reference  the same in NumPy, for float64 and, where it is analytic, for complex numbers; of
               several results, a tuple.
    cases      what to test and time, or a function that makes it when it is asked for; of a
               pointwise op also `edges`, values at which it is compared with NumPy.
    flops      of one element of the first output, or a function of (inputs, outputs, **attributes).
    instructions  of one element, in float32 and in float64: those of its arithmetic that the unit
               of multiply-adds takes, which are products, multiply-adds and comparisons; sums and
               shifts run beside it. The most that it can do is what a loop of them in registers
               does. A division holds it for 3 (float64: 4), a square root for 10 (16), on Zen 4.
               `gradient_instructions` likewise of the gradients of all inputs.
    constant   the inputs that get no gradient though they are floats, by position; `indices` those
               that are int64, `conditions` those that are booleans: of other numbers, whether they
               are not 0.
    loss_reads_input  whether losses look behind its result for what it was given, gradient or no
               gradient.
    fusable_into_matmul_gradient  whether the gradient rule, with the op's attributes, needs dy only
               for the derivative that it begins with: then a product that makes dy may be made
               together with it (`matmul.fused_gradients`).
    accumulates  whether, called with accumulate=True, it adds to its output: a gradient for a
               variable that has one already.
    in_place   whether it writes over memory that it is given as its outputs (`places` of
               `apply.apply`): no function of the public `ops`. A case gives what stands there after
               the inputs; `float64` are those of both that are float64 whatever the others are.
    dtypes     the element types that its inputs may have, all alike, but for `indices` and
               `conditions`. Inputs of several types are converted to what they give together
               (`dtypes.result_type`).
    integers_as_floats  whether integers alone become floats where `dtypes` has no integers, as for
               exp in Keras; if not, they are refused.
    compares   whether inputs of several types are converted to one that has the numbers of all.
    composite  whether it is made of ops: `infer` calls them and returns the results, whose
               gradients are its own (`composite.py`).
    alone      what it does of a first input alone, where that is something else (`where`).
    aliases    other names of the public `ops` for it, as `absolute` for abs.
    """

    run: ClassVar[Callable[..., Any]]  # apply.apply, which knows tensors
    known: ClassVar[weakref.WeakSet] = weakref.WeakSet()  # every op there is

    name: str
    infer: Callable
    gradient: Callable | None = None
    reference: Callable | None = None
    cases: Any = field(default_factory=tuple)
    edges: Sequence[float] = ()
    tolerance: Tolerance = field(default_factory=Tolerance)
    flops: float | Callable = 1.0
    instructions: tuple[float, float] = (0.0, 0.0)
    gradient_instructions: tuple[float, float] = (0.0, 0.0)
    results: int = 1
    constant: Sequence[int] = ()
    indices: Sequence[int] = ()
    conditions: Sequence[int] = ()
    loss_reads_input: bool = False
    fusable_into_matmul_gradient: Callable[..., bool] = lambda **_: False
    accumulates: bool = False
    dtypes: Sequence[np.dtype] = FLOATS
    integers_as_floats: bool = True
    compares: bool = False
    in_place: bool = False
    float64: Sequence[int] = ()
    composite: bool = False
    alone: Callable | None = None
    aliases: Sequence[str] = ()
    doc: str = ""
    kernels: str | None = None
    formula: Any = None
    parameters: Parameters | None = None
    fixed: Mapping[int, np.dtype] = field(init=False)  # types of `indices` and `conditions`
    names: Sequence[str] = field(init=False)  # of the attributes
    arity: int = field(init=False)
    inputs: Sequence[str] = field(init=False)  # their names
    required: int = field(init=False)  # so many of the inputs; others may be left out, or None
    defaults: dict[str, Any] = field(init=False)
    flags: Sequence[str] = field(init=False)  # attributes that are true or false
    # by device: its launcher, and what that is given as `call`; once it is called
    launchers: dict[str, tuple[Callable, Any]] = field(init=False, default_factory=dict)

    def __post_init__(self):
        Op.known.add(self)
        # what may be given by position: the inputs, then the attributes in their order
        inputs, required, names, defaults = self.parameters or parameters_of(self.infer)
        own = vars(self)
        own.update(
            fixed={**dict.fromkeys(self.indices, INT64), **dict.fromkeys(self.conditions, BOOL)},
            arity=len(inputs),
            required=required,
            inputs=inputs,
            names=names,
            defaults=dict(defaults),
            flags=tuple(
                [
                    name
                    for name, value in defaults.items()
                    if value.__class__ is bool and name != "accumulate"
                ]
            ),
            __doc__=self.doc,
            __name__=self.name,
        )
        if callable(self.cases):
            own["_make_cases"] = own.pop("cases")
        if self.reference is not None:
            (in_place if self.in_place else registry)[self.name] = self

    def __getattr__(self, name):
        if name != "cases":
            raise AttributeError(f"an op has no attribute {name!r}", name=name, obj=self)
        vars(self)["cases"] = made = self._make_cases()
        return made

    def __call__(self, *inputs, **attributes):
        if len(inputs) < self.arity:
            if self.alone is not None and len(inputs) == 1 and not attributes:
                return self.alone(*inputs)
            inputs = self._with_named(inputs, attributes)
        elif len(inputs) > self.arity:
            if len(inputs) > self.arity + len(self.names):
                raise TypeError(
                    f"{self.name}: takes {self.arity + len(self.names)} arguments at most; got "
                    f"{len(inputs)}"
                )
            attributes.update(zip(self.names, inputs[self.arity :], strict=False))
            inputs = inputs[: self.arity]
        if attributes and self.flags:
            for name in self.flags:
                if name in attributes:
                    value = attributes[name]
                    if value is not True and value is not False:
                        attributes[name] = flag(f"{self.name}: {name}", value)
        while len(inputs) > self.required and inputs[-1] is None:
            inputs = inputs[:-1]
        return Op.run(self, inputs, attributes)

    def _with_named(self, inputs, attributes):
        """The inputs with those that were given by name, which are taken out of the attributes:
        their own names, or Keras's."""
        found = list(inputs)
        for n in range(len(inputs), self.arity):
            names = (self.inputs[n], KERAS_NAMES.get(self.inputs[n], ""))
            given = [name for name in names if name in attributes]
            if not given and n < self.required:
                raise TypeError(
                    f"{self.name}: takes {', '.join(self.inputs)}; got no {self.inputs[n]}"
                )
            found.append(attributes.pop(given[0]) if given else None)
        return tuple(found)

    def __reduce__(self) -> str:
        """As a function is: every copy is the op itself, and a pickle its name in the module that
        it is a variable of."""
        for name in (__package__, *sys.modules):
            if getattr(sys.modules.get(name), "__dict__", {}).get(self.name) is self:
                object.__setattr__(self, "__module__", name)
                break
        return self.name

    def __repr__(self):
        return f"<op {self.name}>"


class Constant:
    """A small table that a kernel reads, made once: an argument like a tensor."""

    __slots__ = ("address", "array", "buffer", "dtype", "nbytes", "shape")

    def __init__(self, array: np.ndarray):
        self.array, self.shape, self.dtype, self.nbytes = (
            array,
            array.shape,
            array.dtype,
            array.nbytes,
        )
        self.address, self.buffer = array.ctypes.data, self


def expect_dtype(name: str, dtypes: Sequence[np.dtype] = FLOATS, /, **inputs: Any) -> np.dtype:
    """The element type that all inputs share, which must be one of `dtypes`."""
    items = iter(inputs.items())
    first, tensor = next(items)
    dtype = tensor.dtype
    if dtype not in dtypes:
        raise DTypeError(
            f"{name}: {first} must be {names_of(dtypes)}; got {dtype}. Convert it first, as in "
            "x.astype('float32')."
        )
    for other, t in items:
        if t.dtype is not dtype and t.dtype != dtype:
            raise DTypeError(
                f"{name}: {first} is {dtype} and {other} is {t.dtype}. Convert one of them: "
                "fastnn computes in one element type."
            )
    return dtype


def expect_axis(name: str, axis: Any, shape: Sequence[int]) -> int:
    """The axis, counted from 0, of a tensor of this shape."""
    if isinstance(axis, bool) or not hasattr(axis, "__index__"):
        raise TypeError(f"{name}: axis must be an integer; got {axis!r}")
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(
            f"{name}: axis {axis} is not one of the {len(shape)} dimensions of shape "
            f"{shape_text(shape)}"
        )
    return as_index(axis) % len(shape)


def expect_integer(name: str, argument: str, value: Any) -> int:
    """An attribute that is an integer."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: {argument} must be an integer; got {value!r}")
    return as_index(value)


def expect_whole(name: str, argument: str, value: Any, low: int = 1) -> int:
    """An attribute that is a whole number from `low` on."""
    try:
        if as_index(value) >= low:
            return as_index(value)
    except TypeError:
        pass
    raise ValueError(f"{name}: {argument} must be a whole number from {low} on; got {value!r}")


def expect_shape_attribute(name: str, shape: Any) -> tuple[int, ...]:
    """A shape that is an attribute, as a tuple."""
    given = (shape,) if hasattr(shape, "__index__") else shape
    try:
        found = tuple([as_index(extent) for extent in given])
    except TypeError:
        raise TypeError(f"{name}: a shape is made of integers; got {shape!r}") from None
    if any([extent < 0 for extent in found]):
        raise ShapeError(f"{name}: extents must be from 0 on; got {shape_text(found)}")
    return found


def expect_attribute(
    name: str,
    argument: str,
    value: Any,
    defaults: Mapping[str, float],
    dtype: np.dtype,
    signed: bool = False,
) -> None:
    """Raise unless an attribute that kernels take as a number is one of `defaults`, and in the
    range of `dtype`, from 0 on unless `signed`, or its default."""
    if argument not in defaults:
        raise TypeError(
            f"{name}: unknown argument {argument!r}; "
            f"{nearest(argument, defaults) if defaults else 'it takes x alone'}"
        )
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    largest = float(np.finfo(dtype).max)
    if not is_number or not (
        (-largest if signed else 0) <= value <= largest or value == defaults[argument]
    ):
        bound = "" if signed else " from 0 on,"
        raise ValueError(
            f"{name}: {argument} must be a number{bound} in the range of {dtype}; got {value!r}"
        )


def expect_shape(
    name: str, argument: str, got: Sequence[int], expected: Sequence[int | None], hint: str = ""
) -> None:
    """Raise unless `got` is `expected`, in which None stands for any extent."""
    if len(got) != len(expected) or any(
        e is not None and e != g for g, e in zip(got, expected, strict=True)
    ):
        way_out = f" {hint}" if hint else ""
        raise ShapeError(
            f"{name}: {argument} must have shape {shape_text(expected)}; got "
            f"{shape_text(got)}.{way_out}"
        )
