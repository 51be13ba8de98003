"""The pytest plugin of the process that is asked for a project's settings: writes them down, and collects nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pytest_tfmem.check.project import Project
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.isolate.identity import escaped
from pytest_tfmem.settings import read_settings

_OPTION = "tfmem_project"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tfmem-project", dest=_OPTION, metavar="FILE", help="where to write what was settled")


@pytest.hookimpl(tryfirst=True)  # before pytest is configured, and before pytest-xdist acts on its options
def pytest_cmdline_main(config: pytest.Config) -> int:
    if not config.pluginmanager.hasplugin("tfmem"):
        raise pytest.UsageError("the plugin pytest-tfmem is switched off (-p no:tfmem)")
    Path(config.getoption(_OPTION)).write_bytes(msgspec.json.encode(_project(config)))
    return pytest.ExitCode.OK


def _project(config: pytest.Config) -> Project:
    try:
        settings = read_settings(config)
    except TfmemError as error:
        return Project(mistake=escaped(str(error)))
    return Project(
        root=escaped(str(config.rootpath)),
        history=settings.history,
        budgets=str(settings.budgets) if settings.budgets else None,
    )
