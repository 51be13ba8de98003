"""What a page says of the run as a whole: where it is from, what it was held against, what it depended on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tfmem.page.findings import name_parts
from pytest_tfmem.page.shown import duration, link_to_test, moment, short_commit, shown, web_address
from pytest_tfmem.report.gate import gate_method
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.digest.model import Digest
    from pytest_tfmem.gate.result import GateResult
    from pytest_tfmem.history.environment import Environment
    from pytest_tfmem.history.rundocument import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact by its name; `link` leads to the web, or is empty. `whole` is what `text` is short for."""

    name: str
    text: str
    link: str = ""
    whole: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incomparable:
    """Tests whose earlier runs were under other conditions, and in what these differ."""

    differences: str
    tests: Sequence[tuple[tuple[str, str], str]]


def facts_of(digest: Digest) -> list[Fact]:
    run = [*_of_run(digest.run)] if digest.run else []
    return [*run, *_of_gate(digest.gate)] if digest.gate else run


def _of_run(run: Run) -> Iterator[Fact]:
    yield Fact(name="Started", text=f"{moment(run.started_at)} UTC")
    if run.duration_seconds is not None:
        yield Fact(name="Took", text=duration(run.duration_seconds))
    if run.commit:
        changed = ", with changes" if run.dirty else ""
        yield Fact(name="Commit", text=short_commit(run.commit) + changed, whole=shown(run.commit))
    if run.branch:
        yield Fact(name="Branch", text=shown(run.branch))
    if run.ci or run.ci_link:
        link = web_address(run.ci_link)
        yield Fact(name="CI", text=shown(run.ci or "job"), link=link)
    if run.shard:
        yield Fact(name="Shard", text=f"{run.shard.index} of {run.shard.count}")


def _of_gate(gate: GateResult) -> Iterator[Fact]:
    yield Fact(name="Head", text=short_commit(gate.head), whole=shown(gate.head))
    yield Fact(name="Against", text=f"{short_commit(gate.merge_base)}, where it left {shown(gate.base)}")


def notices_of(digest: Digest) -> list[str]:
    """What the reader should know before the figures: how this was put together, and what is missing in it."""
    found = [*map(shown, digest.notices), *_session_notices(digest)]
    if digest.run:
        found.append(_against(digest))
    if digest.gate:
        found += [*map(shown, digest.gate.warnings), f"Gate: {shown(gate_method(digest.gate))}"]
    return list(dict.fromkeys(found))


def _against(digest: Digest) -> str:
    if not digest.held_against:
        return "Held against no earlier runs: whether anything grew is not known"
    several = "the run before it" if digest.held_against == 1 else f"the {digest.held_against} runs before it"
    shows = len(digest.past)
    return f"Held against {several}" + (f"; trends show {shows} runs" if shows > digest.held_against + 1 else "")


def _session_notices(digest: Digest) -> Iterator[str]:
    for told in digest.tests:
        yield from map(shown, told.test.notices)


def incomparable_of(digest: Digest) -> list[Incomparable]:
    """By what differs, the tests that could not be held against earlier runs."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for told in digest.tests:
        for change in told.changes:
            if change.standing == "incomparable":
                found[shown(", ".join(change.differences)) or "other conditions"][told.test.nodeid] = None
    return [
        Incomparable(differences=said, tests=[(name_parts(nodeid), link_to_test(nodeid)) for nodeid in names])
        for said, names in found.items()
    ]


def environment_of(environment: Environment) -> list[Fact]:
    """What the readings depend on, in rows; what could not be told is left out."""
    cores = environment.cores
    allowed = environment.cores_allowed
    rows = [
        ("Python", f"{environment.python_implementation} {environment.python}"),
        *environment.packages.items(),
        ("GPUs", ", ".join(environment.gpus) or "none"),
        ("GPU driver", environment.gpu_driver),
        ("System", f"{environment.os}, {environment.system} {environment.kernel}, {environment.machine}"),
        ("C library", environment.libc),
        ("Cores", f"{cores}, of which {allowed} may be used" if cores != allowed and allowed else cores),
        ("Page size", format_size(environment.page_size_bytes) if environment.page_size_bytes else None),
        ("Transparent huge pages", environment.transparent_huge_pages),
        ("oneDNN", environment.onednn),
        *environment.settings.items(),
        ("pytest plugins", ", ".join(environment.plugins) or None),
    ]
    return [Fact(name=shown(name), text=shown(str(text))) for name, text in rows if text is not None]


def of_gate(gate: GateResult) -> list[tuple[str, list[str]]]:
    """What the gate found beside its verdicts: by its heading, line by line."""
    raised = [f"{one.figure} of {one.test}: {one.before} → {one.after} ({one.where})" for one in gate.raised]
    found = [
        ("Raised limits", raised),
        ("Renamed tests", [f"{one.nodeid}, before {one.renamed_from}" for one in gate.renamed]),
        ("Tests that are gone", gate.gone),
        ("Stale, as no test matches", [f"the {one.kind} for {one.test} ({one.where})" for one in gate.stale]),
    ]
    return [(title, [*map(shown, lines)]) for title, lines in found if lines]
