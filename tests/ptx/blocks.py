"""Basic blocks, and which registers are still read after each."""

import re

from .parsing import Instruction

LEAVES = ("ret", "exit")
# What has no result: all its operands are read.
NO_RESULT = ("st", "red", "bra", "cp", "bar", "barrier", "trap", "membar", "fence", *LEAVES)
WORD = re.compile(r"[%\w$]+")


def is_block_barrier(instruction):
    return instruction.opcode in ("bar", "barrier") and "warp" not in instruction.modifiers


def ends_block(instruction):
    return instruction.opcode in ("bra", "trap", *LEAVES) or is_block_barrier(instruction)


def without_predicates(body):
    """Predicated instructions as short branches around them."""
    plain = []
    for n, it in enumerate(body):
        if isinstance(it, str) or not it.predicate or it.opcode in ("bra", *LEAVES):
            plain.append(it)
            continue
        name, negated = it.predicate
        label = f"$skip{n}"
        plain.append(Instruction((name, not negated), "bra", [], [label], it.text))
        plain.append(Instruction(None, it.opcode, it.modifiers, it.operands, it.text))
        plain.append(label)
    return plain


def basic_blocks(body):
    """The blocks (lists of instructions), and the block that each label stands before."""
    blocks, labels = [[]], {}
    for it in without_predicates(body):
        if isinstance(it, str):
            if blocks[-1]:
                blocks.append([])
            labels[it] = len(blocks) - 1
            continue
        blocks[-1].append(it)
        if ends_block(it):
            blocks.append([])
    return blocks, labels


def successors(blocks, labels):
    found = []
    for n, block in enumerate(blocks):
        last, following = (block[-1] if block else None), [n + 1]
        if last is not None and last.opcode == "bra":
            following = [labels[last.operands[0]]] + ([n + 1] if last.predicate else [])
        elif last is not None and last.opcode in ("trap", *LEAVES) and not last.predicate:
            following = []
        found.append([b for b in following if b < len(blocks)])
    return found


def registers_of(instruction, known):
    """The registers that it writes and those that it reads."""
    operands, written = list(instruction.operands), set()
    if instruction.opcode not in NO_RESULT and operands:
        written = {w for w in WORD.findall(operands.pop(0)) if w in known}
    read = {w for o in operands for w in WORD.findall(o) if w in known}
    if instruction.predicate:
        read.add(instruction.predicate[0])
    return written, read


def live_registers(blocks, following, known):
    """For each block the registers that it writes and that are read after it."""
    uses, writes = [], []
    for block in blocks:
        use, write = set(), set()
        for it in block:
            written, read = registers_of(it, known)
            use |= read - write
            write |= written
        uses.append(use)
        writes.append(write)
    before = [set() for _ in blocks]
    after = [set() for _ in blocks]
    changed = True
    while changed:
        changed = False
        for n in reversed(range(len(blocks))):
            after[n] = set().union(*[before[s] for s in following[n]])
            needed = uses[n] | (after[n] - writes[n])
            if needed != before[n]:
                before[n], changed = needed, True
    return [a & w for a, w in zip(after, writes, strict=True)]
