"""The command line of the test's process: the user's own, less what would act twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

# Options of pytest and of well-known plugins that the child must not act on, by their names in `config.option`:
# the tests are spread, chosen, repeated and written down by the controller. None is given to options that are not
# registered, so a name here costs nothing where its plugin is not installed.
_NEUTRAL: dict[str, Any] = {
    # how tests are spread: pytest-xdist
    "numprocesses": None,
    "maxprocesses": None,
    "dist": "no",
    "distload": False,
    "tx": [],
    "px": [],
    "looponfail": False,
    # choosing
    "keyword": "",
    "markexpr": "",
    "deselect": None,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    "stepwise_reset": False,
    "cacheclear": False,
    "cacheshow": None,
    # writing down
    "xmlpath": None,
    "report_log": None,
    "json_report": False,
    "json_report_file": None,
    "htmlpath": None,
    "allure_report_dir": None,
    "ctrf": None,
    "csv_path": None,
    "md_report": False,
    "no_header": True,  # nobody reads it, and what it looks up (all installed plugins, with -v) costs 10 MB
    "no_summary": True,
    "pastebin": None,
    "durations": None,
    "log_file_mode": "a",  # the session has begun that file
    # this plugin's own
    "tfmem_json": None,
    "tfmem_history": None,
    "tfmem_baseline": None,
    "tfmem_update": None,
}

# Plugins that keep books about the whole session, by the names under which they are registered.
_BOOKKEEPERS = ("lfplugin", "nfplugin", "stepwiseplugin")


def child_arguments(config: pytest.Config) -> list[str]:
    """Arguments for `pytest.main` in the child: those of this session, then what has to hold in their place.

    What stands in the ini file and in PYTEST_ADDOPTS the child reads for itself, as this session did.
    """
    arguments = [str(argument) for argument in config.invocation_params.args]
    arguments += [f"--rootdir={config.rootpath}"]
    if config.inipath is not None:
        arguments += ["-c", str(config.inipath)]
    seed = getattr(config.option, "randomly_seed", None)
    if isinstance(seed, int):
        # Settled anew in each session otherwise.
        arguments += [f"--randomly-seed={seed}"]
    if hasattr(config.option, "no_cov"):
        # The child's coverage is measured through coverage's own patch for subprocesses, not by pytest-cov twice.
        arguments += ["--no-cov"]
    return arguments


def neutralise(config: pytest.Config, *, path: str, basetemp: str, workerinput: Mapping[str, Any] | None) -> None:
    """In the child, before pytest is configured: one file to collect, and nothing that would act twice."""
    neutralise_options(config)
    config.option.basetemp = basetemp
    config.args = [path]
    if config.pluginmanager.hasplugin("rerunfailures"):
        # Before it is configured: it would start a server, in a thread of the test's process. Its option has been
        # read; its marker is known to --strict-markers from here.
        config.pluginmanager.unregister(name="rerunfailures")
        config.addinivalue_line("markers", "flaky: tests are run again by the controller")
    if workerinput is not None:
        # What pytest-xdist sets in its workers, so that `worker_id` and plugins see the same worker here.
        config.workerinput = dict(workerinput)  # type: ignore[attr-defined]  # the name that plugins look for
        config.workeroutput = {}  # type: ignore[attr-defined]


def neutralise_options(config: pytest.Config) -> None:
    """Before pytest is configured: nothing is spread, chosen, repeated or written down by this process."""
    for name, value in _NEUTRAL.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)


def dismiss_bookkeepers(config: pytest.Config) -> None:
    """In the child, once pytest is configured: nobody writes the session's caches from here."""
    for name in _BOOKKEEPERS:
        if config.pluginmanager.hasplugin(name):
            config.pluginmanager.unregister(name=name)
