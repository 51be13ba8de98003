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
