"""The pytest plugin of an attempt: writes down what it collected, and modules that it loaded from somewhere else.

With an editable install, `import mypkg` in the work tree of one commit loads the code of the checkout, which is that of
another. Nobody would notice. So every process of an attempt looks at what it has loaded.

It is loaded in tests' processes, too, whose memory is measured and held against that of sessions without it: what it
imports there is what pytest has imported anyway.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_tfmem.attempts.own_files import foreign_modules
from pytest_tfmem.session import KEY

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

FOLDER = "PYTEST_TFMEM_WITNESS"
CHECKOUT = "PYTEST_TFMEM_CHECKOUT"
TREE = "PYTEST_TFMEM_TREE"
FACTS_FILE = "facts.json"
FOREIGN_FILE = "foreign.txt"

_DESELECTED: pytest.StashKey[int] = pytest.StashKey()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    if items:
        stash = items[0].config.stash
        stash[_DESELECTED] = stash.get(_DESELECTED, 0) + len(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    tfmem = session.config.stash.get(KEY, None)
    folder = os.environ.get(FOLDER)
    if tfmem is None or not folder:
        return  # a test's process
    from pytest_tfmem.attempts.facts import write_facts  # noqa: PLC0415  not in tests' processes

    deselected = session.config.stash.get(_DESELECTED, 0)
    write_facts(Path(folder, FACTS_FILE), session, tfmem.settings, deselected=deselected)
    _write_foreign()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around what measures the phase
def pytest_runtest_teardown() -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        _write_foreign()


def _write_foreign() -> None:
    folder, top, tree = (os.environ.get(name) for name in (FOLDER, CHECKOUT, TREE))
    if not folder or not top or not tree:
        return
    found = foreign_modules(Path(top), Path(tree))
    if found:
        with Path(folder, FOREIGN_FILE).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(f"{name}\t{path}\n" for name, path in found))
