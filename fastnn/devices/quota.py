"""How many processors this process may use, and who says so: affinity, and cgroup CPU quotas.

A quota is time, not processors: threads beyond it would all be stopped together for the rest of
each period, so only whole processors count.
"""

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Allowed(NamedTuple):
    number: int
    reason: str  # "affinity", "a quota of 1.5 processors"


def allowed() -> Allowed:
    """The processors this process may use now."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else installed()
    limit = quota()
    if limit is not None and limit < count:
        return Allowed(max(1, int(limit)), f"a quota of {limit:g} processors")
    return Allowed(count, "affinity" if count < installed() else "the machine")


@cache
def installed() -> int:
    """The machine's processors."""
    return os.cpu_count() or 1


@cache
def quota(root: Path = Path("/")) -> float | None:
    """The smallest CPU quota of this process's cgroups and those around them, in processors; None:
    there is none. Read once: it seldom changes. `root`: where to look for /proc and what it names,
    for tests."""
    try:
        own = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:  # not Linux
        return None
    found = [
        limit
        for group in (line.split(":", 2) for line in own)
        for mount in (_Mount.of(line) for line in mounts)
        if mount.carries(group[1])
        for folder in mount.folders(root, group[2])
        if (limit := _limit(folder)) is not None
    ]
    return min(found, default=None)


class _Mount(NamedTuple):
    """A mounted hierarchy of cgroups."""

    group: str  # the cgroup that is mounted
    place: str  # and where
    kind: str  # "cgroup2" or "cgroup"; anything else is no such mount
    controllers: list[str]

    @classmethod
    def of(cls, line: str) -> "_Mount":
        # "33 28 0:30 /group /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct"
        before, _, after = line.partition(" - ")
        kind, _, options = [*after.split(), "", "", ""][:3]
        group, place = before.split()[3:5]
        return cls(group, place, kind, options.split(","))

    def carries(self, controllers):
        """Whether it is the hierarchy of a line of /proc/self/cgroup; version 2 has one, without
        controllers' names."""
        if not controllers:
            return self.kind == "cgroup2"
        return (
            self.kind == "cgroup" and "cpu" in controllers.split(",") and "cpu" in self.controllers
        )

    def folders(self, root, group):
        """The cgroup's folder and those around it, as far as they are mounted here."""
        top = root / self.place.lstrip("/")
        inner = os.path.relpath(group, self.group)
        # outside of what is mounted: a container's own view
        folder = top if inner.startswith("..") else top / inner
        return [folder, *[p for p in folder.parents if p == top or top in p.parents]]


def _limit(folder):
    """What a cgroup's files say, version 2 or 1, in processors."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((folder / n).read_text() for n in names).split()
            return None if quota in ("max", "-1") else int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return None
