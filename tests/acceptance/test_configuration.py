"""What the user has configured holds in a test's process: files, options, import modes and paths."""

from __future__ import annotations

import pytest

PASSES = "@budget()\ndef test_it(): note('body')"


def test_options_of_a_conftest_and_overridden_ini_keys_hold(project):
    project.write(
        "conftest.py",
        """
        def pytest_addoption(parser):
            parser.addoption("--size", type=int, default=1)
            parser.addoption("--also", action="append")
            parser.addini("colour", "a colour", default="none")
        """,
    )
    project.write(
        "test_it.py",
        """
        @budget()
        def test_it(pytestconfig):
            note([pytestconfig.getoption(name) for name in ("size", "also")] + [pytestconfig.getini("colour")])
            note(pytestconfig.rootpath)
        """,
    )
    arguments = ["--size", "3", "--also=a", "--also=b", "-o", "colour=red", f"--rootdir={project.path.parent}"]
    for workers in ([], ["-n1"]):
        ran = project.run(*arguments, *workers)
        assert ran.notes_of_children() == ["[3, ['a', 'b'], 'red']", str(project.path.parent)]


def test_what_stands_in_addopts_is_not_acted_on_twice(project, monkeypatch):
    project.write("test_it.py", "@budget()\ndef test_fails(): assert 0\n\n@budget()\ndef test_never(): note('never')")
    project.write(
        "pytest.ini", "[pytest]\naddopts = -n1 --junitxml=report.xml -x --lf -p no:cov --report-log=log.jsonl\n"
    )
    monkeypatch.setenv("PYTEST_ADDOPTS", "--durations=2 -k 'fails or never' --tfmem-json=run.json --maxfail=1")
    ran = project.run()
    assert ran.outcomes == {"test_fails": "failed"}
    assert (project.path / "report.xml").read_text().count("<testcase") == 1
    assert len((project.path / "log.jsonl").read_text().splitlines()) > 3
    assert (project.path / "run.json").exists()
    assert ran.children


@pytest.mark.parametrize("mode", ["importlib", "prepend", "append"])
def test_import_modes_and_the_pythonpath_key_hold(project, mode):
    project.write("proj/lib/ours.py", "NAME = 'ours'")
    project.write("proj/pytest.ini", f"[pytest]\npythonpath = lib\naddopts = --import-mode={mode}\n")
    project.write(
        "proj/tests/test_it.py",
        """
        import sys
        import ours

        @budget()
        def test_it(): note([__name__, list(dict.fromkeys(sys.path)), ours.NAME])

        def test_here(): note([__name__, list(dict.fromkeys(sys.path)), ours.NAME])
        """,
    )
    ran = project.run("-c", "proj/pytest.ini", "proj")
    assert ran.outcomes == {"test_it": "passed", "test_here": "passed"}
    (isolated,), (here,) = ran.notes_of_children(), ran.notes_of_controllers()
    assert isolated == here


def test_modules_of_one_name_in_several_folders_are_told_apart(project):
    for folder in ("one", "two"):
        project.write(f"{folder}/test_it.py", f"@budget()\ndef test_it(): note('{folder}')")
    ran = project.run("--import-mode=importlib")
    assert ran.nodeids == ["one/test_it.py::test_it", "two/test_it.py::test_it"]
    assert ran.notes_of_children() == ["one", "two"]


def test_a_session_started_elsewhere_with_a_named_configuration(project):
    project.write("proj/setup.cfg", "[tool:pytest]\nusefixtures = noted\n")
    project.write("proj/tests/conftest.py", "@pytest.fixture\ndef noted(): note(os.getcwd())")
    project.write("proj/tests/test_it.py", PASSES)
    (project.path / "work").mkdir()
    ran = project.run("-c", "../proj/setup.cfg", "../proj/tests", cwd="work")
    assert ran.outcomes == {"test_it": "passed"}
    assert ran.notes_of_children() == [str(project.path / "work"), "body"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.pytest.ini_options]\ntfmem_all = true\naddopts = ["-p", "no:doctest"]'),
        ("pyproject.toml", '[tool.pytest]\ntfmem_all = true\naddopts = ["-p", "no:doctest"]'),
        ("pytest.toml", '[pytest]\ntfmem_all = true\ntfmem_interval = "0.1"'),
        ("tox.ini", "[pytest]\ntfmem_all = yes"),
    ],
    ids=["ini_options", "native", "pytest.toml", "tox.ini"],
)
def test_every_kind_of_configuration_file_is_read(project, name, text):
    if ("[tool.pytest]" in text or name == "pytest.toml") and pytest.version_tuple < (9,):
        pytest.skip("native TOML came with pytest 9")
    project.write(name, text)
    project.write("test_it.py", "def test_it(pytestconfig): note(pytestconfig.inipath.name)")
    ran = project.run()
    assert ran.outcomes == {"test_it": "passed"}
    assert ran.notes_of_children() == [name]


def test_the_interpreters_own_flags_hold(project):
    project.write(
        "test_it.py", "import sys\n\n@budget()\ndef test_it(): note([sys.flags.utf8_mode, sys.flags.dev_mode])"
    )
    ran = project.run(interpreter=("-X", "utf8", "-X", "dev"))
    assert ran.notes_of_children() == ["[1, True]"]


def test_a_test_that_changes_folder_or_environment_changes_its_own(project):
    project.write(
        "test_it.py",
        """
        import sys

        @budget()
        def test_changes(tmp_path):
            os.chdir(tmp_path); os.environ["CHANGED"] = "1"; sys.path.insert(0, "changed")

        def test_here_and_changes():
            note(os.getcwd()); assert "CHANGED" not in os.environ and "changed" not in sys.path
            os.chdir("/"); os.environ["HERE"] = "1"; sys.path.insert(0, "/here")

        @budget()
        def test_after():
            assert os.environ["HERE"] == "1" and "/here" in sys.path
        """,
    )
    ran = project.run()
    assert set(ran.outcomes.values()) == {"passed"}
    assert ran.notes == [str(project.path)]


def test_code_of_the_project_may_be_installed_or_only_lie_there(project):
    project.write("src/ours/__init__.py", "NAME = 'ours'")
    project.write("conftest.py", "import sys\nsys.path.insert(0, 'src')\nos.environ['FROM_CONFTEST'] = '1'")
    project.write(
        "test_it.py", "import ours\n\n@budget()\ndef test_it(): note(ours.NAME + os.environ['FROM_CONFTEST'])"
    )
    ran = project.run()
    assert ran.notes_of_children() == ["ours1"]
