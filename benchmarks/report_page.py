"""What a report of a long history takes: `python benchmarks/report_page.py [TESTS] [RUNS] [REPEATS]`.

By default 500 tests in 200 runs, in a folder and in SQLite. The whole command `tfmem report -o report.html` is timed,
the start of Python included; then the page is opened in headless Chromium, each time in a fresh context: from the start
of the navigation until all rows of the table are on the screen, and until a click on a column's head has sorted them.
The bars: built in under 5 s, and opened in under 3 s. Processor times beside the clock's, for whatever else the machine
does; Chromium's are those of all its processes. Takes the extra `report`, playwright and Chromium.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
from playwright.sync_api import sync_playwright
from table import median, show

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from recorded_suite import Suite, write_project  # noqa: E402

from pytest_tfmem.history.store import open_store  # noqa: E402  of this checkout, whatever is installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

BUILD_SECONDS, OPEN_SECONDS = 5.0, 3.0
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
MIB = 1 << 20


class Taken(NamedTuple):
    clock_seconds: float
    processor_seconds: float
    peak_bytes: int = 0


def built(project: Path, *arguments: str) -> Taken:
    """One report. `peak_bytes`: of the command itself, without the pytest that it asks for the project's settings."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_tfmem", "report", *arguments, "-o", "report.html"], cwd=project, env=environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return Taken(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


def opened(browser: Browser, page_file: Path, tests: int) -> dict[str, Taken]:
    """One visit: the table, a sort, and the view of the first test with its first chart."""
    context = browser.new_context()
    page = context.new_page()
    try:
        return {
            "opened, all rows drawn": _timed(page, lambda: page.goto(page_file.as_uri()), _rows(tests)),
            "a click on a column's head, sorted": _timed(
                page,
                lambda: page.click('#table thead button[data-key="test"]'),
                '#table th[aria-sort="ascending"].c-test',
            ),
            "a test's view, its first chart drawn": _timed(
                page, lambda: page.click("#table tbody tr a"), "#test .js-plotly-plot .main-svg"
            ),
        }
    finally:
        context.close()


def _rows(tests: int) -> str:
    return f"#table tbody tr:nth-child({tests})"


def _timed(page: Page, action: Callable[[], object], awaited: str) -> Taken:
    began = time.perf_counter(), _browsers_seconds()
    action()
    page.wait_for_selector(awaited, state="attached")
    page.evaluate(DRAWN)
    return Taken(time.perf_counter() - began[0], _browsers_seconds() - began[1])


def _browsers_seconds() -> float:
    found = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        found += times.user + times.system
    return found


def rows(suite: Suite, repeats: int) -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(project, suite)
        written = sum(file.stat().st_size for file in (project / ".tfmem" / "runs").glob("*.jsonl"))
        yield ["folder", "run files", f"{written / MIB:.0f} MiB", "", "", ""]
        yield from _built("folder", lambda: built(project), repeats)
        url = f"sqlite:///{project}/runs.db"
        store = open_store(".tfmem/runs", root=project)
        open_store(url, root=project).push(store.runs({info.id for info in store.infos()}))
        yield ["SQLite", "its file", f"{(project / 'runs.db').stat().st_size / MIB:.0f} MiB", "", "", ""]
        yield from _built("SQLite", lambda: built(project, "--history", url), repeats)
        page_file = project / "report.html"
        size = f"{page_file.stat().st_size / MIB:.2f} MiB"
        packed = f"{_packed(page_file) / MIB:.2f} MiB with gzip"
        yield ["page", "its size", size, packed, "", ""]
        yield from _visits(page_file, suite.tests, repeats)


def _built(name: str, build: Callable[[], Taken], repeats: int) -> Iterator[list[str]]:
    build()  # files and modules come from the cache from now on
    taken = [build() for _ in range(repeats)]
    yield _row(name, "built", taken, BUILD_SECONDS)
    peak = statistics.median(one.peak_bytes for one in taken)
    yield [name, "peak resident memory of the command", f"{peak / MIB:.0f} MiB", "", "", ""]


def _visits(page_file: Path, tests: int, repeats: int) -> Iterator[list[str]]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        opened(browser, page_file, tests)
        visits = [opened(browser, page_file, tests) for _ in range(repeats)]
        browser.close()
    for what in visits[0]:
        bar = OPEN_SECONDS if what.startswith("opened") else None
        yield _row("page", what, [visit[what] for visit in visits], bar)


def _packed(page_file: Path) -> int:
    """What a server sends of it to a browser that takes it compressed."""
    done = subprocess.run(["gzip", "--stdout", str(page_file)], capture_output=True, check=True)
    return len(done.stdout)


def _row(name: str, what: str, taken: list[Taken], bar: float | None) -> list[str]:
    clock = [one.clock_seconds for one in taken]
    met = "" if bar is None else f"under {bar:g} s: {'met' if statistics.median(clock) < bar else 'missed'}"
    extremes = f"{min(clock):.2f} to {max(clock):.2f} s"
    return [name, what, median(clock, 2, "s"), extremes, median([one.processor_seconds for one in taken], 2, "s"), met]


def main() -> None:
    numbers = [int(one) for one in sys.argv[1:]]
    tests, runs, repeats = [*numbers, *(500, 200, 5)[len(numbers) :]]
    print(f"{tests} tests in {runs} runs:\n")
    show(["where", "what", "median", "least to most", "processor time", "bar"], list(rows(Suite(tests, runs), repeats)))


if __name__ == "__main__":
    main()
