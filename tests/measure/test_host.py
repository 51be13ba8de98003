"""Real counters of real processes, and what is made of them."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.measure import host
from pytest_tfmem.measure.host import parse_status, peak_error_bytes, read_marks, reset_peak

MIB = 1 << 20
SPIKE = 64 * MIB
NOISE = MIB  # what the interpreter itself may take between two readings

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own counters")
exact_kernel = pytest.mark.skipif(
    sys.platform != "linux" or host.linux_version() < (6, 17), reason="before Linux 6.17 VmRSS is itself approximate"
)


def marks_of(child, code):
    """What the child's readings before and after `code` say, with the first one's marks just reset."""
    script = f"""
was_reset = reset_peak()
before = read_marks(since_reset=was_reset)
{code}
after = read_marks(since_reset=was_reset)
tell([[m.peak, m.rss, m.file, m.shmem, m.error, m.exact_now, m.since_reset, m.source] for m in (before, after)])
"""
    before, after = child(script).told()
    names = ("peak", "rss", "file", "shmem", "error", "exact_now", "since_reset", "source")
    return dict(zip(names, before, strict=True)), dict(zip(names, after, strict=True))


@linux
def test_a_spike_that_is_freed_is_in_the_peak_within_the_stated_error(child):
    before, after = marks_of(child, f"touched({SPIKE}).close()")
    seen = after["peak"] - before["rss"]
    assert SPIKE - after["error"] <= seen <= SPIKE + NOISE
    assert after["rss"] - before["rss"] < NOISE


@linux
@pytest.mark.parametrize("size", [4 * MIB, 256 * MIB])
def test_a_spike_that_lasts_no_time_at_all_is_seen_all_the_same(child, size):
    before, after = marks_of(child, f"touched({size}).close()")
    assert size - after["error"] <= after["peak"] - before["rss"] <= size + NOISE


@linux
def test_a_spike_smaller_than_the_error_may_leave_the_marks_of_one_that_never_was(child):
    # Why no peak is called exact, not even one that equals what is still held.
    script = """
def seen():
    reset_peak()
    before = read_marks(since_reset=True)
    touched(64 << 10).close()
    after = read_marks(since_reset=True)
    return after.peak - before.rss, after.peak == after.rss, after.error

tell([seen() for _ in range(50)])
"""
    spikes = child(script).told()
    assert any(grown < (64 << 10) and still_held for grown, still_held, _ in spikes)
    assert all(grown + error >= (64 << 10) for grown, _, error in spikes)


@linux
def test_a_reset_forgets_what_was_before(child):
    before, after = marks_of(child, f"touched({SPIKE}).close(); reset_peak()")
    assert after["peak"] - before["rss"] < NOISE
    assert after["since_reset"] is True


@linux
def test_without_a_reset_the_mark_holds_what_was_before(child):
    peaks = child(f"""
touched({SPIKE}).close()
marks = read_marks(since_reset=False)
tell([marks.peak - marks.rss, marks.since_reset])
""").told()
    assert peaks[0] > SPIKE - MIB
    assert peaks[1] is False


@exact_kernel
def test_what_is_still_held_at_the_end_is_read_exactly(child):
    before, after = marks_of(child, f"held = touched({SPIKE})")
    assert after["peak"] == after["rss"]
    assert after["exact_now"] is True
    assert SPIKE <= after["rss"] - before["rss"] < SPIKE + NOISE


@linux
@pytest.mark.parametrize("size", [40 << 10, 200 << 10, 2 * MIB])
def test_a_spike_too_small_for_the_mark_is_missed_by_no_more_than_the_stated_error(child, size):
    before, after = marks_of(child, f"touched({size}).close()")
    assert after["peak"] - before["rss"] >= size - after["error"]


@linux
def test_a_kernel_that_counts_in_each_thread_has_no_error_that_can_be_stated():
    assert host._peak_error_bytes((5, 15), 2) is None
    assert host._peak_error_bytes((6, 1), 2) is None
    assert host._peak_error_bytes((6, 2), 2) == peak_error_bytes(os.cpu_count(), 2, os.sysconf("SC_PAGE_SIZE"))


@linux
def test_pages_of_a_mapped_file_are_counted_apart(child, tmp_path):
    (tmp_path / "weights").write_bytes(bytes(SPIKE))
    before, after = marks_of(
        child,
        f"""
with open({os.fspath(tmp_path / "weights")!r}, "rb") as file:
    held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
sum(held[::mmap.PAGESIZE])
""",
    )
    added = {name: after[name] - before[name] for name in ("peak", "file", "shmem")}
    assert added["peak"] >= SPIKE - after["error"]
    assert SPIKE <= added["file"] < SPIKE + NOISE
    assert added["peak"] - added["file"] - added["shmem"] < NOISE


@linux
def test_shared_pages_are_counted_apart(child):
    code = f'memory = os.memfd_create("shared"); os.ftruncate(memory, {SPIKE}); held = mmap.mmap(memory, {SPIKE})\n'
    before, after = marks_of(child, code + "for page in range(0, len(held), mmap.PAGESIZE): held[page] = 1")
    assert SPIKE <= after["shmem"] - before["shmem"] < SPIKE + NOISE


@linux
def test_the_peak_of_a_parent_is_not_its_childs(child):
    # ru_maxrss survives exec and would say 256 MiB and more.
    own, inherited = child(f"""
held = touched({256 * MIB})
asked = "import resource; from pytest_tfmem.measure.host import read_marks;" \\
    " print([read_marks(since_reset=False).peak, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024])"
tell(json.loads(subprocess.run([sys.executable, "-c", asked], stdout=subprocess.PIPE, check=True).stdout))
""").told()
    assert own < 128 * MIB < inherited


@linux
def test_the_threads_of_a_process_share_one_mark(child):
    before, after = marks_of(
        child,
        f"""
threads = [threading.Thread(target=lambda: touched({SPIKE // 4}).close()) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
""",
    )
    assert after["peak"] - before["rss"] >= SPIKE // 4 - after["error"]


@pytest.mark.parametrize(
    ("online", "allowed", "pages"),
    [(1, 1, 32), (2, 2, 2 * 32), (2, 1, 32), (16, 16, 16 * 32), (64, 64, 64 * 128), (64, 2, 2 * 128)],
)
def test_the_error_is_what_three_counters_hold_back_on_the_cpus_that_may_be_used(online, allowed, pages):
    assert peak_error_bytes(online, allowed, 4096) == 3 * pages * 4096


@linux
def test_a_process_pinned_to_one_cpu_has_the_smaller_error(child):
    error = child("os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); tell(read_marks(since_reset=True).error)")
    assert error.told() == peak_error_bytes(os.cpu_count(), 1, os.sysconf("SC_PAGE_SIZE"))


names = st.builds(str.__add__, st.sampled_from(["Vm", "Rss"]), st.text("HWMFileAnoShmem", max_size=8))


@given(st.dictionaries(names, st.integers(0, 1 << 40)))
def test_a_status_file_is_read_in_bytes(sizes):
    lines = "".join(f"{name}:\t{size:>8} kB\n" for name, size in sizes.items())
    status = f"Name:\tpython kB\nState:\tS (sleeping)\nThreads:\t7\n{lines}"
    assert parse_status(status.encode()) == {name: size * 1024 for name, size in sizes.items()}


def test_the_status_of_a_process_that_has_ended_holds_no_sizes():
    assert parse_status(b"") == {}
    assert parse_status(b"Name:\tpython\nState:\tZ (zombie)\nThreads:\t1\n") == {}


@pytest.mark.parametrize(
    "command",
    [b"x kB", b"a: 1 kB", b": kB", b"VmHWM: 9 kB", b"\rVmRSS: 9 kB"],
)
def test_a_process_may_call_itself_what_it_likes(command):
    status = b"Name:\t" + command + b"\nVmHWM:\t       8 kB\n"
    assert parse_status(status) == {"VmHWM": 8192}


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.18.44-fc-v669", (6, 18)),
        ("6.6.87.2-microsoft-standard-WSL2", (6, 6)),
        ("5.15.0-1092-azure", (5, 15)),
        ("6.17-rc3", (6, 17)),
        ("7", (7,)),
        ("custom", ()),
    ],
)
def test_a_kernels_version_is_read_from_its_release(monkeypatch, release, version):
    monkeypatch.setattr(host.platform, "release", lambda: release)
    assert host.linux_version() == version


def test_where_there_is_no_proc_the_peak_is_the_processs_own_since_it_began(monkeypatch):
    monkeypatch.setattr(host, "HAS_PROC", False)
    assert reset_peak() is False
    marks = read_marks(since_reset=True)
    assert marks.since_reset is False
    assert marks.source in {"ru_maxrss", "PeakWorkingSetSize"}
    assert marks.peak >= marks.rss > 0
    assert (marks.file, marks.shmem, marks.error, marks.exact_now) == (None, None, None, False)


@linux
def test_a_mark_that_cannot_be_reset_is_said_not_to_be(monkeypatch):
    def refuse(path, flags):
        raise PermissionError(path)

    monkeypatch.setattr(host.os, "open", refuse)
    assert reset_peak() is False
