"""Projects whose tests use GPUs, each run by a real pytest in a real process, on stand-in cards or real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

# Fixtures and the hook that parametrises by start method, as acceptance tests without GPUs have them.
from tests.acceptance.conftest import project, pytest_generate_tests

__all__ = ["project", "pytest_generate_tests"]


@pytest.fixture
def on(project, monkeypatch):
    """Puts the project on a machine: `on(environment)`. Its sessions share cards with no others."""

    def put(environment):
        monkeypatch.setenv("ROOT", str(Path(__file__).parents[3]))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        project.write("pytest.ini", f"[pytest]\ntfmem_lease_dir = {project.path / 'locks'}\n")
        return project

    return put


@pytest.fixture
def gpu_project(on, gpu_environment):
    """A project on a machine with a GPU: a stand-in one of 8 GiB, or the real ones that there are."""
    return on(gpu_environment)
