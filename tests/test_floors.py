"""The map in the package's docstring is the map of the code: nothing is imported from a higher floor."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pytest_tfmem

PACKAGE = Path(pytest_tfmem.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")


def _floors(docstring):
    """Rooms by floor, the lowest first: the indented lines of the first list."""
    _, _, after = docstring.partition("or a lower one:\n\n")
    return [line.split() for line in after.partition("\n\n")[0].splitlines()]


def _described(docstring):
    _, _, after = docstring.partition("What each room knows:\n\n")
    return [line.split()[0] for line in after.partition("\n\n")[0].splitlines()]


FLOORS = _floors(pytest_tfmem.__doc__)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def _room(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def _imported(tree):
    """Dotted names of all that is imported anywhere in a module: at its top, in functions, for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _rooms_imported(tree):
    for name, line in _imported(tree):
        package, _, rest = name.partition(".")
        if package == "pytest_tfmem" and rest:
            yield rest.split(".")[0], line


def test_every_room_has_a_floor_and_a_line_of_its_own():
    rooms = {_room(path) for path in MODULES} - {"__main__"}
    assert sorted(rooms) == sorted(FLOOR_OF)
    assert _described(pytest_tfmem.__doc__) == [room for floor in FLOORS for room in floor]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_from_its_own_floor_or_a_lower_one_and_nothing_private_of_pytest(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = FLOOR_OF.get(_room(path), len(FLOORS))  # __main__ stands above all
    higher = [f"{room} (line {line})" for room, line in _rooms_imported(tree) if FLOOR_OF[room] > own]
    private = [f"{name} (line {line})" for name, line in _imported(tree) if name.split(".")[0] == "_pytest"]
    assert higher == []
    assert private == []


def test_the_check_sees_every_way_to_import():
    source = """
import pytest_tfmem.plugin
from pytest_tfmem import session
from pytest_tfmem.isolate.wire import Start as S
def lazily():
    import _pytest.main
    from pytest_tfmem.cli import main
if TYPE_CHECKING:
    from pytest_tfmem.settings import Settings
"""
    tree = ast.parse(source)
    assert {room for room, _ in _rooms_imported(tree)} == {"plugin", "session", "isolate", "settings", "cli"}
    assert "_pytest.main" in [name for name, _ in _imported(tree)]
