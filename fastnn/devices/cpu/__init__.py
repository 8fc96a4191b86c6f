"""Where kernels run: memory, object code, threads. FASTNN_INTERPRET=1 puts interpreted kernels in
place of compiled ones."""

import os

INTERPRETED = os.environ.get("FASTNN_INTERPRET", "") not in ("", "0")

if INTERPRETED:
    from . import interpreter as backend
else:
    from . import native as backend  # type: ignore[no-redef]

entry, call_once, replay = backend.entry, backend.call_once, backend.replay
