"""Basic blocks as Python functions, whose statements are NumPy's expressions over threads.

A block becomes `block(wave, lanes, n)`: `lanes` are the positions of its n threads in the wave, or
None for all of them; what it returns says where they go next (schedule.py). A value that is the
same for all threads stays a NumPy scalar.
"""

import re

import numpy as np

from . import copies, floats, integers, warps
from .access import atomic, load, store
from .blocks import LEAVES, is_block_barrier
from .dtypes import TYPES, UNSIGNED, bits_of, held_as, i8, is_float, size_of
from .errors import PTXError, Unsupported
from .parsing import NUMBER, literal

SPECIAL = re.compile(r"%(?:(?:tid|ntid|ctaid|nctaid)\.[xyz]|laneid|warpid|nwarpid)$")
ADDRESS = re.compile(r"\[\s*([%\w$]+)\s*(?:\+\s*(-?\w+))?\s*\]$")
DTYPES = {np.dtype(t).name: t for t in (*TYPES.values(), np.float32, np.float64)}

OPCODES = {}  # opcode -> (what writes it, the modifiers that it may have)
# Hints, and orders of memory that the interpreter keeps anyhow: it runs one instruction at a time.
IGNORED = {"relaxed", "acquire", "release", "acq_rel", "volatile", "weak", "nc"}
IGNORED |= {"sys", "gpu", "cta", "cluster", "L1", "L2"}


def opcode(*names, modifiers=""):
    """What follows writes instructions of these names, with no other modifiers than types and
    these: `write(translator, instruction)`."""

    def add(write):
        OPCODES.update(dict.fromkeys(names, (write, set(modifiers.split()))))
        return write

    return add


def name_of(dtype):
    return np.dtype(dtype).name


class Translator:
    """Writes the blocks of a kernel; `lines` are the statements of the one at hand."""

    def __init__(self, kernel):
        self.kernel, self.registers = kernel, kernel.entry.registers
        self.constants, self.names = {}, {}  # name -> value, and the reverse
        self.lines, self.variables = [], 0
        self.values = {}  # register -> {NumPy type: variable that holds it so}

    # ---- operands

    def constant(self, value):
        """The name of a NumPy scalar."""
        key = type(value), value.tobytes()
        if key not in self.names:
            self.names[key] = f"constant_{len(self.names)}"
            self.constants[self.names[key]] = value
        return self.names[key]

    def variable(self, expression):
        self.variables += 1
        self.lines.append(f"v{self.variables} = {expression}")
        return f"v{self.variables}"

    def get(self, register, dtype):
        """The variable that holds a register as `dtype`: its bits, or the lowest of them."""
        known = self.values.setdefault(register, {})
        if dtype in known:
            return known[dtype]
        if not known:
            held = held_as(self.registers[register])
            number = self.kernel.register_number(register)
            known[held] = self.variable(f"wave.get({number}, lanes)")
            return self.get(register, dtype)
        source, name = next(iter(known.items()))
        if np.bool_ in (source, dtype):
            raise Unsupported(f"predicate {register} used as a number")
        have, want = np.dtype(source).itemsize, np.dtype(dtype).itemsize
        if have == want:
            known[dtype] = self.variable(f"{name}.view({name_of(dtype)})")
            return known[dtype]
        bits = self.get(register, UNSIGNED[have])
        part = self.variable(f"{bits}.astype({name_of(UNSIGNED[want])})")
        return part if dtype is UNSIGNED[want] else self.variable(f"{part}.view({name_of(dtype)})")

    def set(self, register, expression, dtype):
        """Give a register the value of an expression of `dtype`; a narrower one is extended."""
        if register == "_":
            return
        if register not in self.registers:
            raise Unsupported(f"register {register}")
        have, want = np.dtype(dtype).itemsize, size_of(self.registers[register])
        if dtype is not np.bool_ and have < want:
            if is_float(dtype):
                expression, dtype = f"({expression}).view({name_of(UNSIGNED[have])})", np.uint8
            dtype = np.dtype(f"{'i' if np.dtype(dtype).kind == 'i' else 'u'}{want}").type
            expression = f"({expression}).astype({name_of(dtype)})"
        self.values[register] = {dtype: self.variable(expression)}

    def read(self, operand, kind):
        """The name of an operand's value as a PTX type."""
        dtype = TYPES[kind]
        if operand in self.registers:
            return self.get(operand, dtype)
        if operand[0] == "!" and operand[1:] in self.registers:
            return self.variable(f"~{self.get(operand[1:], np.bool_)}")
        if SPECIAL.match(operand):
            return self.variable(f"wave.special({operand[1:]!r}, lanes).astype({name_of(dtype)})")
        if operand in ("true", "false"):
            return self.constant(np.bool_(operand == "true"))
        if NUMBER.fullmatch(operand.rstrip("U")):
            return self.constant(number(literal(operand), dtype))
        address = self.kernel.address_of(operand)
        if address is None:
            raise Unsupported(f"operand {operand}")
        return self.constant(bits_of(address, dtype))

    def read_all(self, operands, kind):
        return [self.read(operand, kind) for operand in operands]

    def address(self, operand):
        """The name of the address that `[register + number]` means."""
        match = ADDRESS.match(operand)
        if not match:
            raise Unsupported(f"address {operand}")
        base, offset = match[1], int(match[2] or "0", 0)
        if base not in self.registers:
            known = self.kernel.address_of(base)
            start = int(base, 0) if known is None else known
            return self.constant(i8(start + offset))
        if size_of(self.registers[base]) == 8:
            start = self.get(base, i8)
        else:
            start = self.get(base, UNSIGNED[size_of(self.registers[base])]) + ".astype(int64)"
        return self.variable(f"{start} + {self.constant(i8(offset))}" if offset else start)

    # ---- blocks

    def emit(self, it):
        """Write one instruction."""
        write, allowed = OPCODES.get(it.opcode, (None, set()))
        if write is None:
            raise Unsupported("the opcode is not modelled")
        modifiers = {m.partition("::")[0] for m in it.modifiers}
        if unknown := modifiers - allowed - IGNORED - set(TYPES):
            raise Unsupported(f".{', .'.join(sorted(unknown))} is not modelled")
        write(self, it)

    def leave(self, n, it):
        """The return statement of an instruction that ends block n, or None."""
        targets = {"bra": lambda: self.kernel.labels[it.operands[0]]}
        if it.opcode in LEAVES or it.opcode == "bra":
            target = targets.get(it.opcode, lambda: -1)()
            if not it.predicate:
                return f"return {target}"
            name, negated = it.predicate
            ways = (n + 1, target) if negated else (target, n + 1)
            return f"return branch({self.get(name, np.bool_)}, {ways[0]}, {ways[1]})"
        if it.opcode == "trap":
            return f"raise PTXError('trap: ' + wave.where(lanes, 0, {it.number}))"
        if is_block_barrier(it):
            allowed = {"sync", "aligned", "cta"}
            if len(it.operands) > 1 or not set(it.modifiers) <= allowed:
                raise Unsupported("a barrier of part of a block, or with a result")
            return f"return (None, {n + 1}, {it.number})"
        return None

    def block(self, n, block, live):
        """The source of block n; `live` are the registers that it writes and others read."""
        self.lines, self.values, ret = [], {}, f"return {n + 1}"
        for it in block:
            try:
                left = self.leave(n, it)
                if left is None:
                    self.emit(it)
                else:
                    ret = left
            except (Unsupported, KeyError, IndexError) as error:
                # Raised only if it is executed.
                self.values, live = {}, ()
                ret = f"raise Unsupported({f'{it.text}: {error}'!r})"
                break
        for register in sorted(live):
            value = self.get(register, held_as(self.registers[register]))
            self.lines.append(f"wave.put({self.kernel.register_number(register)}, lanes, {value})")
        body = "".join(f"    {line}\n" for line in (*self.lines, ret))
        return f"def block_{n}(wave, lanes, n):\n{body}"


def number(value, dtype):
    """A literal as a NumPy scalar: a float in a register without a type is its bits, and so is a
    whole number where a float is read."""
    kind = np.dtype(dtype).kind
    if isinstance(value, int):
        return np.bool_(value) if kind == "b" else bits_of(value, dtype)
    if kind == "f":
        return dtype(value)
    return bits_of(int(value.view(UNSIGNED[value.itemsize])), dtype)


def branch(condition, target, following):
    """Where threads go: a block's number, or (condition, where it is true, where not)."""
    if condition.ndim == 0:
        return target if condition else following
    n = np.count_nonzero(condition)
    if n == condition.size:
        return target
    return following if n == 0 else (condition, target, following)


def compiled(kernel, live):
    """The functions of a kernel's blocks."""
    from . import opcodes, opcodes_memory  # noqa: F401 - they fill OPCODES

    translator = Translator(kernel)
    source = "\n".join(translator.block(n, block, live[n]) for n, block in enumerate(kernel.blocks))
    namespace = {
        "np": np,
        "branch": branch,
        "atomic": atomic,
        "load": load,
        "store": store,
        "copies": copies,
        "floats": floats,
        "integers": integers,
        "warps": warps,
        "PTXError": PTXError,
        "Unsupported": Unsupported,
        **DTYPES,
        **translator.constants,
    }
    exec(compile(source, f"<PTX of {kernel.name}>", "exec"), namespace)
    return source, [namespace[f"block_{n}"] for n in range(len(kernel.blocks))]
