"""From a kernel to object code. Everything private of Numba's that fastnn touches stands in this
file.

The object holds one visible C function `int64 name(block, thread, n_threads)`: it reads address and
shape of every array and every scalar from the argument block (8-byte slots), calls the kernel and
returns its status. All else is made internal, so that LLVM removes what nothing reaches: Numba's
error paths, reference counting, environments.

Numba's own optimisation and code generation are switched off (they would run once for every
helper); one O3 pipeline sees the whole kernel. Before it, the kernel's array pointers are marked
`noalias`: by contract a written array overlaps no other argument, and without it every loop would
test for overlap at run time. Both together compile a matmul three times faster.
"""

import inspect
import re
from contextlib import contextmanager

from fastnn.kernels.declare import DTYPE_NAMES, ITEM_BYTES

from .resolve import Specialiser

VECTOR_NOTE = "fastnn: bits of a vector: "  # what `native.vector_bits` looks for in an object
USED = "llvm.compiler.used"
# begins the names of functions that have a form for vectors, whose name ends in their length
VECTORISED = "fastnn.vectorised."
FASTMATH_OF_A_NAMED_SUM = {"reassoc"}  # never nnan, ninf or contract: see kernels/cpu/loops.py


def compile_kernel(kernel, dtype, target, name, cpu, features):
    """The object code of `kernel` for element type `dtype`, its entry point called `name`."""
    machine, module = optimised(kernel, dtype, target, name, cpu, features)
    return machine.emit_object(module)


def optimised(kernel, dtype, target, name, cpu, features, triple=None):
    """LLVM's machine and the kernel's module, ready to be written as object code or as assembly.

    `cpu` and `features` are LLVM's words for the processor; `target` is what kernels know of it.
    `triple` is another machine's than this one's, whose code can be looked at.
    """
    from llvmlite import binding
    from numba.core.compiler_lock import global_compiler_lock

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    with global_compiler_lock, _frontend_only():
        specialiser = Specialiser(
            dtype, target, _element_type(dtype), _make_helper, _intrinsic_maker(dtype, target)
        )
        dispatcher = _jit(specialiser.bound(kernel.function))
        arguments = [_numba_type(p, dtype) for p in kernel.parameters]
        ir_text = _link_entry_point(kernel, dispatcher, arguments, name)
    module = binding.parse_assembly(_with_vector_variants(ir_text))
    for definition in (*module.functions, *module.global_variables):
        if not definition.is_declaration and definition.name not in (name, USED):
            definition.linkage = "internal"
    architecture = (
        binding.Target.from_triple(triple) if triple else binding.Target.from_default_triple()
    )
    # On x86-64 code that refers to itself by distances, of which `elf.load` has little to fill in;
    # elsewhere LLVM loads it.
    kind = (
        {"reloc": "pic", "codemodel": "small"}
        if target.architecture == "x86_64"
        else {"codemodel": "jitdefault", "jit": True}
    )
    machine = architecture.create_target_machine(cpu=cpu, features=features, opt=3, **kind)
    if triple:
        module.triple, module.data_layout = triple, str(machine.target_data)
    options = binding.create_pipeline_tuning_options(speed_level=3)
    # for short loops of known length, which are written out before loops are vectorised
    options.slp_vectorization = True
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    if VECTORISED in ir_text:
        module = _with_vector_variants_inlined(str(module), passes)
    width = _vector_bits(str(module), 8 * target.vector_bytes)
    module.link_in(
        binding.parse_assembly(f'!llvm.ident = !{{!0}}\n!0 = !{{!"{VECTOR_NOTE}{width}"}}')
    )
    return machine, module


def _with_vector_variants(ir_text):
    """Tell the vectoriser of functions that have a form for vectors, in the way of LLVM's vector
    function ABI."""
    forms = re.findall(
        rf'^define .*?@"?({re.escape(VECTORISED)}[^"(]*)\.(\d+)"?\((.*)\)', ir_text, flags=re.M
    )
    for name, lanes, vectors in forms:
        kinds = "v" * vectors.count("<")
        variant = (
            f'"vector-function-abi-variant"="_ZGV_LLVM_N{lanes}{kinds}_{name}({name}.{lanes})"'
        )
        ir_text = re.sub(
            rf'^(.* call .*@"?{re.escape(name)}"?\([^)]*\)).*$',
            rf"\1 {variant}",
            ir_text,
            flags=re.M,
        )
    if forms:
        used = ", ".join(f'ptr @"{name}.{lanes}"' for name, lanes, _ in forms)
        ir_text += (
            f'\n@{USED} = appending global [{len(forms)} x ptr] [{used}], section "llvm.metadata"\n'
        )
    return ir_text


def _with_vector_variants_inlined(ir_text, passes):
    """The module once loops are vectorised: calls of both forms become the instructions they
    are."""
    from llvmlite import binding

    ir_text = re.sub(rf"^@{re.escape(USED)} = .*$", "", ir_text, flags=re.M)
    # Their own attributes give way, and nobody else's: `call_noinline` makes functions that are to
    # stay whole.
    ir_text = re.sub(
        rf'^(define .*@"?{re.escape(VECTORISED)}.*) #\d+ ', r"\1 alwaysinline ", ir_text, flags=re.M
    )
    module, inliner = binding.parse_assembly(ir_text), binding.create_new_module_pass_manager()
    inliner.add_always_inliner_pass()
    inliner.run(module, passes)
    return module


def _vector_bits(ir_text, most):
    """How wide the vectors are that the optimised code works on: the widest, or 0 where it has
    none."""
    return max([min(int(n) * int(bits), most) for n, bits in _vectors(ir_text)], default=0)


def _vectors(ir_text):
    names = {"float": "32", "double": "64"}
    return {
        (n, names.get(kind, kind[1:]))
        for n, kind in re.findall(r"<(\d+) x (float|double|i32|i64)>", ir_text)
    }


def _element_type(dtype):
    import numpy as np

    return np.dtype(dtype).type


def _numba_type(parameter, dtype):
    import numpy as np
    from numba import from_dtype, types

    if parameter.letters is None:
        return types.float64 if parameter.dtype == "float" else types.intp
    element = dtype if parameter.dtype == "T" else parameter.dtype
    return types.Array(from_dtype(np.dtype(element)), len(parameter.letters), "C")


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


def _make_helper(declaration, function):
    return _jit(
        function, FASTMATH_OF_A_NAMED_SUM if declaration.reassociate else False, declaration.inline
    )


class Emitter:
    """What an intrinsic's IR function is given: see kernels/intrinsics.py."""

    def __init__(self, context, builder, kinds, dtype, target):
        from llvmlite import ir

        self.context, self.builder, self.module, self.kinds, self.target = (
            context,
            builder,
            builder.module,
            kinds,
            target,
        )
        self.dtype, self.item_bytes = dtype, ITEM_BYTES[dtype]
        self.real = ir.FloatType() if self.item_bytes == 4 else ir.DoubleType()
        self.bits = ir.IntType(8 * self.item_bytes)

    def call(self, name, result, arguments):
        """Call an LLVM function, declaring it first."""
        from llvmlite import ir
        from numba.core import cgutils

        kind = ir.FunctionType(result, [a.type for a in arguments])
        return self.builder.call(cgutils.get_or_insert_function(self.module, kind, name), arguments)

    def freeze(self, value):
        """The same value; but no longer one that was just loaded, as far as instructions are chosen
        by that."""
        from llvmlite.ir.instructions import Instruction

        freeze = Instruction(self.builder.block, value.type, "freeze", [value])
        self.builder._insert(freeze)
        return freeze

    def call_noinline(self, name, values, build):
        """Call a function of its own, which `build(*values)` fills. It is compiled once and stays
        whole: the optimiser neither copies it into its callers nor, with them, once for each way
        through their loops."""
        from llvmlite import ir

        function = self.module.globals.get(name)
        if function is None:
            function = ir.Function(
                self.module, ir.FunctionType(ir.VoidType(), [v.type for v in values]), name
            )
            function.linkage = "internal"
            function.attributes.add("noinline")
            outside, self.builder = self.builder, ir.IRBuilder(function.append_basic_block())
            build(*function.args)
            self.builder.ret_void()
            self.builder = outside
        self.builder.call(function, values)

    def integer(self, bits):
        """The type of an integer."""
        from llvmlite import ir

        return ir.IntType(bits)

    def vector_type(self, lanes):
        """That of a vector of elements."""
        from llvmlite import ir

        return ir.VectorType(self.real, lanes)

    def call_vectorised(self, declaration, values):
        """Call an intrinsic that also has a form for whole vectors: a function of its own until
        loops are vectorised."""
        from llvmlite import ir

        lanes = self.target.vector_bytes // self.item_bytes
        name = f"{VECTORISED}{declaration.name}.{self.dtype}"
        if name not in self.module.globals:
            for symbol, emit, inline, kind in (
                (name, declaration.lower, "noinline", lambda one: one),
                (
                    f"{name}.{lanes}",
                    declaration.lower_vectors,
                    "alwaysinline",
                    lambda one: ir.VectorType(one, lanes),
                ),
            ):
                signature = ir.FunctionType(kind(self.real), [kind(value.type) for value in values])
                function = ir.Function(self.module, signature, symbol)
                # kept, though nothing calls it yet, and one of several alike
                function.linkage = "weak_odr"
                function.attributes.add(inline)
                builder = ir.IRBuilder(function.append_basic_block())
                builder.ret(
                    emit(
                        Emitter(self.context, builder, self.kinds, self.dtype, self.target),
                        *function.args,
                    )
                )
        return self.builder.call(self.module.globals[name], values)

    def flat_array(self, value, kind):
        """The elements of a contiguous array of any shape as an array of one dimension."""
        from numba import types
        from numba.core import cgutils

        given = self.context.make_array(kind)(self.context, self.builder, value)
        flat = self.context.make_array(types.Array(kind.dtype, 1, "C"))(self.context, self.builder)
        for field in ("data", "nitems", "itemsize", "meminfo", "parent"):
            setattr(flat, field, getattr(given, field))
        flat.shape = cgutils.pack_array(self.builder, [given.nitems])
        flat.strides = cgutils.pack_array(self.builder, [given.itemsize])
        return flat._getvalue()

    def load_from_table(self, numbers, index):
        """An element of an array that is known now."""
        from llvmlite import ir
        from numba.core import cgutils

        kind = ir.ArrayType(self.real, len(numbers))
        table = cgutils.global_constant(
            self.module, "table", ir.Constant(kind, [float(n) for n in numbers])
        )
        return self.builder.load(self.builder.gep(table, [self.integer(32)(0), index]))

    def stack_array(self, kind, size):
        """Memory of the kernel's own, aligned to a cache line: a new array (size,) of elements of a
        Numba type."""
        from llvmlite import ir
        from numba import types
        from numba.core import cgutils

        element, slot = self.context.get_data_type(kind), ir.IntType(64)
        with self.builder.goto_entry_block():  # Numba's own alloca_once fills it with zeros
            memory = self.builder.alloca(ir.ArrayType(element, size))
        memory.align = 64
        array = self.context.make_array(types.Array(kind, 1, "C"))(self.context, self.builder)
        array.data = self.builder.bitcast(memory, element.as_pointer())
        array.nitems, array.itemsize = slot(size), slot(self.context.get_abi_sizeof(element))
        array.shape, array.strides = (
            cgutils.pack_array(self.builder, [n]) for n in (array.nitems, array.itemsize)
        )
        return array._getvalue()

    def array(self, value, kind):
        """Address (as a typed pointer) and shape of an array argument."""
        from numba.core import cgutils

        array = self.context.make_array(kind)(self.context, self.builder, value)
        return array.data, cgutils.unpack_tuple(self.builder, array.shape)


def _intrinsic_maker(dtype, target):
    """A function that makes of a `Intrinsic` the Numba intrinsic for one element type."""

    def make(declaration, _function):
        from numba import types
        from numba.extending import intrinsic

        element = getattr(types, DTYPE_NAMES[dtype])
        kinds = {
            "T": element,
            "bits": getattr(types, f"int{8 * ITEM_BYTES[dtype]}"),
            "flat": types.Array(element, 1, "C"),
            "int": types.intp,
            "float": types.float64,
            "void": types.void,
        }

        def typing(_context, *given):
            # "any", "literal": as it comes
            expected = [
                kinds.get(kind, g) for kind, g in zip(declaration.arguments, given, strict=True)
            ]

            def lower(context, builder, signature, values):
                emitter = Emitter(context, builder, signature.args, dtype, target)
                result = (
                    emitter.call_vectorised(declaration, values)
                    if declaration.lower_vectors
                    else declaration.lower(emitter, *values)
                )
                return context.get_dummy_value() if declaration.result == "void" else result

            result = (
                types.Array(expected[0], 1, "C")
                if declaration.result == "alike"
                else kinds[declaration.result]
            )
            return result(*expected), lower

        # Numba wants named parameters (it would pack *given into one tuple) and reads them from the
        # signature.
        names = ["context", *(f"a{i}" for i in range(len(declaration.arguments)))]
        typing.__signature__ = inspect.Signature(
            [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names]
        )
        typing.__name__ = typing.__qualname__ = declaration.name
        return intrinsic(prefer_literal="literal" in declaration.arguments)(typing)

    return make


def _thread_range(builder, size, grain, thread, n_threads):
    """LLVM IR of kernels' `thread_range`: the start and stop of a thread's part of `size` elements.
    A single thread, which takes all, is spared the divisions."""
    slot = size.type
    zero, one = slot(0), slot(1)
    is_alone = builder.icmp_signed("==", n_threads, one)
    before = builder.block
    with builder.if_then(builder.not_(is_alone)):
        grains = builder.sdiv(builder.add(size, builder.sub(grain, one)), grain)
        ends = []
        for number in (thread, builder.add(thread, one)):
            end = builder.mul(builder.sdiv(builder.mul(grains, number), n_threads), grain)
            ends.append(builder.select(builder.icmp_signed("<", end, size), end, size))
        divided = builder.block
    results = []
    for whole, part in ((zero, ends[0]), (size, ends[1])):
        result = builder.phi(slot)
        result.add_incoming(whole, before)
        result.add_incoming(part, divided)
        results.append(result)
    return results


def _work(builder, kernel, extents, thread, n_threads):
    """What the kernel takes after its arguments: the range of one dimension; those of rows and
    columns, of which the rows are divided if there is more than one; or the thread's number."""
    if not kernel.split_axes:
        return [thread, n_threads][: len(kernel.range_names)]
    slot = thread.type
    sizes = [extents[argument][axis] for _, _, argument, axis in kernel.split_axes]
    grains = [slot(grain) for _, grain, *_ in kernel.split_axes]
    if len(sizes) == 1:
        start, stop = _thread_range(builder, sizes[0], grains[0], thread, n_threads)
        return [start, stop, thread][: len(kernel.range_names)]
    by_rows = builder.icmp_signed(">", sizes[0], slot(1))
    size, grain = (builder.select(by_rows, *pair) for pair in (sizes, grains))
    start, stop = _thread_range(builder, size, grain, thread, n_threads)
    return [
        builder.select(by_rows, start, slot(0)),
        builder.select(by_rows, stop, sizes[0]),
        builder.select(by_rows, slot(0), start),
        builder.select(by_rows, sizes[1], stop),
    ]


def _link_entry_point(kernel, dispatcher, arguments, name):
    """LLVM IR of the kernel, its helpers and the C function that unpacks an argument block for
    it."""
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.core.registry import cpu_target

    signature = (*arguments, *[types.intp] * len(kernel.range_names))
    dispatcher.compile(signature)
    compiled = dispatcher.overloads[signature]
    context = cpu_target.target_context
    library = context.codegen().create_library(name)
    module, slot = ir.Module(f"{name}_module"), ir.IntType(64)
    entry = ir.Function(module, ir.FunctionType(slot, [slot] * 3), name)
    builder = ir.IRBuilder(entry.append_basic_block())
    block, slots = builder.inttoptr(entry.args[0], slot.as_pointer()), iter(range(1 << 16))

    def next_slot():
        return builder.load(builder.gep(block, [ir.Constant(slot, next(slots))]))

    extents = {}  # of each array, by the argument's number

    def array(number, kind):
        address, shape = next_slot(), [next_slot() for _ in range(kind.ndim)]
        extents[number] = shape
        element = context.get_data_type(kind.dtype)
        item, count, strides = (
            ir.Constant(slot, context.get_abi_sizeof(element)),
            ir.Constant(slot, 1),
            [],
        )
        for extent in reversed(shape):
            strides.insert(0, builder.mul(count, item))
            count = builder.mul(count, extent)
        value = cgutils.create_struct_proxy(kind)(context, builder)
        value.data = builder.inttoptr(address, element.as_pointer())
        value.shape, value.strides = (
            cgutils.pack_array(builder, shape),
            cgutils.pack_array(builder, strides),
        )
        value.nitems, value.itemsize = count, item
        return value._getvalue()

    values = []
    for number, kind in enumerate(arguments):
        if isinstance(kind, types.Array):
            values.append(array(number, kind))
        else:
            values.append(
                builder.bitcast(next_slot(), ir.DoubleType())
                if kind == types.float64
                else next_slot()
            )
    thread, n_threads = entry.args[1:]
    if not kernel.range_names:  # thread 0 does it all
        with builder.if_then(builder.icmp_signed("!=", thread, slot(0))):
            builder.ret(slot(0))
    values += _work(builder, kernel, extents, thread, n_threads)
    descriptor = compiled.fndesc
    callee = context.declare_function(module, descriptor)
    _, result = context.call_conv.call_function(
        builder,
        callee,
        descriptor.restype,
        descriptor.argtypes,
        values,
    )
    status = (
        ir.Constant(slot, 0)
        if descriptor.restype == types.none
        else context.cast(builder, result, descriptor.restype, types.intp)
    )
    builder.ret(status)
    library.add_ir_module(module)
    library.add_linking_library(compiled.library)
    library.finalize()

    def with_noalias(line):
        own = descriptor.mangled_name in line.group(0)
        return (
            re.sub(r"ptr (?:[a-z]+(?:\([^)]*\))? )*(%[^ ,)]+)", r"ptr noalias \1", line.group(0))
            if own
            else line.group(0)
        )

    return re.sub(r"^define .*$", with_noalias, str(library._final_module), flags=re.M)
