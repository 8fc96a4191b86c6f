"""Scalar Python functions as kernels need them: their text rewritten.

Numbers become constants of the element type, functions of `math`, NumPy and fastnn.ops the formulas
of kernels/scalar/, whole powers products.
"""

import ast
import builtins
import inspect
import reprlib
import textwrap
from collections.abc import Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from fastnn.kernels import scalar
from fastnn.kernels.declare import Helper, T, by_dtype, sources
from fastnn.kernels.scalar import Formula
from fastnn.ops.record import Op

# where names differ from those of formulas
NAMES = {
    "fabs": "absolute", "abs": "absolute", "pow": "power", "max": "maximum", "min": "minimum",
    "fmax": "maximum", "fmin": "minimum", "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    "atan2": "arctan2", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh", "ceil": "ceil",
}  # fmt: skip
NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)
MAX_PRODUCT_POWER = 8  # whole powers up to it are products
ELEMENT = "_T_"  # the element type, in the rewritten text


def rewritten(function: FunctionType) -> Helper:
    """A function as kernels call it."""
    node = _definition(function)
    scope: dict[str, Any] = {ELEMENT: T, "__name__": function.__module__}
    known = {**_globals_of(function), **inspect.getclosurevars(function).nonlocals}
    code = function.__code__
    for argument in node.args.kwonlyargs or ([node.args.vararg] if node.args.vararg else []):
        raise ValueError(
            f"elementwise: {function.__name__}: {argument.arg!r} cannot be passed to a kernel; "
            "arguments are positional, attributes with defaults"
        )
    for name, default in _defaults(function).items():
        if not isinstance(default, NUMBERS):
            raise TypeError(
                f"elementwise: {function.__name__}: the default of {name} must be a number; got "
                f"{default!r}"
            )
    rewriter = _Rewriter(function.__name__, known, set(code.co_varnames), scope)
    body = [rewriter.visit(statement) for statement in node.body]
    new = ast.FunctionDef(node.name, _plain(node.args), body, [], None, None)
    tree = ast.fix_missing_locations(ast.Module([ast.copy_location(new, node)], []))
    exec(compile(tree, code.co_filename, "exec"), scope)
    made = scope[node.name]
    made.__defaults__ = tuple([float(v) for v in _defaults(function).values()]) or None
    made.__module__, made.__doc__ = function.__module__, function.__doc__
    sources[made] = ast.unparse(tree).encode()  # what it is compiled of, wherever it stands
    return Helper(made)


def _defaults(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _plain(arguments):
    """Without annotations and defaults, which are set on the function."""
    args = [ast.arg(a.arg) for a in [*arguments.posonlyargs, *arguments.args]]
    return ast.arguments([], args, None, [], [], None, [])


def _globals_of(function):
    return {**vars(builtins), **function.__globals__}


def _definition(function):
    """The definition of a function in its source; a lambda's as one that returns."""
    try:
        lines, start = inspect.getsourcelines(function)
    except (OSError, TypeError):
        raise ValueError(
            f"elementwise: the source of {function.__name__} is not at hand; write it into a file, "
            "or a cell of a notebook"
        ) from None
    text = textwrap.dedent("".join(lines))
    try:
        tree = ast.parse(text)
    except SyntaxError:  # a lambda within an expression of several lines
        try:
            tree = ast.parse(f"({text.strip().rstrip(',')})")
        except SyntaxError:
            tree = ast.Module([], [])
    found = [
        n for n in ast.walk(tree)
        if isinstance(n, ast.Lambda if function.__name__ == "<lambda>" else ast.FunctionDef)
        and getattr(n, "name", "<lambda>") == function.__name__
    ]  # fmt: skip
    if function.__name__ == "<lambda>":
        found = [n for n in found if len(found) == 1 or _is_code_of(n, function)]
    if function.__name__ == "<lambda>" and found:
        one = found[0]  # of several with the same code, any
        return ast.copy_location(
            ast.FunctionDef("derivative", one.args, [ast.Return(one.body)], [], None, None), one
        )
    if not found:
        raise ValueError(
            f"elementwise: the source of {function.__name__} cannot be told from others on its "
            "line; define it by def"
        )
    ast.increment_lineno(found[0], start - 1)
    return found[0]


def _is_code_of(node, function):
    """Whether a lambda's text gives a function's code."""
    expression = ast.fix_missing_locations(ast.Expression(node))
    compiled = compile(expression, "", "eval").co_consts[0]
    own = function.__code__
    return all(
        [
            getattr(compiled, name) == getattr(own, name)
            for name in ("co_code", "co_consts", "co_names", "co_varnames")
        ]
    )


class _Rewriter(ast.NodeTransformer):
    """Names and numbers of a scalar function as kernels have them."""

    def __init__(self, owner: str, known: dict, own: set[str], scope: dict[str, Any]):
        self.owner, self.known, self.own, self.scope = owner, known, own, scope
        self.counters: set[str] = set()  # variables of loops, which are integers

    def visit_Constant(self, node):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            return node
        return _call(ELEMENT, [node])

    def visit_BinOp(self, node):
        if not isinstance(node.op, ast.Pow):
            names = {ast.FloorDiv: "floor_divide", ast.Mod: "mod"}
            name = names.get(type(node.op))
            if name is None:
                return self.generic_visit(node)
            return self._formula_call(name, [self.visit(node.left), self.visit(node.right)])
        base, power = self.visit(node.left), node.right
        whole = power.value if isinstance(power, ast.Constant) else None
        if isinstance(whole, int) and 1 <= whole <= MAX_PRODUCT_POWER:
            return self._formula_call(self._power(whole), [base])
        return self._formula_call("power", [base, self.visit(power)])

    def _power(self, exponent):
        """The name of a helper that is x to a whole power, by products."""
        name = f"_power_{exponent}_"
        if name not in self.scope:
            product = " * ".join(["x"] * exponent)
            inner: dict[str, Any] = {}
            exec(f"def power(x):\n    return {product}", inner)
            sources[inner["power"]] = product.encode()
            self.scope[name] = Helper(inner["power"])
        return name

    def visit_Call(self, node):
        if node.keywords:
            raise ValueError(f"elementwise: {self.owner}: functions are called by position")
        arguments = [self.visit(a) for a in node.args]
        target = self._target(node.func)
        if isinstance(target, Helper | by_dtype):
            name = f"_{target.name}_{len(self.scope)}_"
            self.scope[name] = target
            return ast.copy_location(_call(name, arguments), node)
        return ast.copy_location(self._formula_call(target, arguments), node)

    def _formula_call(self, name, arguments):
        if name not in self.scope:
            self.scope[name] = scalar.formula(name)
        return _call(name, arguments)

    def _target(self, function):
        """What is called: a formula's name, or what kernels call."""
        text = ast.unparse(function)
        value = self._value(function)
        if value is float or value is int:
            raise ValueError(f"elementwise: {self.owner}: {text}() has no place in a kernel")
        if isinstance(value, Helper | by_dtype):
            return value
        if isinstance(value, Op):
            formula = getattr(value, "formula", None)
            if isinstance(formula, Formula) and formula.results == ("T",):
                return formula.function
            raise ValueError(f"elementwise: {self.owner}: {text} is not an op of single numbers")
        module = getattr(value, "__module__", None) or ""
        name = getattr(value, "__name__", "")
        of_library = isinstance(value, np.ufunc) or module.split(".")[0] in (
            "math", "numpy", "builtins",
        )  # fmt: skip
        if of_library:
            wanted = NAMES.get(name, name)
            try:
                scalar.formula(wanted)
            except LookupError:
                raise ValueError(
                    f"elementwise: {self.owner}: there is no formula for {text}; write it with "
                    "others, such as exp, log, sqrt, tanh, sin, or as a function of your own"
                ) from None
            return wanted
        if isinstance(value, FunctionType):
            try:
                return rewritten(value)
            except RecursionError:
                raise ValueError(
                    f"elementwise: {self.owner}: {text} calls itself; write it as a loop"
                ) from None
        raise ValueError(
            f"elementwise: {self.owner}: {text} cannot be called in a kernel; use functions of "
            "math, or your own of numbers"
        )

    def visit_For(self, node):
        is_range = isinstance(node.iter, ast.Call) and ast.unparse(node.iter.func) == "range"
        ends = [self._whole(a) for a in node.iter.args] if is_range else [None]
        if None in ends or not isinstance(node.target, ast.Name) or node.orelse:
            raise ValueError(
                f"elementwise: {self.owner}: a loop must be `for i in range(n)` of whole numbers "
                f"that are known; got {ast.unparse(node.iter)}"
            )
        self.counters.add(node.target.id)
        node.iter = ast.Call(ast.Name("range", ast.Load()), [ast.Constant(e) for e in ends], [])
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def _whole(self, node):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(node, ast.Name) and node.id not in self.own:
            value = self._value(node)
        return int(value) if isinstance(value, int) else None

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load) and node.id in self.counters:
            return ast.copy_location(_call(ELEMENT, [node]), node)
        if isinstance(node.ctx, ast.Load) and node.id not in self.own:
            return self._number(node)
        return node

    def visit_Attribute(self, node):
        return self._number(node)

    def _number(self, node):
        value = self._value(node)
        if not isinstance(value, NUMBERS):
            raise ValueError(
                f"elementwise: {self.owner}: {ast.unparse(node)} is {reprlib.repr(value)}; a "
                "kernel knows numbers and functions alone"
            )
        return ast.copy_location(_call(ELEMENT, [ast.Constant(float(value))]), node)

    def _value(self, node):
        if isinstance(node, ast.Name):
            if node.id not in self.known:
                raise ValueError(f"elementwise: {self.owner}: {node.id!r} is not defined")
            return self.known[node.id]
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value)
            if isinstance(owner, ModuleType) and hasattr(owner, node.attr):
                return getattr(owner, node.attr)
        raise ValueError(
            f"elementwise: {self.owner}: {ast.unparse(node)} has no meaning in a kernel"
        )


def _call(name: str, arguments: Sequence[ast.expr]) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
