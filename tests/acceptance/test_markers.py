"""Where a limit in a marker is said to stand."""

from __future__ import annotations


def test_each_limit_of_a_marker_has_the_line_on_which_it_is_written(project):
    written = project.write(
        "test_lines.py",
        """
        pytestmark = pytest.mark.memory_budget(rss="20 GiB")

        @pytest.mark.memory_budget(rss_tree="30 GiB")
        class TestModel:
            @pytest.mark.memory_budget(
                rss_anon="10 GiB",
                rss_growth="5 GiB",
            )
            def test_step(self):
                pass
        """,
    )
    lines = written.read_text(encoding="utf-8").splitlines()
    limits = project.run().measured["test_step"]["limits"]
    expected = {
        figure: f"test_lines.py:{number}"
        for figure in ("rss", "rss_tree", "rss_anon", "rss_growth")
        for number, line in enumerate(lines, 1)
        if f"{figure}=" in line
    }
    assert {figure: limit["where"] for figure, limit in limits.items()} == expected
