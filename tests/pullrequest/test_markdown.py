"""The summary in a pull request: the verdict first, what is not fine below, and never more than a comment takes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_tfmem.budgets.raises import Raise
from pytest_tfmem.explanations import Explanation, Holder
from pytest_tfmem.figures import Limit, Reading, Section
from pytest_tfmem.gate.result import Renamed, Stale
from pytest_tfmem.history.rundocument import Shard
from pytest_tfmem.pullrequest.fitting import Block, fitted, size
from pytest_tfmem.pullrequest.markdown import markdown
from tests.made import made_test
from tests.pullrequest.conftest import (
    MIB,
    digest,
    gate_digest,
    hostile,
    hostile_digest,
    hostile_gate,
    judged,
    limited,
)
from tests.pullrequest.rendered import OURS, by_github, by_markdown_it, calls_someone

FINE = limited("tests/test_b.py::test_b", 300 * MIB, "ok")
OVER = limited("tests/test_a.py::test_a", 812 * MIB, "over", allowed=768 * MIB)
WARNS = limited("tests/test_c.py::test_c", 512 * MIB, "over", level="warn")
NEAR = limited("tests/test_d.py::test_d", 490 * MIB, "near")
RAISED = Raise(test="tests/**", figure="rss", before="1.00 GiB", after="2.00 GiB", where="budgets.yaml:5")


def shown(page):
    """The text without what is folded, in single spaces."""
    return " ".join(page.partition("<details>")[0].split())


def lines(page):
    return page.splitlines()


def test_the_verdict_is_the_first_line_below_the_mark_that_a_workflow_finds_its_comment_by():
    mark, verdict, _, sentence, *_ = lines(markdown(digest(OVER, FINE)))
    assert mark == "<!-- tfmem -->"
    assert verdict == "### ❌ Memory budgets: failed"
    assert sentence == "1 test is over its memory limit. The other test is fine."


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (digest(FINE), "✅ Memory budgets: passed"),
        (digest(FINE, WARNS), "⚠️ Memory budgets: passed, with warnings"),
        (digest(FINE, complete=False), "❓ Memory budgets: not decided"),
        (digest(), "❓ Memory budgets: not decided"),
        (digest(OVER, complete=False), "❌ Memory budgets: failed"),
        (gate_digest(judged()), "❌ Memory budgets: failed"),
        (gate_digest(status=0), "❓ Memory budgets: not decided"),
        (gate_digest(judged(verdict="ok", weight="fine"), status=0), "✅ Memory budgets: passed"),
    ],
)
def test_the_verdict_is_in_a_symbol_and_in_words(told, verdict):
    assert lines(markdown(told))[1] == f"### {verdict}"


def test_what_is_fine_is_folded():
    text = shown(markdown(digest(OVER, FINE, NEAR)))
    assert "test_a" in text
    assert "test_b" not in text
    assert "test_d" not in text


def test_where_all_is_fine_there_is_no_table_but_the_folded_one():
    assert "|" not in shown(markdown(digest(FINE)))
    assert "test_b" in markdown(digest(FINE))


def test_a_row_says_how_much_it_is_over_and_where_the_limit_stands():
    _, row = by_github(markdown(digest(OVER))).rows[:2]
    assert [cell.text.replace("\xa0", " ") for cell in row] == [
        "❌ tests/test_a.py::test_aover its limit; limit in budgets.yaml:12",
        "rss",
        "812.0 MiB > 768.0 MiB",
        "+5.7 %",
    ]


def test_a_regression_says_what_it_was_and_since_when():
    _, row = by_github(markdown(gate_digest(judged()))).rows[:2]
    assert [cell.text.replace("\xa0", " ") for cell in row] == [
        "❌ tests/test_a.py::test_aneeds more than before; steady since 2026-03-01 (ccccccccc)",
        "rss",
        "74.0 MiB → 77.0 MiB",
        "+4.1 %",
    ]


def test_the_worst_comes_first():
    died = replace(made_test("tests/test_e.py::test_e", outcome="failed"), died="killed")
    rows = by_github(markdown(digest(WARNS, FINE, OVER, died))).rows[1:4]
    assert [row[0].spans[0][-6:] for row in rows] == ["test_e", "test_a", "test_c"]


def test_a_sampled_reading_says_that_it_is_one():
    sampled = Reading(bytes=812 * MIB, exactness="sampled", source="smaps")
    page = markdown(digest(replace(OVER, readings={"rss": sampled})))
    assert "the reading was sampled and may be too low" in page
    assert "`rss` sampled by `smaps`" in page


def test_of_several_gpus_each_row_names_its_own():
    page = markdown(gate_digest(judged(figure="gpu"), judged(figure="gpu", gpu=1)))
    assert "| `gpu` GPU:0 |" in page
    assert "| `gpu` GPU:1 |" in page
    assert "| `gpu` |" in markdown(gate_digest(judged(figure="gpu")))


def test_a_gate_says_what_was_raised_renamed_gone_new_and_by_what_bound_it_was_decided():
    page = markdown(
        gate_digest(
            judged("tests/test_n.py::test_n", verdict="new", weight="fine"),
            judged(verdict="incomparable", weight="fine", notes=["tensorflow differs"]),
            raised=[RAISED],
            renamed=[Renamed(nodeid="tests/test_new.py::test_r", renamed_from="tests/test_old.py::test_r")],
            gone=[f"tests/test_g.py::test_{number}" for number in range(7)],
            stale=[Stale(where="budgets.yaml:9", kind="waiver", test="tests/x.py")],
            warnings=["the checkout has changes"],
        )
    )
    text = by_github(page).text
    assert "rss of tests/**: 1.00 GiB → 2.00 GiB (budgets.yaml:5)" in text
    assert "Renamed: tests/test_new.py::test_r (was tests/test_old.py::test_r)" in text
    assert "Gone, so that they were not judged: tests/test_g.py::test_0," in text
    assert "and 2 more" in text
    assert "New, so that their limits alone were judged: tests/test_n.py::test_n" in text
    assert "1 figure was not compared: tensorflow differs" in text
    assert "Stale, as no test matches: the waiver for tests/x.py (budgets.yaml:9)" in text
    assert "the checkout has changes" in text
    assert "chance of any false alarm at most 0.83 %" in text


def test_the_environment_is_folded_and_what_is_not_known_is_not_named():
    page = markdown(digest(FINE, branch="main"))
    assert "- packages tensorflow: `2.20.0`" in page
    assert "- run branch: `main`" in page
    assert "None" not in page


def test_a_shard_says_that_it_is_one():
    assert "shard 1 of 3" in markdown(digest(FINE, shard=Shard(index=1, count=3)))


# --- text of others ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("render", [by_github, by_markdown_it])
@settings(max_examples=30, deadline=None)
@given(text=hostile)
def test_text_of_others_is_shown_and_never_rendered(render, text):
    for told in (hostile_digest(text), gate_digest_of(text), hostile_digest(text, gate=hostile_gate(text))):
        page = render(markdown(told))
        assert page.tags <= OURS
        assert {names for _, names in page.elements} <= {()}
        assert page.comments == [" tfmem "]
        assert not calls_someone(page.outside_code)
        assert all(len(row) in {4, len(page.rows[-1])} for row in page.rows)


def gate_digest_of(text):
    from pytest_tfmem.digest.build import digest_of_gate

    return digest_of_gate(hostile_gate(text), notices=[text])


# --- what fits ----------------------------------------------------------------------------------------------------


def many(count, make):
    return [make(f"tests/test_{number:04}.py::test_{'x' * 1000}[{number}]") for number in range(count)]


def over(nodeid):
    return limited(nodeid, 812 * MIB, "over", notes=["n" * 1000])


def test_five_thousand_failing_tests_with_long_names_fit_with_their_verdict():
    page = markdown(digest(*many(5000, over)))
    assert 55_000 < size(page) <= 60_000
    assert "5000 tests are over their memory limits." in page
    assert page.count("❌ `") > 50
    assert "more that did not fit here: `tfmem report -o report.html` has them all." in page
    assert by_github(page).tags <= OURS


def test_text_of_many_bytes_fits_too():
    page = markdown(digest(*[limited(f"{number}{'🎉é' * 500}", 812 * MIB, "over") for number in range(500)]))
    assert 55_000 < size(page) <= 60_000
    assert page.startswith("<!-- tfmem -->\n### ❌ Memory budgets: failed\n")


def test_what_is_fine_goes_first_then_what_is_near_then_what_warns():
    def warns(nodeid):
        return limited(nodeid, 812 * MIB, "over", level="warn")

    def near(nodeid):
        return limited(nodeid, 490 * MIB, "near")

    def fine(nodeid):
        return limited(nodeid, 100 * MIB, "ok")

    failing, warning = ([make(f"{make.__name__}{name}") for name in range(20)] for make in (over, warns))
    some = [*failing, *warning, *many(20, near)]
    page = markdown(digest(*some, *many(3000, fine)))
    assert page.count("❌ `over") == 20
    assert page.count("over a limit that only warns; ") == 20
    assert page.count("near its limit; ") == 20
    assert "more tests, not shown here" in page

    page = markdown(digest(*failing, *warning, *many(3000, near)))
    assert page.count("❌ `over") == 20
    assert page.count("over a limit that only warns") == 20
    assert 0 < page.count("near its limit; ") < 3000

    page = markdown(digest(*failing, *many(3000, warns), *many(3, near)))
    assert page.count("❌ `over") == 20
    assert 0 < page.count("over a limit that only warns; ") < 3000
    assert page.count("near its limit; ") == 0


def test_as_many_are_counted_as_were_left_out():
    page = markdown(digest(*many(5000, over)))
    left_out = int(page.partition("And ")[2].partition(" more that did")[0].replace(",", ""))
    assert left_out + page.count("over its limit; ") == 5000


def test_a_gate_with_everything_in_excess_fits():
    long = "@x|`" * 500
    result = gate_digest(
        *[judged(f"{number}{long}", notes=[long] * 50) for number in range(500)],
        sentence=long,
        base=long,
        raised=[replace(RAISED, test=long, where=f"{number}") for number in range(500)],
        gone=[long] * 500,
        renamed=[Renamed(nodeid=long, renamed_from=long)] * 500,
        warnings=[long] * 500,
    )
    page = markdown(result)
    assert size(page) <= 60_000
    assert page.startswith("<!-- tfmem -->\n### ❌ Memory budgets: failed\n")
    assert page.count("needs more than before") > 3
    assert "and 490 more" in page


@given(
    st.lists(
        st.builds(
            Block,
            importance=st.integers(0, 3),
            before=st.text(max_size=5),
            count=st.just(20),
            rows=st.lists(st.text("ab", max_size=10), min_size=20, max_size=20),
            after=st.text(max_size=5),
            rest=st.just(lambda left_out: f"and {left_out} more"),
        ),
        max_size=5,
    ),
    st.integers(150, 400),
)
def test_blocks_fit_and_lose_rows_of_the_least_importance(blocks, most):
    text = fitted(blocks, most=most)
    assert size(text) <= most
    whole = "".join(block.text(block.rows) for block in blocks)
    assert text == whole or "more" in text


def test_a_limit_in_a_base_that_is_stricter_is_the_one_that_is_shown():
    strict, wide = Limit(bytes=70 * MIB, where="budgets.yaml:4"), Limit(bytes=90 * MIB, where="budgets.yaml:5")
    page = markdown(gate_digest(judged(verdict="over", limit=wide, base_limit=strict)))
    assert "limit in `budgets.yaml:4`" in page


def test_sections_of_tests_are_folded_and_their_names_do_nothing():
    peak = Reading(bytes=300 * MIB, exactness="lower-bound", source="VmHWM")
    inner = Section(name="<b>|@octocat", path=["load"], phase="call", entered=3, readings={"rss": peak})
    inner = replace(inner, open_at_death=True)
    outer = Section(name="load", path=[], phase="call", readings={"rss_growth": peak, "rss": peak})
    page = markdown(digest(replace(FINE, sections=[inner, outer])))
    head, _, table = page.partition("<summary>Sections of tests</summary>")
    assert "load" not in head
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert rows[0] == "| `tests/test_b.py::test_b` | `load` | 1 | `growth` 300.0 MiB, `rss` 300.0 MiB |"
    assert rows[1].endswith(" | 3 | `rss` 300.0 MiB, open when the process died |")
    rendered = by_github(page)
    assert rendered.tags <= OURS
    assert not calls_someone(rendered.outside_code)


def test_what_held_the_memory_is_folded_and_what_is_new_comes_first():
    copied = Holder(bytes=32 * MIB, what="copy", where="a.py:9", detail="numeric.ones", kind="python", new=True)
    loaded = Holder(bytes=64 * MIB, what="load", where="a.py:4", kind="python", new=False, before_bytes=64 * MIB)
    found = Explanation(
        figure="rss_growth",
        peak_bytes=96 * MIB,
        holders=[loaded, copied],
        source="memray",
        seconds=6,
        against="yesterday",
    )
    failed = Explanation(figure="gpu", failed="the second run of the test did not pass")
    page = markdown(digest(replace(OVER, explanations=[found, failed])))
    _, _, folded = page.partition("<summary>What held the memory</summary>")
    first, *rest = [line for line in folded.splitlines() if line][:4]
    assert "32.0 MiB of it is new since yesterday" in first
    assert rest == [
        "  - **new** 32.0 MiB `a.py:9` `copy` (`numeric.ones`)",
        "  - 64.0 MiB `a.py:4` `load`",
        "- `tests/test_a.py::test_a`: alive at the peak of gpu: not explained: the second run of the test did not pass",
    ]
