"""What the primitives that are written for whole vector registers share: the words for them in LLVM IR."""


class Vectors:
    """Vectors in LLVM IR: made of one number, loaded and stored at an element's address, under a mask or without."""

    def __init__(self, emitter):
        from llvmlite import ir

        self.ir, self.emitter, self.builder, self.align = ir, emitter, emitter.builder, emitter.item_bytes
        self.lanes = emitter.target.vector_bytes // emitter.item_bytes
        self.vector = ir.VectorType(emitter.real, self.lanes)
        self.zero, self.name = self.constant(0.0), f"v{self.lanes}f{8 * emitter.item_bytes}"

    def number(self, value):
        return self.ir.Constant(self.ir.IntType(64), value)

    def constant(self, value):
        """A vector of one number known now."""
        return self.ir.Constant(self.vector, [value] * self.lanes)

    def fma(self, a, b, c):
        """a b + c, rounded once."""
        return self.emitter.call(f"llvm.fma.{self.name}", self.vector, [a, b, c])

    def splat(self, scalar):
        """A vector of one number."""
        kind, i32 = self.ir.VectorType(scalar.type, self.lanes), self.ir.IntType(32)
        empty = self.ir.Constant(kind, self.ir.Undefined)
        return self.shuffle(self.builder.insert_element(empty, scalar, self.ir.Constant(i32, 0)), empty, [0] * self.lanes)

    def first(self, count):
        """The mask of the first `count` elements."""
        i32 = self.ir.IntType(32)
        places = self.ir.Constant(self.ir.VectorType(i32, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", places, self.splat(self.builder.trunc(count, i32)))

    def shuffle(self, one, other, order):
        """The elements of two vectors, one after the other, in a new order."""
        return self.builder.shuffle_vector(one, other, self.ir.Constant(self.ir.VectorType(self.ir.IntType(32), self.lanes), order))

    def load(self, place, mask=None, other=None):
        """A vector at an element's address; where the mask is off, what stands in `other`, or zero."""
        place = self.builder.bitcast(place, self.vector.as_pointer())
        if mask is not None:
            align = self.ir.Constant(self.ir.IntType(32), self.align)
            return self.emitter.call(f"llvm.masked.load.{self.name}.p0", self.vector, [place, align, mask, other or self.zero])
        value = self.builder.load(place)
        value.align = self.align
        return value

    def store(self, value, place, mask=None):
        place = self.builder.bitcast(place, self.vector.as_pointer())
        if mask is not None:
            arguments = [value, place, self.ir.Constant(self.ir.IntType(32), self.align), mask]
            self.emitter.call(f"llvm.masked.store.{self.name}.p0", self.ir.VoidType(), arguments)
        else:
            self.builder.store(value, place).align = self.align
