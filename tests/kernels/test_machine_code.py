"""What kernels compile to, for vectors of every width: vectorised loops, no masked stores
in them, and no call of anything that is not there when it is loaded.

`make test` looks at every formula and every update, and at some other kernels; `make slow` at all.
"""

import math
import re
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from fastnn.compile.names import symbol as symbol_of
from fastnn.compile.object_code import MEMORY_FUNCTIONS, current_cache
from fastnn.compile.object_file import undefined_symbols
from fastnn.compile.target import processor
from fastnn.devices.cpu import INTERPRETED, catalogue, entry, threads
from fastnn.kernels.declare import Kernel, T, Target, kernel
from tests.processors import ON_X86_64
from tests.processors import PROCESSORS as ALL_PROCESSORS

pytestmark = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
PROCESSORS = {512: "AVX-512, two", 256: "AVX2, two", 128: "128 bits"}  # by bits of a vector
REGISTER = {512: "zmm", 256: "ymm", 128: "xmm"}
LETTER = {"f4": "s", "f8": "d"}


# ---- every kernel there is, and what it compiles to


def _kept_or_new(x, y):
    for i in range(x.size):
        y[i] = x[i] if x[i] > y[i] else y[i]


# What this file looks for, and has to find.
KEPT_OR_NEW = kernel(x="T[n]", y="inout T[n]")(_kept_or_new)
# by names such as loops.exp-f4; but no test's own, which have two digests in their symbols
FORMS = {
    f"{k.module.removeprefix('cpu.')}.{k.symbol}-{dtype}": (k, dtype)
    for symbol, (k, dtype) in sorted(catalogue.forms.__wrapped__().items())
    if symbol.rpartition("_")[0] == f"fastnn_{k.module.replace('.', '_')}_{k.symbol}_{dtype}"
    and k.element is not None
}
FORMULAS = [
    form
    for form in FORMS
    if form.startswith(("loops.", "updates."))
    # integers are divided one by one, and remainders and powers take as many steps as they need;
    # squares of float32 are summed in float64, which fills half as many
    and not re.search(r"sums|squares|cast|^loops\.(floor_divide|gcd|mod|power-[iu])", form)
]
OTHERS = [
    "gemm.gemm-f4",
    "softmax.softmax-f4",
    "normalization.chunk_statistics-f4",
]


# What `make test` looks at: every formula and update in float32 for vectors of 256 bits; and of
# those for other vectors, or in other types, every fourth.
IN_MINUTES = {(form, bits) for form in OTHERS for bits in PROCESSORS}
IN_MINUTES |= {(form, 256) for form in FORMULAS if form.endswith("f4")}
IN_MINUTES |= {
    *[(f, b) for f in FORMULAS for b in PROCESSORS if f.endswith("f4") != (b == 256)][::4]
}
LISTINGS = [
    pytest.param(form, bits, marks=() if (form, bits) in IN_MINUTES else pytest.mark.slow)
    for form in FORMS
    for bits in PROCESSORS
]


def listing(form, bits):
    """The assembly of one of FORMS, or of KEPT_OR_NEW for an element type, with LLVM's names for
    its blocks."""
    from fastnn.compile.backend import optimised

    k, dtype = (KEPT_OR_NEW, form) if form in LETTER else FORMS[form]
    processor = ALL_PROCESSORS[PROCESSORS[bits]]
    target = processor.target._replace(
        **{f: Target._field_defaults[f] for f in ("kc_rows", "l1_bytes", "l2_bytes")}
    )
    machine, module = optimised(k, dtype, "entry", processor._replace(target=target))
    machine.set_asm_verbosity(True)
    return machine.emit_assembly(module)


@pytest.fixture(scope="module")
def listings(request):
    """`listing`, made by as many processes as there may be threads: ahead, for the tests that will
    be run."""
    with ProcessPoolExecutor(threads.allowed().number, get_context("spawn")) as processes:
        made: dict[tuple[str, int], Future[str]] = {}

        def begin(form, bits):
            if (form, bits) not in made:
                made[form, bits] = processes.submit(listing, form, bits)
            return made[form, bits]

        for item in request.session.items:
            given = (
                item.callspec.params
                if item.path == request.path and hasattr(item, "callspec")
                else {}
            )
            if {"form", "bits"} <= given.keys():
                begin(given["form"], given["bits"])
        yield lambda form, bits: begin(form, bits).result()


# ---- what to look for

BLOCK = re.compile(
    r"^(?:\.LBB\d+_\d+:|# %bb\.\d+:)\s*# %(\S+)\n((?:(?!\.LBB|# %bb|\.Lfunc).*\n)*)", re.M
)
# To memory: of AVX, and any of AVX-512 but scatters, whose mask is whole.
MASKED_STORE = re.compile(
    r"^\s*(v?p?maskmov\S*\s+%\S+ %\S+ .*\)|v?mov\S*\s+%.*\) \{%k\d\}|v\w+\s+%[xyz]mm.*\) "
    r"\{%k\d\})\s*(?:#.*)?$",
    re.M,
)
SCALAR = re.compile(
    r"^\s*(v?(?:add|sub|mul|div|sqrt|fn?m(?:add|sub)\d+|min|max|cmp\w*)s[sd])\s", re.M
)
WIDENED = re.compile(r"\bv?(?:pmovsxdq|cvtps2pd|cvtqq2ps)\s")


def vectorised_loops(text):
    """The bodies of the loops that LLVM vectorised, by their names: one of several blocks, if there
    is a branch in it."""
    loops: dict[str, str] = {}
    for name, body in BLOCK.findall(text):
        if re.match(r"(vec\.epilog\.)?vector\.body", name):
            loops[name] = loops.get(name, "") + body
    return loops


def masked_stores(text):
    """Those of vectorised loops. Others end rows, whose intrinsics say so
    (kernels/cpu/simd/rows.py)."""
    return [
        line
        for body in vectorised_loops(text).values()
        for line in MASKED_STORE.findall(body)
        if "scatter" not in line
    ]


@ON_X86_64
@pytest.mark.parametrize(("form", "bits"), LISTINGS)
def test_machine_code(form, bits, listings):
    text, (_, _, dtype) = listings(form, bits), form.rpartition("-")
    assert masked_stores(text) == [], "a choice of what to store: see intrinsics.as_read"
    own = set(re.findall(r"^([\w.]+):", text, flags=re.M))
    assert set(re.findall(r"\bcall\S*\s+([^\s@]+)", text)) <= own | MEMORY_FUNCTIONS, (
        "calls something"
    )
    frames = [int(size) for size in re.findall(r"\bsubq\s+\$(\d+), %rsp", text)]
    assert sum(frames) <= threads.STACK_BYTES - (1 << 17), "threads have less stack"
    loops = vectorised_loops(text)
    assert not Counter(SCALAR.findall("".join(loops.values()))), (
        "a vectorised loop computes one number at a time"
    )
    if form in FORMULAS:
        whole = [body for name, body in loops.items() if name.startswith("vector.body")]
        instruction = (
            rf"v?(?:(?:xor|and)p[sd]|[a-z]+\d*p{LETTER[dtype]})" if dtype in LETTER else "vp[a-z]+"
        )
        if form.startswith("loops.where_gradient"):  # all it does is to choose
            instruction = rf"(?:{instruction}|v?pandn?)"
        if form.startswith(("loops.isinf", "loops.signbit")):  # bits are compared
            instruction = "vp[a-z]+"
        if form.startswith("loops.bitwise"):  # instructions for floats do as well
            instruction = "vp?(?:and|or|xor|tern)[a-z]+"
        if form == "loops.absolute-u1":  # a copy
            instruction = "vmov[a-z]+"
        arithmetic = rf"\b{instruction}\s.*%{REGISTER[bits]}\d"
        assert whole, "no loop is vectorised"
        assert all(re.search(arithmetic, body) for body in whole), "a loop does not fill registers"
        assert MASKED_STORE.findall(text) == []
        # Numba makes int64 of a difference of two int32, which halved log's speed.
        assert dtype != "f4" or not WIDENED.search(text), "float32 is not computed in 32 bits"


@ON_X86_64
@pytest.mark.parametrize("bits", PROCESSORS)
@pytest.mark.parametrize("form", ["f4", "f8"])
def test_a_masked_store_is_found(form, bits, listings):
    assert masked_stores(listings(form, bits))


def test_formulas_are_derived():
    """From the kernels there are; a change of names that left them out would be noticed here."""
    some = {
        "loops.exp",
        "loops.tanh_gradient",
        "loops.divide_gradient_y",
        "updates.sgd_momentum",
        "updates.check_finite",
    }
    assert {f"{name}-{dtype}" for name in some for dtype in ("f4", "f8")} <= set(FORMULAS)
    assert set(OTHERS) <= set(FORMS)


# ---- single instructions


def assembly(kernel, dtype):
    from fastnn.compile.backend import optimised

    machine, module = optimised(kernel, dtype, "entry", processor())
    return machine.emit_assembly(module)


def _sixteen(x, y):
    for i in range(16):
        y[i] = x[i] + y[i]


@ON_X86_64
def test_a_short_loop_of_known_length_is_vectorised():
    text = assembly(kernel(x="T[n]", y="inout T[n]")(_sixteen), "f4")
    assert re.search(r"\bv?addps\s", text)
    assert not re.search(r"\bv?addss\s", text)


@ON_X86_64
@pytest.mark.parametrize(("bits", "present"), [(512, True), (256, False)])
@pytest.mark.parametrize(
    ("form", "with_it", "instead"),
    [
        ("updates.adam-f4", "vrcp14ps", "vdivps"),
        ("updates.adam-f8", "vrcp14pd", "vdivpd"),
        ("updates.rmsprop-f4", "vrcp14ps", "vdivps"),
        ("loops.exp-f4", "vscalefps", "vpslld"),
        ("loops.exp-f8", "vscalefpd", "vpsllq"),
        ("loops.tanh-f4", "vperm[it]2ps", "vdivps"),
        ("loops.log-f4", "vgetmantps", "vpsrad"),
        ("softmax.softmax-f4", "vscalefps", "vpslld"),
    ],
)
def test_instructions_of_avx_512_are_used_in_whole_vectors(
    form, bits, present, with_it, instead, listings
):
    text = listings(form, bits)
    assert bool(re.search(rf"\b{with_it}\s.*%zmm", text)) == present
    assert bool(re.search(rf"\b{instead}\s.*%[xyz]mm", text)) != present


# ---- what is refused


def test_every_kernel_needs_nothing_but_the_memory_functions():
    for k in list(Kernel.known):
        for name in k.entries:
            code = current_cache().read(symbol_of(k, name))
            if code is not None:
                assert undefined_symbols(code) <= MEMORY_FUNCTIONS, k


def _sine(x, y):
    for i in range(x.size):
        y[i] = math.sin(x[i])


def _remainder(x, y):
    for i in range(x.size):
        y[i] = x[i] % T(3)


@pytest.mark.parametrize(("function", "symbol"), [(_sine, "sin"), (_remainder, "fmod")])
def test_a_kernel_that_would_call_the_c_library_is_refused(function, symbol):
    own = kernel(x="T[n]", y="out T[n]")(function)
    with pytest.raises(
        RuntimeError,
        match=rf"kernel {function.__name__} for f8 needs .*{symbol}.*must not raise, allocate or "
        "call",
    ):
        entry(own, "f8")


def test_a_kernel_split_by_what_no_array_has_or_without_a_range_is_refused():
    def in_parts(x, y, start, stop):
        y[start:stop] = x[start:stop]

    declared = {"x": "T[n]", "y": "out T[n]"}
    message = r"kernel in_parts: split by N, which no array has; they have \['n'\]"
    with pytest.raises(ValueError, match=message):
        kernel(split=[("N", 1)], **declared)(in_parts)
    with pytest.raises(ValueError, match="the grain of a split must be from 1 on; got 0"):
        kernel(split=[("n", 0)], **declared)(in_parts)
    for function, split in ((in_parts, []), (_sine, [("n", 1)])):
        with pytest.raises(ValueError, match=r"takes \('x', 'y'.*come start, stop"):
            kernel(split=split, **declared)(function)
