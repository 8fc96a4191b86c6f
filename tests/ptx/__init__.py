"""Runs PTX on the CPU, with the checks that a GPU does not make: kernels are tested as they were
compiled, on machines that have no GPU.

    device = Device()
    x, y = device.to_device(np.arange(1000, dtype="f4")), device.empty(1000)
    stats = Kernel(text).launch(4, 256, [x, y, 1000])
    y.to_host()

A text is parsed (parsing.py) and cut into basic blocks (blocks.py), each of which becomes a Python
function whose statements are NumPy's, over many threads at once (translate.py, opcodes.py,
opcodes_memory.py, floats.py, integers.py). Threads stand at blocks; which go on is in schedule.py,
what they hold in wave.py.

Every access to memory (access.py, copies.py) is checked for bounds, alignment, memory that was
never written, and races (checks.py); every barrier, shuffle and vote (warps.py) for threads that
are not there. What is not modelled raises `Unsupported`, never less. Counted are the instructions,
the basic blocks reached, the sectors of global memory and the conflicts of shared memory's banks
(stats.py).

Not modelled: time, caches, memory that is seen late, calls, local memory, float16, tensor cores.
"""

from .errors import (
    BarrierDivergence,
    DataRace,
    Misaligned,
    OutOfBounds,
    PTXError,
    UninitialisedRead,
    Unsupported,
)
from .kernel import Kernel
from .memory import GLOBAL_BASE, Device, DeviceArray
from .stats import Stats
