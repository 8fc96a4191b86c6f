"""Opcodes that access memory, and those between threads: how each is written as a call."""

import numpy as np

from .checks import CONSTANT, READ
from .dtypes import TYPES, UNSIGNED, size_of, u4
from .errors import Unsupported
from .parsing import vector
from .translate import name_of, opcode

SPACES = ("global", "shared", "const", "param")


def space_of(it):
    return next((s for s in (m.partition("::")[0] for m in it.modifiers) if s in SPACES), "generic")


@opcode("ld", "ldu", modifiers="global shared const param v2 v4")
def load(t, it):
    space, registers, dtype = space_of(it), vector(it.operands[0]), TYPES[it.type]
    size = size_of(it.type)
    if space == "param":
        name, _, offset = (part.strip() for part in it.operands[1].strip("[]").partition("+"))
        start = t.kernel.parameter_offsets[name] + int(offset or "0", 0)
        for n, register in enumerate(registers):
            found = f"wave.parameter({start + n * size}, {name_of(dtype)})"
            t.set(register, found, dtype)
        return
    address = t.address(it.operands[1])
    kind = CONSTANT if "nc" in it.modifiers else READ
    loaded = t.variable(
        f"load(wave, lanes, n, {space!r}, {address}, {size}, {len(registers)}, {it.number}, {kind})"
    )
    for n, register in enumerate(registers):
        view = "" if dtype is UNSIGNED[size] else f".view({name_of(dtype)})"
        t.set(register, f"{loaded}[{n}]{view}", dtype)


@opcode("st", modifiers="global shared v2 v4")
def store(t, it):
    size = size_of(it.type)
    values = "".join(f"{v}, " for v in t.read_all(vector(it.operands[1]), f"b{8 * size}"))
    address = t.address(it.operands[0])
    t.lines.append(
        f"store(wave, lanes, n, {space_of(it)!r}, {address}, {size}, ({values}), {it.number})"
    )


OPERATIONS = ("add", "min", "max", "and", "or", "xor", "exch", "cas")


@opcode("atom", "red", modifiers=f"global shared {' '.join(OPERATIONS)}")
def atomic(t, it):
    """`atom` returns what stood there before, `red` nothing."""
    returns = it.opcode == "atom"
    place, *given = it.operands[1:] if returns else it.operands
    values = "".join(f"{v}, " for v in t.read_all(given, it.type))
    call = (
        f"atomic(wave, lanes, n, {space_of(it)!r}, {it.one_of(*OPERATIONS)!r}, "
        f"{t.address(place)}, {name_of(TYPES[it.type])}, ({values}), {it.number})"
    )
    if returns:
        t.set(it.operands[0], call, TYPES[it.type])
    else:
        t.lines.append(call)


@opcode("cp", modifiers="async ca cg shared global commit_group wait_group wait_all")
def copy(t, it):
    if "commit_group" in it.modifiers:
        t.lines.append("copies.commit(wave, lanes)")
    elif "wait_group" in it.modifiers or "wait_all" in it.modifiers:
        keep = int(it.operands[0], 0) if it.operands else -1
        t.lines.append(f"copies.wait(wave, lanes, {keep}, {it.number})")
    else:
        to, source = t.address(it.operands[0]), t.address(it.operands[1])
        size = int(it.operands[2], 0)
        valid = t.read(it.operands[3], "u32") if len(it.operands) > 3 else f"uint32({size})"
        t.lines.append(
            f"copies.begin(wave, lanes, n, {to}, {source}, {size}, {valid}, {it.number})"
        )


# ---- between threads


@opcode("shfl", modifiers="sync up down bfly idx")
def shuffle(t, it):
    mode = it.one_of("up", "down", "bfly", "idx")
    x, *rest = t.read(it.operands[1], "b32"), *t.read_all(it.operands[2:5], "u32")
    names = it.operands[0].split("|")
    found = t.variable(
        f"warps.shuffle(wave, lanes, n, {mode!r}, {x}, {', '.join(rest)}, {it.number})"
    )
    t.set(names[0], f"{found}[0]", u4)
    if len(names) > 1:
        t.set(names[1], f"{found}[1]", np.bool_)


@opcode("vote", modifiers="sync all any uni ballot")
def vote(t, it):
    mode = it.one_of("all", "any", "uni", "ballot")
    x, mask = t.read(it.operands[1], "pred"), t.read(it.operands[2], "u32")
    found = f"warps.vote(wave, lanes, n, {mode!r}, {x}, {mask}, {it.number})"
    t.set(it.operands[0], found, u4 if mode == "ballot" else np.bool_)


@opcode("bar", "barrier", modifiers="warp sync")
def warp_barrier(t, it):
    mask = t.read(it.operands[0], "u32")
    t.lines.append(f"warps.synchronise(wave, lanes, n, {mask}, {it.number})")


@opcode("membar", "fence", modifiers="gl sc proxy async")
def nothing(t, it):
    """The interpreter runs one instruction at a time, so that memory is always in order."""
    if "proxy" in it.modifiers:
        raise Unsupported(it.text)
