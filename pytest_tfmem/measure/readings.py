"""From marks and samples to readings: which number is which figure, and how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.figures import HOST_FIGURES, NotMeasured, Phase, Reading, greatest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_tfmem.figures import AnyReading, Exactness, Section
    from pytest_tfmem.measure.marks import Marks, PhaseMarks
    from pytest_tfmem.measure.sampler import Samples

_NOT_APART = NotMeasured("this system does not count anonymous memory apart")
_NOT_READ = NotMeasured("the test's process ended before it could be read")


def host_readings(phases: Mapping[Phase, PhaseMarks], samples: Samples) -> dict[str, AnyReading]:
    """Readings of every host figure of a test that has reached the end of the phases given.

    `phases` are those that have ended, `samples` what was seen of the process tree from outside. With no phase
    ended, `rss` is the last that was seen from outside. Growth is counted from the start of the first of them.
    """
    if not phases:
        return _readings_of_samples(samples)
    peak = max((marks.end for marks in phases.values()), key=lambda end: end.peak)
    rss = _peak_reading(peak)
    return {
        "rss": rss,
        "rss_growth": _growth(rss, next(iter(phases.values())).start),
        "rss_anon": _anonymous([marks.end for marks in phases.values()]),
        "rss_tree": _tree(samples, at_least=rss.bytes),
    }


def readings_of_the_dead(
    phases: Mapping[Phase, PhaseMarks], samples: Samples, sections: Iterable[Section] = ()
) -> dict[str, AnyReading]:
    """Readings of a test whose process did not end well: its last samples, which may miss what came after them.

    `sections` are those that were over by then: the test has held at least what each of them has.
    """
    sampled = _readings_of_samples(samples, _most_of_all(sections))
    counted = host_readings(phases, samples) if phases else {}
    return sampled | {figure: _later(reading, sampled[figure]) for figure, reading in counted.items()}


def span_readings(start: Marks, end: Marks) -> dict[str, AnyReading]:
    """Readings of the host figures that a process can read of itself, of a stretch of time within a test."""
    rss = _peak_reading(end)
    return {
        "rss": rss,
        "rss_growth": _growth(rss, start, since="as the section began"),
        "rss_anon": _anonymous([end]),
    }


def held_readings(now: Marks) -> dict[str, AnyReading]:
    """Readings of what is resident at one moment."""
    exactness: Exactness = "exact" if now.exact_now else "sampled"
    rss = Reading(bytes=now.rss, exactness=exactness, source="VmRSS")
    if now.file is None or now.shmem is None:
        return {"rss": rss, "rss_anon": _NOT_APART}
    anonymous = max(0, now.rss - now.file - now.shmem)
    source = "VmRSS - RssFile - RssShmem"
    return {"rss": rss, "rss_anon": Reading(bytes=anonymous, exactness=exactness, source=source)}


def phase_figures(phases: Mapping[Phase, PhaseMarks]) -> dict[Phase, dict[str, int | float]]:
    """Each phase's own peaks, in bytes: growth is counted from the phase's own start."""
    return {phase: _figures_of_phase(marks) for phase, marks in phases.items()}


def _peak_reading(end: Marks) -> Reading:
    if not end.since_reset:
        # The mark also holds what came before the test: it can only be too high, by an unknown amount.
        return Reading(bytes=end.peak, exactness="upper-bound", source=f"{end.source} since the process began")
    # Not "exact" where the peak equals what is still held: a spike that was higher by less than the error, and is
    # gone, leaves the same two numbers.
    return Reading(bytes=end.peak, exactness="lower-bound", error_bytes=end.error, source=end.source)


def _growth(rss: Reading, before: Marks, since: str = "before setup") -> Reading:
    error = rss.error_bytes
    if error is not None and not before.exact_now:
        error += before.error or 0
    return Reading(
        bytes=max(0, rss.bytes - before.rss),
        exactness=rss.exactness,
        error_bytes=error,
        source=f"{rss.source} - VmRSS {since}",
    )


def _anonymous(ends: Sequence[Marks]) -> AnyReading:
    parts = [(end, _anonymous_bytes(end)) for end in ends]
    known = [(size, end) for end, size in parts if size is not None]
    if not known:
        return _NOT_APART
    size, end = max(known, key=lambda pair: pair[0])
    peak = _peak_reading(end)
    return Reading(
        bytes=size,
        exactness=peak.exactness,
        error_bytes=peak.error_bytes,
        source=f"{peak.source} - RssFile - RssShmem",
    )


def _anonymous_bytes(end: Marks) -> int | None:
    if end.file is None or end.shmem is None:
        return None
    return max(0, end.peak - end.file - end.shmem)


def _tree(samples: Samples, *, at_least: int) -> Reading:
    return Reading(bytes=max(samples.tree_peak, at_least), exactness="sampled", source=samples.source)


def _most_of_all(sections: Iterable[Section]) -> dict[str, int]:
    """By figure in bytes, of those figures that are not counted from a section's own beginning."""
    found: dict[str, int] = {}
    for section in sections:
        for figure in ("rss", "rss_anon"):
            most = greatest(section.readings.get(figure))
            if most is not None:
                found[figure] = max(found.get(figure, 0), most.bytes)
    return found


def _readings_of_samples(samples: Samples, sections: Mapping[str, int] = {}) -> dict[str, AnyReading]:
    if samples.before_setup is None:
        # What was seen is the import of the test's file: nothing of the test itself, and no reason to call it kept.
        return dict.fromkeys(HOST_FIGURES, NotMeasured("the test's process ended before its setup"))
    if samples.count == 0 and "rss" not in sections:
        return dict.fromkeys(HOST_FIGURES, _NOT_READ)
    own = max(samples.own_peak, sections.get("rss", 0))
    anonymous = [size for size in (samples.anon_peak, sections.get("rss_anon")) if size is not None]
    source = f"{samples.source}, and in sections" if sections else samples.source
    return {
        "rss": Reading(bytes=own, exactness="sampled", source=source),
        "rss_growth": Reading(bytes=max(0, own - samples.before_setup), exactness="sampled", source=source),
        "rss_anon": Reading(bytes=max(anonymous), exactness="sampled", source=source) if anonymous else _NOT_READ,
        "rss_tree": _tree(samples, at_least=own),
    }


def _later(counted: AnyReading, sampled: AnyReading) -> AnyReading:
    """The greater of two readings of one figure, as a sample: what came after it is not known."""
    sizes = [reading.bytes for reading in (counted, sampled) if isinstance(reading, Reading)]
    if not sizes:
        return counted
    source = sampled.source if isinstance(sampled, Reading) else ""
    return Reading(bytes=max(sizes), exactness="sampled", source=source or "last mark before the process ended")


def _figures_of_phase(marks: PhaseMarks) -> dict[str, int | float]:
    figures: dict[str, int | float] = {
        "seconds": round(marks.seconds, 6),
        "rss_bytes": marks.end.peak,
        "rss_growth_bytes": max(0, marks.end.peak - marks.start.rss),
    }
    anonymous = _anonymous_bytes(marks.end)
    return figures if anonymous is None else figures | {"rss_anon_bytes": anonymous}
