"""How many processors cgroup CPU quotas leave."""

import pytest

from fastnn.devices import quota

PROCESSORS = quota.allowed().number
V1, V2 = "cgroup cgroup rw,cpu,cpuacct", "cgroup2 cgroup2 rw"


@pytest.mark.parametrize(
    ("group", "mounted", "kind", "files", "expected"),
    [
        ("0::/", "/", V2, {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", "/", V2, {"cpu.max": "max 100000"}, None),
        ("0::/", "/", V2, {}, None),
        ("0::/", "/", V2, {"cpu.max": "nonsense"}, None),
        (
            "0::/a/b",
            "/",
            V2,
            {"a/b/cpu.max": "max 100000", "a/cpu.max": "400000 100000", "cpu.max": "max 100000"},
            4,
        ),
        ("0::/a/b", "/", V2, {"a/b/cpu.max": "200000 100000", "a/cpu.max": "400000 100000"}, 2),
        ("0::/pod/c", "/pod/c", V2, {"cpu.max": "50000 100000"}, 0.5),
        ("0::/../other", "/", V2, {"cpu.max": "300000 100000"}, 3),
        (
            "3:cpu,cpuacct:/",
            "/",
            V1,
            {"cpu.cfs_quota_us": "250000", "cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (
            "3:cpu,cpuacct:/",
            "/",
            V1,
            {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"},
            None,
        ),
        (
            "3:cpu:/docker/x",
            "/docker/x",
            V1,
            {"cpu.cfs_quota_us": "100000", "cpu.cfs_period_us": "50000"},
            2,
        ),
        ("4:memory:/", "/", V1, {"cpu.cfs_quota_us": "100000", "cpu.cfs_period_us": "50000"}, None),
    ],
)
def test_cgroup_cpu_quotas(group, mounted, kind, files, expected, tmp_path):
    place = tmp_path / "sys/fs/cgroup/cpu"
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{text}\n")
    own = tmp_path / "proc/self"
    own.mkdir(parents=True)
    (own / "cgroup").write_text(f"9:name=systemd:/\n{group}\n")
    (own / "mountinfo").write_text(
        f"22 28 0:20 / /proc rw - proc proc rw\n33 28 0:30 {mounted} /sys/fs/cgroup/cpu rw "
        f"shared:9 - {kind}\n"
    )
    assert quota.quota(tmp_path) == expected


def test_a_system_without_cgroups_has_no_quota(tmp_path):
    assert quota.quota(tmp_path) is None


@pytest.mark.parametrize(("processors", "count"), [(0.5, 1), (1.0, 1), (1.9, 1)])
def test_a_quota_allows_whole_processors(processors, count, monkeypatch):
    monkeypatch.setattr(quota, "quota", lambda: processors)
    assert quota.allowed().number == count
    if PROCESSORS > 1:
        assert quota.allowed().reason == f"a quota of {processors:g} processors"
