"""Classes, xunit-style setup and unittest: what pytest does around a test, done in the test's process."""

from __future__ import annotations


def test_setup_and_teardown_in_the_style_of_xunit(project):
    project.write(
        "test_it.py",
        """
        def setup_module(): note("setup_module")
        def teardown_module(): note("teardown_module")
        def setup_function(): note("setup_function")

        @budget()
        class TestIt:
            @classmethod
            def setup_class(cls): note("setup_class"); cls.kept = 1
            @classmethod
            def teardown_class(cls): note("teardown_class")
            def setup_method(self): note("setup_method")
            def teardown_method(self): note("teardown_method")
            def test_one(self): note("one"); assert self.kept == 1
        """,
    )
    ran = project.run_both_ways()
    assert ran.notes == ran.notes_of_children()
    assert ran.notes == [
        "setup_module",
        "setup_class",
        "setup_method",
        "one",
        "teardown_method",
        "teardown_class",
        "teardown_module",
    ]


def test_a_unittest_case_is_set_up_skipped_and_judged_as_unittest_does(project):
    project.write(
        "test_it.py",
        """
        import unittest

        @budget()
        class TestIt(unittest.TestCase):
            @classmethod
            def setUpClass(cls): cls.kept = os.getpid()
            def setUp(self): self.addCleanup(note, "cleaned up")
            def test_same_process(self): self.assertEqual(self.kept, os.getpid())
            def test_fails(self): self.assertEqual(1, 2)
            @unittest.skip("not today")
            def test_skipped_by_mark(self): note("never")
            def test_skips_itself(self): self.skipTest("not now")
            @unittest.expectedFailure
            def test_expected_to_fail(self): self.fail("as expected")
            @unittest.expectedFailure
            def test_unexpected_success(self): pass
        """,
    )
    ran = project.run_both_ways()
    assert ran.outcomes == {
        "test_same_process": "passed",
        "test_fails": "failed",
        "test_skipped_by_mark": "skipped",
        "test_skips_itself": "skipped",
        "test_expected_to_fail": "xfailed",
        "test_unexpected_success": "failed",
    }
    assert ran.notes == ran.notes_of_children()
    ran.stdout.fnmatch_lines(["*Unexpected success*"])


def test_every_subtest_is_reported_on_its_own(project):
    project.write(
        "test_it.py",
        """
        import unittest

        @budget()
        class TestIt(unittest.TestCase):
            def test_unittest(self):
                for number in range(3):
                    with self.subTest("of unittest", number=number):
                        self.assertNotEqual(number, 1)

        @budget()
        def test_pytest(subtests):
            for number in range(3):
                with subtests.test("of pytest", number=number):
                    assert number != 2
            note("body")
        """,
    )
    here = project.run("--no-tfmem")
    there = project.run()
    assert there.outcomes == here.outcomes
    assert there.outcomes["test_pytest"].split().count("failed") >= 1
    assert there.returncode == here.returncode == 1
    assert there.stdout.lines[-1].partition(" in ")[0] == here.stdout.lines[-1].partition(" in ")[0]
    assert there.notes == there.notes_of_children() == ["body"]
    there.stdout.fnmatch_lines(["*of unittest* (number=*1*", "*of pytest* (number=*2*"])
