"""pytest-asyncio: a coroutine runs in a loop of the test's process."""

from __future__ import annotations

import pytest

MODULE = """
    import asyncio
    import pytest_asyncio

    {mark}

    @pytest_asyncio.fixture
    async def number():
        await asyncio.sleep(0)
        yield 1
        note("fixture down")

    @budget()
    async def test_awaits(number):
        await asyncio.sleep(0)
        assert number == 1
        note("body")

    @budget(rss="1 MiB")
    @pytest.mark.xfail(strict=True)
    async def test_over(): await asyncio.sleep(0)
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_coroutines_run_in_a_loop_of_the_tests_process(project, mode):
    mark = "pytestmark = pytest.mark.asyncio" if mode == "strict" else ""
    project.write("test_it.py", MODULE.replace("{mark}", mark))
    project.write("pytest.ini", f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n")
    ran = project.run(with_plugins=("asyncio",))
    assert ran.outcomes == {"test_awaits": "passed", "test_over": "xfailed"}
    assert ran.notes == ran.notes_of_children() == ["body", "fixture down"]
