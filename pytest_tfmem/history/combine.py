"""Shards joined into one run file: what belongs together, what is missing, and what must not be joined."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.history.recorded import RecordedRun  # noqa: TC001  a named tuple's annotation
from pytest_tfmem.history.runfiles import SUFFIX
from pytest_tfmem.history.runlines import read_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_SHORT_COMMIT = 12
_CUT_SHORT = (2, 3, 4)  # pytest.ExitCode: interrupted, also by an error of collection; internal error; usage


class Part(NamedTuple):
    """A run and the file that it was read from."""

    run: RecordedRun
    where: str


class Combined(NamedTuple):
    """The runs that belong together, in the order of their shards; `said` and `missing` have a line for each fact."""

    runs: list[RecordedRun]
    said: list[str]
    missing: list[str]


def gather(paths: Iterable[Path]) -> list[Part]:
    """What stands in these files, and in the run files of these folders and the folders in them.

    Raises TfmemError for a file that is none, and where there is no run at all.
    """
    parts = [Part(run, one_line(str(file))) for path in paths for file in _files(path) for run in read_runs(file)]
    if not parts:
        raise TfmemError("there is no run in what was named", hint="name run files, or folders that hold some")
    return parts


def combine(parts: Sequence[Part]) -> Combined:
    """The runs joined: each once, and one for each shard.

    The result is the same in whatever order they come, and if it is combined again with its own parts. Raises
    TfmemError for runs that are not of one whole.
    """
    _refuse_if_not_of_one_whole(parts)
    taken: dict[int | str, Part] = {}
    said: list[str] = []
    for part in sorted(_each_once(parts), key=_worth):
        shard = part.run.run.shard
        place = shard.index if shard else part.run.run.id
        if place in taken:
            said.append(f"{shard_name(part.run)}: left out {_which(taken[place])}: another has its place")
        taken[place] = part
    joined = sorted(taken.values(), key=_place)
    runs = [part.run for part in joined]
    return Combined(runs, [*map(_described, joined), *said], missing(runs))


def missing(runs: Sequence[RecordedRun]) -> list[str]:
    """What these runs lack to be one whole, a line each: shards, and what a run did not come to. Empty: nothing."""
    ended = [line for run in runs if (line := _unfinished(run))]
    return [*_absent(runs), *_unsplit(runs), *ended]


def shard_name(run: RecordedRun) -> str:
    """`shard 2 of 3`; empty where nobody has said that the run is one."""
    shard = run.run.shard
    return f"shard {shard.index} of {shard.count}" if shard else ""


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]


def _refuse_if_not_of_one_whole(parts: Sequence[Part]) -> None:
    commits = {part.run.run.commit[:_SHORT_COMMIT]: part.where for part in parts if part.run.run.commit}
    if len(commits) > 1:
        raise TfmemError(f"the runs are of different commits: {_listed(commits)}", hint="combine shards of one run")
    counts = {f"{part.run.run.shard.count}": part.where for part in parts if part.run.run.shard}
    if len(counts) > 1:
        raise TfmemError(f"the numbers of shards differ: {_listed(counts)}", hint="combine shards of one run")
    for part in parts:
        shard = part.run.run.shard
        if shard and shard.index > shard.count:
            raise TfmemError(f"there is no {shard_name(part.run)}", where=part.where)


def _listed(found: dict[str, str]) -> str:
    return ", ".join(f"{one_line(value)} in {where}" for value, where in list(found.items())[:3])


def _each_once(parts: Sequence[Part]) -> list[Part]:
    """Of a run that stands in several files, the one of which most is known."""
    best: dict[str, Part] = {}
    for part in sorted(parts, key=lambda part: (part.run.footer is not None, len(part.run.tests), part.where)):
        best[part.run.run.id] = part
    return list(best.values())


def _place(part: Part) -> tuple[int, object, str]:
    shard = part.run.run.shard
    return shard.index if shard else 0, part.run.run.started_at, part.run.run.id


def _worth(part: Part) -> tuple[bool, object, str]:
    """Of two runs that claim one shard, the newer one that is whole counts."""
    return not _unfinished(part.run), part.run.run.started_at, part.run.run.id


def _which(part: Part) -> str:
    return f"the run of {_time(part.run)} in {part.where}"


def _described(part: Part) -> str:
    tests = f"{len(part.run.tests)} measured test{'' if len(part.run.tests) == 1 else 's'}"
    return f"{_name(part.run)}: {tests}, from {part.where}"


def _name(run: RecordedRun) -> str:
    return shard_name(run) or f"the run of {_time(run)}"


def _time(run: RecordedRun) -> str:
    return run.run.started_at.astimezone(dt.UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")


def _unfinished(run: RecordedRun) -> str:
    """What keeps a run from being whole, in words; empty if nothing does."""
    footer, collected = run.footer, run.run.collected
    if footer is None:
        return f"{_name(run)} did not come to its end"
    if footer.ended is not None and collected is not None and footer.ended < collected.count:
        return (
            f"{_name(run)} stopped after {footer.ended} of {collected.count} tests (exit status {footer.exit_status})"
        )
    if footer.exit_status in _CUT_SHORT:
        return f"{_name(run)} was cut short (exit status {footer.exit_status})"
    return ""


def _absent(runs: Sequence[RecordedRun]) -> Iterator[str]:
    shards = [run.run.shard for run in runs if run.run.shard]
    if 1 < len(runs) != len(shards):
        unnamed = f"{len(runs) - len(shards)} of {len(runs)} runs do not say which shard they are (--tfmem-shard)"
        yield f"{unnamed}: whether one is absent is not known"
    count = max((shard.count for shard in shards), default=0)
    absent = [str(index) for index in range(1, count + 1) if index not in {shard.index for shard in shards}]
    if absent:
        several = len(absent) > 1
        yield f"shard{'s' * several} {', '.join(absent)} of {count} {'are' if several else 'is'} absent"


def _unsplit(runs: Sequence[RecordedRun]) -> Iterator[str]:
    """Shards that were to run the same tests: then nobody has split them, or not as the shards' numbers say."""
    first: dict[str, RecordedRun] = {}
    for run in runs:
        collected = run.run.collected
        if run.run.shard is None or collected is None or not collected.count:
            continue
        other = first.setdefault(collected.sha256, run)
        if other.run.shard and other.run.shard.index != run.run.shard.index:
            yield f"{shard_name(run)} ran the same {collected.count} tests as {shard_name(other)}: they were not split"
