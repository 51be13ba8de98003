"""Hypothesis strategies for what crosses between the controller and other processes."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_tfmem.allocators import ALLOCATORS
from pytest_tfmem.figures import PHASES, Limit, Section
from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.runtime import Runtime
from pytest_tfmem.measure.devices import DeviceMarks
from pytest_tfmem.measure.kept import KeptSeries
from pytest_tfmem.measure.marks import Marks, PhaseMarks
from tests.strategies import figures, readings, size_bytes

_texts = st.text(st.characters(codec="utf-8"), max_size=20)
_sizes = st.integers(0, 1 << 62)
_bytes = st.binary(max_size=9)
_lists = st.lists(_texts, max_size=2)
_phases = st.sampled_from(PHASES)
_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False) | _texts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(_texts, values, max_size=3),
    max_leaves=8,
)
_marks = st.builds(
    Marks,
    peak=_sizes,
    rss=_sizes,
    file=st.none() | _sizes,
    shmem=st.none() | _sizes,
    error=st.none() | _sizes,
    exact_now=st.booleans(),
    since_reset=st.booleans(),
    source=_texts,
)
_readings = st.dictionaries(figures, readings(size_bytes, _texts), max_size=2)
_sections = st.builds(Section, name=_texts, path=_lists, phase=_phases, entered=_sizes, readings=_readings)
_entries = st.builds(wire.SectionEntered, _texts, _lists, _phases)
_runtimes = st.builds(
    Runtime,
    allocator=st.none() | st.sampled_from(ALLOCATORS),
    memory_limit_bytes=st.none() | _sizes,
    gpus=st.none() | _sizes,
    jit=st.none() | st.booleans(),
    precision=st.none() | _texts,
    cpu_allocator=st.sampled_from([None, "bfc", "default"]),
    logical_devices=st.dictionaries(_texts, _sizes, max_size=2),
    env=st.dictionaries(_texts, st.none() | _texts, max_size=2),
)
_calls = st.builds(wire.Call, module=_texts, name=_texts, arguments=_bytes)
_programs = st.builds(
    wire.Program, module=_texts, search_path=st.lists(_bytes, max_size=2), blocked_signals=st.lists(_sizes, max_size=2)
)
_starts = st.builds(
    wire.Start,
    test_id=_texts,
    ordinal=_sizes,
    path=_bytes,
    arguments=st.lists(_bytes, max_size=3),
    argv=st.lists(_bytes, max_size=3),
    basetemp=_bytes,
    workerinput=st.none() | st.dictionaries(_texts, _plain, max_size=2),
    runtime=_runtimes,
    call=st.none() | _calls,
    program=st.none() | _programs,
)
_raised = st.builds(
    wire.Raised,
    module=_texts,
    name=_texts,
    text=_texts,
    trace=_texts,
    arguments=st.none() | _bytes,
    state=st.none() | _bytes,
    notes=_lists,
)
_returned = st.builds(
    wire.Returned,
    value=st.none() | _bytes,
    why_no_value=_texts,
    value_bytes=_sizes,
    uncounted=_lists,
    raised=st.none() | _raised,
)

EACH = {
    wire.Start: _starts,
    wire.Warm: st.builds(wire.Warm, _texts),
    wire.Serve: st.builds(
        wire.Serve,
        start=_starts,
        environment=st.lists(st.tuples(_bytes, _bytes), max_size=2),
        directory=_bytes,
        search_path=st.lists(_bytes, max_size=2),
        frameworks=st.none() | _lists,
    ),
    wire.Serving: st.builds(wire.Serving, _sizes),
    wire.Ready: st.just(wire.Ready()),
    wire.Unfit: st.builds(wire.Unfit, _texts, st.none() | _lists),
    wire.Fork: st.just(wire.Fork()),
    wire.Forked: st.builds(wire.Forked, _sizes),
    wire.Exited: st.builds(wire.Exited, _sizes, st.integers(-255, 255)),
    wire.PhaseBegun: st.builds(wire.PhaseBegun, _phases, _sizes),
    wire.PhaseOver: st.builds(
        wire.PhaseOver,
        _phases,
        st.builds(PhaseMarks, start=_marks, end=_marks, seconds=st.floats(0, 1e9)),
        st.booleans(),
        devices=st.none() | st.builds(DeviceMarks, problem=_texts),
        open_sections=st.lists(_sections, max_size=2),
        kept=st.none() | st.builds(KeptSeries, warm_up=_sizes, heap=st.lists(_sizes, max_size=3)),
    ),
    wire.Deliberating: st.just(wire.Deliberating()),
    wire.Judged: st.builds(wire.Judged, _texts, st.booleans()),
    wire.SectionEntered: _entries,
    wire.SectionLeft: st.builds(wire.SectionLeft, _entries, st.none() | _sections),
    wire.Checkpointed: st.builds(wire.Checkpointed, _texts, _readings),
    wire.Limited: st.builds(
        wire.Limited, st.dictionaries(figures, st.builds(Limit, bytes=_sizes, where=_texts), max_size=2)
    ),
    wire.Reported: st.builds(wire.Reported, st.dictionaries(_texts, _plain, max_size=3)),
    wire.Warned: st.builds(
        wire.Warned,
        text=_texts,
        category=_texts,
        category_module=_texts,
        filename=_texts,
        lineno=_sizes,
        when=_texts,
        nodeid=_texts,
    ),
    wire.MeasureWanted: st.builds(
        wire.MeasureWanted,
        number=_sizes,
        measure=_sizes,
        side=_texts,
        repeat=_sizes,
        repeats=_sizes,
        call=_calls,
        runtime=_bytes,
    ),
    wire.CallMeasured: st.builds(
        wire.CallMeasured,
        number=_sizes,
        refused=_texts,
        returned=st.none() | _returned,
        measurement=st.dictionaries(_texts, _plain, max_size=2),
    ),
    wire.Returned: _returned,
    wire.Refused: st.builds(wire.Refused, _texts, _texts),
    wire.Stopped: st.builds(wire.Stopped, kind=_texts, reason=_texts, returncode=st.none() | st.integers(-255, 255)),
    wire.Done: st.just(wire.Done()),
}
messages = st.one_of(*EACH.values())
