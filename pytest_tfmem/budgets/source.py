"""On which line a marker stands. pytest's marks do not say; the source does."""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def marker_line(
    path: str | os.PathLike[str], qualname_parts: Sequence[str], marker: str, keyword: str | None = None
) -> int | None:
    """The line of a marker of one function or class, or of the module if `qualname_parts` is empty.

    `("TestX", "test_step")` is the method alone: markers of its class or module are asked for as such. With a
    `keyword`, the line of that keyword in the marker that has it, else the line of the first such marker. Markers
    of parameter sets (`pytest.param(..., marks=...)`) and of `pytestmark` count. None where there is none to be
    found, as for a marker that is inherited or added by a hook, and for a file that cannot be read. Never raises.
    """
    try:
        status = Path(path).stat()
        module = _parsed(str(path), status.st_mtime_ns, status.st_size)
    # RecursionError, MemoryError: how Python's parser refuses an expression that is nested too deeply.
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    scope = _scope(module, qualname_parts)
    if scope is None:
        return None
    lines = (_line(node, marker, keyword) for node in _marking(scope))
    return next((line for line in lines if line is not None), None)


@lru_cache(maxsize=64)
def _parsed(path: str, _mtime_ns: int, _size: int) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "invalid escape sequence" is said when the file is imported, by Python
        return ast.parse(Path(path).read_bytes())


def _scope(module: ast.Module, names: Sequence[str]) -> ast.Module | _Definition | None:
    scope: ast.Module | _Definition = module
    for name in names:
        same = [found for found in _statements(scope.body) if isinstance(found, _Definition) and found.name == name]
        if not same:
            return None
        scope = same[-1]  # a later definition replaces an earlier one
    return scope


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, and those within its `if`, `try` and `with`, which are of the same scope."""
    for statement in body:
        yield statement
        if not isinstance(statement, _Definition):
            yield from _statements([child for child in _children(statement) if isinstance(child, ast.stmt)])


def _children(statement: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(statement):
        yield child
        if isinstance(child, (ast.excepthandler, ast.match_case)):
            yield from _children(child)


def _marking(scope: ast.Module | _Definition) -> Iterator[ast.AST]:
    """The expressions that mark a scope: its decorators, then what its body assigns to `pytestmark`."""
    if not isinstance(scope, ast.Module):
        yield from scope.decorator_list
    if isinstance(scope, (ast.Module, ast.ClassDef)):
        for statement in _statements(scope.body):
            if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and _sets_pytestmark(statement):
                yield statement


def _sets_pytestmark(statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets)


def _line(tree: ast.AST, marker: str, keyword: str | None) -> int | None:
    for node in ast.walk(tree):
        if keyword is None and isinstance(node, ast.Attribute) and node.attr == marker:
            return node.end_lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == marker:
            for given in node.keywords:
                if given.arg == keyword and keyword is not None:
                    return given.value.lineno
    return None
