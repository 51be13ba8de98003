"""The runtime that a test asks for, and limits of a GPU where there is none."""

from __future__ import annotations


def test_a_list_of_allocators_makes_a_test_of_each_whose_id_ends_in_its_name(project):
    project.write(
        "test_it.py",
        """
        def state(): return [os.environ.get(name) for name in ("TF_GPU_ALLOCATOR", "TF_FORCE_GPU_ALLOW_GROWTH")]

        @pytest.mark.tf_runtime(allocator=["cuda_malloc_async", "growth"], env={"OURS": "1"})
        @pytest.mark.parametrize("size", [1, 2])
        def test_each(size): note(state()); assert os.environ["OURS"] == "1"

        @pytest.mark.tf_runtime(allocator="bfc", intra_op_threads=3, gpus=0)
        class TestClass:
            def test_of_class(self):
                note(state()); assert os.environ["TF_NUM_INTRAOP_THREADS"] == "3"
                assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"

            @pytest.mark.tf_runtime(allocator="cuda_malloc", env={"PATH": None})
            def test_closest_wins(self): note(state()); assert "PATH" not in os.environ
        """,
    )
    ran = project.run()
    assert list(ran.outcomes) == [
        "test_each[1-cuda_malloc_async]",
        "test_each[1-growth]",
        "test_each[2-cuda_malloc_async]",
        "test_each[2-growth]",
        "test_of_class",
        "test_closest_wins",
    ]
    assert set(ran.outcomes.values()) == {"passed"}
    pooled, grown = "['cuda_malloc_async', None]", "[None, 'true']"
    assert ran.notes_of_children() == [pooled, grown, pooled, grown, "[None, 'false']", "['cuda_malloc', None]"]


def test_a_parametrised_test_is_chosen_by_its_allocator_on_the_command_line(project):
    project.write(
        "test_it.py",
        "@pytest.mark.tf_runtime(allocator=['growth', 'bfc'])\ndef test_it(request): note(request.node.nodeid)",
    )
    ran = project.run("test_it.py::test_it[bfc]", "-v")
    assert ran.notes_of_children() == ["test_it.py::test_it[bfc]"]


def test_marks_of_a_parameter_are_closer_than_those_of_its_function(project):
    project.write(
        "test_it.py",
        """
        small, large = budget(rss="1 MiB"), budget(rss="16 GiB")
        growth, bfc = [pytest.mark.tf_runtime(allocator=name) for name in ("growth", "bfc")]

        @large
        @growth
        @pytest.mark.parametrize("number", [1, pytest.param(2, marks=[small, bfc])])
        def test_it(number): note(os.environ["TF_FORCE_GPU_ALLOW_GROWTH"])
        """,
    )
    ran = project.run()
    assert ran.outcomes == {"test_it[1]": "passed", "test_it[2]": "failed"}
    assert ran.notes_of_children() == ["true", "false"]


LISTS = """
    import unittest

    def allocator(): return "growth" if os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH") == "true" else "other"
    lists = pytest.mark.tf_runtime(allocator=["growth", "bfc"])
    pytestmark = pytest.mark.tf_runtime(allocator=["cuda_malloc", "growth"])

    def test_of_the_module(): note(f"module {allocator()}")

    @lists
    class TestOfClass:
        def test_it(self): note(f"class {allocator()}")

        @pytest.mark.tf_runtime(intra_op_threads=1)
        def test_closer_without(self): note(f"closer {allocator()} {os.environ['TF_NUM_INTRAOP_THREADS']}")

        @pytest.mark.tf_runtime(allocator="growth")
        def test_closer_with(self): note(f"one {allocator()}")

    @pytest.mark.tf_runtime(allocator=[])
    def test_empty(): note("never")

    @pytest.mark.tf_runtime(allocator=["growth", "growth"])
    def test_twice(): note("never")

    @pytest.mark.tf_runtime(allocator=["growth", "bfg", 3])
    def test_unknown(): note(f"known {allocator()}")

    @lists
    @pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.tf_runtime(allocator="growth"))])
    def test_of_parameters(number): note(f"parameter {number} {allocator()}")

    class Old(unittest.TestCase):
        def test_method(self): note("never")
"""


def test_the_closest_list_makes_tests_and_one_that_cannot_is_an_error_of_its_test_alone(project):
    project.write("test_it.py", LISTS)
    ran = project.run()
    assert ran.outcomes == {
        "test_of_the_module[cuda_malloc]": "passed",
        "test_of_the_module[growth]": "passed",
        "test_it[growth]": "passed",
        "test_it[bfc]": "passed",
        "test_closer_without[growth]": "passed",
        "test_closer_without[bfc]": "passed",
        "test_closer_with": "passed",
        "test_empty": "error",
        "test_twice": "error",
        "test_unknown[growth]": "passed",
        "test_unknown[bfg]": "error",
        "test_unknown[3]": "error",
        "test_of_parameters[1-growth]": "passed",
        "test_of_parameters[1-bfc]": "passed",
        "test_of_parameters[2-growth]": "passed",
        "test_of_parameters[2-bfc]": "error",
        "test_method": "error",
    }
    assert ran.notes_of_children() == [
        *("module other", "module growth", "class growth", "class other"),
        *("closer growth 1", "closer other 1", "one growth", "known growth"),
        *("parameter 1 growth", "parameter 1 other", "parameter 2 growth"),
    ]
    for said in (
        "allocator=[]) names no allocator; name some of",
        "allocator=['growth', 'growth']) names growth twice; name each once",
        "tf_runtime(allocator='bfg') is not possible; allocator is one of",
        "a list makes this a test of 'bfc', and the mark of a parameter asks for another ('growth')",
        "allocator=['cuda_malloc', 'growth']) makes one test of each, which can be done only of a function",
    ):
        assert said in ran.text


IGNORED = """
    @budget(rss="16 GiB")
    def test_under_it(): note("never")

    @pytest.mark.tf_runtime(allocator="growth")
    def test_with_its_own(): note(os.environ["TF_FORCE_GPU_ALLOW_GROWTH"])

    @pytest.mark.tf_runtime(env={"TF_FORCE_GPU_ALLOW_GROWTH": "Yes"})
    def test_with_a_mistake_of_its_own(): note("never")

    def test_not_measured(): note("in pytest")
"""


def test_a_variable_that_tensorflow_would_ignore_is_an_error_of_each_test_under_it(project, monkeypatch):
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "TRUE")
    project.write("test_it.py", IGNORED)
    ran = project.run()
    assert ran.outcomes == {
        "test_under_it": "error",
        "test_with_its_own": "passed",
        "test_with_a_mistake_of_its_own": "error",
        "test_not_measured": "passed",
    }
    assert ran.notes == ["true", "in pytest"]
    told = "TensorFlow ignores TF_FORCE_GPU_ALLOW_GROWTH="
    assert f"pytest's environment: {told}'TRUE' without a word; did you mean 'true'? It knows true, false" in ran.text
    assert f"test_it.py:12: tf_runtime(env=...): {told}'Yes' without a word; it knows true, false" in ran.text
    assert "never" not in project.run("--no-tfmem").notes_of_children()


def test_a_limit_of_a_gpu_that_is_not_there_is_not_measured_and_fails_only_where_one_is_required(project):
    project.write(
        "test_it.py",
        """
        @budget(rss="16 GiB", gpu="1 GiB")
        def test_it(): note("body")
        """,
    )
    for mode, outcome in (("off", "passed"), ("require", "failed")):
        ran = project.run(f"--tfmem-gpu={mode}")
        assert ran.outcomes == {"test_it": outcome}
        assert ran.notes_of_children() == ["body"]
        ran.stdout.fnmatch_lines(["measured 1 of 2 limits; 1 not measured*"])
        assert ran.measured["test_it"]["verdict"] == "not-measured"
