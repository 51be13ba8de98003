"""Servers: what each has imported, for which tests it is fit, what it keeps ready, and for how long."""

from __future__ import annotations

import importlib.util
import sys

import pytest

pytestmark = [
    pytest.mark.of_any_start_method,
    pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere"),
]

FORCED = "--tfmem-start-method=forkserver"
FAMILY = """
    import time
    from pathlib import Path

    def file(): return os.getppid()  # the process that has collected the test's file

    def server(): return int(Path(f"/proc/{file()}/stat").read_text().rpartition(")")[2].split()[1])

    def children(pid, name):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in found if name_of(child) == name]

    def name_of(pid):
        try:
            return Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return ""

    def until(condition):
        deadline = time.monotonic() + 20
        while not (met := condition()):
            assert time.monotonic() < deadline
            time.sleep(0.01)  # between two looks
        return met
"""
# A framework by its name, which says where it was imported.
FRAMEWORK = """
    note("imported")
    number = 3
    def function(): return number
"""
RUNTIMES = """
    import family, read_ahead

    @pytest.fixture(autouse=True)
    def server(): note(f"server {family.server()}")

    @budget()
    def test_none(): assert read_ahead.VALUE is None

    @pytest.mark.tf_runtime(allocator="growth")
    def test_allocator(): assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"

    @pytest.mark.tf_runtime(cpu_allocator="bfc", gpus=0)
    def test_devices():
        assert os.environ["TF_CPU_ALLOCATOR_USE_BFC"] == "true"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"

    @pytest.mark.tf_runtime(intra_op_threads=3, inter_op_threads=2)
    def test_threads():
        assert (os.environ["TF_NUM_INTRAOP_THREADS"], os.environ["TF_NUM_INTEROP_THREADS"]) == ("3", "2")

    @budget()
    def test_none_again():
        assert not {"TF_NUM_INTRAOP_THREADS", "TF_CPU_ALLOCATOR_USE_BFC"} & set(os.environ)

    @pytest.mark.tf_runtime(env={"READ_AHEAD": "other"})
    def test_of_its_own():
        assert os.environ["READ_AHEAD"] == read_ahead.VALUE == "other"
"""


def test_what_is_read_early_has_a_server_of_its_own_and_what_is_read_late_has_not(project):
    project.write("pytest.ini", "[pytest]\ntfmem_preload = read_ahead\n")
    project.write("family.py", FAMILY)
    project.write("read_ahead.py", "VALUE = os.environ.get('READ_AHEAD')\nnote('read')")
    project.write("test_it.py", RUNTIMES)
    ran = project.run(FORCED)
    assert set(ran.outcomes.values()) == {"passed"}
    *shared, own = (note for note in ran.notes if note.startswith("server"))
    assert len(shared) == 5
    assert len({*shared}) == 1
    assert own not in shared
    servers = {int(note.split()[1]) for note in (own, *shared)}
    assert sorted(ran.pids("read")) == sorted([*ran.controllers, *servers])


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_tensorflow_takes_a_variable_that_it_reads_when_it_is_imported(project):
    project.write("family.py", FAMILY)
    project.write(
        "test_it.py",
        """
        import family, sys
        import tensorflow as tf
        from tensorflow.python.util import _pywrap_util_port

        @pytest.fixture(autouse=True)
        def server(): note(f"server {family.server()}")

        @pytest.mark.tf_runtime(env={"TF_ENABLE_ONEDNN_OPTS": "1"})
        def test_with(): assert _pywrap_util_port.IsMklEnabled()

        @pytest.mark.tf_runtime(env={"TF_ENABLE_ONEDNN_OPTS": "0"})
        def test_without(): assert not _pywrap_util_port.IsMklEnabled()

        @pytest.mark.tf_runtime(env={"TF_ENABLE_ONEDNN_OPTS": "0"}, jit=True, logical_devices={"CPU": 2})
        def test_with_more():
            assert not _pywrap_util_port.IsMklEnabled()
            assert tf.config.optimizer.get_jit() == "autoclustering"
            assert len(tf.config.list_logical_devices("CPU")) == 2
        """,
    )
    ran = project.run(FORCED)
    assert set(ran.outcomes.values()) == {"passed"}
    one, other, shared = ran.notes
    assert one != other == shared


@pytest.mark.parametrize("order", [["test_plain.py", "test_torch.py"], ["test_torch.py", "test_plain.py"]])
def test_a_framework_that_another_file_imports_is_not_there(project, order):
    project.write("family.py", FAMILY)
    project.write("torch.py", FRAMEWORK)
    project.write("test_torch.py", "import family, torch\n@budget()\ndef test_torch(): note(family.server())")
    project.write(
        "test_plain.py",
        "import family, sys\n@budget()\ndef test_plain(): note(family.server()); assert 'torch' not in sys.modules",
    )
    ran = project.run(FORCED, *order)
    assert ran.outcomes == {"test_torch": "passed", "test_plain": "passed"}
    # Where no server has it, the file would import it itself.
    (with_torch,) = set(ran.pids("imported")) - set(ran.controllers)
    assert str(with_torch) in ran.notes


def test_what_reads_a_frameworks_devices_is_imported_once_for_all_tests_of_a_file(project):
    project.write("jax.py", "")  # stands in for the framework: what is tested is what its name has imported
    project.write(
        "conftest.py",
        """
        import sys
        import pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_protocol(item):
            item.session.was_loaded = "pytest_tfmem.measure.jax_allocator" in sys.modules
            return (yield)
        """,
    )
    project.write(
        "test_it.py",
        """
        import jax

        @budget()
        def test_it(request): assert request.session.was_loaded
        """,
    )
    ran = project.run(FORCED, "-p", "no:xdist")
    assert ran.outcomes == {"test_it": "passed"}


@pytest.mark.parametrize(
    "statement",
    ["import helper", "from helper import function", "from helper import Class", "from helper import number"],
)
def test_a_framework_that_comes_by_way_of_another_module_is_imported_ahead(project, statement):
    project.write("family.py", FAMILY)
    project.write("torch.py", FRAMEWORK)
    project.write("helper.py", "from torch import number, function\nclass Class: pass")
    project.write(
        "test_it.py",
        f"import family, sys\n{statement}\n@budget()\ndef test_it(): note(family.server()); note(family.file())",
    )
    ran = project.run(FORCED)
    assert ran.outcomes == {"test_it": "passed"}
    server, file = (int(note) for note in ran.notes if note != "imported")
    assert server in ran.pids("imported")
    assert file not in ran.pids("imported")


def test_a_module_that_cannot_be_imported_ahead_is_said_in_the_summary(project):
    project.write("pytest.ini", "[pytest]\ntfmem_preload = no_such_module\n")
    project.write("test_it.py", "@budget()\ndef test_it(): pass")
    ran = project.run()
    assert ran.measured["test_it"]["start_method"] == "spawn"
    reason = "no_such_module could not be imported ahead (ModuleNotFoundError: No module named 'no_such_module')"
    ran.stdout.fnmatch_lines([f"spawned, not forked: {reason} (1 test)"])
    forced = project.run(FORCED)
    assert forced.outcomes == {"test_it": "error"}
    forced.stdout.fnmatch_lines([f"*--tfmem-start-method=forkserver is not possible for this test: {reason}*"])


@pytest.mark.parametrize(
    ("value", "shown"), [("3d", "'3d'"), ("numpy.", "'numpy.'"), ("os,sys", "'os,sys'"), ("../numpy", "'../numpy'")]
)
def test_what_is_no_module_is_a_wrong_setting(project, value, shown):
    project.write("pytest.ini", f"[pytest]\ntfmem_preload = os {value}\n")
    ran = project.run()
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert ran.errors.strip() == f"ERROR: pytest.ini: tfmem_preload: {shown} is not a module's name"


def test_the_next_tests_process_waits_while_a_test_runs_and_does_nothing_before_its_turn(project):
    project.write("family.py", FAMILY)
    project.write(
        "test_it.py",
        """
        import family

        @pytest.fixture(autouse=True)
        def around():
            note("set up")
            yield
            note("torn down")

        @budget()
        @pytest.mark.parametrize("number", [1, 2, 3])
        def test_it(number):
            note(f"runs {os.getpid()}")
            if number < 3:
                (spare,) = family.until(lambda: family.children(os.getppid(), "tfmem-spare"))
                note(f"ready {spare}")
        """,
    )
    ran = project.run(FORCED)
    assert set(ran.outcomes.values()) == {"passed"}
    ready = [note.split()[1] for note in ran.notes if note.startswith("ready")]
    assert len(ready) == 2
    assert [note.partition(" ")[0] for note in ran.notes] == [
        *("set", "runs", "ready", "torn"),
        *("set", "runs", "ready", "torn"),
        *("set", "runs", "torn"),
    ]
    assert [note.split()[1] for note in ran.notes if note.startswith("runs")][1:] == ready


def test_what_is_kept_ready_for_a_file_ends_with_it_and_only_the_next_file_is_opened(project):
    project.write("family.py", FAMILY)
    for number in range(6):
        project.write(
            f"test_{number}.py",
            f"""
            import family
            from pathlib import Path

            note("collected {number}")

            @budget()
            def test_{number}():
                next_is_open = lambda: Path(os.environ["WITNESS"]).read_text().count("collected {number + 1}") == 2
                family.until(lambda: {number} == 5 or next_is_open())
                family.until(lambda: len(family.children(family.server(), "tfmem-file")) == min(2, {6 - number}))
                note(f"server {{family.server()}}")
            """,
        )
    ran = project.run(FORCED)
    assert set(ran.outcomes.values()) == {"passed"}
    assert len(ran.outcomes) == 6
    assert len({note for note in ran.notes if note.startswith("server")}) == 1
    assert all(len(ran.pids(f"collected {number}")) == 2 for number in range(6))


def test_each_worker_of_xdist_has_a_server_of_its_own(project):
    project.write("family.py", FAMILY)
    project.write(
        "test_it.py",
        """
        import family

        @budget()
        @pytest.mark.parametrize("number", [1, 2])
        def test_it(number, worker_id): note(f"{worker_id} {family.server()}")
        """,
    )
    ran = project.run(FORCED, "-n2", "--dist=each")
    assert ran.returncode == 0
    assert len(ran.notes) == 4
    servers = dict(note.split() for note in ran.notes)
    assert servers.keys() == {"gw0", "gw1"}
    assert len(set(servers.values())) == 2
    assert len(set(ran.notes)) == 2
