"""How kernels are declared: what they are written with, and what each promises.

A kernel is `kernel(arrays..., numbers..., start, stop)`. All threads make the same call, each with
a range of its own of the dimension that `split` names. A kernel does the work of that range,
allocates nothing, raises nothing and touches no Python object. It returns nothing, or a status
(`status.py`) on every path. All arrays are C-contiguous; one that is written overlaps no other.

These declarations are resolved for each element type and processor (fastnn/compile/resolve.py),
and are told apart from plain values by their type:

    T                 the element type the kernel is compiled for; `T(0.5)` is a constant of it
    @helper           a Python function that kernels call
    @intrinsic        an instruction Python has no word for: LLVM IR beside a Python body that
                      computes the same
    by_dtype(...)     one helper for float32, another for float64
    machine(...)      a number that depends on the processor: vector width, rows of a micro-tile

They are found among a function's globals and closure variables, so helpers are imported by name,
not by module.
"""

import dis
import os
import re
import struct
import weakref
from functools import cached_property
from typing import NamedTuple


class Element(NamedTuple):
    """What compiled kernels know of an element type."""

    name: str
    bytes: int
    # `A` beside `T`: the type in which its sums are made. float32 has its own: sums are made in
    # many partial sums, and their bits are promised.
    accumulation: str


# By letter, which is NumPy's: the kind and the bytes. `fastnn/dtypes.py` builds on it.
ELEMENTS = {
    "f4": Element("float32", 4, "f4"),
    "f8": Element("float64", 8, "f8"),
    "i8": Element("int64", 8, "i8"),
    "i4": Element("int32", 4, "i8"),
    "u1": Element("uint8", 1, "i8"),
    "b1": Element("boolean", 1, "i8"),
    "u4": Element("uint32", 4, "i8"),  # words of random bits; no tensor of a user's
}
FLOATS = ("f4", "f8")
NUMBERS = (*FLOATS, "i8", "i4", "u1")
ANY = (*NUMBERS, "b1")  # what users' tensors hold


HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# a user's declared function -> its file as it was then, or None
sources = weakref.WeakKeyDictionary()


def with_source(function):
    """A function that is declared. The file of a user's is read now: while the process runs it may
    be edited, and the digest of what is compiled must be that of the source it was made of."""
    path = function.__code__.co_filename
    if not path.startswith(HERE) and function not in sources:
        try:
            with open(path, "rb") as file:
                sources[function] = file.read()
        except OSError:
            sources[function] = None
    return function


class Target(NamedTuple):
    """What kernels may know of a processor."""

    vector_bytes: int  # of one vector register
    vector_registers: int  # how many of them
    architecture: str  # "x86_64", "aarch64"
    # KC: rows of B that a product packs at a time; a panel of them, two vectors wide, is 64 kB at
    # most
    kc_rows: int = 512
    # fused multiply-adds of a whole vector that can begin in a cycle: with two, only L1 keeps up,
    # and blocks are as large as the caches hold
    fma_ports: int = 1
    l1_bytes: int = 48 << 10  # data
    l2_bytes: int = 1 << 20


class Declaration:
    """Something a kernel names that is resolved to a different object in each compiled form."""


class ElementType(Declaration):
    # the plain function, called as written, computes in Python's own numbers
    def __call__(self, value):
        return value


T = ElementType()


class Helper(Declaration):
    """A Python function that kernels call. `reassociate` lets the compiler vectorise a sum: only
    for a named reduction, and never with the flags that delete tests for NaN. `inline` inlines it
    though it is long, so that loops over it are vectorised."""

    def __init__(self, function, reassociate=False, inline=False):
        self.function, self.name = with_source(function), function.__name__
        self.reassociate, self.inline = reassociate, inline

    def __call__(self, *arguments):
        return self.function(*arguments)


def helper(function=None, **options):
    return Helper(function) if function else lambda f: Helper(f, **options)


class Intrinsic(Declaration):
    """An instruction given as LLVM IR. `signature` names the kinds of result and arguments: "T",
    "bits" (the integer as wide as T), "int", "float", "void", "four" (a tuple of four T), "vector"
    (a tuple of 16 bytes of T), "flat" (an array of T), "alike" (an array of what the first argument
    is); "any" keeps what comes, and as a result is what the first argument is; "literal" stays a
    compile-time constant."""

    def __init__(self, signature, function):
        result, arguments = signature.split(" <- ")
        self.result, self.arguments = result, arguments.split()
        self.function, self.name = with_source(function), function.__name__
        self.lower = self.lower_vectors = None

    def lowering(self, lower):
        """Decorates `lower(emitter, *values)`, which builds the IR and returns the result's
        value."""
        self.lower = with_source(lower)
        return lower

    def vector_lowering(self, lower):
        """Decorates `lower(emitter, *vectors)`, which builds the same for whole vectors: LLVM
        vectorises loops over a processor's own instructions only if it is told how."""
        self.lower_vectors = with_source(lower)
        return lower

    def __call__(self, *arguments):
        return self.function(*arguments)


def intrinsic(signature):
    return lambda function: Intrinsic(signature, function)


class by_dtype(Declaration):
    """A helper with one body for each element type: `exp = by_dtype(exp_32, exp_64)`; with one for
    all floats and one for the others, `mod = by_dtype(mod_of_floats, others=mod_of_integers)`."""

    def __init__(self, f4, f8=None, others=None):
        self.name = f4.name.removesuffix("_32").removesuffix("_of_floats")
        self.choices = {"f4": f4, "f8": f8 or f4}
        if others is not None:
            self.choices.update(dict.fromkeys(("i8", "i4", "u1", "b1"), others))


class machine(Declaration):
    """`rule(target, item_bytes)` gives the number for a processor and the size of an element."""

    def __init__(self, rule):
        self.rule = with_source(rule)


class Parameter(NamedTuple):
    name: str
    dtype: str  # "T", a fixed one such as "i8", or "int" and "float" for scalars
    letters: tuple  # the dimensions of an array, named; None for a scalar
    written: bool
    read: bool
    partly: bool = False  # read only as far as the output is large


class Kernel:
    """A declared kernel: a function, what each argument is, and which dimension threads divide, or,
    on a GPU, blocks.

    `split` names that dimension's letter and the grain, of which ranges are multiples; of two, rows
    and columns, the first is divided if it has more than one element, else the second; with none,
    thread 0 does all the work. An argument in which only extents of 1 come before that letter is
    touched within a thread's own range only, any other as a whole. `range_names` are the names (of
    SPLITS) by which the function takes its range.

    On a GPU `split` is the grid: each letter's extent over its grain is the number of blocks, along
    x and then y, of `threads` threads each. The kernel asks where it is (cuda/grid.py).
    """

    known = weakref.WeakSet()  # every kernel there is

    def __init__(
        self,
        function,
        name,
        parameters,
        split,
        dtypes,
        range_names,
        threads=0,
        batched=False,
        resident_blocks=0,
        symbol=None,
    ):
        Kernel.known.add(self)
        self.function, self.name, self.parameters = with_source(function), name, parameters
        self.split, self.dtypes, self.range_names = split, dtypes, range_names
        self.threads = threads  # of a block, on a GPU; 0 on the CPU
        self.batched = batched  # whether, on a GPU, one launch may be several calls
        self.resident_blocks = resident_blocks  # on a multiprocessor; 0 if that does not matter
        self.module = function.__module__.rpartition("kernels.")[2]
        self.symbol = symbol or name  # the name its object code goes by
        self.entries = {}  # element type -> address of the compiled form, kept by the device
        # The argument block has fields of 8 bytes: address and extents of an array, a number.
        fields = [
            "d" if p.dtype == "float" else "q" * (1 + len(p.letters or ())) for p in parameters
        ]
        self.block = struct.Struct("".join(fields))
        self.arrays = [(i, p) for i, p in enumerate(parameters) if p.letters is not None]
        self.reads = [i for i, p in self.arrays if p.read]
        self.writes = [i for i, p in self.arrays if p.written]
        # (letter, grain, argument, axis): where the extent of each dimension of `split` is found
        axes = {letter: (i, axis) for i, p in self.arrays for axis, letter in enumerate(p.letters)}
        self.split_axes = [(letter, grain, *axes[letter]) for letter, grain in split]
        # the argument that has type T
        self.element = next((i for i, p in enumerate(parameters) if p.dtype == "T"), None)

    def __repr__(self):
        return f"<kernel {self.module}.{self.name}>"

    @cached_property
    def reports(self):
        """Whether it may return a status. Found when asked for: of all kernels, at import, that
        took 10 ms."""
        return _returns_something(self.function)

    def expect(self, dtype):
        """Raise unless there is a form of it for this element type."""
        if dtype not in self.dtypes:
            raise TypeError(
                f"kernel {self.name} is compiled for {', '.join(self.dtypes)}; got {dtype}"
            )

    def declared(self, name, **changes):
        """The same compiled function under another name, because what its threads touch depends on
        how it is called."""
        parameters = [
            parse(p.name, changes[p.name]) if p.name in changes else p for p in self.parameters
        ]
        return Kernel(
            self.function,
            name,
            parameters,
            self.split,
            self.dtypes,
            self.range_names,
            self.threads,
            self.batched,
            self.resident_blocks,
            self.symbol,
        )


def _returns_something(function):
    """Whether a function has a `return` with a value: a kernel with a status."""
    before = None
    for i in dis.get_instructions(function):
        if i.opname == "RETURN_CONST" and i.argval is not None:
            return True
        is_none = before is not None and before.opname == "LOAD_CONST" and before.argval is None
        if i.opname == "RETURN_VALUE" and not is_none:
            return True
        before = i
    return False


# What tells a kernel its part of the work, after its arguments, and how many letters `split` has.
SPLITS = {
    (): 0,
    ("start", "stop"): 1,
    ("start", "stop", "thread"): 1,
    ("row_start", "row_stop", "col_start", "col_stop"): 2,
    ("thread", "n_threads"): 0,
}

DECLARATION = re.compile(rf"(?:(out|inout|some) )?(T|{'|'.join(ELEMENTS)})\[(\w+(?:, ?\w+)*)\]")


def parse(name, declaration):
    if declaration in ("int", "float"):
        return Parameter(name, declaration, None, False, True)
    matched = DECLARATION.fullmatch(declaration)
    if not matched:
        raise ValueError(
            f"kernel parameter {name}: {declaration!r} is not like 'T[N, C]', 'some T[S]', 'out "
            "i8[n]', 'int', 'float'"
        )
    access, dtype, letters = matched.groups()
    return Parameter(
        name,
        dtype,
        tuple(re.split(", ?", letters)),
        access in ("out", "inout"),
        access != "out",
        access == "some",
    )


def kernel(
    split=(), dtypes=FLOATS, name=None, threads=0, batched=False, resident_blocks=0, **declarations
):
    """Declare a kernel: `@kernel(split=[("N", 1)], x="T[N, C]", y="out T[N, C]")`; for a GPU with
    the `threads` of a block, and no range. `batched`: there, whether one launch may be several
    calls, of which a block along z does one: small kernels of which a step has many.
    `resident_blocks`: a thread gets as few registers as let so many blocks of it run on a
    multiprocessor at once.

    Each array argument: `out` if it is written, `inout` if it is read too, `some` if only part of
    it is read; its element type (T, or a fixed one); its dimensions' letters. Scalars are "int" (64
    bits) or "float" (float64).
    """

    def declare(function):
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        own, range_names = names[: len(declarations)], names[len(declarations) :]
        takes_range = 0 if threads else len(split)
        if set(own) != set(declarations) or SPLITS.get(range_names) != takes_range:
            raise ValueError(
                f"kernel {function.__name__}: declared {sorted(declarations)}, split by "
                f"{[letter for letter, _ in split]}; takes {names}. After what is declared come "
                "start, stop if one dimension is split, and row_start, row_stop, col_start, "
                "col_stop if two are"
            )
        if too_small := [grain for _, grain in split if grain < 1]:
            raise ValueError(
                f"kernel {function.__name__}: the grain of a split must be from 1 on; got "
                f"{too_small[0]}"
            )
        parameters = [parse(n, declarations[n]) for n in own]
        letters = {letter for p in parameters for letter in p.letters or ()}
        if missing := [letter for letter, _ in split if letter not in letters]:
            raise ValueError(
                f"kernel {function.__name__}: split by {missing[0]}, which no array has; they "
                f"have {sorted(letters)}"
            )
        return Kernel(
            function,
            name or function.__name__,
            parameters,
            split,
            dtypes,
            range_names,
            threads,
            batched,
            resident_blocks,
        )

    return declare


def global_values(function):
    """The globals a function reads, by name."""
    names = {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
    return {n: function.__globals__[n] for n in names if n in function.__globals__}
