"""The figures of a session in the JUnit XML that pytest writes, as a reader of such files has them."""

from __future__ import annotations

import json

from junitparser.xunit2 import JUnitXml

TESTS = """
import pytest

@pytest.mark.memory_budget(rss="4 GiB", gpu="1 GiB")
@pytest.mark.parametrize("kind", ["<&]]>", "a b"])
def test_step(kind):
    assert len(bytearray(8 << 20)) == 8 << 20
"""


def test_the_properties_of_each_test_are_what_the_run_document_has(pytester):
    pytester.makepyfile(TESTS)
    off = ("-p", "no:randomly", "-p", "no:asyncio")
    result = pytester.runpytest_subprocess(*off, "--tfmem-gpu=off", "--junitxml=junit.xml", "--tfmem-json=run.json")
    result.assert_outcomes(passed=2)
    tests = json.loads((pytester.path / "run.json").read_text())["tests"]
    cases = [case for suite in JUnitXml.fromfile(str(pytester.path / "junit.xml")) for case in suite]
    assert [case.name for case in cases] == ["test_step[<&]]>]", "test_step[a b]"]
    for case, test in zip(cases, tests, strict=True):
        expected = {
            f"tfmem.{figure}_bytes": str(reading["bytes"])
            for figure, reading in test["readings"].items()
            if "bytes" in reading
        }
        assert len(expected) > 1
        assert {one.name: one.value for one in case.properties()} == {
            **expected,
            "tfmem.gpu_not_measured": "switched off by --tfmem-gpu=off",
            "tfmem.verdict": test["verdict"],
        }
