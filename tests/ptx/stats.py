"""What a launch executed and how it used memory."""

from collections import Counter

from .checks import SECTOR

REQUESTS, USEFUL, SECTORS, WAVEFRONTS, IDEAL = range(5)  # of an instruction's counters


class Stats:
    """Of one launch. `kinds` picks instructions: "ld", "st", "atom"."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.block_runs = Counter()  # basic block -> threads that executed it
        self.block_steps = Counter()  # basic block -> times that the interpreter did
        self.accesses = {}  # instruction -> (space, kind, counters)
        self.threads = 0

    def opcode_counts(self):
        """How often each opcode was executed, by all threads together."""
        counts = Counter()
        for block, times in self.block_runs.items():
            for opcode, n in self.kernel.block_opcodes[block].items():
                counts[opcode] += n * times
        return counts

    def coverage(self):
        """(executed, all) basic blocks, and the first instruction of each that was not."""
        blocks = [n for n, block in enumerate(self.kernel.blocks) if block]
        missed = [n for n in blocks if not self.block_runs[n]]
        texts = [self.kernel.blocks[n][0].text for n in missed]
        return len(blocks) - len(missed), len(blocks), texts

    def count(self, instruction, space, kind, *counts):
        if instruction not in self.accesses:
            self.accesses[instruction] = (space, kind, [0] * 5)
        counters = self.accesses[instruction][2]
        for n, number in zip((REQUESTS, *counted(space)), counts, strict=True):
            counters[n] += number

    def total(self, space, counter, kinds=None):
        return sum(
            counters[counter]
            for where, kind, counters in self.accesses.values()
            if where == space and (kinds is None or kind in kinds)
        )

    def global_sectors(self, kinds=None):
        return self.total("global", SECTORS, kinds)

    def global_efficiency(self, kinds=None):
        """Useful bytes over those of the sectors moved: 1 if neighbours read neighbours."""
        moved = SECTOR * self.global_sectors(kinds)
        return self.total("global", USEFUL, kinds) / moved if moved else 1.0

    def bank_conflict_factor(self, kinds=None):
        """Wavefronts of shared memory over those without conflicts: 1 if there are none."""
        ideal = self.total("shared", IDEAL, kinds)
        return self.total("shared", WAVEFRONTS, kinds) / ideal if ideal else 1.0

    def report(self):
        executed, blocks, _ = self.coverage()
        total = sum(self.opcode_counts().values())
        lines = [f"{self.threads} threads, {total} instructions, blocks {executed}/{blocks}"]
        for instruction in sorted(self.accesses):
            space, _, n = self.accesses[instruction]
            if space == "global":
                efficiency = n[USEFUL] / (SECTOR * n[SECTORS])
                how = f"{n[SECTORS] / n[REQUESTS]:.2f} sectors each, efficiency {efficiency:.2f}"
            else:
                how = f"bank conflict factor {n[WAVEFRONTS] / n[IDEAL]:.2f}"
            text = self.kernel.instructions[instruction].text
            lines.append(f"  {text}: {n[REQUESTS]} requests of a warp, {how}")
        return "\n".join(lines)


def counted(space):
    return (USEFUL, SECTORS) if space == "global" else (WAVEFRONTS, IDEAL)
