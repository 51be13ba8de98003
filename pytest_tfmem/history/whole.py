"""The shards of a suite as one run, for those who tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.history.combine import Part, combine
from pytest_tfmem.history.recorded import Footer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tfmem.history.environment import Environment
    from pytest_tfmem.history.recorded import RecordedRun


def latest_whole(runs: Sequence[RecordedRun]) -> RecordedRun:
    """The latest of these runs, of which there is at least one; if it is a shard, with the others of its suite.

    Without a footer if a shard is absent or did not come to its end. Of what the shards' environments do not have in
    common it says both, so that it is comparable with neither.
    """
    latest = max(runs, key=lambda one: (one.run.started_at, one.run.id))
    if latest.run.shard is None:
        return latest
    ours = [run for run in runs if _are_of_one_suite(run, latest)]
    combined = combine([Part(run, "") for run in ours])
    return _joined(combined.runs, latest, is_whole=not combined.missing)


def _are_of_one_suite(one: RecordedRun, other: RecordedRun) -> bool:
    mine, yours = one.run.shard, other.run.shard
    if mine is None or yours is None:
        return False
    return (mine.count, one.run.commit) == (yours.count, other.run.commit)


def _joined(shards: Sequence[RecordedRun], latest: RecordedRun, *, is_whole: bool) -> RecordedRun:
    tests = [test for shard in shards for test in shard.tests]
    seconds = max((shard.footer.duration_seconds for shard in shards if shard.footer), default=0.0)
    began = min(shard.run.started_at for shard in shards)
    return msgspec.structs.replace(
        latest,
        run=msgspec.structs.replace(latest.run, started_at=began, duration_seconds=seconds, shard=None, collected=None),
        environment=_common([shard.environment for shard in shards]),
        tests=tests,
        footer=Footer(duration_seconds=seconds, tests=len(tests)) if is_whole else None,
    )


def _common(environments: Sequence[Environment]) -> Environment:
    first = environments[0]
    names = first.__struct_fields__
    return msgspec.structs.replace(
        first, **{name: _both([getattr(environment, name) for environment in environments]) for name in names}
    )


def _both(values: Sequence[Any]) -> Any:
    """What all of these are, or else all that they are: none of them alone."""
    first = values[0]
    if all(value == first for value in values):
        return first
    if isinstance(first, dict):
        keys = dict.fromkeys(key for value in values for key in value)
        return {key: _both([value.get(key, "none") for value in values]) for key in keys}
    if isinstance(first, list):
        return [" / ".join(sorted({", ".join(value) or "none" for value in values}))]
    if all(isinstance(value, str) for value in values):
        return " / ".join(sorted(set(values)))
    return None  # of numbers, and where it could not always be told
