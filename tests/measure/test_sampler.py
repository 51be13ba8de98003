"""What is seen of a process tree from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.measure import sampler as sampling
from pytest_tfmem.measure.sampler import MOST_POINTS, Sampler, Samples, descendants

MIB = 1 << 20

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
trees = st.lists(st.integers(0, 1 << 40), min_size=1, max_size=3000)


def samples_of(sizes):
    samples = Samples(0.02)
    for index, size in enumerate(sizes):
        samples.add(float(index), own_peak=size, anon=size // 2, tree=size)
    return samples


@given(st.integers(1, 5000), st.randoms(use_true_random=False))
def test_a_timeline_never_has_more_than_200_points_and_keeps_the_maximum(count, random):
    sizes = [random.randrange(1 << 40) for _ in range(count)]
    timeline = samples_of(sizes).timeline()
    assert len(timeline.seconds) == len(timeline.rss_tree_bytes) <= MOST_POINTS
    assert max(timeline.rss_tree_bytes) == max(sizes)


@given(trees)
def test_each_point_is_the_most_of_its_stretch_of_time(sizes):
    timeline = samples_of(sizes).timeline()
    begins = [int(second) for second in timeline.seconds]
    ends = [*begins[1:], len(sizes)]
    stretches = [sizes[begin:end] for begin, end in zip(begins, ends, strict=True)]
    assert begins[0] == 0
    assert timeline.rss_tree_bytes == [max(stretch) for stretch in stretches]


@pytest.mark.parametrize(("count", "points"), [(1, 1), (200, 200), (201, 101), (400, 200), (401, 101), (5000, 157)])
def test_points_are_merged_in_pairs_when_there_are_too_many(count, points):
    assert len(samples_of([1] * count).timeline().seconds) == points


def test_nothing_seen_is_no_timeline():
    assert Samples(0.02).timeline() is None


@given(trees, trees)
def test_what_was_held_before_setup_is_no_peak_of_the_test(before, during):
    samples = samples_of(before)
    samples.setup_begins(7)
    for size in during:
        samples.add(1.0, own_peak=size, anon=size // 2, tree=size + 1)
    assert (samples.before_setup, samples.count) == (7, len(during))
    assert (samples.own_peak, samples.anon_peak, samples.tree_peak) == (max(during), max(during) // 2, max(during) + 1)


def test_what_is_held_after_teardown_is_drawn_and_not_counted():
    samples = samples_of([5])
    samples.teardown_is_over()
    samples.add(1.0, own_peak=9, anon=9, tree=9)
    assert (samples.count, samples.own_peak, samples.anon_peak, samples.tree_peak) == (1, 5, 2, 5)
    assert samples.timeline().rss_tree_bytes == [5, 9]


def test_anonymous_memory_that_no_sample_told_is_not_zero():
    samples = Samples(0.02)
    samples.add(0.0, own_peak=5, anon=None, tree=5)
    assert samples.anon_peak is None


@pytest.mark.parametrize(("seconds", "shown"), [(0.02, "20 ms"), (0.0005, "0.5 ms"), (2.0, "2000 ms")])
def test_the_source_names_the_interval_that_is_stretched_when_it_has_to_be(seconds, shown):
    assert Samples(seconds).source == f"process tree read every {shown} at best"


@linux
def test_descendants_are_found_whichever_thread_forked_them(child):
    forked = child("""
children = []
def fork():
    children.append(subprocess.Popen([sys.executable, "-c", '''
import subprocess, sys
inner = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"])
print(inner.pid, flush=True)
sys.stdin.read()
'''], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    grandchildren.append(int(children[-1].stdout.readline()))
    forked.set()
    done.wait()
grandchildren, forked, done = [], threading.Event(), threading.Event()
threading.Thread(target=fork, daemon=True).start()
forked.wait()
tell([children[0].pid, grandchildren[0]])
sys.stdin.read()
""")
    expected = forked.told()
    assert sorted(descendants(forked.pid)) == sorted(expected)


@linux
def test_a_process_that_has_ended_has_no_descendants(child):
    ended = child("")
    ended.end()
    assert descendants(ended.pid) == []


@linux
def test_the_tree_holds_what_its_descendants_hold(child):
    holding = child(f"""
before = read_marks(since_reset=False).rss
held = holder({64 * MIB})
tell(before)
sys.stdin.read()
""")
    own = holding.told()
    sampler = Sampler(holding.pid, 0.02)
    sampler.sample()
    assert sampler.samples.own_peak < own + 8 * MIB
    assert sampler.samples.tree_peak >= own + 64 * MIB


@linux
def test_a_sample_sees_a_spike_that_was_over_before_it(child):
    spiking = child(
        f"reset_peak(); touched({64 * MIB}).close(); tell(read_marks(since_reset=True).rss); sys.stdin.read()"
    )
    resident = spiking.told()
    sampler = Sampler(spiking.pid, 0.02)
    sampler.sample()
    assert sampler.samples.own_peak > resident + 63 * MIB
    assert sampler.samples.tree_peak < resident + 8 * MIB
    assert sampler.samples.anon_peak < resident


@linux
def test_a_killed_process_keeps_its_last_sample(child):
    killed = child(f"held = touched({64 * MIB}); tell(0); sys.stdin.read()")
    killed.told()
    sampler = Sampler(killed.pid, 0.02)
    sampler.sample()
    seen = vars(sampler.samples).copy()
    killed.kill()
    sampler.sample()
    assert vars(sampler.samples) == seen
    assert seen["own_peak"] > 64 * MIB


@linux
def test_a_process_that_is_dead_and_not_yet_reaped_adds_nothing(child):
    zombie = child("")
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    sampler = Sampler(zombie.pid, 0.02)
    sampler.sample()
    assert sampler.samples.count == 0


class CostlyTree:
    """Takes a known time of the processor to read."""

    def __init__(self, cpu_seconds):
        self.cpu_seconds = cpu_seconds

    def read(self):
        began = time.thread_time()
        while time.thread_time() - began < self.cpu_seconds:
            pass
        return 1, 1, 1


def test_the_interval_is_stretched_so_that_sampling_takes_under_one_percent():
    sampler = Sampler(os.getpid(), 0.02)
    sampler._tree = CostlyTree(0.005)
    began = time.monotonic()
    sampler.sample()
    assert sampler.wait_seconds() + time.monotonic() - began >= 0.5


def test_what_it_costs_to_wake_up_counts_as_sampling():
    sampler = Sampler(os.getpid(), 0.02)
    sampler._tree = CostlyTree(0)
    began = time.monotonic()
    sampler.wait_seconds()
    CostlyTree(0.005).read()
    sampler.sample_if_due()
    assert sampler.wait_seconds() + time.monotonic() - began >= 0.5


def test_a_cheap_sample_does_not_stretch_the_interval():
    sampler = Sampler(os.getpid(), 30.0)
    sampler._tree = CostlyTree(0)
    sampler.sample()
    assert 29.0 < sampler.wait_seconds() <= 30.0


def test_a_sample_is_taken_when_it_is_due_and_not_before():
    sampler = Sampler(os.getpid(), 3600.0)
    sampler._tree = CostlyTree(0)
    assert sampler.wait_seconds() == 0.0
    for _ in range(3):
        sampler.sample_if_due()
    assert sampler.samples.count == 1


def test_where_there_is_no_proc_the_tree_is_read_by_psutil(child, monkeypatch):
    monkeypatch.setattr(sampling, "HAS_PROC", False)
    holding = child(f"""
held = holder({64 * MIB})
tell(read_marks(since_reset=False).rss)
sys.stdin.read()
""")
    own = holding.told()
    sampler = Sampler(holding.pid, 0.02)
    sampler.sample()
    assert own - MIB < sampler.samples.own_peak < own + 8 * MIB
    assert sampler.samples.tree_peak >= own + 64 * MIB
    assert sampler.samples.anon_peak is None
    seen = vars(sampler.samples).copy()
    holding.kill()
    sampler.sample()
    assert vars(sampler.samples) == seen


def test_where_there_is_no_proc_a_process_that_never_was_adds_nothing(child, monkeypatch):
    monkeypatch.setattr(sampling, "HAS_PROC", False)
    ended = child("")
    ended.end()
    sampler = Sampler(ended.pid, 0.02)
    sampler.sample()
    assert sampler.samples.count == 0


@linux
def test_loading_the_sampler_loads_no_psutil():
    script = "import sys, pytest_tfmem.measure.sampler; print('psutil' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )
