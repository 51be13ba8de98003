"""`tfmem run`, asked for what cannot be: one line for who can mend it, and nothing is left of it."""

from __future__ import annotations

import json
import os
import sys
from textwrap import dedent

import pytest

from tests.acceptance.programs import Folder

NAME_ONE = "name a script, or with -m a module"
LOOKED_FOR = "modules are looked for in this folder and among what is installed, as python -m does"
FIGURES = "rss, rss_growth, rss_anon, rss_tree, gpu, gpu_tensors, gpu_reserved, gpu_footprint, cpu_tensors"
NO_PROGRAM, NOT_SO = 2, 4
TOO_LONG = f"{'a' * 260}.py"
MISTAKES = [
    ("", "PROGRAM: not given; " + NAME_ONE, NO_PROGRAM),
    ("-m", "PROGRAM: not given; " + NAME_ONE, NO_PROGRAM),
    ("nosuch.py", "nosuch.py: no such file; " + NAME_ONE, NO_PROGRAM),
    (TOO_LONG, f"{TOO_LONG}: File name too long; " + NAME_ONE, NO_PROGRAM),
    ("a.py/b.py", "a.py/b.py: Not a directory; " + NAME_ONE, NO_PROGRAM),
    ("folder", "folder: there is no __main__ in this folder; name a script", NO_PROGRAM),
    ("-", "-: standard input is left to the program; " + NAME_ONE, NO_PROGRAM),
    ("-m a.py", "-m a.py: this is a script, and no module; leave -m out", NO_PROGRAM),
    ("-m nosuch", "-m nosuch: No module named nosuch; " + LOOKED_FOR, NO_PROGRAM),
    ("-m package.nosuch", "-m package.nosuch: No module named package.nosuch; " + LOOKED_FOR, NO_PROGRAM),
    (
        "-m package",
        "-m package: No module named package.__main__; 'package' is a package and cannot be directly executed",
        NO_PROGRAM,
    ),
    ("--nosuch a.py", "No such option '--nosuch'.", NO_PROGRAM),
    ("--limit rss a.py", "--limit: 'rss' is not understood; write FIGURE=SIZE, such as rss=1.5GiB", NOT_SO),
    ("--limit rss=1GiB --limit rss=2GiB a.py", "--limit: rss has two limits; give each figure one", NOT_SO),
    (
        "--limit vram=1GiB a.py",
        f"--limit: unknown figure 'vram'; did you mean 'gpu'? The figures are {FIGURES}",
        NOT_SO,
    ),
    (
        "--limit rss=1gig a.py",
        "--limit rss=1gig: '1gig' has an unknown unit 'gig'; the units are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB",
        NOT_SO,
    ),
    ("--runtime jit a.py", "--runtime: 'jit' is not understood; write KEY=VALUE, such as allocator=growth", NOT_SO),
    ("--runtime jit=true --runtime jit=false a.py", "--runtime: jit is given twice; give each key once", NOT_SO),
    (
        "--runtime allocator=growht a.py",
        "--runtime allocator='growht' is not possible; allocator is one of cuda_malloc_async, growth, bfc, cuda_malloc",
        NOT_SO,
    ),
    (
        "--runtime allocator=[growth,bfc] a.py",
        "--runtime: allocator is one here: a list is for a test, of which it makes several",
        NOT_SO,
    ),
    (
        "--runtime allocator=cuda_malloc --runtime memory_limit=1GiB a.py",
        (
            "--runtime memory_limit=...: cuda_malloc (--runtime) takes no notice of it, and has no statistics;"
            " use growth or bfc, which enforce it, or cuda_malloc_async, where it is judged"
        ),
        NOT_SO,
    ),
    ("--json= a.py", "--json: no name of a file; name a file", NOT_SO),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("programs"))
    folder.write("a.py", "open('has-run', 'w')")
    folder.write("folder/b.py", "")
    folder.write("package/__init__.py", "")
    return folder


@pytest.fixture(scope="module")
def told(folder, tmp_path_factory):
    """What is said of each mistake and its status, by one process for them all; what it prints; what it leaves."""
    scratch, before = tmp_path_factory.mktemp("scratch"), set(folder.path.rglob("*"))
    code = """
        import json, sys
        from pytest_tfmem.cli import main

        for words in json.loads(sys.argv[1]):
            sys.argv[1:] = ["run", "--gpu=off", "--json", "run.json", *words.split()]
            try:
                main()
            except SystemExit as ended:
                print(ended.code, end="\\0", file=sys.stderr)
    """
    command = [sys.executable, "-c", dedent(code), json.dumps([words for words, _, _ in MISTAKES])]
    with folder.start(command, environment={"TMPDIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"}) as process:
        out, err = process.communicate()
    each = dict(zip([words for words, _, _ in MISTAKES], err.split("\0"), strict=False))
    return each, out, {*scratch.iterdir(), *(set(folder.path.rglob("*")) - before)}


@pytest.mark.parametrize(("words", "line", "status"), MISTAKES, ids=[words or "nothing" for words, _, _ in MISTAKES])
def test_it_is_told_in_one_line(told, words, line, status):
    assert told[0][words] == f"ERROR: {line}\n{status}"


def test_nothing_has_run_and_nothing_is_left(told):
    assert told[1:] == ("", set())


@pytest.mark.skipif(sys.platform == "win32", reason="by a named pipe")
def test_a_pipe_is_no_program(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe")  # which would be waited at
    done = folder.run(str(tmp_path / "pipe"))
    assert (done.returncode, done.stdout) == (NO_PROGRAM, "")
    assert done.stderr == f"ERROR: {tmp_path}/pipe: this is no file, but a pipe or a device; {NAME_ONE}\n"


def test_a_package_without_a_program_ends_as_its_own_code_would_have_it(folder):
    folder.write("noisy/__init__.py", "import atexit\natexit.register(print, 'at the end')")
    done = folder.run("-m", "noisy")
    assert (done.returncode, done.stdout) == (NO_PROGRAM, "at the end\n")


def test_what_stands_behind_the_program_is_for_the_program(folder):
    folder.write("tells.py", "import sys\nprint(sys.argv[1:])")
    done = folder.run("tells.py", "--nosuch", "-m", "--limit", "rss", "--runtime=x")
    assert (done.returncode, done.stdout) == (0, "['--nosuch', '-m', '--limit', 'rss', '--runtime=x']\n")
    folder.write("package/part.py", "import sys\nprint(sys.argv[1:])")
    assert folder.run("-m", "package.part", "a.py").stdout == "['a.py']\n"


def test_an_exit_that_looks_like_pythons_own_is_the_programs(folder):
    folder.write("exits.py", "import runpy\nrunpy._run_module_as_main('nosuch')")
    done = folder.run("exits.py")
    assert done.returncode == 1
    assert "No module named nosuch\n" in done.stderr
    assert "memory of exits.py" in done.stderr
