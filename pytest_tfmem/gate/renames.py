"""Which tests are the same under a new id: their file was renamed, or they alone were in their class."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class _Name(NamedTuple):
    """A node id in parts: its file, its classes, its function, and its parameters with their brackets."""

    file: str
    classes: str
    function: str
    parameters: str


def renamed(
    before: Iterable[str], now: Iterable[str], *, moved: Mapping[str, str], are_all: bool = True
) -> dict[str, str]:
    """By its new id, the old id of each test that was renamed. `moved` has files' new paths by their old ones.

    In a file, or in a class of it, where exactly one function is gone and exactly one is new, the new one is taken for
    the old one. Where more changed, nobody can tell which became which, and they count as gone and new. Unless these
    `are_all` tests that there are, nobody can tell either.
    """
    left, come = set(before), set(now)
    gone, new = left - come, come - left
    found = {}
    for old in sorted(gone):
        name = _parts(old)
        here = "::".join([moved.get(name.file, name.file), *old.split("::", 1)[1:]])
        if here in new:
            found[here] = old
    gone, new = gone - set(found.values()), new - set(found)
    return found | (_functions(gone, new, moved) if are_all else {})


def _functions(gone: set[str], new: set[str], moved: Mapping[str, str]) -> dict[str, str]:
    old_names = {old: _parts(old) for old in gone}
    places_gone: dict[tuple[str, str], set[str]] = {}
    for name in old_names.values():
        places_gone.setdefault((moved.get(name.file, name.file), name.classes), set()).add(name.function)
    places_new: dict[tuple[str, str], set[str]] = {}
    for one in new:
        name = _parts(one)
        places_new.setdefault((name.file, name.classes), set()).add(name.function)
    found = {}
    for old, name in sorted(old_names.items()):
        place = (moved.get(name.file, name.file), name.classes)
        if len(places_gone[place]) == 1 and len(places_new.get(place, ())) == 1:
            now = "::".join(filter(None, [*place, *places_new[place]])) + name.parameters
            if now in new:
                found[now] = old
    return found


def _parts(nodeid: str) -> _Name:
    file, _, rest = nodeid.partition("::")
    # Behind the first bracket are the parameters, which may hold anything.
    names, bracket, parameters = rest.partition("[")
    classes, _, function = names.rpartition("::")
    return _Name(file, classes, function, bracket + parameters)
