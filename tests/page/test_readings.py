"""The figures of a test, as a page has them: never a zero for what was not measured, and every limit judged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pytest_tfmem.digest.build import digest_of
from pytest_tfmem.figures import Limit, NotMeasured, Reading, Waiver
from pytest_tfmem.history.baseline import Earlier
from pytest_tfmem.history.series import history_of
from pytest_tfmem.page.packed import unpacked
from pytest_tfmem.page.render import page_data
from tests.made import ENVIRONMENT, made_run, made_test

MIB = 1 << 20
ERROR = Reading(bytes=90 * MIB, exactness="lower-bound", error_bytes=MIB, source="VmHWM")


def figures(*tests, before=(), environment=ENVIRONMENT):
    run = made_run(30, *tests, environment=environment)
    earlier = Earlier(runs=len(before), history=history_of([*before]))
    data = page_data(digest_of(run, earlier, directory=Path("/")))
    return data, {(one.figure, one.gpu): one for one in data.tests[0].figures}


def limited(limit, verdict, **readings):
    test = made_test("t.py::test_a", **readings)
    figure = next(iter(readings))
    return msgspec.structs.replace(test, limits={figure: limit}, verdicts={figure: verdict})


def test_a_reading_says_how_good_it_is_and_how_much_of_its_limit_it_is():
    _, found = figures(limited(Limit(bytes=100 * MIB, where="budgets.yaml:3"), "ok", rss=ERROR))
    one = found["rss", ""]
    assert (one.bytes, one.limit_bytes, one.share, one.standing) == (90 * MIB, 100 * MIB, "90.0 %", "ok")
    assert one.how == "lower-bound, too low by at most 1.0 MiB; VmHWM"
    assert one.limit_notes == ["budgets.yaml:3"]


def test_what_was_not_measured_has_a_reason_and_no_bytes():
    limit = Limit(bytes=100 * MIB, where="budgets.yaml:3")
    _, found = figures(limited(limit, "not-measured", gpu=NotMeasured("no GPU")))
    one = found["gpu", ""]
    assert (one.bytes, one.share, one.reason, one.standing) == (None, "", "no GPU", "not measured")


def test_a_limit_on_a_figure_that_has_no_reading_at_all_is_there():
    test = msgspec.structs.replace(made_test("a"), limits={"gpu": Limit(bytes=MIB, where="w:1")})
    _, found = figures(test)
    assert (found["gpu", ""].limit_bytes, found["gpu", ""].reason) == (MIB, "no reading")


def test_each_gpu_is_judged_by_itself():
    cards = ["GPU-aaaaaaaa (GPU:0)", "GPU-bbbbbbbb (GPU:1)"]
    ones = [
        Reading(bytes=(80 + 30 * at) * MIB, exactness="exact", source="s", device=card) for at, card in enumerate(cards)
    ]
    _, found = figures(limited(Limit(bytes=100 * MIB, where="w:1"), "over", gpu=ones))
    assert [(one.gpu, one.standing) for one in found.values()] == [("GPU:0", "ok"), ("GPU:1", "over")]


def test_a_waiver_is_told():
    waiver = Waiver(bytes=2 * MIB, expires="2027-01-31", days_left=3, reason="known", where="b.yaml:9", issue="#1")
    _, found = figures(limited(Limit(bytes=MIB, where="b.yaml:3", waiver=waiver), "waived", rss=2 * MIB))
    assert found["rss", ""].standing == "waived"
    assert found["rss", ""].limit_notes[1] == "waived to 2.0 MiB until 2027-01-31, 3 days left: #1, known (b.yaml:9)"


def test_a_trend_has_the_values_of_its_runs_and_says_where_it_stepped():
    sizes = [100 * MIB] * 10 + [130 * MIB] * 10
    before = [
        made_run(number, made_test("a", rss_anon=size), commit=f"{number:040x}") for number, size in enumerate(sizes)
    ]
    data, found = figures(made_test("a", rss_anon=130 * MIB), before=before)
    one = found["rss_anon", ""]
    assert unpacked(one.trend) == [*sizes, 130 * MIB]
    assert (len(data.runs), one.runs) == (21, [])
    (step,) = one.steps
    assert (step.place, step.before_bytes, step.after_bytes) == (10, 100 * MIB, 130 * MIB)
    assert step.change == "+30.0 %, +30.0 MiB"


def test_a_test_that_some_runs_lack_says_which_ones_it_has():
    before = [made_run(number, made_test("a" if number % 2 else "b", rss_anon=MIB)) for number in range(6)]
    before.append(made_run(7, made_test("a", rss_anon=MIB), made_test("b", rss_anon=MIB)))
    run = [made_test("a", rss_anon=MIB), made_test("b", rss_anon=MIB)]
    data, _ = figures(*run, before=before)
    assert [test.figures[0].runs for test in data.tests] == [[1, 3, 5, 6, 7], [0, 2, 4, 6, 7]]


@pytest.mark.parametrize(("figure", "sought"), [("rss_anon", True), ("rss", False)])
def test_where_steps_were_not_looked_for_none_is_said_to_be_missing(figure, sought):
    before = [made_run(number, made_test("a", **{figure: MIB})) for number in range(6)]
    _, found = figures(made_test("a", **{figure: MIB}), before=before)
    assert found[figure, ""].steps_sought is sought


def test_the_nearest_to_its_limit_is_shown_first():
    test = made_test("a", limited=["rss", "rss_anon"], rss=MIB, rss_anon=5 * MIB, rss_tree=900 * MIB)
    data, _ = figures(msgspec.structs.replace(test, verdicts={"rss": "ok", "rss_anon": "ok"}))
    assert data.tests[0].figures[data.tests[0].nearest].figure == "rss_anon"


def test_columns_have_one_unit_for_all_their_sizes():
    data, _ = figures(made_test("a", rss=3000 * MIB, rss_growth=700), made_test("b", rss=9000 * MIB))
    assert {one.name: one.unit for one in data.figures} == {"": "GiB", "rss": "GiB", "rss_growth": "KiB"}
