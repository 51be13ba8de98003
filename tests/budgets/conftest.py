"""A budgets.yaml from text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tfmem.budgets.file import load_budgets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_tfmem.budgets.model import BudgetsFile


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str | bytes], BudgetsFile]:
    """Writes a budgets.yaml and reads it."""

    def write_and_load(text: str | bytes) -> BudgetsFile:
        path = tmp_path / "written.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_budgets(path, shown="budgets.yaml")

    return write_and_load
