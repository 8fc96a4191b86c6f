"""What a kernel can report: a code in the low eight bits, and above them the lowest place (row,
element) it is true of.

A kernel raises nothing. It works on with a harmless value and returns the status; the replay loop
keeps the lowest instruction's, Python turns it into the error. The lowest place wins, so that a
message does not depend on how threads divided the work.
"""

from .declare import helper

OK, INDEX_OUT_OF_RANGE, NOT_FINITE, UPDATE_OVERFLOW = 0, 1, 2, 3
CODE_BITS = 8


@helper
def lowest_place(status, code, place):
    """The status with the lower place, of one there is already (0 for none) and a new one."""
    found = code | place << CODE_BITS
    return found if status == 0 or found < status else status
