"""PTX text, as LLVM writes it or a test by hand, into entry points and instructions."""

import re
from math import prod

import numpy as np

from .dtypes import TYPES, UNSIGNED, f4, f8, size_of
from .errors import PTXError, Unsupported

OPENING = re.compile(r"(?:([\w$]+)\s*:(?!:)|[{}])\s*")  # of a statement: labels and braces
ENTRY = re.compile(r"\.entry\s+([\w$]+)\s*\(([^)]*)\)([^{;]*)\{")
VARIABLE = re.compile(
    r"\.(shared|global|const)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)((?:\[\d+\])*)"
    r"\s*(?:=\s*([^;]*))?;"
)
PARAMETER = re.compile(r"\.param\s+\.(\w+)\s+([\w$]+)$")
NUMBER = re.compile(r"0[fF][0-9a-fA-F]{8}|0[dD][0-9a-fA-F]{16}|-?0x[0-9a-fA-F]+|-?\d+")


class Instruction:
    """`@predicate opcode.modifiers operands`; the predicate is (register, whether negated)."""

    def __init__(self, predicate, opcode, modifiers, operands, text):
        self.predicate, self.opcode, self.modifiers = predicate, opcode, modifiers
        self.operands, self.text = operands, text
        self.number = -1  # its place in the kernel
        # the last of its types: that of what it reads
        self.type = next((m for m in reversed(modifiers) if m in TYPES), None)

    def one_of(self, *choices):
        """Which of these modifiers it has."""
        return next((m for m in self.modifiers if m in choices), None)


class Variable:
    """Memory that a module or an entry point declares."""

    def __init__(self, space, align, kind, dimensions, initial):
        self.space = space
        self.bytes = size_of(kind) * prod(int(n) for n in re.findall(r"\d+", dimensions))
        self.align = int(align or size_of(kind))
        self.initial = None if initial is None else initial_bytes(initial, kind)


class Entry:
    """An entry point: its parameters, registers, variables, and a list of labels (strings) and
    instructions."""

    def __init__(self, name, parameters, required_threads):
        self.name, self.parameters = name, parameters  # (name, type)
        self.required_threads = required_threads  # of a block; None: any number
        self.registers, self.variables, self.body = {}, {}, []  # name -> type, Variable


def literal(text):
    """The value of a number: NumPy's float32 or float64 for `0f` and `0d`, else a whole one."""
    if text[:2] in ("0f", "0F"):
        return np.array([int(text[2:], 16)], np.uint32).view(f4)[0]
    if text[:2] in ("0d", "0D"):
        return np.array([int(text[2:], 16)], np.uint64).view(f8)[0]
    return int(text.rstrip("U"), 0)


def initial_bytes(text, kind):
    values = [literal(v) for v in NUMBER.findall(text)]
    size = size_of(kind)
    whole = [v if isinstance(v, int) else int(v.view(UNSIGNED[v.itemsize])) for v in values]
    return np.array([v % (1 << 8 * size) for v in whole], UNSIGNED[size]).view(np.uint8)


def split(text):
    """The parts between commas that no brackets enclose."""
    parts, depth, start = [], 0, 0
    for n, character in enumerate(text):
        depth += (character in "[{(") - (character in "]})")
        if character == "," and depth == 0:
            parts.append(text[start:n].strip())
            start = n + 1
    return [*parts, text[start:].strip()] if text[start:].strip() else parts


def vector(operand):
    """The registers of `{a, b}`, or the one that stands alone."""
    return split(operand[1:-1]) if operand.startswith("{") else [operand]


def parse(text, name=None):
    """The entry point of that name, or the only one, and its module's variables."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    if found := re.search(r"^\s*(\.extern|\.func|(?:\.\w+\s+)*\.func)\b.*", text, re.M):
        raise Unsupported(f"functions and what is defined elsewhere: {found[0].strip()}")
    entries, outside, end = {}, [], 0
    for match in ENTRY.finditer(text):
        outside.append(text[end : match.start()])
        end = match.end()
        depth = 1
        while depth:
            depth += (text[end] == "{") - (text[end] == "}")
            end += 1
        entries[match[1]] = (match, text[match.end() : end - 1])
    outside.append(text[end:])
    names = [n for n in entries if name in (None, n)]
    if len(names) != 1:
        raise PTXError(f"one kernel named {name}: there are {list(entries)}")
    match, body = entries[names[0]]
    required = re.search(r"\.reqntid\s+([\d,\s]+)", match[3])
    entry = Entry(
        names[0],
        [parameter(p) for p in split(match[2])],
        prod(int(n) for n in required[1].split(",")) if required else None,
    )
    for found in VARIABLE.finditer(" ".join(outside)):
        entry.variables[found[4]] = Variable(found[1], found[2], found[3], found[5], found[6])
    parse_body(entry, body)
    return entry


def parameter(text):
    plain = re.sub(r"\.ptr\b|\.(global|shared|const)\b|\.align\s+\d+", " ", text).strip()
    match = PARAMETER.match(re.sub(r"\s+", " ", plain))
    if not match or match[1] not in TYPES:
        raise Unsupported(f"parameter {text}")
    return match[2], match[1]


def parse_body(entry, body):
    names, scope, in_scope = {}, 0, False  # names: of the registers that a scope in braces declares
    for statement in body.split(";"):
        statement = " ".join(statement.split())
        while match := OPENING.match(statement):
            statement = statement[match.end() :]
            if match[1]:
                entry.body.append(match[1])
            else:
                names, scope, in_scope = {}, scope + 1, match[0][0] == "{"
        if not statement or statement.startswith(".pragma"):
            continue
        if statement.startswith(".reg"):
            if in_scope:
                names |= {n: f"{n}${scope}" for n in split(statement.split(None, 2)[2])}
            declare_registers(entry, renamed(statement, names))
        elif match := VARIABLE.match(statement + ";"):
            entry.variables[match[4]] = Variable(match[1], match[2], match[3], match[5], match[6])
        elif statement[0] == ".":
            raise Unsupported(f"not modelled: {statement}")
        else:
            entry.body.append(instruction(renamed(statement, names)))


def renamed(statement, names):
    return re.sub(r"[%\w$]+", lambda m: names.get(m[0], m[0]), statement) if names else statement


def declare_registers(entry, statement):
    kind, names = re.match(r"\.reg\s+\.(\w+)\s+(.*)", statement).groups()
    if kind not in TYPES:
        raise Unsupported(f"registers of type {kind}")
    for name in split(names):
        if numbered := re.match(r"([%\w$]+)<(\d+)>$", name):
            for n in range(int(numbered[2])):
                entry.registers[f"{numbered[1]}{n}"] = kind
        else:
            entry.registers[name] = kind


def instruction(statement):
    predicate, rest = None, statement
    if rest.startswith("@"):
        name, rest = rest[1:].split(None, 1)
        predicate = (name.lstrip("!"), name.startswith("!"))
    opcode, _, operands = rest.partition(" ")
    opcode, *modifiers = opcode.split(".")
    return Instruction(predicate, opcode, modifiers, split(operands), statement)
