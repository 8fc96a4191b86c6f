"""The guard against random numbers that a recorded step draws elsewhere than from fastnn."""

import ctypes
import sys
from types import ModuleType

import numpy as np

from fastnn.errors import RecordingError
from fastnn.tape.record import Recorder


class Generators:
    """Random generators that a function may draw from, and where they stood: a tape would repeat what they gave for ever."""

    def __init__(self, function):
        names, scope, types = function.__code__.co_names, function.__globals__, _generator_types()
        owners = [*[scope[n] for n in names if n in scope], *[c.cell_contents for c in function.__closure__ or ()]]
        owners += [v for o in owners if hasattr(o, "__dict__") and not isinstance(o, ModuleType) for v in vars(o).values()]
        self.found = [o for o in owners if isinstance(o, types)]
        self.function, self.before = function, self._states({})

    def _states(self, earlier):
        states = {id(g): repr(g.bit_generator.state) if hasattr(g, "bit_generator") else _state_of(g) for g in self.found}
        if "random" in sys.modules:
            states["random"] = sys.modules["random"].getstate()
        if "numpy.random" in sys.modules:
            states["numpy.random"] = _numpys_state(earlier.get("numpy.random"))
        return states

    def expect_unchanged(self, again, name):
        """Raise, naming the line, if numbers were drawn. Only then is the function called again, to find the line."""
        start = self._states(self.before)
        if start == self.before:
            return
        place, previous = None, None

        def trace(frame, event, _):
            nonlocal place, previous
            if place is None and self._states(start) != start:
                place = previous
            previous = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with Recorder(name) as recorder:
                again()
            recorder.restore_gradients()
        finally:
            sys.settrace(before)
        raise RecordingError(
            f"{name} drew random numbers from Python's or NumPy's generators while it was recorded, at {place or previous}: every "
            "replay would use the same. Draw them from fastnn.random, or pass them as arguments."
        )


def _generator_types():
    numpy_random, python_random = sys.modules.get("numpy.random"), sys.modules.get("random")
    types = [numpy_random.Generator, numpy_random.RandomState] if numpy_random else []
    return (*types, python_random.Random) if python_random else tuple(types)


def _numpys_state(earlier):
    """Of the generator behind `numpy.random`: its words, and whether it holds back the second of two normal numbers. To be told
    takes 60 us, for each word becomes a number; read where they lie they take one. Without new words since `earlier`, when it was
    asked before, no number has come to be held back."""
    generator = np.random.get_bit_generator()
    if not isinstance(generator, np.random.MT19937):
        return repr(generator.state)
    words = ctypes.string_at(generator.ctypes.state_address, 4 * 625)  # 624 of them, and which is the next
    return earlier if earlier == (words, 0) else (words, np.random.get_state(legacy=False)["has_gauss"])


def _state_of(generator):
    if hasattr(generator, "getstate"):  # Python's
        return generator.getstate()
    state = generator.get_state()
    return repr(state) if not isinstance(state, tuple) else [v.tobytes() if hasattr(v, "tobytes") else v for v in state]
