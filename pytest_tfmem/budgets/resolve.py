"""Which budget a test has: the closest marker wins, figure by figure, then the file."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pytest_tfmem.budgets.model import BudgetsFile, LimitByProfile
from pytest_tfmem.budgets.pattern import most_specific_first
from pytest_tfmem.budgets.waivers import live, waive
from pytest_tfmem.figures import FIGURES, Limit, Waiver

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_tfmem.budgets.marker import MarkerBudget
    from pytest_tfmem.budgets.model import Defaults, Entry, Profile

_REFUSED = "it asks that this figure is not measured"

_Value = TypeVar("_Value")


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """All that one test may use.

    `named`: an entry of the file covers the test, which is therefore to be measured; defaults name no test.
    `gpu_tensors_wanted`: gpu_tensors is to be measured even if that takes a second run, as a limit on it asks too.
    `warm_up`: calls of the test's body before the one that is measured, `calls` how many more for what they keep, None
    where nobody has said. `waivers` has the live one of each figure that has one. `notes`: what the user should know of
    how this budget came about, each a sentence without a full stop.
    """

    limits: dict[str, Limit] = {}
    timeout_seconds: float | None = None
    named: bool = False
    gpu_tensors_wanted: bool = False
    warm_up: int | None = None
    calls: int | None = None
    waivers: dict[str, Waiver] = {}
    notes: list[str] = []

    def limits_with(self, own: Mapping[str, Limit]) -> dict[str, Limit]:
        """The limits, with those in their place that the test has set itself: it is the closest of all."""
        waived = {
            figure: msgspec.structs.replace(limit, waiver=self.waivers.get(figure)) for figure, limit in own.items()
        }
        return {**self.limits, **waived}


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One place that speaks of a figure of a test, and whether its limit is the one in force.

    `source` says what the place is, for people. `limit` is None where the place has no limit for this machine.
    `why_not` says why a candidate did not win.
    """

    where: str
    source: str
    limit: Limit | None
    won: bool
    why_not: str = ""


def resolve(
    nodeid: str,
    markers: Sequence[MarkerBudget],
    file: BudgetsFile | None,
    *,
    profiles: frozenset[str],
    today: dt.date,
) -> Budget:
    """The budget of a test whose markers are given, the closest first, on a machine with these active profiles.

    Figure by figure the closest marker wins, then the most specific entry of the file that has a limit for this
    machine, then the file's defaults. A waiver that lives on `today` rides on whatever limit is in force.
    """
    file = file or BudgetsFile(shown="")
    covering = covering_entries(file, nodeid)
    places: list[MarkerBudget | Entry] = [*markers, *covering]
    limits = _winners(explain(nodeid, markers, file, profiles=profiles))
    waivers = [waiver for waiver in file.waivers if waiver.pattern.covers(nodeid)]
    alive = live(waivers, today)
    waived, notes = waive(limits, waivers, alive)
    return Budget(
        limits=waived,
        timeout_seconds=_closest(place.timeout_seconds for place in places),
        named=bool(covering),
        gpu_tensors_wanted="gpu_tensors" in waived or _wanted([*places, file.defaults]),
        warm_up=_closest(place.warm_up for place in places),
        calls=_closest(place.calls for place in places),
        waivers=alive,
        notes=notes,
    )


def active_profiles(file: BudgetsFile | None, gpu_names: Sequence[str]) -> frozenset[str]:
    """The profiles that hold where the visible GPUs have these names, as NVML gives them.

    A profile with a name holds if one of the GPUs has it; `none` holds if there is no GPU.
    """
    profiles = file.profiles if file else ()
    return frozenset(profile.name for profile in profiles if _holds(profile, gpu_names))


def _holds(profile: Profile, gpu_names: Sequence[str]) -> bool:
    if profile.gpu.lower() == "none":
        return not gpu_names
    glob = profile.gpu.replace("[", "[[]")  # only * and ? are wildcards here, as in test patterns
    return any(fnmatchcase(name, glob) for name in gpu_names)


def explain(
    nodeid: str,
    markers: Sequence[MarkerBudget],
    file: BudgetsFile | None,
    *,
    profiles: frozenset[str],
) -> dict[str, list[Candidate]]:
    """For each figure that anything speaks of, every place that does, the one that takes precedence first.

    The arguments are those of `resolve`, which takes the winners from here.
    """
    file = file or BudgetsFile(shown="")
    covering = covering_entries(file, nodeid)
    explained = {}
    for figure in FIGURES:
        places = chain(_in_markers(figure, markers), _in_file(figure, file, covering, profiles))
        found = list(_up_to_refusal(places))
        if found:
            explained[figure] = _with_winner(found)
    return explained


def covering_entries(file: BudgetsFile, nodeid: str) -> list[Entry]:
    """The entries that cover a test, the most specific first, and of equally specific ones the later line."""
    return most_specific_first(entry for entry in file.entries if entry.pattern.covers(nodeid))


def _closest(given: Iterable[_Value | None]) -> _Value | None:
    return next((value for value in given if value is not None), None)


def _wanted(places: Sequence[MarkerBudget | Entry | Defaults]) -> bool:
    return bool(_closest(place.gpu_tensors_wanted for place in places))


def _up_to_refusal(places: Iterable[Candidate]) -> Iterator[Candidate]:
    """The places up to one that will not have the figure measured: what is farther away does not count."""
    for place in places:
        yield place
        if place.why_not == _REFUSED:
            return


def _in_markers(figure: str, markers: Sequence[MarkerBudget]) -> Iterator[Candidate]:
    for marker in markers:
        if limit := marker.limits.get(figure):
            yield Candidate(where=limit.where, source="a marker", limit=limit, won=False)
        elif _refuses(figure, marker):
            yield _refusal("a marker", marker.where)


def _refuses(figure: str, place: MarkerBudget | Entry | Defaults) -> bool:
    return figure == "gpu_tensors" and place.gpu_tensors_wanted is False


def _refusal(source: str, where: str) -> Candidate:
    return Candidate(where=where, source=source, limit=None, won=False, why_not=_REFUSED)


def _in_file(
    figure: str, file: BudgetsFile, covering: Sequence[Entry], profiles: frozenset[str]
) -> Iterator[Candidate]:
    for entry in covering:
        if figure in entry.limits:
            yield _in_entry(f"the entry {entry.pattern.text!r}", entry.limits[figure], profiles)
        elif _refuses(figure, entry):
            yield _refusal(f"the entry {entry.pattern.text!r}", entry.where)
    if figure in file.defaults.limits:
        yield _in_entry("the defaults", file.defaults.limits[figure], profiles)


def _in_entry(source: str, limits: LimitByProfile, profiles: frozenset[str]) -> Candidate:
    limit = limits.under(profiles)
    if limit:
        return Candidate(where=limit.where, source=source, limit=limit, won=False)
    why_not = f"none of its profiles ({', '.join(limits.by_profile)}) is active here, and it has no default"
    return Candidate(where=limits.where, source=source, limit=None, won=False, why_not=why_not)


def _with_winner(found: list[Candidate]) -> list[Candidate]:
    winner = next((candidate for candidate in found if candidate.limit), None)
    return [_told(candidate, winner) for candidate in found]


def _told(candidate: Candidate, winner: Candidate | None) -> Candidate:
    if candidate is winner:
        return msgspec.structs.replace(candidate, won=True)
    if candidate.why_not or winner is None:
        return candidate
    return msgspec.structs.replace(candidate, why_not=f"{winner.source} in {winner.where} comes first")


def _winners(explained: Mapping[str, list[Candidate]]) -> dict[str, Limit]:
    return {
        figure: candidate.limit
        for figure, candidates in explained.items()
        for candidate in candidates
        if candidate.won and candidate.limit
    }
