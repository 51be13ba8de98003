"""`--tfmem-fail-on=nothing`: limits are judged and shown, and no test fails by them."""

from __future__ import annotations


def test_limits_are_judged_and_no_test_fails_by_them(project):
    project.write("test_a.py", "@pytest.mark.memory_budget(rss='1 MiB')\ndef test_over(): pass\n")
    assert project.run("test_a.py").outcomes == {"test_over": "failed"}
    ran = project.run("--tfmem-fail-on=nothing", "test_a.py")
    assert (ran.returncode, ran.outcomes) == (0, {"test_over": "passed"})
    assert ran.measured["test_over"]["verdict"] == "over"
    ran.stdout.fnmatch_lines(["*measured 1 of 1 limit; 1 over"])
