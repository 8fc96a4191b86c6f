"""How long native code runs before Python looks again, and on how many lanes."""

SLICE = 0.1  # seconds: Ctrl-C and progress wait no longer, and what Python does in between is lost in it
TRIAL = 0.002  # a slice at least so long tells how fast a number of lanes is
TRIALS = 2  # slices for each number of lanes, of which the faster counts: other work comes and goes
LOOK_AGAIN = 50  # slices after which both are timed anew
BARRIER = 5e-8  # seconds that one costs at the least, where the lanes share a cache


class Pace:
    """Chooses the length of slices and the number of lanes by what the last ones took.

    Lanes are timed, one against all, because what a barrier costs depends on where the system has put the threads: the same tape
    was seen to take 17 and 55 us on two lanes. Bits do not depend on it.

    barriers: how many a step has, on the average; where they alone cost more than all lanes could save, one lane it is.
    """

    def __init__(self, lanes: int, barriers: float):
        self.all_lanes, self.barriers = lanes, barriers
        self.lanes, self.length = 1, 4
        self.slices = 0
        self.times: dict[int, list[float]] = {1: [], lanes: []}  # seconds a step in the trial that is on, by lanes
        self.trial_steps = 0  # how long a slice of a trial is; 0 outside one

    @property
    def steps(self) -> int:
        """How many steps the next slice has."""
        return self.trial_steps or self.length

    def took(self, steps: int, seconds: float) -> None:
        """What the last slice, `steps` long, took."""
        self.slices += 1
        each = seconds / steps
        if self.trial_steps:
            self._note(each)
        elif self.slices % LOOK_AGAIN == 2 and seconds < TRIAL:
            self.slices -= 1  # too short to tell; the next ones are longer
        elif self.slices % LOOK_AGAIN == 2 and self._worth_trying(each):
            self.trial_steps, self.lanes = max(1, round(TRIAL / each)), 1
            return
        if seconds < SLICE / 2 and steps == self.length:
            self.length *= 2 if seconds > SLICE / 8 else 4
        elif seconds > 2 * SLICE:
            self.length = max(1, self.length // 2)

    def _worth_trying(self, each):
        return self.all_lanes > 1 and self.barriers * BARRIER < each * (1 - 1 / self.all_lanes)

    def _note(self, each):
        self.times[self.lanes].append(each)
        one, many = self.times[1], self.times[self.all_lanes]
        self.lanes = self.all_lanes if len(many) < len(one) else 1
        if len(many) == TRIALS:
            self.lanes, self.trial_steps = self.all_lanes if min(many) < min(one) else 1, 0
            self.times = {1: [], self.all_lanes: []}
