"""What editors are told of budgets.yaml is what the reader does."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from pytest_tfmem.budgets.schema import SCHEMA_FILE, budgets_schema, schema_text
from pytest_tfmem.figures import FIGURES
from tests.budgets.refused import REFUSED, Refused
from tests.budgets.test_file import EXAMPLE
from tests.strategies import documents

VALIDATOR = Draft202012Validator(budgets_schema())


class JsonLoader(yaml.SafeLoader):
    """YAML as editors make JSON of it: dates stay text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  PyYAML's own name for its own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def valid(text: str) -> bool:
    return VALIDATOR.is_valid(yaml.load(text, Loader=JsonLoader))


def test_the_file_that_editors_are_given_is_the_schema() -> None:
    text = SCHEMA_FILE.read_text(encoding="utf-8")
    assert text == schema_text(), "renew it: SCHEMA_FILE.write_text(schema_text())"
    assert json.loads(text) == budgets_schema()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(budgets_schema())


def test_the_schema_accepts_the_example() -> None:
    assert valid(EXAMPLE)


@pytest.mark.parametrize(
    "refused", [refused for refused in REFUSED if refused.by_schema is not None], ids=lambda refused: refused.name
)
def test_the_schema_refuses_what_a_schema_can(refused: Refused) -> None:
    assert valid(refused.text) is not refused.by_schema


@given(document=documents)
@settings(deadline=None)
def test_the_schema_accepts_whatever_may_be_written(document: dict) -> None:
    VALIDATOR.validate(document)


def test_the_schema_says_what_each_figure_is() -> None:
    properties = budgets_schema()["$defs"]["WrittenEntry"]["properties"]
    assert {name: properties[name]["description"] for name in FIGURES} == FIGURES
