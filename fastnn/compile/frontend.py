"""Numba's front end: from a kernel to LLVM IR. Everything private of Numba's that fastnn touches
stands in this file.

Numba types and lowers; its own optimisation and code generation are switched off, since they would
run once for every helper. The kernel's array pointers are marked `noalias`: by contract a written
array overlaps no other argument, and without it every loop would test for overlap at run time.
Both together compile a matmul three times faster.
"""

import inspect
import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from fastnn.kernels.declare import ELEMENTS, Kernel, Target

from .lowering import Emitter
from .resolve import Specialiser

FASTMATH_OF_A_NAMED_SUM = {"reassoc"}  # never nnan, ninf or contract: see kernels/cpu/loops.py


def llvm_ir(
    kernel: Kernel, dtype: str, target: Target, name: str, entry_point: Callable[..., None]
) -> str:
    """The kernel for an element type, what it calls, and its entry point called `name`, which
    `entry_point(module, name, kernel, array, call)` builds."""
    import numpy as np
    from numba.core.compiler_lock import global_compiler_lock

    with global_compiler_lock, _frontend_only():
        specialiser = Specialiser(
            dtype, target, np.dtype(dtype).type, _make_helper, _intrinsic_maker(dtype, target)
        )
        dispatcher = _jit(specialiser.bound(kernel.function))
        return _with_entry_point(kernel, dispatcher, dtype, name, entry_point)


def _jit(function, fastmath=False, inline=False):
    from numba import njit

    # Without _nrt=False every kernel would want Numba's reference counting at run time.
    options = {
        "error_model": "numpy",
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
        "_nrt": False,
    }
    return njit(fastmath=fastmath, forceinline=inline, **options)(function)


@contextmanager
def _frontend_only():
    """Numba types and lowers, and leaves optimising and machine code to us: it would make both for
    every helper too."""
    from numba.core.codegen import CPUCodeLibrary
    from numba.core.cpu import CPUContext
    from numba.core.dispatcher import Dispatcher

    # Numba's own asks for a function that can be called from Python
    def add_overload(dispatcher, result):
        dispatcher.overloads[tuple(result.signature.args)] = result

    # Numba's own hands the module to its engine, which makes machine code of it
    def finalize(library):
        library._finalized = True

    replaced = {
        (CPUCodeLibrary, "_optimize_functions"): lambda _library, _module: None,
        (CPUCodeLibrary, "_optimize_final_module"): lambda _library: None,
        (CPUCodeLibrary, "_finalize_final_module"): finalize,
        (CPUContext, "get_executable"): lambda _context, _library, _descriptor, _environment: (
            object()
        ),
        (Dispatcher, "add_overload"): add_overload,
    }
    before = {place: getattr(*place) for place in replaced}
    for (owner, name), method in replaced.items():
        setattr(owner, name, method)
    try:
        yield
    finally:
        for (owner, name), method in before.items():
            setattr(owner, name, method)


class Arrays:
    """How Numba lays out an array: taken apart for intrinsics, made by them and by entry points."""

    def __init__(self, context):
        self.context = context

    def element_type(self, kind: Any) -> Any:
        """LLVM's type of an element of a Numba type."""
        return self.context.get_data_type(kind)

    def address_and_shape(self, builder: Any, value: Any, kind: Any) -> Any:
        from numba.core import cgutils

        array = self.context.make_array(kind)(self.context, builder, value)
        return array.data, cgutils.unpack_tuple(builder, array.shape)

    def flat(self, builder: Any, value: Any, kind: Any) -> Any:
        """The elements of a contiguous array of any shape as an array of one dimension."""
        array = self.context.make_array(kind)(self.context, builder, value)
        return self.contiguous(builder, kind.dtype, array.data, [array.nitems])

    def contiguous(self, builder: Any, kind: Any, address: Any, shape: Any) -> Any:
        """An array of elements of a Numba type, at a typed pointer."""
        from numba import types
        from numba.core import cgutils

        word = shape[0].type
        item, count = word(self.context.get_abi_sizeof(self.element_type(kind))), word(1)
        strides: list = []
        for extent in reversed(shape):
            strides.insert(0, builder.mul(count, item))
            count = builder.mul(count, extent)
        array = self.context.make_array(types.Array(kind, len(shape), "C"))(self.context, builder)
        array.data, array.nitems, array.itemsize = address, count, item
        array.shape, array.strides = (cgutils.pack_array(builder, n) for n in (shape, strides))
        return array._getvalue()


def _make_helper(helper, function):
    return _jit(function, FASTMATH_OF_A_NAMED_SUM if helper.reassociate else False, helper.inline)


def _intrinsic_maker(dtype, target):
    """A function that makes of an `Intrinsic` the Numba intrinsic for one element type."""

    def make(declared, _function):
        from numba import types
        from numba.extending import intrinsic

        element = getattr(types, ELEMENTS[dtype].name)
        kinds = {
            "T": element,
            "bits": getattr(types, f"int{8 * ELEMENTS[dtype].bytes}"),
            "flat": types.Array(element, 1, "C"),
            "int": types.intp,
            "float": types.float64,
            "void": types.void,
            "four": types.UniTuple(element, 4),
            "vector": types.UniTuple(element, 16 // ELEMENTS[dtype].bytes),
        }

        def typing(_context, *given):
            # "literal": as it comes; "any" too, but a number is of its type
            expected = [
                kinds.get(k, g if k == "literal" else types.unliteral(g))
                for k, g in zip(declared.arguments, given, strict=True)
            ]

            def lower(context, builder, signature, values):
                emitter = Emitter(builder, Arrays(context), signature.args, dtype, target)
                if declared.lower_vectors:
                    return emitter.call_vectorised(declared, values)
                result = declared.lower(emitter, *values)
                return context.get_dummy_value() if declared.result == "void" else result

            if declared.result == "alike":
                result = types.Array(expected[0], 1, "C")
            else:
                result = expected[0] if declared.result == "any" else kinds[declared.result]
            return result(*expected), lower

        # Numba wants named parameters (of *given it would make one tuple) and reads them from the
        # signature.
        names = ["context", *(f"a{i}" for i in range(len(declared.arguments)))]
        typing.__signature__ = inspect.Signature(
            [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names]
        )
        typing.__name__ = typing.__qualname__ = declared.name
        return intrinsic(prefer_literal="literal" in declared.arguments)(typing)

    return make


def _numba_type(parameter, dtype):
    import numpy as np
    from numba import from_dtype, types

    if parameter.letters is None:
        return types.float64 if parameter.dtype == "float" else types.intp
    element = dtype if parameter.dtype == "T" else parameter.dtype
    return types.Array(from_dtype(np.dtype(element)), len(parameter.letters), "C")


def _with_entry_point(kernel, dispatcher, dtype, name, entry_point):
    """LLVM IR of the kernel, its helpers and its entry point."""
    from llvmlite import ir
    from numba import types
    from numba.core.registry import cpu_target

    arguments = [_numba_type(p, dtype) for p in kernel.parameters]
    signature = (*arguments, *[types.intp] * len(kernel.range_names))
    dispatcher.compile(signature)
    compiled = dispatcher.overloads[signature]
    descriptor, context = compiled.fndesc, cpu_target.target_context
    library, module = context.codegen().create_library(name), ir.Module(f"{name}_module")
    arrays = Arrays(context)

    def array(builder, number, address, shape):
        element = arguments[number].dtype
        kind = arrays.element_type(element).as_pointer()
        if isinstance(address.type, ir.PointerType):  # into a GPU's memory
            generic = builder.addrspacecast(address, ir.PointerType(ir.IntType(8)))
            return arrays.contiguous(builder, element, builder.bitcast(generic, kind), shape)
        return arrays.contiguous(builder, element, builder.inttoptr(address, kind), shape)

    def call(builder, values):
        callee = context.declare_function(module, descriptor)
        _, status = context.call_conv.call_function(
            builder, callee, descriptor.restype, descriptor.argtypes, values
        )
        if descriptor.restype == types.none:
            return ir.IntType(64)(0)
        return context.cast(builder, status, descriptor.restype, types.intp)

    entry_point(module, name, kernel, array, call)
    library.add_ir_module(module)
    library.add_linking_library(compiled.library)
    library.finalize()

    def with_noalias(line):
        if descriptor.mangled_name not in line.group(0):
            return line.group(0)
        return re.sub(r"ptr (?:[a-z]+(?:\([^)]*\))? )*(%[^ ,)]+)", r"ptr noalias \1", line.group(0))

    return re.sub(r"^define .*$", with_noalias, str(library._final_module), flags=re.M)
