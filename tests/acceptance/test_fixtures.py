"""Fixtures of an isolated test live in its process, as they would in pytest's own."""

from __future__ import annotations

FIXTURES = """
    @pytest.fixture(scope="session")
    def for_session():
        note("session up"); yield "s"; note("session down")

    @pytest.fixture(scope="package")
    def for_package(for_session):
        note("package up"); yield for_session + "p"; note("package down")

    @pytest.fixture(scope="module", autouse=True)
    def for_module():
        note("module up"); yield "m"; note("module down")

    @pytest.fixture(scope="class")
    def for_class():
        note("class up"); yield "c"; note("class down")

    @pytest.fixture(params=[1, 2])
    def number(request):
        note("number up"); request.addfinalizer(lambda: note("number down"))
        return request.param
"""


def test_fixtures_of_every_scope_are_set_up_and_torn_down_in_the_tests_process_in_pytests_order(project):
    project.write("conftest.py", FIXTURES)
    project.write(
        "test_it.py",
        """
        class TestIt:
            @budget()
            def test_all(self, for_package, for_class, number):
                note("body"); assert for_package + for_class == "spc"
        """,
    )
    here = project.run("--no-tfmem", "-k", "all and 1")
    there = project.run("-k", "all and 1")
    assert there.outcomes == here.outcomes == {"test_all[1]": "passed"}
    assert there.notes == here.notes
    assert there.notes == there.notes_of_children()
    assert len(there.notes) == 11


def test_each_test_has_fixtures_of_its_own_whatever_their_scope(project):
    project.write("conftest.py", FIXTURES)
    project.write(
        "test_it.py",
        """
        @budget()
        def test_parametrised_by_a_fixture(for_session, number):
            note(f"body {number}")
        """,
    )
    ran = project.run_both_ways()
    assert ran.outcomes == {f"test_parametrised_by_a_fixture[{n}]": "passed" for n in (1, 2)}
    assert len(ran.children) == 2
    assert sorted(ran.pids("session up")) == sorted(ran.pids("body 1") + ran.pids("body 2"))


def test_an_error_in_a_fixture_is_an_error_of_setup_or_of_teardown(project):
    project.write(
        "test_it.py",
        """
        @pytest.fixture
        def never_up(): raise OSError("never up")

        @pytest.fixture
        def never_down():
            yield
            raise OSError("never down")

        @budget()
        def test_up(never_up): note("never")

        @budget()
        def test_down(never_down): note("body")

        @budget()
        def test_both(never_down): raise ValueError("in between")
        """,
    )
    ran = project.run_both_ways()
    assert ran.outcomes == {"test_up": "error", "test_down": "passed error", "test_both": "failed error"}
    assert ran.notes == ran.notes_of_children() == ["body"]
    ran.stdout.fnmatch_lines(["*ERROR at setup of test_up*", "*OSError: never up*", "*ERROR at teardown of test_down*"])


def test_fixtures_of_in_process_tests_are_theirs_alone(project):
    project.write("conftest.py", FIXTURES)
    project.write(
        "test_it.py",
        """
        def test_before(for_session): note("before")

        @budget()
        def test_isolated(for_session): note("isolated")

        def test_after(for_session): note("after")
        """,
    )
    ran = project.run_both_ways()
    assert set(ran.outcomes.values()) == {"passed"}
    assert ran.notes_of_children() == ["session up", "module up", "isolated", "module down", "session down"]
    assert ran.notes_of_controllers() == ["session up", "module up", "before", "after", "module down", "session down"]


def test_what_an_in_process_test_set_up_is_torn_down_in_time_when_an_isolated_one_follows(project):
    module = """
        @pytest.fixture(scope="module")
        def slow():
            note(__name__ + " up"); yield; note(__name__ + " down")
        """
    project.write("test_one.py", module + "\n        def test_one(slow): pass")
    project.write(
        "test_two.py", "\n@budget()\ndef test_two(): note('two')\n\n@budget()\ndef test_three(): note('three')"
    )
    ran = project.run()
    assert ran.notes == ["test_one up", "test_one down", "two", "three"]
    assert set(ran.outcomes.values()) == {"passed"}


def test_package_fixtures_and_nested_conftests_override_as_usual(project):
    project.write("tests/__init__.py", "")
    project.write("tests/conftest.py", "@pytest.fixture\ndef value(): return 1")
    project.write("tests/inner/__init__.py", "")
    project.write("tests/inner/conftest.py", "@pytest.fixture\ndef value(value): return value + 1")
    test = "@budget()\ndef test_{0}(value): note('{0} %s' % value)"
    project.write("tests/test_outer.py", test.format("outer"))
    project.write("tests/inner/test_inner.py", test.format("inner"))
    ran = project.run_both_ways()
    assert sorted(ran.notes_of_children()) == ["inner 2", "outer 1"]
