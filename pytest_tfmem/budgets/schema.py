"""The JSON Schema of budgets.yaml, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from pytest_tfmem.budgets import written

SCHEMA_FILE = Path(__file__).with_name("budgets.schema.json")

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAMED = {"SizeOrLimit": written.SizeOrLimit, "ByProfile": written.ByProfile}


def budgets_schema() -> dict[str, Any]:
    """The schema, from the types in `written`. It accepts whatever the reader accepts.

    The reader refuses more: profiles that are not declared, waivers said twice, sizes and dates out of range.
    """
    (root, *named), components = msgspec.json.schema_components(
        [written.WrittenFile, *_NAMED.values()], ref_template="#/$defs/{name}"
    )
    components.update(zip(_NAMED, named, strict=True))
    return {
        "$schema": _DRAFT,
        "title": "budgets.yaml",
        **root,
        "$defs": components,
    }


def schema_text() -> str:
    """The text of the file that editors are given. `SCHEMA_FILE.write_text(schema_text())` renews it."""
    return json.dumps(budgets_schema(), indent=2) + "\n"
