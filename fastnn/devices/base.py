"""What the programs of every device have in common."""

from functools import partial
from typing import Any

from fastnn.errors import IndexOutOfRange, kernel_error
from fastnn.tape.instruction import Instruction

FOREVER = 1 << 62  # steps


class StepFailed(Exception):
    """A kernel reported something: which instruction of which tape, and what. Nothing of that step
    was committed after it."""

    def __init__(self, tape: Any, instruction: Instruction, status: int):
        super().__init__(tape.name)
        self.tape, self.instruction, self.status = tape, instruction, status

    def error(self) -> Exception:
        """What to raise for it."""
        failed = self.instruction
        error = kernel_error(self.status, failed.name, failed.layer)
        if isinstance(error, IndexOutOfRange):
            return error.among(failed.indices, partial(self.tape.element, failed))
        return error
