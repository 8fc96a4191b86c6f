"""What the intrinsics that are written for whole vector registers share: the words for them in LLVM
IR."""

from ...declare import machine

LANES = machine(lambda target, item_bytes: target.vector_bytes // item_bytes)  # of a register
# What a product's accumulators start from: zero, the bias, or C itself (beta = 1 in BLAS).
INIT_ZERO, INIT_BIAS, INIT_C = 0, 1, 2


def operand(emitter, position, value):
    """Of an intrinsic's argument number `position`, a tuple (flat array, start, strides...): the
    address of element `start`, and the strides."""
    kind, builder = emitter.kinds[position], emitter.builder
    array, start, *strides = [builder.extract_value(value, i) for i in range(len(kind))]
    return [builder.gep(emitter.array(array, kind[0])[0], [start]), *strides]


class Vectors:
    """Vectors in LLVM IR, of `lanes` elements or as long as a register: made of one number, loaded
    and stored at an element's address, under a mask or without."""

    def __init__(self, emitter, lanes=None):
        from llvmlite import ir

        self.ir, self.emitter, self.builder, self.align = (
            ir,
            emitter,
            emitter.builder,
            emitter.item_bytes,
        )
        self.lanes = lanes or emitter.target.vector_bytes // emitter.item_bytes
        self.vector = ir.VectorType(emitter.real, self.lanes)
        is_byte = emitter.item_bytes == 1
        self.zero = self.constant(0 if is_byte else 0.0)
        self.name = f"v{self.lanes}{'i' if is_byte else 'f'}{8 * emitter.item_bytes}"

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
        return self.shuffle(
            self.builder.insert_element(empty, scalar, self.ir.Constant(i32, 0)),
            empty,
            [0] * self.lanes,
        )

    def first(self, count):
        """The mask of the first `count` elements."""
        i32 = self.ir.IntType(32)
        places = self.ir.Constant(self.ir.VectorType(i32, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", places, self.splat(self.builder.trunc(count, i32)))

    def shuffle(self, one, other, order):
        """The elements of two vectors, one after the other, in a new order."""
        places = self.ir.Constant(self.ir.VectorType(self.ir.IntType(32), len(order)), order)
        return self.builder.shuffle_vector(one, other, places)

    def load(self, place, mask=None, other=None):
        """A vector at an element's address; where the mask is off, what stands in `other`, or
        zero."""
        place = self.builder.bitcast(place, self.vector.as_pointer())
        if mask is not None:
            align = self.ir.Constant(self.ir.IntType(32), self.align)
            return self.emitter.call(
                f"llvm.masked.load.{self.name}.p0",
                self.vector,
                [place, align, mask, other or self.zero],
            )
        value = self.builder.load(place)
        value.align = self.align
        return value

    def store(self, value, place, mask=None, streaming=False):
        """A vector at an element's address; `streaming`: at a vector's address, by a streaming
        (non-temporal) store."""
        place = self.builder.bitcast(place, self.vector.as_pointer())
        if mask is not None:
            arguments = [value, place, self.ir.Constant(self.ir.IntType(32), self.align), mask]
            self.emitter.call(f"llvm.masked.store.{self.name}.p0", self.ir.VoidType(), arguments)
        elif streaming:
            stored = self.builder.store(value, place)
            stored.align = self.lanes * self.align
            stored.set_metadata(
                "nontemporal",
                self.builder.module.add_metadata([self.ir.Constant(self.ir.IntType(32), 1)]),
            )
        else:
            self.builder.store(value, place).align = self.align

    def prefetch(self, place, level=2):
        """Bring the cache line at an address into L1 or L2; no address is wrong."""
        i32 = self.ir.IntType(32)
        address = self.builder.bitcast(place, self.ir.IntType(8).as_pointer())
        # for reading; locality 3 is L1, 2 is L2; data
        hint = [self.ir.Constant(i32, n) for n in (0, 4 - level, 1)]
        self.emitter.call("llvm.prefetch.p0", self.ir.VoidType(), [address, *hint])

    def opaque(self, value):
        """The same number or address, of which the optimiser does not know how it was made; no
        instruction."""
        kind = self.ir.FunctionType(value.type, [value.type])
        return self.builder.asm(kind, "", "=r,0", [value], False)

    def clamp_min(self, value, floor):
        """max(floor, value), and NaN where value is NaN."""
        return self.builder.select(self.builder.fcmp_ordered("<", value, floor), floor, value)

    def initial(self, init, zero, bias, c):
        """The vectors that one of three functions makes, as `init` says: INIT_ZERO, INIT_BIAS or
        INIT_C."""
        builder, after = self.builder, self.builder.append_basic_block("initialised")
        makers = {INIT_ZERO: zero, INIT_BIAS: bias, INIT_C: c}
        blocks = {n: builder.append_basic_block("initialise") for n in makers}
        choice = builder.switch(init, blocks[INIT_ZERO])
        made = {}
        for n, make in makers.items():
            choice.add_case(self.number(n), blocks[n])
            builder.position_at_end(blocks[n])
            made[n] = make()
            builder.branch(after)
        builder.position_at_end(after)
        phis = [builder.phi(v.type) for v in made[INIT_ZERO]]
        for n, values in made.items():
            for phi, value in zip(phis, values, strict=True):
                phi.add_incoming(value, blocks[n])
        return phis
