"""What CUDA kernels compile to: the PTX of every kernel and element type, for two architectures,
and the machine code that NVIDIA's assembler makes of it.

`make test` looks at the PTX of one kernel of each family; `make slow` at all.
"""

import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from fastnn.compile import ptx
from fastnn.devices.cpu import INTERPRETED, threads
from fastnn.kernels.cuda.grid import thread_index
from fastnn.kernels.declare import ELEMENTS, FLOATS, T, kernel
from fastnn.kernels.intrinsics import stack_array

from . import budgets, machine_code
from .listings import ARCHITECTURES, FORMS, intrinsics, listings_of

pytestmark = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")

# Of each family the first kernel: of one in float32 for the older architecture, of the next in
# float64 for the newer.
FIRST = {form.partition(".")[0]: form.rpartition("-")[0] for form in sorted(FORMS, reverse=True)}
IN_MINUTES = [
    (f"{form}-{FLOATS[n % 2]}", ARCHITECTURES[n % 2])
    for n, form in enumerate(form for form in FIRST.values() if f"{form}-f4" in FORMS)
]
ALL = [(form, architecture) for form in FORMS for architecture in ARCHITECTURES]
LISTINGS = [
    pytest.param(*which, marks=() if which in IN_MINUTES else pytest.mark.slow) for which in ALL
]
MAX_SHARED_BYTES = 48 << 10  # of a block, which every GPU has without being asked
REGISTERS = 1 << 16  # of a multiprocessor, which a block must find free

# In PTX: what rounds, and what takes or gives denormal numbers; and in machine code.
ROUNDED = ("add", "sub", "mul", "fma", "div", "sqrt", "rcp")
FLUSHED = (*ROUNDED, "abs", "neg", "min", "max", "setp", "set")
# 16 bytes at once: the intrinsics that ask for it, and the instructions that they become
LOAD, STORE, COPY = (
    r"ld\.global(?:\.nc)?\.v[24]\.\w+",
    r"st\.global\.v[24]\.\w+",
    r"cp\.async\.cg\..*",
)
LOAD_SHARED = r"ld\.shared\.v[24]\.\w+"
# what the kernel says it takes element by element in this type, though its other type does not
ONE_BY_ONE = [
    "scatter.scatter_add_rows-f8",
    # reads C only where it is added to
    *[f for f in FORMS if f.startswith("gemm.batch_gemm") and f.endswith("-f8")],
]
AT_ONCE = {
    "load_four": f"{LOAD}|{LOAD_SHARED}",
    "store_four": STORE,
    "load_vector": LOAD,
    "store_vector": STORE,
    "copy_vector": COPY,
    "multiply": LOAD_SHARED,
}
MACHINE_CODE = {
    LOAD: r"LDG\.E\.128.*",
    LOAD_SHARED: r"LDS.*\.128.*",
    STORE: r"STG\.E\.128.*",
    COPY: r"LDGSTS\..*128.*",
}


@pytest.fixture(scope="module")
def listings(request):
    """What forms compile to, made by as many processes as there may be threads: ahead, for the
    tests that will be run."""
    wanted: dict[str, set[str]] = {}
    for item in request.session.items:
        given = item.callspec.params if hasattr(item, "callspec") else {}
        if item.path == request.path and "form" in given:
            architecture = given.get("architecture", usual(given["form"]))
            wanted.setdefault(given["form"], set()).add(architecture)
    with ProcessPoolExecutor(threads.allowed().number, get_context("spawn")) as processes:
        made = {f: processes.submit(listings_of, f, sorted(a)) for f, a in wanted.items()}
        yield lambda form, architecture: made[form].result()[architecture]


def usual(form):
    """The architecture for which `make test` compiles it."""
    return ARCHITECTURES[form.endswith("f8")]


def item_bytes(form):
    """Of an element."""
    return ELEMENTS[FORMS[form][1]].bytes


def count(instructions, pattern):
    return sum(n for i, n in instructions.items() if re.fullmatch(pattern, i))


@pytest.mark.parametrize(("form", "architecture"), LISTINGS)
def test_ptx(form, architecture, listings):
    found = listings(form, architecture)
    assert f".target {architecture}" in found.text
    assert not re.search(r"\.(?:local|func|extern)\b", found.text)
    instructions = found.instructions()
    floats = [i.split(".") for i in instructions if re.search(r"\.f(?:32|64)\b", i)]
    assert not [i for i in floats if {"approx", "full"} & set(i)], "not rounded as IEEE has it"
    assert not [i for i in floats if i[0] in ROUNDED and "rn" not in i], "ptxas may contract it"
    assert count(instructions, r"fma\.rn\..*") == found.fused, "LLVM has contracted something"
    assert not [
        i
        for i in floats
        if "f32" in i
        and "ftz" not in i
        and (i[0] in FLUSHED or (i[0] == "cvt" and i[-1][0] == "f"))
    ], "denormal numbers are not flushed, as they are on the CPU"
    if item_bytes(form) > 1 and form not in ONE_BY_ONE:  # else four are one word
        for intrinsic in intrinsics(form) & AT_ONCE.keys():
            assert count(instructions, AT_ONCE[intrinsic]), f"{intrinsic} was taken apart"


POINTWISE = [
    form
    for form in FORMS
    if form.startswith("loops.") and "load_four" in intrinsics(form) and item_bytes(form) > 1
]


@pytest.mark.parametrize(
    "form",
    [pytest.param(f, marks=() if f in dict(IN_MINUTES) else pytest.mark.slow) for f in POINTWISE],
)
def test_a_pointwise_kernel_loads_and_stores_four_elements_of_each_array(form, listings):
    kernel, _ = FORMS[form]
    instructions = listings(form, usual(form)).instructions()
    arrays = [p for p in kernel.parameters if p.dtype == "T"]
    each = item_bytes(form) // 4 * (1 + kernel.batched)  # of each entry point
    assert count(instructions, LOAD) == each * len([p for p in arrays if p.read])
    assert count(instructions, STORE) == each * len([p for p in arrays if p.written])


@pytest.mark.slow
@pytest.mark.skipif(
    bool(machine_code.missing()), reason=f"to be installed: {', '.join(machine_code.missing())}"
)
@pytest.mark.parametrize(("form", "architecture"), ALL)
def test_machine_code(form, architecture, listings):
    text, fused = found = listings(form, architecture)
    code = machine_code.assembled(text, architecture)
    assert code.spilled_bytes == 0
    assert code.stack_bytes == 0
    assert form in budgets.budgets(), "python -m tests.cuda.budgets writes the table"
    budget = budgets.budgets()[form]
    assert code.registers <= budget.registers[ARCHITECTURES.index(architecture)]
    assert code.shared_bytes <= budget.shared_bytes <= MAX_SHARED_BYTES
    assert code.registers * FORMS[form][0].threads <= REGISTERS
    for in_ptx, pattern in MACHINE_CODE.items():
        assert code.count(pattern) >= count(found.instructions(), in_ptx)
    assert not fused or code.count(r"[FD]FMA.*")


@pytest.mark.slow
def test_the_table_of_budgets_has_every_kernel_and_no_other():
    assert set(budgets.budgets()) == set(FORMS), "python -m tests.cuda.budgets writes it"


def test_forms_are_derived():
    """From the kernels there are; a change of names that left them out would be noticed here."""
    assert {f"loops.{name}-{t}" for name in ("exp", "tanh_gradient") for t in FLOATS} <= {*FORMS}
    assert {f"loops.{name}-f4" for name in ("exp", "add")} <= {*POINTWISE}
    assert len(IN_MINUTES) > 0.8 * len(FIRST)


# ---- what is refused


def _indexed(x):
    values, i = stack_array(T(0), 4), thread_index()
    values[i % 4] = x[i]
    x[i] = values[x.size % 4]


def _remainder(x):
    x[0] = x[0] % x[1]


@pytest.mark.parametrize(("function", "found"), [(_indexed, ".local"), (_remainder, ".extern")])
def test_memory_of_a_threads_own_and_calls_are_refused(function, found):
    with pytest.raises(RuntimeError, match=rf"its PTX has \{found}.*C library"):
        ptx.compile_kernel(kernel(threads=32, x="inout T[n]")(function), "f4", "x", "sm_80")
