"""Tests that take half a minute or more begin first: of several workers, none is then at one long after the others."""

from __future__ import annotations


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
