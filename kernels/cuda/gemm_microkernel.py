"""The micro-kernel of a product: a thread's micro-tile of C is held in registers, while the
products of tiles of A and B in shared memory are added to it, vector of steps after vector of steps
of K. A vector is 16 bytes.

A tile lies in shared memory as in global memory, so every form is copied 16 bytes at a time. Of an
operand that is `k_major` neighbours are steps of K (A, B^T), and a thread reads a vector of each of
its rows; else they are rows of A^T or columns of B, and it reads vectors of each step.
"""

from functools import cache, lru_cache
from math import prod
from typing import NamedTuple

from ..declare import FLOATS, helper, intrinsic, machine
from .grid import VECTOR_BYTES, WARP, on_a_gpu

# The lanes of a warp, down and across C. So a warp reads the fewest different words of shared
# memory: of 4 rows of A, and of 8 columns, or vectors of columns, of B.
LANES_DOWN, LANES_ACROSS = 4, 8


class Tile(NamedTuple):
    """A block's tile of C, and how it is made."""

    down: int  # threads
    across: int
    rows: int  # of a thread
    columns: int
    depth: int  # vectors of K in a stage
    stages: int  # in shared memory: one is multiplied, the others are on their way
    unroll: int  # vectors of K of one turn of the inner loop
    cycles: int  # for a step of K, estimated
    resident_blocks: int = 0  # registers are to be enough for so many
    dtypes: tuple = FLOATS
    rows_first: bool = True  # the grid: tiles of rows along x, of columns along y, or otherwise

    @property
    def threads(self):
        return self.down * self.across

    @property
    def sums(self):
        return self.rows * self.columns  # of a thread

    @property
    def extents(self):
        return self.down * self.rows, self.across * self.columns

    @property
    def split(self):
        rows, columns = zip("MN", self.extents, strict=True)
        return [rows, columns] if self.rows_first else [columns, rows]

    def kernel_name(self, transpose_a, transpose_b, epilogue=None):
        """Such as gemm_nt_128x128_tanh: A as it is, B transposed."""
        form, extents = "nt"[transpose_a] + "nt"[transpose_b], "{}x{}".format(*self.extents)
        order = None if self.rows_first else "columns_first"
        return "_".join(filter(None, ["gemm", form, extents, order, epilogue and epilogue.name]))

    def operands(self, transpose_a, transpose_b):
        """A and B."""
        return (
            Operand(not transpose_a, self.down, self.rows, self.depth, in_groups=transpose_a),
            Operand(transpose_b, self.across, self.columns, self.depth, in_groups=True),
        )


# Cycles: the multiply-adds of a step over the 128 that a multiprocessor begins in one, and more for
# micro-tiles so small that they wait for shared memory. LARGE is not for float64: its sums alone
# would take 128 registers.
LARGE = Tile(
    16, 16, 8, 8, depth=4, stages=2, unroll=1, cycles=128, resident_blocks=2, dtypes=("f4",)
)
MEDIUM = Tile(16, 16, 4, 4, depth=4, stages=3, unroll=4, cycles=36)
SMALL = Tile(16, 8, 2, 4, depth=8, stages=4, unroll=8, cycles=10)
TINY = Tile(16, 8, 1, 4, depth=8, stages=4, unroll=8, cycles=6)
TILES = LARGE, MEDIUM, SMALL, TINY

MULTIPROCESSORS = 132  # of an H100 and H200; not asked for, so that every GPU runs the same kernels
MAX_GRID_Y = 65535


@lru_cache(maxsize=4096)
def tile_for(rows, columns, item_bytes):
    """The tile that makes a C of this shape soonest, the largest of equals."""

    def blocks(tile):
        height, width = tile.extents
        return -(-rows // height), -(-columns // width)

    tile = min(
        [tile for tile in TILES if f"f{item_bytes}" in tile.dtypes],
        key=lambda tile: -(-prod(blocks(tile)) // MULTIPROCESSORS) * tile.cycles,
    )
    return tile._replace(rows_first=blocks(tile)[1] <= MAX_GRID_Y)


class Operand(NamedTuple):
    """A stage's tile of A or B. Sizes in elements depend on how many make a vector."""

    k_major: bool
    threads: int  # down or across
    each: int  # rows or columns of a thread
    depth: int  # vectors of K
    in_groups: bool  # ... of which as many as make a vector are neighbours

    @property
    def extent(self):
        return self.threads * self.each

    def vectors(self, vector):
        """Of a line of the tile."""
        return self.depth if self.k_major else self.extent // vector

    def pitch(self, vector):
        """From a line to the next. A warp reads several lines at once where K is major: padded by a
        vector, they begin in different banks."""
        return (self.vectors(vector) + self.k_major) * vector

    def size(self, vector):
        return self.pitch(vector) * (self.extent if self.k_major else self.depth * vector)

    def step(self, vector):
        """From a vector of K to the next."""
        return vector * (1 if self.k_major else self.pitch(vector))

    def group(self, vector):
        """So many of a thread's rows or columns are neighbours; the next ones lie beyond those of
        all threads."""
        return min(vector, self.each) if self.in_groups else 1

    def start(self, vector):
        """From a thread's elements to the next one's."""
        return self.pitch(vector) if self.k_major else self.group(vector)


@cache
def place_in_c(tile):
    """The helper: where the tile of block (x, y) begins in C, and which of the threads down and
    across it `thread` is."""
    (height, width), rows_first = tile.extents, tile.rows_first
    warps_across = tile.across // LANES_ACROSS

    @helper
    def place(thread, x, y):
        warp, lane = thread // WARP, thread % WARP
        down = warp // warps_across * LANES_DOWN + lane // LANES_ACROSS
        across = warp % warps_across * LANES_ACROSS + lane % LANES_ACROSS
        row, col = (x if rows_first else y) * height, (y if rows_first else x) * width
        return row, col, down, across

    return place


@cache
def row_or_column(operand):
    """The helper: which row or column of the tile is number i of a thread's."""
    group, threads = by_vector(operand.group), operand.threads

    @helper
    def place(own, i):
        return i // group * (group * threads) + own * group + i % group

    return place


def by_vector(rule):
    """A number that depends on how many elements make a vector."""
    return machine(lambda _target, item_bytes: rule(VECTOR_BYTES // item_bytes))


def multiply_of(tile, a, b):
    """The intrinsic that adds the products of `unroll` vectors of K to a thread's sums."""

    @intrinsic("void <- flat flat int flat int")
    def multiply(sums, a_tile, a_start, b_tile, b_start):
        """sums (rows, columns) += A B, where this thread's parts of A and B begin at a_start and
        b_start. Every sum is a chain of multiply-adds in the order of K."""
        on_a_gpu(sums, a_tile, a_start, b_tile, b_start)

    @multiply.lowering
    def _(emitter, sums, a_tile, a_start, b_tile, b_start):
        builder, vector = emitter.builder, VECTOR_BYTES // emitter.item_bytes
        places = _places(emitter, sums, a.each * b.each)
        totals = [builder.load(place) for place in places]
        of_a = Fragments(emitter, a, a_tile, emitter.kinds[1], a_start)
        of_b = Fragments(emitter, b, b_tile, emitter.kinds[3], b_start)
        fma = f"llvm.fma.f{8 * emitter.item_bytes}"

        def add(i, x, row):
            for n, y in enumerate(row, i * b.each):
                totals[n] = emitter.call(fma, emitter.real, [x, y, totals[n]])

        for q in range(tile.unroll):
            if a.k_major:  # row after row of A, against all steps of B
                steps = of_b.steps(q)
                for i in range(a.each):
                    for x, row in zip(of_a.line(q, i), steps, strict=True):
                        add(i, x, row)
                continue
            # step after step: few elements of A, and of B if it can be, are in registers
            steps = of_b.steps(q) if b.k_major else None
            for s in range(vector):
                row = steps[s] if steps else of_b.step(q, s)
                for i, x in enumerate(of_a.step(q, s)):
                    add(i, x, row)
        for place, total in zip(places, totals, strict=True):
            builder.store(total, place)

    return multiply


class Fragments:
    """Loads of a thread's elements of an operand from its tile."""

    def __init__(self, emitter, operand, tile, kind, start):
        self.emitter, self.operand, self.start = emitter, operand, start
        self.vector = VECTOR_BYTES // emitter.item_bytes
        self.data = emitter.array(tile, kind)[0]

    def _load(self, offset, lanes):
        builder, index = self.emitter.builder, self.emitter.integer(64)
        address = builder.gep(self.data, [builder.add(self.start, index(offset))])
        loaded = self.emitter.load_vector(address, lanes, lanes * self.emitter.item_bytes)
        word = self.emitter.integer(32)
        return [builder.extract_element(loaded, word(n)) for n in range(lanes)]

    def line(self, q, i):
        """Where K is major: the steps of vector q, of row or column i."""
        o = self.operand
        return self._load(i * o.threads * o.pitch(self.vector) + q * self.vector, self.vector)

    def step(self, q, s):
        """Where it is not: the rows or columns, of step s of vector q."""
        o, group = self.operand, self.operand.group(self.vector)
        start = (q * self.vector + s) * o.pitch(self.vector)
        groups = [self._load(start + g * group * o.threads, group) for g in range(o.each // group)]
        return [x for own in groups for x in own]

    def steps(self, q):
        """Either: a list for each step of vector q."""
        if self.operand.k_major:
            return list(zip(*[self.line(q, j) for j in range(self.operand.each)], strict=True))
        return [self.step(q, s) for s in range(self.vector)]


def next_row_of(tile):
    """The intrinsic that brings a thread's next row of sums to the front, and the first to the end.
    Sums stay in registers only where their indices are known when the kernel is compiled: so a loop
    over the rows always takes the first."""

    @intrinsic("void <- flat")
    def next_row(sums):
        on_a_gpu(sums)

    @next_row.lowering
    def _(emitter, sums):
        places = _places(emitter, sums, tile.sums)
        totals = [emitter.builder.load(place) for place in places]
        for n, total in enumerate(totals):
            emitter.builder.store(total, places[n - tile.columns])

    return next_row


def repeat_row_of(tile):
    """The intrinsic that gives every row of a thread's sums what the first has."""

    @intrinsic("void <- flat")
    def repeat_row(sums):
        on_a_gpu(sums)

    @repeat_row.lowering
    def _(emitter, sums):
        places = _places(emitter, sums, tile.sums)
        first = [emitter.builder.load(place) for place in places[: tile.columns]]
        for n, place in enumerate(places):
            emitter.builder.store(first[n % tile.columns], place)

    return repeat_row


def _places(emitter, sums, count):
    data, index = emitter.array(sums, emitter.kinds[0])[0], emitter.integer(64)
    return [emitter.builder.gep(data, [index(n)]) for n in range(count)]
