"""What intrinsics are lowered to LLVM IR with.

llvmlite is imported where it is used: a process that finds its kernels compiled needs none of it.
"""

from typing import Any

from fastnn.kernels.declare import ELEMENTS

# Begins the names of functions that have a vector variant, whose name ends in its vectors' length.
VECTORISED = "fastnn.vectorised."


class Emitter:
    """What a lowering is given: see kernels/intrinsics.py. `kinds` are Numba's types of the
    arguments; `arrays` knows how Numba lays out an array (frontend.py)."""

    def __init__(self, builder, arrays, kinds, dtype, target):
        from llvmlite import ir

        self.builder, self.module, self.arrays = builder, builder.module, arrays
        self.kinds, self.dtype, self.target = kinds, dtype, target
        self.item_bytes = ELEMENTS[dtype].bytes
        # what vectors are made of: integers of as many bytes are moved as such, single bytes as i8
        self.real = {1: ir.IntType(8), 4: ir.FloatType(), 8: ir.DoubleType()}[self.item_bytes]
        self.bits = ir.IntType(8 * self.item_bytes)

    def integer(self, bits: int) -> Any:
        """The type of an integer."""
        from llvmlite import ir

        return ir.IntType(bits)

    def vector_type(self, lanes: int) -> Any:
        """The type of a vector of elements."""
        from llvmlite import ir

        return ir.VectorType(self.real, lanes)

    def words(self, count: int) -> Any:
        """The type of a vector of 32-bit words."""
        from llvmlite import ir

        return ir.VectorType(ir.IntType(32), count)

    @property
    def void(self) -> Any:
        """The type of a function that returns nothing."""
        from llvmlite import ir

        return ir.VoidType()

    def call(self, name: str, result: Any, arguments: Any) -> Any:
        """Call an LLVM function, declaring it first."""
        from llvmlite import ir

        function = self.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(result, [a.type for a in arguments])
            function = ir.Function(self.module, kind, name)
        return self.builder.call(function, arguments)

    def call_noinline(self, name: str, values: Any, build: Any) -> None:
        """Call a noinline function, which `build(*values)` fills. It is compiled once: inlined, the
        optimiser would copy it once for each way through the loops of its callers."""
        from llvmlite import ir

        function = self.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [v.type for v in values])
            function = ir.Function(self.module, kind, name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            outside, self.builder = self.builder, ir.IRBuilder(function.append_basic_block())
            build(*function.args)
            self.builder.ret_void()
            self.builder = outside
        self.builder.call(function, values)

    def call_vectorised(self, intrinsic: Any, values: Any) -> Any:
        """Call an intrinsic that has a vector lowering too: a function of its own until loops are
        vectorised, with a variant for whole vectors beside it (backend.py)."""
        lanes = self.target.vector_bytes // self.item_bytes
        name = f"{VECTORISED}{intrinsic.name}.{self.dtype}"
        if name not in self.module.globals:
            self._define(name, intrinsic.lower, "noinline", values)
            self._define(f"{name}.{lanes}", intrinsic.lower_vectors, "alwaysinline", values, lanes)
        return self.builder.call(self.module.globals[name], values)

    def _define(self, name, lower, inlining, values, lanes=None):
        from llvmlite import ir

        def kind(one):
            return ir.VectorType(one, lanes) if lanes else one

        signature = ir.FunctionType(kind(self.real), [kind(value.type) for value in values])
        function = ir.Function(self.module, signature, name)
        # kept, though nothing calls it yet, and one of several alike
        function.linkage = "weak_odr"
        function.attributes.add(inlining)
        builder = ir.IRBuilder(function.append_basic_block())
        emitter = Emitter(builder, self.arrays, self.kinds, self.dtype, self.target)
        builder.ret(lower(emitter, *function.args))

    def freeze(self, value: Any) -> Any:
        """The same value, but no longer known to have just been loaded when instructions are
        selected."""
        from llvmlite.ir.instructions import Instruction

        freeze = Instruction(self.builder.block, value.type, "freeze", [value])
        self.builder._insert(freeze)
        return freeze

    def load_from_table(self, numbers: Any, index: Any) -> Any:
        """An element of an array that is known at compile time."""
        from llvmlite import ir

        kind = ir.ArrayType(self.real, len(numbers))
        table = ir.GlobalVariable(self.module, kind, self.module.get_unique_name("table"))
        table.linkage, table.global_constant = "internal", True
        table.initializer = ir.Constant(kind, [float(n) for n in numbers])
        return self.builder.load(self.builder.gep(table, [self.integer(32)(0), index]))

    def array(self, value: Any, kind: Any) -> Any:
        """Address (as a typed pointer) and shape of an array argument."""
        return self.arrays.address_and_shape(self.builder, value, kind)

    def flat_array(self, value: Any, kind: Any) -> Any:
        """The elements of a contiguous array of any shape as an array of one dimension."""
        return self.arrays.flat(self.builder, value, kind)

    def stack_array(self, kind: Any, size: Any) -> Any:
        """Memory on the stack, aligned to a cache line: a new array (size,) of elements of a Numba
        type, with nothing of use in it."""
        from llvmlite import ir

        element = self.arrays.element_type(kind)
        with self.builder.goto_entry_block():
            memory = self.builder.alloca(ir.ArrayType(element, size))
        memory.align = 64
        address = self.builder.bitcast(memory, element.as_pointer())
        return self.arrays.contiguous(self.builder, kind, address, [self.integer(64)(size)])

    # ---- for kernels of a GPU

    def shared_array(self, kind: Any, size: Any) -> Any:
        """Memory that the threads of a block share, (size,), of elements of a Numba type."""
        from llvmlite import ir

        element = self.arrays.element_type(kind)
        name = self.module.get_unique_name("shared")
        memory = ir.GlobalVariable(self.module, ir.ArrayType(element, size), name, addrspace=3)
        memory.linkage, memory.align = "internal", 16
        memory.initializer = ir.Constant(memory.value_type, ir.Undefined)
        # cast to the generic space, of which LLVM finds again that it is the shared one
        pointer = self.builder.bitcast(memory, ir.PointerType(element, addrspace=3))
        address = self.builder.addrspacecast(pointer, element.as_pointer())
        return self.arrays.contiguous(self.builder, kind, address, [self.integer(64)(size)])

    def assembly(self, text: str, constraints: str, result: Any, values: Any) -> Any:
        """A line of PTX, which is neither moved nor left out; its operands are $0, the result, $1,
        and so on."""
        from llvmlite import ir

        kind = ir.FunctionType(result, [value.type for value in values])
        return self.builder.asm(kind, text, constraints, values, side_effect=True)

    def in_space(self, address: Any, space: int) -> Any:
        """A typed pointer as one into an address space."""
        from llvmlite import ir

        return self.builder.addrspacecast(address, ir.PointerType(address.type.pointee, space))

    def load_vector(self, address: Any, lanes: int, align: int) -> Any:
        """A vector of elements at an address that is a multiple of `align` bytes."""
        loaded = self.builder.load(
            self.builder.bitcast(address, self.vector_type(lanes).as_pointer())
        )
        loaded.align = align
        return loaded

    def store_vector(self, values: Any, address: Any, align: int) -> None:
        """Store elements side by side, at an address that is a multiple of `align` bytes."""
        from llvmlite import ir

        kind = self.vector_type(len(values))
        vector = ir.Constant(kind, ir.Undefined)
        for n, value in enumerate(values):
            vector = self.builder.insert_element(vector, value, self.integer(32)(n))
        place = self.builder.bitcast(address, kind.as_pointer())
        self.builder.store(vector, place).align = align

    def tuple_of(self, values: Any) -> Any:
        """Elements as the tuple that Numba has them in."""
        from numba.core import cgutils

        return cgutils.pack_array(self.builder, values)
