"""A test that failed for its limits alone is told from one that would have failed anyway."""

from __future__ import annotations


def test_a_test_that_failed_for_its_limits_alone_is_told_from_one_that_failed_otherwise(project):
    project.write(
        "test_it.py",
        """
        pytestmark = budget(rss="1 MiB")

        @pytest.fixture
        def broken():
            yield
            assert False

        @pytest.fixture
        def large():
            yield
            bytearray(64 << 20)

        def test_over(): pass
        def test_wrong(): assert False
        def test_torn_down_wrong(broken): pass
        @budget(rss="16 GiB")
        def test_within(): pass
        @budget(rss="16 GiB", rss_growth="32 MiB")
        def test_over_at_teardown(large): pass
        @pytest.mark.xfail
        def test_expected(): pass
        """,
    )
    ran = project.run()
    breached = [name for name, measured in ran.measured.items() if measured.get("breached")]
    assert breached == ["test_over", "test_over_at_teardown"]
    assert ran.measured["test_torn_down_wrong"]["verdicts"] == {"rss": "over"}
