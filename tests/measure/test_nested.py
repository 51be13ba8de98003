from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.measure.devices import AllocatorMarks, DeviceMarks, PoolMarks, joined
from pytest_tfmem.measure.marks import Marks
from pytest_tfmem.measure.nested import Nest


class Process:
    """Stands in for the kernel and an allocator: one high-water mark each of what is held, which can be reset."""

    def __init__(self):
        self.held = 1000
        self.peak = 1000
        self.on_device = 0
        self.device_peak = 0
        self.history = [1000]
        self.device_history = [0]

    def hold(self, size):
        self.held, self.on_device = size, size // 2
        self.peak, self.device_peak = max(self.peak, size), max(self.device_peak, size // 2)
        self.history.append(size)
        self.device_history.append(size // 2)


class Host:
    def __init__(self, process):
        self._process = process

    def reset(self):
        self._process.peak = self._process.held
        return True

    def read(self, *, since_reset):
        process = self._process
        return Marks(
            peak=process.peak,
            rss=process.held,
            file=0,
            shmem=0,
            error=0,
            exact_now=True,
            since_reset=since_reset,
            source="",
        )


class Devices:
    def __init__(self, process):
        self._process = process

    def reset(self):
        self._process.device_peak = self._process.on_device

    def read(self):
        marks = AllocatorMarks(
            framework="tensorflow",
            device="CPU:0",
            card="",
            allocator="cpu_bfc",
            in_use=self._process.on_device,
            peak=self._process.device_peak,
        )
        return DeviceMarks(allocators=[marks])


def nest_of(process):
    return Nest(Devices(process), Host(process))


def peaks(span):
    return span.end.peak, span.devices.allocators[0].peak


sizes = st.integers(0, 5000)
steps = st.lists(
    st.one_of(
        sizes.map(lambda size: ("hold", size)),
        st.just(("enter", 0)),
        st.integers(0, 9).map(lambda which: ("leave", which)),
        st.just(("look", 0)),
        st.just(("next phase", 0)),
    ),
    max_size=30,
)


@given(steps)
def test_each_section_and_each_phase_has_the_most_that_was_held_while_it_lasted(steps):
    process = Process()
    nest = nest_of(process)
    phase, began = nest.begin(), 0
    opened, found = [], []
    for step, number in [*steps, ("next phase", 0), *[("leave", 0)] * len(steps)]:
        now = len(process.history) - 1
        if step == "hold":
            process.hold(number)
        elif step == "enter":
            opened.append((nest.enter(), now))
        elif step == "leave" and opened:
            # Any of them, not only the last that was entered: as a section does that a generator holds.
            span, since = opened.pop(number % len(opened))
            with nest.leaving(span):
                pass
            found.append((span, since, now))
        elif step == "look":
            nest.look()
        elif step == "next phase":
            assert nest.end() is phase
            found.append((phase, began, now))
            phase, began = nest.begin(), now
    for span, first, last in found:
        assert peaks(span) == (
            max(process.history[first : last + 1]),
            max(process.device_history[first : last + 1]),
        )
        assert span.start.rss == process.history[first]
        assert span.end.rss == process.history[last]


def test_a_section_that_is_still_open_has_lasted_until_now_and_no_longer_once_it_is_left():
    nest = nest_of(Process())
    nest.begin()
    section = nest.enter()
    assert 0 < section.seconds < section.seconds
    with nest.leaving(section):
        pass
    lasted = section.seconds
    assert section.seconds == lasted


@given(st.lists(sizes, min_size=1, max_size=12), st.data())
def test_a_phase_reads_the_same_with_sections_in_it_as_without(held, data):
    plain, sectioned = Process(), Process()
    spans = []
    for process, with_sections in ((plain, False), (sectioned, True)):
        nest = nest_of(process)
        nest.begin()
        for size in held:
            if with_sections and data.draw(st.booleans()):
                section = nest.enter()
                process.hold(size)
                with nest.leaving(section):
                    pass
            else:
                process.hold(size)
        spans.append(nest.end())
    without, with_them = spans
    assert with_them.start == without.start
    assert with_them.end == without.end
    assert without.end.peak == max(plain.history)
    assert with_them.devices == without.devices


def test_a_phase_reads_its_devices_in_its_own_way_at_its_end():
    process = Process()
    nest = nest_of(process)
    nest.begin()
    assert nest.end(lambda: DeviceMarks(unread="profiled")).devices == DeviceMarks(unread="profiled")


def marks(device, **numbers):
    return AllocatorMarks(framework="tensorflow", device=device, card="", allocator="growth", **numbers)


def test_joined_marks_have_the_most_of_each_device_and_what_is_in_use_at_the_end():
    before = DeviceMarks(
        allocators=[marks("GPU:0", in_use=5, peak=9, reserved_peak=20), marks("GPU:1", peak=4)],
        pools=[PoolMarks(card="a", reserved_peak=7, used_peak=3)],
        problem="first",
    )
    after = DeviceMarks(
        allocators=[marks("GPU:0", in_use=2, peak=6, requested_peak=5), marks("GPU:2", peak=1)],
        pools=[PoolMarks(card="a", reserved_peak=6, used_peak=4)],
        unread="second",
    )
    assert joined(before, after) == DeviceMarks(
        allocators=[
            marks("GPU:0", in_use=2, peak=9, reserved_peak=20, requested_peak=5),
            marks("GPU:1", peak=4),
            marks("GPU:2", peak=1),
        ],
        pools=[PoolMarks(card="a", reserved_peak=7, used_peak=4)],
        problem="first",
        unread="second",
    )


def test_marks_that_have_no_numbers_any_more_leave_those_before_them():
    numbers, none = DeviceMarks(allocators=[marks("CPU:0", peak=9)]), [marks("CPU:0", why_not="it lost count")]
    assert joined(numbers, DeviceMarks(allocators=none)) == numbers
    assert joined(DeviceMarks(allocators=none), numbers) == numbers
    assert joined(None, numbers) == joined(numbers, None) == numbers


def test_where_the_system_cannot_reset_its_mark_every_span_says_so():
    class NeverReset(Host):
        def reset(self):
            return False

    process = Process()
    nest = Nest(Devices(process), NeverReset(process))
    nest.begin()
    section = nest.enter()
    process.hold(7)
    with nest.leaving(section):
        pass
    assert not section.end.since_reset
    assert not nest.end().end.since_reset
    assert msgspec.structs.asdict(section.end)["peak"] == 1000
