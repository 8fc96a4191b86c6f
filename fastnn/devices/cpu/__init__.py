"""The CPU: memory, calls, threads, programs. FASTNN_INTERPRET=1 puts interpreted kernels in the
place of compiled ones."""

import os

INTERPRETED = os.environ.get("FASTNN_INTERPRET", "") not in ("", "0")

if INTERPRETED:
    from .interpreter import call_once, entries, entry, processor, replay, vector_bits
else:
    from fastnn.compile.object_code import vector_bits
    from fastnn.compile.target import processor

    from .calls import call_once, entries, entry, replay

__all__ = ["INTERPRETED", "call_once", "entries", "entry", "processor", "replay", "vector_bits"]
