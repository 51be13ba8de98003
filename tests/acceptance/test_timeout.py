"""pytest-timeout: its clock runs in the test's process, from setup on; a backstop ends what its timer cannot."""

from __future__ import annotations

import pytest

HANGS = """
    import time
    time.sleep(1.2)  # as long as an import may take

    @budget()
    def test_quick(): note("quick")

    @budget()
    def test_hangs(): note("hangs"); time.sleep(60)
"""


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_test_that_hangs_is_ended_and_an_import_does_not_count(project, method):
    project.write("test_it.py", HANGS)
    ran = project.run("--timeout=1", f"--timeout-method={method}")
    assert ran.outcomes == {"test_quick": "passed", "test_hangs": "failed"}
    assert ran.returncode == 1
    ran.stdout.fnmatch_lines(
        ["*Timeout*", "*time.sleep(60)*"] if method == "thread" else ["*time.sleep(60)*", "*Timeout*"]
    )
    assert ran.notes_of_children() == ["quick", "hangs"]


def test_a_marker_sets_the_timeout_of_one_test(project):
    project.write("test_it.py", HANGS.replace("@budget()", "@pytest.mark.timeout(1)\n    @budget()"))
    ran = project.run("-k", "hangs", "-n1")
    assert ran.outcomes == {"test_hangs": "failed"}
    ran.stdout.fnmatch_lines(["*Timeout*1.0s*"])


def test_a_hang_that_ignores_the_timer_is_ended_by_the_backstop(project):
    project.write(
        "test_it.py",
        """
        import signal, threading, time

        @budget()
        def test_deaf():
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGABRT])
            note("deaf")
            time.sleep(60)
        """,
    )
    ran = project.run("--timeout=0.5")
    assert ran.outcomes == {"test_deaf": "failed"}
    ran.stdout.fnmatch_lines(["timeout: the test was still in call after 5.5 s, and was ended"])


def test_our_own_timeout_needs_no_plugin(project):
    project.write("test_it.py", HANGS.replace("@budget()", "@budget(timeout=1)"))
    ran = project.run("-p", "no:timeout", "-k", "hangs")
    assert ran.outcomes == {"test_hangs": "failed"}
    ran.stdout.fnmatch_lines(["timeout: the test was still in call after 1 s, and was ended", "*in test_hangs*"])


def test_an_in_process_test_keeps_its_timer(project):
    project.write("test_it.py", "import time\n\ndef test_here(): time.sleep(60)\n\n@budget()\ndef test_two(): pass")
    ran = project.run("--timeout=0.5")
    assert ran.outcomes == {"test_here": "failed", "test_two": "passed"}
