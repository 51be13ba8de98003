"""What held a test's memory in earlier runs, where these kept an explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.history.commits import shortened
from pytest_tfmem.history.store import open_store
from pytest_tfmem.settings.options import OFF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_tfmem.explanations import Explanation
    from pytest_tfmem.figures import Measurement
    from pytest_tfmem.history.recorded import RecordedRun
    from pytest_tfmem.settings import Settings

_LAST = 20  # runs that are looked through

Kept = tuple["Explanation", str]  # and what the run is called


class Earlier:
    """Explanations of tests that were within their limits, read once, when one is needed."""

    def __init__(self, settings: Settings, *, root: Path, run_id: Callable[[], str]) -> None:
        usual = () if settings.history is None else (settings.history,)
        self._locations = () if OFF in settings.baseline else settings.baseline or usual
        self._root = root
        self._run_id = run_id
        self._found: dict[tuple[str, str], Kept] | None = None

    def of(self, nodeid: str, figure: str) -> Kept | None:
        """The latest of this test and figure; of a host figure any host figure's, which count the same memory."""
        if self._found is None:
            self._found = dict(self._read())
        return self._found.get((nodeid, _sort(figure)))

    def _read(self) -> Iterator[tuple[tuple[str, str], Kept]]:
        for location in self._locations:
            try:
                store = open_store(location, root=self._root)
                try:
                    infos = [info for info in store.infos(last=_LAST) if info.id != self._run_id()]
                    for run in store.runs([info.id for info in infos]):
                        yield from _of_run(run)
                finally:
                    store.close()
            except TfmemError:
                continue  # the comparison with earlier runs says so


def _of_run(run: RecordedRun) -> Iterator[tuple[tuple[str, str], Kept]]:
    commit = f"commit {shortened(run.run.commit)}, " if run.run.commit else ""
    name = f"{commit}{run.run.started_at:%Y-%m-%d %H:%M}"
    for test in run.tests:
        if _was_fine(test):
            for one in test.explanations:
                if not one.failed:
                    yield (test.nodeid, _sort(one.figure)), (one, name)


def _was_fine(test: Measurement) -> bool:
    # What a test held that was over its limit already is not what it should hold.
    return test.outcome == "passed" and test.verdict != "over"


def _sort(figure: str) -> str:
    return "host" if figure.startswith("rss") else figure
