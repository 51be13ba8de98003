"""Tests of every origin are found again in their own process."""

from __future__ import annotations

import sys


def test_ids_of_every_kind_are_found_again(project):
    project.write(
        "test_it.py",
        """
        IDS = ["a::b[x]", "a/b\\\\c @ %s{0}", "ümläut 世", "new\\nline\\x00\\x1b", "-k", ""]

        @budget()
        @pytest.mark.parametrize("number", range(len(IDS)), ids=IDS)
        def test_it(number): note(number)
        """,
    )
    ran = project.run("-q")
    assert set(ran.outcomes.values()) == {"passed"}
    assert ran.notes_of_children() == [str(number) for number in range(6)]


def test_tests_of_one_id_are_told_apart(project):
    project.write(
        "test_it.py",
        """
        def pytest_generate_tests(metafunc):
            if "value" in metafunc.fixturenames:
                metafunc.parametrize("value", [[1], [2]], ids=str)

        def make(number):
            @budget()
            def test_made(value): note([number, *value])
            return test_made

        test_first, test_second = make(1), make(2)
        """,
    )
    project.write("test_twice.py", "@budget()\ndef test_twice(): note('twice')")
    ran = project.run("test_it.py", "test_twice.py", "test_twice.py", "--keep-duplicates")
    assert ran.notes_of_children()[:4] == ["[1, 1]", "[1, 2]", "[2, 1]", "[2, 2]"]
    assert set(ran.notes_of_children()[4:]) == {"twice"}
    assert set(ran.outcomes.values()) <= {"passed", "passed passed"}


def test_items_of_a_users_own_collector_are_isolated_where_the_file_names_them(project):
    project.write(
        "conftest.py",
        """
        def pytest_collect_file(parent, file_path):
            if file_path.suffix == ".check":
                return CheckFile.from_parent(parent, path=file_path)

        class CheckFile(pytest.File):
            def collect(self):
                yield CheckItem.from_parent(self, name="first")
                yield CheckItem.from_parent(self, name="second")

        class CheckItem(pytest.Item):
            def runtest(self):
                note(self.name)
                assert self.name == "first", "only the first"
            def repr_failure(self, excinfo): return f"our own words: {excinfo.value}"
            def reportinfo(self): return self.path, None, f"check {self.name}"
        """,
    )
    project.write("some.check", "")
    project.write("budgets.yaml", "version: 1\nbudgets:\n  - test: 'some.check::*'\n    rss: 16 GiB\n")
    ran = project.run_both_ways()
    assert ran.outcomes == {"first": "passed", "second": "failed"}
    assert ran.notes_of_children() == ["first", "second"]
    ran.stdout.fnmatch_lines(["our own words: only the first*"])


def test_files_and_names_that_the_user_has_chosen(project):
    project.write("pytest.ini", "[pytest]\npython_files = check_*.py\npython_functions = check_*\ntestpaths = ours\n")
    project.write("ours/__init__.py", "")
    project.write("ours/check_it.py", "@budget()\ndef check_it(): note(__name__)")
    for arguments in ([], ["--pyargs", "ours.check_it", "--ignore=other", "--confcutdir=."]):
        assert project.run(*arguments).notes_of_children() == ["ours.check_it"]


def test_a_session_begun_by_a_script(project):
    project.write("test_it.py", "import sys\n\n@budget()\ndef test_it(): note(sys.argv[1:])")
    project.write("script.py", "if __name__ == '__main__': raise SystemExit(pytest.main(['-p', 'witness', '-q']))")
    result = project.pytester.run(sys.executable, "script.py", "an argument")
    assert result.ret == 0
    assert "measured 1 test" in result.stdout.str()
