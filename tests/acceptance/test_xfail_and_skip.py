"""Expected failures and skips, judged by pytest's own rules; being over a limit is a failure like another."""

from __future__ import annotations


def test_expected_failures_are_judged_as_without_us(project):
    project.write(
        "test_it.py",
        """
        xfail = pytest.mark.xfail

        @budget()
        @xfail(reason="known")
        def test_fails(): note("body"); assert 0

        @budget()
        @xfail
        def test_passes(): note("body")

        @budget()
        @xfail(strict=True)
        def test_passes_strict(): note("body")

        @budget()
        @xfail(raises=OSError)
        def test_raises(): note("body"); raise OSError

        @budget()
        @xfail(raises=OSError)
        def test_raises_another(): note("body"); raise ValueError

        @budget()
        @xfail(run=False)
        def test_not_run(): note("never")

        @budget()
        def test_imperative(): note("body"); pytest.xfail("for a reason")

        @budget()
        @xfail(False, reason="does not hold")
        def test_not_expected(): note("body"); assert 0
        """,
    )
    ran = project.run_both_ways("-rxX")
    assert ran.outcomes == {
        "test_fails": "xfailed",
        "test_passes": "xpassed",
        "test_passes_strict": "failed",
        "test_raises": "xfailed",
        "test_raises_another": "failed",
        "test_not_run": "xfailed",
        "test_imperative": "xfailed",
        "test_not_expected": "failed",
    }
    assert ran.notes_of_children() == ["body"] * 7
    ran.stdout.fnmatch_lines(["*XPASS(strict)*", "XFAIL test_it.py::test_fails - known", "XFAIL *[[]NOTRUN[]]*"])


def test_a_test_over_its_limit_may_be_expected_to_be(project):
    project.write(
        "test_it.py",
        """
        import pytest_tfmem
        over = budget(rss="1 MiB")
        xfail = pytest.mark.xfail

        @over
        @xfail(reason="too large for now")
        def test_expected(): pass

        @over
        @xfail(strict=True)
        def test_expected_strictly(): pass

        @over
        @xfail(raises=pytest_tfmem.MemoryBudgetExceeded, strict=True)
        def test_expected_by_name(): pass

        @over
        @xfail(raises=OSError)
        def test_another_was_expected(): pass

        @over
        def test_not_expected(): pass

        @budget()
        @xfail(strict=True)
        def test_dies(): os._exit(3)

        @over
        def test_fails_anyway(): raise ValueError("its own")
        """,
    )
    ran = project.run()
    assert ran.outcomes == {
        "test_expected": "xfailed",
        "test_expected_strictly": "xfailed",
        "test_expected_by_name": "xfailed",
        "test_another_was_expected": "failed",
        "test_not_expected": "failed",
        "test_dies": "xfailed",
        "test_fails_anyway": "failed",
    }
    assert "XPASS" not in ran.text
    ran.stdout.fnmatch_lines(
        ["*ValueError: its own*", "FAILED *test_not_expected - MemoryBudgetExceeded: memory budget*"]
    )


def test_skips_of_every_kind_are_skips_and_a_marked_one_costs_no_process(project):
    project.write(
        "test_it.py",
        """
        @pytest.fixture
        def skipping(): pytest.skip("in a fixture")

        @budget()
        @pytest.mark.skip(reason="marked")
        def test_marked(): note("never")

        @budget()
        @pytest.mark.skipif(True, reason="on condition")
        def test_on_condition(): note("never")

        @budget()
        @pytest.mark.skipif("1 == 2", reason="the condition does not hold")
        def test_condition_does_not_hold(): note("body")

        @budget()
        def test_in_fixture(skipping): note("never")

        @budget()
        def test_in_body(): note("body"); pytest.skip("in the body")

        @budget()
        def test_missing_module(): pytest.importorskip("there_is_no_such_module")
        """,
    )
    ran = project.run_both_ways("-rs")
    assert set(ran.outcomes.values()) == {"skipped", "passed"}
    assert ran.notes_of_children() == ["body", "body"]
    assert len(ran.children) == 4
    ran.stdout.fnmatch_lines_random(
        [
            "SKIPPED [[]1[]] test_it.py:*: marked",
            "SKIPPED [[]1[]] test_it.py:*: in a fixture",
            "SKIPPED [[]1[]] test_it.py:*: in the body",
            "*could not import 'there_is_no_such_module'*",
        ]
    )


def test_a_module_that_skips_itself_or_marks_all_its_tests(project):
    project.write("test_one.py", "pytest.skip('no such card', allow_module_level=True)")
    project.write(
        "test_two.py",
        "pytestmark = [pytest.mark.xfail, budget()]\n\ndef test_two(): note('body'); assert 0",
    )
    ran = project.run_both_ways("-rs")
    assert ran.outcomes == {"test_two": "xfailed"}
    assert ran.notes == ran.notes_of_children() == ["body"]
