"""Opcodes that compute: how each is written in NumPy."""

import numpy as np

from .dtypes import TYPES, UNSIGNED, held_as, is_float, size_of, u4, u8
from .errors import Unsupported
from .memory import SHARED_BASE
from .parsing import vector
from .translate import name_of, opcode

FLUSHING = {  # for .ftz
    "add": "floats.add_ftz({0}, {1})",
    "sub": "floats.sub_ftz({0}, {1})",
    "mul": "floats.mul_ftz({0}, {1})",
    "div": "floats.div_ftz({0}, {1})",
    "fma": "floats.fma_ftz({0}, {1}, {2})",
    "neg": "-floats.flush({0})",
    "abs": "np.abs(floats.flush({0}))",
    "min": "np.fmin(floats.flush({0}), floats.flush({1}))",
    "max": "np.fmax(floats.flush({0}), floats.flush({1}))",
    "rcp": "floats.div_ftz(float32(1), {0})",
    "sqrt": "np.sqrt(floats.flush({0}))",
}
FLOAT = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "fma": "floats.fma({0}, {1}, {2})",
    "neg": "-{0}",
    "abs": "np.abs({0})",
    "min": "np.fmin({0}, {1})",
    "max": "np.fmax({0}, {1})",
    "rcp": "1 / {0}",
    "sqrt": "np.sqrt({0})",
}
WHOLE = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "div": "integers.divide({0}, {1})",
    "neg": "-{0}",
    "abs": "np.abs({0})",
    "min": "np.minimum({0}, {1})",
    "max": "np.maximum({0}, {1})",
    "rem": "{0} - integers.divide({0}, {1}) * {1}",
}


def compute(t, it, form, kind=None, result=None):
    """The first operand = form(the others), which are of one type."""
    kind = kind or it.type
    values = t.read_all(it.operands[1:], kind)
    t.set(it.operands[0], form.format(*values), result or TYPES[kind])


@opcode(*WHOLE, *FLOAT, modifiers="rn ftz wide lo hi")
def arithmetic(t, it):
    kinds = set(it.modifiers) & {"wide", "lo", "hi"}
    if is_float(TYPES[it.type]):
        forms = FLUSHING if "ftz" in it.modifiers else FLOAT
        compute(t, it, forms[it.opcode])
    elif it.opcode == "mul":
        expression, dtype = product(t, it)
        t.set(it.operands[0], expression, dtype)
    elif kinds:
        raise Unsupported(it.text)
    else:
        compute(t, it, WHOLE[it.opcode])


def product(t, it):
    """A product of whole numbers, or half of it, and its type."""
    dtype, bytes_each = TYPES[it.type], size_of(it.type)
    x, y = t.read_all(it.operands[1:3], it.type)
    letter = np.dtype(dtype).kind
    if "wide" in it.modifiers:
        wide = np.dtype(f"{letter}{2 * bytes_each}")
        return f"{x}.astype({wide.name}) * {y}.astype({wide.name})", wide.type
    if "hi" in it.modifiers and bytes_each == 8:
        return f"integers.high_product_{'' if letter == 'i' else 'un'}signed({x}, {y})", dtype
    if "hi" in it.modifiers:
        wide = "int64" if letter == "i" else "uint64"
        both = f"{x}.astype({wide}) * {y}.astype({wide})"
        return f"(({both}) >> {wide}({8 * bytes_each})).astype({name_of(dtype)})", dtype
    return f"{x} * {y}", dtype


@opcode("mad", modifiers="lo hi wide")
def multiply_add(t, it):
    expression, dtype = product(t, it)
    kind = f"{'s' if np.dtype(dtype).kind == 'i' else 'u'}{8 * np.dtype(dtype).itemsize}"
    t.set(it.operands[0], f"{expression} + {t.read(it.operands[3], kind)}", dtype)


@opcode("copysign")
def copy_sign(t, it):
    compute(t, it, "np.copysign({1}, {0})")


# ---- bits


@opcode("and", "or", "xor", "not")
def bitwise(t, it):
    sign = {"and": "{0} & {1}", "or": "{0} | {1}", "xor": "{0} ^ {1}", "not": "~{0}"}[it.opcode]
    compute(t, it, sign)


@opcode("shl", "shr")
def shift(t, it):
    """By as many bits as the type has or more: nothing is left, or the sign."""
    x, n = t.read(it.operands[1], it.type), t.read(it.operands[2], "u32")
    sign = "<<" if it.opcode == "shl" else ">>"
    n = f"np.minimum({n}, uint32(64)).astype({name_of(TYPES[it.type])})"
    t.set(it.operands[0], f"{x} {sign} {n}", TYPES[it.type])


@opcode("shf", modifiers="l r wrap clamp")
def funnel_shift(t, it):
    left, wrap = "l" in it.modifiers, "wrap" in it.modifiers
    compute(t, it, f"integers.funnel_shift({{0}}, {{1}}, {{2}}, {left}, {wrap})", "u32")


@opcode("lop3")
def logic(t, it):
    values = ", ".join(t.read_all(it.operands[1:4], "b32"))
    table = int(it.operands[4], 0)
    t.set(it.operands[0], f"integers.logic({values}, {table})", u4)


@opcode("prmt")
def permute_bytes(t, it):
    compute(t, it, "integers.permute_bytes({0}, {1}, {2})", "b32")


@opcode("bfe")
def extract_bits(t, it):
    x = t.read(it.operands[1], it.type)
    start, count = t.read_all(it.operands[2:4], "u32")
    signed, bits = it.type[0] == "s", 8 * size_of(it.type)
    found = f"integers.extract_bits({x}, {start}, {count}, {signed}, {bits})"
    t.set(it.operands[0], found, TYPES[it.type])


@opcode("bfi")
def insert_bits(t, it):
    x, y = t.read_all(it.operands[1:3], it.type)
    start, count = t.read_all(it.operands[3:5], "u32")
    found = f"integers.insert_bits({x}, {y}, {start}, {count}, {8 * size_of(it.type)})"
    t.set(it.operands[0], found, TYPES[it.type])


@opcode("popc", "clz")
def count_bits(t, it):
    form = "np.bitwise_count({0}).astype(uint32)"
    if it.opcode == "clz":
        form = f"integers.leading_zeros({{0}}, {8 * size_of(it.type)}).astype(uint32)"
    compute(t, it, form, result=u4)


@opcode("brev")
def reverse_bits(t, it):
    compute(t, it, f"integers.reverse_bits({{0}}, {8 * size_of(it.type)})")


# ---- moves, comparisons, conversions


@opcode("mov")
def move(t, it):
    to, source = it.operands
    whole = UNSIGNED[size_of(it.type)] if it.type != "pred" else np.bool_
    if to.startswith("{"):
        parts, x = vector(to), t.read(source, f"b{8 * size_of(it.type)}")
        part = UNSIGNED[size_of(it.type) // len(parts)]
        bits = 8 * np.dtype(part).itemsize
        for n, register in enumerate(parts):
            shifted = f"({x} >> {name_of(whole)}({bits * n})).astype({name_of(part)})"
            t.set(register, shifted, part)
    elif source.startswith("{"):
        parts = vector(source)
        bits = 8 * size_of(it.type) // len(parts)
        words = [
            f"({t.read(p, f'b{bits}')}.astype({name_of(whole)}) << {name_of(whole)}({bits * n}))"
            for n, p in enumerate(parts)
        ]
        t.set(to, " | ".join(words), whole)
    elif source in t.registers and it.type != "pred":
        held = held_as(t.registers[source])  # as it is: no view
        t.set(to, t.get(source, held), held)
    else:
        t.set(to, t.read(source, it.type), TYPES[it.type])


@opcode("selp")
def select(t, it):
    to, yes, no, condition = it.operands
    values = ", ".join([t.read(condition, "pred"), *t.read_all([yes, no], it.type)])
    t.set(to, f"np.where({values})", TYPES[it.type])


ORDERS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
UNSIGNED_ORDERS = {"lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
COMPARISONS = [*ORDERS, *UNSIGNED_ORDERS, *[f"{c}u" for c in ORDERS], "num", "nan"]


def comparison(t, it):
    order = it.modifiers[0]
    kind = f"u{it.type[1:]}" if order in UNSIGNED_ORDERS else it.type
    x, y = t.read_all(it.operands[1:3], kind)
    if "ftz" in it.modifiers:
        x, y = (t.variable(f"floats.flush({v})") for v in (x, y))
    if not is_float(TYPES[kind]):
        return f"{x} {(ORDERS | UNSIGNED_ORDERS)[order]} {y}"
    unordered = f"np.isnan({x}) | np.isnan({y})"
    if order in ("num", "nan"):
        return f"~({unordered})" if order == "num" else unordered
    if order == "ne":  # unlike NumPy's: false if one is NaN
        return f"({x} != {y}) & ~({unordered})"
    if order in ORDERS:
        return f"{x} {ORDERS[order]} {y}"
    if order == "neu":
        return f"{x} != {y}"
    return f"({x} {ORDERS[order[:2]]} {y}) | {unordered}"


@opcode("setp", modifiers=f"{' '.join(COMPARISONS)} ftz and or xor")
def set_predicate(t, it):
    found = t.variable(comparison(t, it))
    sign = {"and": "&", "or": "|", "xor": "^", None: ""}[it.one_of("and", "or", "xor")]
    with_other = f" {sign} {t.read(it.operands[3], 'pred')}" if sign else ""
    names = it.operands[0].split("|")
    t.set(names[0], found + with_other, np.bool_)
    if len(names) > 1:
        t.set(names[1], f"~{found}{with_other}", np.bool_)


CLASSES = {
    "finite": "np.isfinite({0})",
    "infinite": "np.isinf({0})",
    "number": "~np.isnan({0})",
    "notanumber": "np.isnan({0})",
}


@opcode("testp", modifiers=" ".join(CLASSES))
def test_class(t, it):
    compute(t, it, CLASSES[it.modifiers[0]], result=np.bool_)


ROUNDED = {"rni": "np.rint", "rzi": "np.trunc", "rmi": "np.floor", "rpi": "np.ceil"}


@opcode("cvt", modifiers=f"rn ftz {' '.join(ROUNDED)}")
def convert(t, it):
    to, source = (m for m in it.modifiers if m in TYPES)
    x, dtype = t.read(it.operands[1], source), TYPES[to]
    rounding, flushes = it.one_of(*ROUNDED), "ftz" in it.modifiers
    if flushes and source == "f32":
        x = f"floats.flush({x})"
    if not is_float(TYPES[source]):
        found = f"{x}.astype({name_of(dtype)})"
    elif not is_float(dtype):
        found = f"integers.from_float({x}, {name_of(dtype)}, {rounding!r})"
    else:
        found = f"{x}.astype({name_of(dtype)})"
        found = f"{ROUNDED[rounding]}({found})" if rounding else found
        if flushes and to == "f32" != source:
            found = f"floats.flush({found})"
    t.set(it.operands[0], found, dtype)


@opcode("cvta", modifiers="to global shared const")
def convert_address(t, it):
    """Between an address of a space and a generic one; those of global memory are the same."""
    x = t.read(it.operands[1], "u64")
    if "shared" in it.modifiers:
        x = f"{x} {'-' if 'to' in it.modifiers else '+'} {t.constant(u8(SHARED_BASE))}"
    t.set(it.operands[0], x, u8)
