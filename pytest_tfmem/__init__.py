"""Memory budgets for TensorFlow tests.

The rooms, lowest floor first. A module imports from its own floor or a lower one:

    errors exceeded units wholefile allocators leaks explanations figures
    budgets measure
    isolate
    history
    gate
    report
    settings
    comparison
    explain
    digest
    page pullrequest exports
    request resources failing leakseen ordering reporting watching calls secondruns testrun ahead recording session
    upkeep summary htmlreport fixture
    plugin check doctor attempts program
    gating
    cli

What each room knows:

    errors    what a user can repair, each with where and what would be right
    exceeded  what is raised in a test that is over its budget
    units     "1.5 GiB" <-> bytes; the only place that knows a unit
    wholefile a file written whole or not at all
    allocators names of TensorFlow's GPU allocators
    leaks     what calls of a test's body have kept, part by part, and what kept it
    explanations what held the memory at the peak of a figure
    figures   the vocabulary: figures, readings, measurements
    budgets   what is allowed: limits, the file they stand in, the verdict
    measure   what was used: by the kernel's counters, devices' allocators and the driver, and the sampler beside them
    isolate   one fresh process: how it starts, what it says, how it ends
    history   earlier runs: recorded, kept, joined into series, each under the conditions that a reading depends on
    gate      better or worse: which changes of a series are more than noise, and with what chance of a false alarm
    report    for people: the pytest summary, failures, JUnit properties
    settings  every option and ini key, declared once and read once
    comparison what this session's readings are held against, what has changed, and which tests fail by that
    explain   what held the memory at a test's peak: a second run of it, and how what that shows is folded
    digest    a run summed up for readers away from the terminal: its verdict, what is not fine, every test
    page      a run on a page: one HTML file that asks the network for nothing
    pullrequest a digest where a change is reviewed: a summary or comment in Markdown, and annotations
    exports   a run in the formats that other tools read
    request   what is asked of one test, by its markers, the file and the options
    resources what tests' processes share in one session: what starts them, their folders, the GPUs
    failing   which figures fail a phase of a test: each over its limit once, in the first phase that shows it
    leakseen  what one attempt at a test says of what its calls kept: its readings, and lines for people
    ordering  the order for one test: what its process needs to be started, and is to be told
    reporting what pytest is told of a test that did not run where it thinks, or ran there though it should not have
    watching  what is watched of one process beside pytest, and all the readings that come of it
    calls     functions that a test has measured: each call in a fresh process, and what is recorded of it
    secondruns a test run once more beside its attempt: for what its tensors asked for, or to confirm what has grown
    testrun   one attempt at one isolated test: started, judged, turned into pytest's reports
    ahead     which tests and files come next, made ready while another test runs
    recording this session as a run, and the record that is made of it as its tests end
    session   what this plugin knows in one pytest session
    upkeep    budgets.yaml kept up to date: which limits are to change by what tests needed, which entries are to go
    summary   the hooks in which a session is summed up: what was measured is recorded, written and shown
    htmlreport the hooks of pytest-html: figures in its table, a test's timeline in its details
    fixture   a test's own view of its memory: sections, checkpoints, limits, functions measured
    plugin    pytest's hooks, each an adapter
    check     budgets.yaml and the markers, held against the tests that there are
    doctor    what this machine can measure, how exactly, and what would give more
    attempts  pytest run again and again, each time from nothing: of one revision, or of two in turn
    program   a program that is not a test, run and measured: `tfmem run`
    gating    the head run, held against history, and what is suspect decided against the base: `tfmem gate`
    cli       the command `tfmem`

PYTEST_DONT_REWRITE: there are no tests in here, and in a test's process this package is loaded before pytest, which
would warn that it comes too late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_tfmem.errors import RemoteError
    from pytest_tfmem.exceeded import MemoryBudgetExceeded, MemoryRegression
    from pytest_tfmem.fixture import Size, Tfmem

__all__ = ["MemoryBudgetExceeded", "MemoryRegression", "RemoteError", "Size", "Tfmem"]
_ROOMS = {"RemoteError": "errors", "Size": "fixture", "Tfmem": "fixture"}


def __getattr__(name: str) -> Any:
    """The public names, imported when they are asked for: pytest is not to be in the process of every program."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415  only for this

    return getattr(importlib.import_module(f"pytest_tfmem.{_ROOMS.get(name, 'exceeded')}"), name)
