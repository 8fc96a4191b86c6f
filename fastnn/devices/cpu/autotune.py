"""How long native code runs before Python looks again, and on how many threads."""

import math
import time
from collections.abc import Generator
from typing import Any, TypeAlias

# seconds: Ctrl-C and progress wait no longer, and what Python does in between is lost in it
SLICE = 0.1
# the same for a second after another thread has waited; to wake it takes a hundredth of a slice
SHORT_SLICE, HURRY = 0.01, 1.0
TRIAL = 0.0003  # a slice so long tells how fast a number of threads is
LONG = 0.001  # a step so long is a trial by itself
FIRST = 0.003  # the first slice after trials: in shorter ones threads do little but wake up
# where one trial finds one of them so many times faster, that settles it; else another is made
CLEAR = 1.5
# seconds that one costs at the least, with what threads then fetch from each other; a bare one
# takes 5e-8
BARRIER = 1.5e-7
# seconds till the threads are looked at again, ten times as long after each look
FIRST_WAIT, LONGEST_WAIT = 0.03, 5.0
SHARE = 0.03  # of the time that looking may take

Slice: TypeAlias = tuple[int, int, float]
Took: TypeAlias = tuple[float, float]


class Pace:
    """Runs a program in slices; chooses their length and the number of threads, one or all, by what
    the last ones took.

    Threads are timed, on steps that train as well as any others. What a step takes on one thread
    could be told beforehand from its flops, bytes and calls, but the first steps tell it better;
    what it takes on several depends on where the system has put the threads (a barrier was seen to
    cost 50 ns, 350, and on one processor 3 us), on whose cache the data lies in, and on what else
    runs: a trial of 0.3 ms knows all that. Bits do not depend on it.

    program: has `n_threads` and, in a step, so many `barriers` on the average: where they alone
    cost more than all threads could save, one thread it is.
    """

    def __init__(self, program: Any):
        self.program, self.all_threads, self.barriers = program, program.n_threads, program.barriers
        # of the slices to come; how long they are short
        self.length, self.hurries_until = SLICE, 0.0
        self._course = self._slices()
        self.n_threads, self.steps, self.limit = next(self._course)

    def run(self, epochs: int, steps: int) -> int:
        """Run the program's next slice, of at most `steps` steps, when it is its turn; returns how
        many were done."""
        turn = self.program.turn
        done = turn.run(self._run, epochs, steps)
        if turn.waiting:
            self.length, self.hurries_until = SHORT_SLICE, time.perf_counter() + HURRY
        elif self.length < SLICE and time.perf_counter() > self.hurries_until:
            self.length = SLICE
        return done

    def _run(self, epochs, steps):
        program = self.program
        whole, before, start = steps >= self.steps, program.work(), time.perf_counter()
        program.run(epochs, min(steps, self.steps), self.n_threads, self.limit)
        seconds = time.perf_counter() - start
        # Where a callback cuts slices short, waking the threads for each is part of what they cost.
        each = (program.seconds_each(before) if whole else 0.0) or seconds / max(
            program.work() - before, 1e-9
        )
        self.n_threads, self.steps, self.limit = self._course.send((each, seconds))
        return program.done

    # Generators of the next slice's threads, steps and seconds at most, which are sent what a mean
    # step of it and all of it took.

    def _slices(self) -> Generator[Slice, Took, None]:
        steps, spent, each = 1, 0.0, 0.0
        while spent < TRIAL:
            each, seconds = yield 1, steps, SLICE
            steps, spent = max(4 * steps, round(TRIAL / each)), spent + seconds
        wait = FIRST_WAIT
        while True:
            n_threads, one, looking = 1, each, 0.0
            if self.all_threads > 1 and self.barriers * BARRIER < one * (1 - 1 / self.all_threads):
                start = time.perf_counter()
                n_threads, one = yield from self._look(one)
                looking = time.perf_counter() - start
            each, disappointed = yield from self._stay(n_threads, one, max(wait, looking / SHARE))
            wait = FIRST_WAIT if disappointed else min(10 * wait, LONGEST_WAIT)

    def _look(self, one: float) -> Generator[Slice, Took, tuple[int, float]]:
        """Time all threads against one. The number to take, and what a step takes on one thread."""
        many, steps = math.inf, 1 + math.ceil(TRIAL / one) if one < LONG else 1
        for _ in range(2):
            each, _seconds = yield self.all_threads, steps, 2 * steps * one
            many = min(many, each)
            if one > LONG or many > CLEAR * one:
                break
            each, _seconds = yield 1, steps, SLICE
            one = min(one, each)
            if CLEAR * many < one:
                break
        return self.all_threads if many < one else 1, one

    def _stay(
        self, n_threads: int, one: float, wait: float
    ) -> Generator[Slice, Took, tuple[float, bool]]:
        """So many threads for `wait` seconds, but one from when all take longer than one did. What
        a step took on one, and whether that happened."""
        steps, spent, disappointed = (
            max(1, min(max(4, round(FIRST / one)), round(SLICE / one))),
            0.0,
            False,
        )
        while spent < wait:
            each, seconds = yield n_threads, steps, max(2 * SLICE, 2 * steps * one)
            spent += seconds
            most = max(1, round(min(self.length, wait) / each))
            if n_threads == 1:
                one, steps = each, most
            else:
                steps = min(4 * steps, most)
                if each > one:
                    n_threads, disappointed = 1, True
        return one, disappointed
