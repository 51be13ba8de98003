"""Reports that pytest and others write: JUnit XML, report logs, durations, properties."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

MODULE = """
    import time

    @budget(rss="16 GiB")
    def test_passes(record_property, record_testsuite_property):
        print("printed"); record_property("answer", 42)

    @budget(rss="1 MiB", gpu="1 GiB")
    def test_over(): pass

    @budget()
    @pytest.mark.skip(reason="not here")
    def test_skipped(): pass

    @budget()
    def test_skips(): pytest.skip("not now")

    @budget()
    def test_errs(there_is_no_such_fixture): pass
"""


def test_junit_xml_counts_isolated_tests_and_has_their_figures(project):
    project.write("test_it.py", MODULE)
    project.run("--junitxml=report.xml", "-o", "junit_logging=all")
    suite = ET.parse(project.path / "report.xml").getroot().find("testsuite")
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    passed, over = _properties(cases["test_passes"]), _properties(cases["test_over"])
    assert passed["answer"] == "42"
    assert passed["tfmem.verdict"] == "ok"
    assert int(passed["tfmem.rss_bytes"]) > 1 << 20
    assert over["tfmem.verdict"] == "over"
    assert over["tfmem.gpu_not_measured"] == "no GPU"
    assert cases["test_over"].find("failure").get("message").startswith("MemoryBudgetExceeded: memory budget exceeded")
    assert cases["test_passes"].findtext("system-out").count("printed") == 1
    assert float(cases["test_passes"].get("time")) < 5


def test_junit_xml_has_no_figures_where_they_are_switched_off(project):
    project.write("test_it.py", MODULE)
    project.run("--junitxml=report.xml", "-o", "tfmem_junit_properties=false", "-k", "passes")
    assert "tfmem." not in (project.path / "report.xml").read_text()
    assert 'name="answer"' in (project.path / "report.xml").read_text()


def test_a_report_log_has_every_phase_and_the_measurement(project):
    project.write("test_it.py", MODULE)
    ran = project.run("--report-log=log.jsonl", "-k", "passes or over")
    entries = [json.loads(line) for line in (project.path / "log.jsonl").read_text().splitlines()]
    reports = [entry for entry in entries if entry["$report_type"] == "TestReport"]
    assert [(report["when"], report["outcome"]) for report in reports] == [
        ("setup", "passed"),
        ("call", "passed"),
        ("teardown", "passed"),
        ("setup", "passed"),
        ("call", "failed"),
        ("teardown", "passed"),
    ]
    assert [report["tfmem"]["verdict"] for report in reports if "tfmem" in report] == ["ok", "over"]
    assert ran.returncode == 1


def test_durations_are_those_of_the_test_not_of_its_process(project):
    project.write(
        "test_it.py",
        """
        import time
        time.sleep(1)  # as an import of TensorFlow takes

        @budget()
        def test_takes_its_time(): time.sleep(0.1)
        """,
    )
    ran = project.run("--durations=0", "-vv")
    ran.stdout.fnmatch_lines(["0.[1-9]*s call *test_takes_its_time", "0.*s setup *"])


def test_a_property_of_any_kind_is_recorded(project):
    project.write(
        "test_it.py",
        """
        import enum

        class Number:
            def item(self): return 3
            def __repr__(self): return "Number(3)"

        @budget()
        def test_records(record_property):
            for value in (Number(), object, {1: (2, 3)}, b"bytes", "\\udc80", 1 << 100, float("nan")):
                record_property("value", value)
        """,
    )
    ran = project.run("--junitxml=report.xml", "-p", "no:xdist")
    assert ran.outcomes == {"test_records": "passed"}
    assert 'name="value" value="3"' in (project.path / "report.xml").read_text()
    ran = project.run("-n1")
    assert ran.outcomes == {"test_records": "passed"}


def _properties(case):
    return {each.get("name"): each.get("value") for each in case.iter("property")}
