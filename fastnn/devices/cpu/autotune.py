"""How long native code runs before Python looks again, and on how many threads."""

import math
import time
from collections.abc import Generator
from typing import Any, TypeAlias

# Ctrl-C and progress wait no longer, and what Python does in between is lost in it
SLICE_SECONDS = 0.1
# the same for a second after another thread has waited: waking it takes a hundredth of a slice
SHORT_SLICE_SECONDS, SHORT_SLICES_FOR_SECONDS = 0.01, 1.0
MIN_PROBE_SECONDS = 0.0003  # a slice so long tells how fast a number of threads is
PROBE_STEP_MIN_SECONDS = 0.001  # a step so long is a probe by itself
FIRST_SLICE_SECONDS = 0.003  # after a probe: in shorter ones threads do little but wake up
CLEAR_RATIO = 1.5  # one probe that finds such a difference settles it; else another is made
# of a barrier, at the least, with what threads then load from each other's caches; a bare one takes
# 5e-8
MIN_BARRIER_SECONDS = 1.5e-7
# till threads are probed again, ten times as long after each probe
FIRST_HOLD_SECONDS, MAX_HOLD_SECONDS = 0.03, 5.0
MAX_PROBE_FRACTION = 0.03  # of all time that probes may take

Slice: TypeAlias = tuple[int, int, float]  # threads, steps, seconds at most
Measured: TypeAlias = tuple[float, float]  # seconds of a mean step, of the whole slice


class Autotuner:
    """Runs a program in slices; chooses their length and the number of threads, one or all, by what
    the last ones took.

    Numbers of threads are probed on steps that train as well as any others. What a step takes on
    one thread could be told beforehand from its flops, bytes and calls, but the first steps tell it
    better; what it takes on several depends on where the system has put the threads (a barrier was
    seen to cost 50 ns, 350, and on one processor 3 us), on whose cache the data lies in, and on
    what else runs: a probe of 0.3 ms knows all that. Bits do not depend on it.

    program: has `n_threads` and, in a mean step, so many `barriers`: where these alone cost more
    than all threads could save, it stays on one.
    """

    def __init__(self, program: Any):
        self.program, self.all_threads, self.barriers = program, program.n_threads, program.barriers
        self.length, self.short_until = SLICE_SECONDS, 0.0  # of the slices to come
        self.done, self.seconds = 0, 0.0  # of a slice that comes in parts, as batches do
        self._course = self._slices()
        self.n_threads, self.steps, self.limit = next(self._course)

    def run(self, epochs: int, steps: int) -> int:
        """Run the program's next slice, of at most `steps` steps, when it is its turn; returns how
        many were done."""
        turn = self.program.turn
        done = turn.run(self._run, epochs, steps)
        if turn.waiting:
            self.length = SHORT_SLICE_SECONDS
            self.short_until = time.perf_counter() + SHORT_SLICES_FOR_SECONDS
        elif self.length < SLICE_SECONDS and time.perf_counter() > self.short_until:
            self.length = SLICE_SECONDS
        return done

    def _run(self, epochs, steps):
        program, earlier = self.program, self.done
        is_short = steps < self.steps - earlier and self.seconds < self.limit
        before, start = 0.0 if is_short else program.work(), time.perf_counter()
        program.run(epochs, min(steps, self.steps - earlier), self.n_threads, self.limit)
        done, seconds = program.done, self.seconds + time.perf_counter() - start
        if is_short:
            self.done, self.seconds = earlier + done, seconds
            return done
        each = 0.0 if earlier else program.seconds_each(before)
        if not each:
            # Where a callback cuts slices short, waking the threads is part of what each costs.
            work = (program.work() - before) * (earlier + done) / max(done, 1)
            each = seconds / max(work, 1e-9)
        self.n_threads, self.steps, self.limit = self._course.send((each, seconds))
        self.done, self.seconds = 0, 0.0
        return done

    # Generators of slices, which are sent what each took.

    def _slices(self) -> Generator[Slice, Measured, None]:
        steps, spent, each = 1, 0.0, 0.0
        while spent < MIN_PROBE_SECONDS:
            each, seconds = yield 1, steps, SLICE_SECONDS
            steps, spent = max(4 * steps, round(MIN_PROBE_SECONDS / each)), spent + seconds
        hold = FIRST_HOLD_SECONDS
        while True:
            n_threads, one, probing = 1, each, 0.0
            most_saved = one * (1 - 1 / self.all_threads)
            if self.all_threads > 1 and self.barriers * MIN_BARRIER_SECONDS < most_saved:
                start = time.perf_counter()
                n_threads, one = yield from self._probe(one)
                probing = time.perf_counter() - start
            seconds = max(hold, probing / MAX_PROBE_FRACTION)
            each, regressed = yield from self._hold(n_threads, one, seconds)
            hold = FIRST_HOLD_SECONDS if regressed else min(10 * hold, MAX_HOLD_SECONDS)

    def _probe(self, one: float) -> Generator[Slice, Measured, tuple[int, float]]:
        """Time all threads against one. The number to take, and what a step takes on one thread."""
        is_short = one < PROBE_STEP_MIN_SECONDS
        many, steps = math.inf, 1 + math.ceil(MIN_PROBE_SECONDS / one) if is_short else 1
        for _ in range(2):
            each, _seconds = yield self.all_threads, steps, 2 * steps * one
            many = min(many, each)
            if one > PROBE_STEP_MIN_SECONDS or many > CLEAR_RATIO * one:
                break
            each, _seconds = yield 1, steps, SLICE_SECONDS
            one = min(one, each)
            if CLEAR_RATIO * many < one:
                break
        return self.all_threads if many < one else 1, one

    def _hold(
        self, n_threads: int, one: float, hold: float
    ) -> Generator[Slice, Measured, tuple[float, bool]]:
        """So many threads for `hold` seconds, but one from when all take longer than one did. What
        a step took on one, and whether that happened."""
        steps = max(1, min(max(4, round(FIRST_SLICE_SECONDS / one)), round(SLICE_SECONDS / one)))
        spent, regressed = 0.0, False
        while spent < hold:
            each, seconds = yield n_threads, steps, max(2 * SLICE_SECONDS, 2 * steps * one)
            spent += seconds
            most = max(1, round(min(self.length, hold) / each))
            if n_threads == 1:
                one, steps = each, most
            else:
                steps = min(4 * steps, most)
                if each > one:
                    n_threads, regressed = 1, True
        return one, regressed
