"""Warnings of a test's process are this session's warnings."""

from __future__ import annotations

MODULE = """
    import warnings

    class OurWarning(UserWarning): pass

    warnings.warn("on import")

    @budget()
    def test_warns():
        warnings.warn("from the test", OurWarning)

    @budget()
    @pytest.mark.filterwarnings("error:from the marked")
    def test_marked():
        warnings.warn("from the marked test")
"""


def test_warnings_are_in_the_summary_once_and_filters_of_marks_hold(project):
    project.write("test_it.py", MODULE)
    here = project.run("--no-tfmem")
    there = project.run()
    assert there.outcomes == here.outcomes == {"test_warns": "passed", "test_marked": "failed"}
    for text in ("UserWarning: on import", "OurWarning: from the test"):
        assert there.text.count(text) == here.text.count(text) == 1
    there.stdout.fnmatch_lines(
        ["*= warnings summary =*", "test_it.py::test_warns", "*1 failed, 1 passed, 2 warnings in*"]
    )


def test_filters_of_the_command_line_and_of_the_ini_file_hold_in_the_tests_process(project):
    module = MODULE.replace('warnings.warn("on import")', "")
    project.write("test_it.py", module)
    ran = project.run_both_ways("-W", "error")
    assert ran.outcomes == {"test_warns": "failed", "test_marked": "failed"}
    project.write("pytest.ini", "[pytest]\nfilterwarnings =\n    error\n    ignore:from the test\n")
    ran = project.run_both_ways()
    assert ran.outcomes == {"test_warns": "passed", "test_marked": "failed"}
    assert "warnings summary" not in ran.text


def test_a_test_may_ask_for_warnings_with_pytests_own_means(project):
    project.write(
        "test_it.py",
        """
        import warnings

        @budget()
        def test_warns(recwarn):
            with pytest.warns(DeprecationWarning, match="old"):
                warnings.warn("old", DeprecationWarning)
            with pytest.deprecated_call():
                warnings.warn("older", DeprecationWarning)
            warnings.warn("recorded")
            assert len(recwarn) == 1
        """,
    )
    ran = project.run()
    assert ran.outcomes == {"test_warns": "passed"}
    assert "warnings summary" not in ran.text
