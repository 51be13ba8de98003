"""The head: one run of it, made now or before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.gating.asked import CouldNotDecideError
from pytest_tfmem.gating.given import given_runs
from pytest_tfmem.history.series import history_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_tfmem.attempts.facts import Facts
    from pytest_tfmem.attempts.revision import Revision
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.history.series import History

_USAGE = 4  # pytest.ExitCode: it refused what it was asked


@dataclass(frozen=True, kw_only=True)
class Head:
    """`tests`: what was measured, by id. `gpu_names`: of the GPUs of the machines that did."""

    tests: Mapping[str, Measurement]
    series: History
    facts: Facts
    gpu_names: Sequence[str]
    chosen_by_user: bool

    @property
    def is_whole(self) -> bool:
        """Whether all tests of the suite were to run: only then is a test that is missing a test that is gone."""
        return not self.chosen_by_user and not self.facts.deselected


def run_head(revision: Revision, arguments: Sequence[str]) -> Head:
    """Run the head once.

    Raises TfmemError for arguments that pytest refuses, CouldNotDecideError if nothing is measured.
    """
    done = revision.whole()
    if done.exit_status == _USAGE:
        raise TfmemError(done.said)
    if done.run is None or done.said or revision.facts is None:
        raise CouldNotDecideError(f"the head could not be run: {done.said or 'pytest did not come to its tests'}")
    return _head([done.run], revision.facts, arguments)


def read_head(revision: Revision, files: Sequence[Path], arguments: Sequence[str]) -> Head:
    """The head as it was run before, from its run files. Raises what `run_head` and `given_runs` raise."""
    runs = given_runs(files, revision.commit)
    done = revision.collect()
    if done.exit_status == _USAGE:
        raise TfmemError(done.said)
    if revision.facts is None:
        raise CouldNotDecideError(f"the head's tests could not be collected: {done.said}")
    return _head(runs, revision.facts, arguments)


def _head(runs: Sequence[RecordedRun], facts: Facts, arguments: Sequence[str]) -> Head:
    runs = [msgspec.structs.replace(run, tests=[_without_limits(test) for test in run.tests]) for run in runs]
    tests = {test.nodeid: test for run in runs for test in run.tests}
    if not tests:
        raise CouldNotDecideError("nothing was measured: no test that ran has a budget or a marker")
    return Head(
        tests=tests,
        series=history_of(runs),
        facts=facts,
        gpu_names=list(dict.fromkeys(name for run in runs for name in run.environment.gpus)),
        chosen_by_user=bool(set(facts.arguments).intersection(arguments)),
    )


def _without_limits(test: Measurement) -> Measurement:
    """A test that failed for its limits alone, as if it had none: what it used counts, and is judged here."""
    return msgspec.structs.replace(test, outcome="passed") if test.breached else test
