"""A run summed up: held against earlier ones, with a gate's result, or a gate's result by itself."""

from __future__ import annotations

import msgspec

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.digest.build import digest_of, digest_of_gate
from pytest_tfmem.figures import Limit
from pytest_tfmem.gate.result import GateResult, Judged
from pytest_tfmem.history.baseline import Earlier
from pytest_tfmem.history.recorded import Footer
from pytest_tfmem.history.series import history_of
from tests.made import made_run, made_test

MIB = 1 << 20


def ended(run):
    return msgspec.structs.replace(run, footer=Footer(duration_seconds=1.0, tests=len(run.tests)))


def of(mib, *, nodeid="test_a"):
    return made_test(nodeid, rss_anon=mib * MIB)


def earlier(*runs, unread=()):
    return Earlier(history=history_of(list(runs)), runs=len(runs), unread=list(unread))


def digest(run, before, folder, **rest):
    return digest_of(ended(run), before, directory=folder, **rest)


def quiet(runs, mib=100):
    """Runs in each of which the test needs this much, more or less."""
    return [made_run(number, of(mib + number % 2)) for number in range(runs)]


def gate_result(*judged, status=1, sentence="1 of 1 test needs more memory than the base."):
    return GateResult(
        status=status,
        sentence=sentence,
        base="main",
        head="HEAD",
        merge_base="b" * 40,
        tests=1,
        runs=7,
        sessions=1,
        decided=0,
        plan=None,
        judged=list(judged),
    )


def test_a_run_without_history_is_held_against_nothing_and_is_its_own_past(tmp_path):
    found = digest(made_run(5, of(100)), Earlier(), tmp_path)
    assert (found.weight, found.held_against) == ("fine", 0)
    assert [int(run.id, 16) for run in found.past] == [5]
    (told,) = found.tests
    assert (told.weight, list(told.changes), list(told.trends[0].bytes)) == ("fine", [], [100 * MIB])


def test_a_test_that_has_grown_says_so_with_its_finding_its_change_and_its_weight(tmp_path):
    run = made_run(20, of(140), of(50, nodeid="test_new"))
    found = digest(run, earlier(*quiet(20)), tmp_path)
    assert (found.weight, found.held_against) == ("warns", 20)
    assert [(one.kind, one.nodeid) for one in found.findings] == [("suspect", "test_a")]
    grown, new = found.tests
    assert (grown.weight, grown.changes[0].standing, len(grown.trends[0].bytes)) == ("warns", "suspect", 21)
    assert (new.weight, new.changes[0].standing, len(new.trends[0].bytes)) == ("fine", "new", 1)


def test_the_tests_are_in_the_order_of_the_run(tmp_path):
    names = ["test_z", "test_a", "test_m"]
    found = digest(made_run(1, *(of(1, nodeid=name) for name in names)), Earlier(), tmp_path)
    assert [told.test.nodeid for told in found.tests] == names


def test_the_trend_goes_further_back_than_what_decides(tmp_path):
    long_ago = [made_run(number, of(400)) for number in range(30)]
    lately = [made_run(30 + number, of(100 + number % 2)) for number in range(60)]
    found = digest(made_run(90, of(101)), earlier(*long_ago, *lately), tmp_path)
    (told,) = found.tests
    assert (found.held_against, len(found.past), len(told.trends[0].bytes)) == (50, 91, 91)
    (change,) = told.changes
    assert (change.standing, len(change.baseline.values)) == ("steady", 50)


def test_a_test_that_was_measured_under_other_conditions_has_a_trend_of_this_run_alone(tmp_path):
    moved = [msgspec.structs.replace(run, environment=_newer(run.environment)) for run in quiet(10)]
    found = digest(made_run(10, of(100)), earlier(*moved), tmp_path)
    (told,) = found.tests
    assert (told.changes[0].standing, told.changes[0].differences) == (
        "incomparable",
        ["TensorFlow 2.21.0 -> 2.20.0"],
    )
    assert list(told.trends[0].bytes) == [100 * MIB]


def _newer(environment):
    return msgspec.structs.replace(environment, packages={"tensorflow": "2.21.0"})


def test_the_tolerance_of_the_budgets_file_decides_what_has_grown(tmp_path):
    run, before = made_run(20, of(140)), earlier(*quiet(20))
    assert digest(run, before, tmp_path, tolerance=Tolerance(bytes=50 * MIB)).findings == []


def test_a_limit_that_is_passed_is_a_finding_that_fails(tmp_path):
    over = msgspec.structs.replace(
        of(100), limits={"rss_anon": Limit(bytes=90 * MIB, where="budgets.yaml:3")}, verdicts={"rss_anon": "over"}
    )
    found = digest(made_run(1, over), Earlier(), tmp_path)
    (told,) = found.tests
    assert (found.weight, told.weight, told.judged[0].standing) == ("fails", "fails", "over")


def test_what_could_not_be_read_is_told(tmp_path):
    found = digest(made_run(1, of(1)), Earlier(unread=["runs/a.jsonl: is cut"]), tmp_path, notices=["one more thing"])
    assert list(found.notices) == ["one more thing", "runs/a.jsonl: is cut"]


def test_a_run_that_was_cut_off_is_not_fine(tmp_path):
    found = digest_of(made_run(1, of(1)), Earlier(), directory=tmp_path)
    assert found.weight == "undecided"
    assert found.sentence.startswith("The run did not come to its end.")


def test_a_run_of_nothing_is_not_fine(tmp_path):
    found = digest(made_run(1), earlier(*quiet(3)), tmp_path)
    assert (found.weight, found.sentence, list(found.tests), list(found.past)) == (
        "undecided",
        "Nothing was measured.",
        [],
        [],
    )


def test_with_a_gate_its_verdict_stands_in_place_of_what_history_says(tmp_path):
    run, before = made_run(20, of(140)), earlier(*quiet(20))
    assert digest(run, before, tmp_path).findings[0].kind == "suspect"
    gate = gate_result(
        Judged(nodeid="test_a", figure="rss_anon", verdict="regressed", weight="fails", now_bytes=140 * MIB)
    )
    found = digest(run, before, tmp_path, gate=gate)
    assert (found.weight, found.sentence, found.gate) == ("fails", gate.sentence, gate)
    assert [one.kind for one in found.findings] == ["regressed"]
    (told,) = found.tests
    assert (told.weight, len(told.trends[0].bytes)) == ("fails", 21)
    kept = Judged(nodeid="test_a", figure="rss_anon", verdict="ok", weight="fine")
    passed = digest(run, before, tmp_path, gate=gate_result(kept, status=0, sentence="Nothing needs more memory."))
    assert (passed.weight, passed.findings, passed.tests[0].weight) == ("fine", [], "fine")


def test_a_gate_by_itself_is_told_without_a_run():
    gate = gate_result(Judged(nodeid="test_a", figure="rss_anon", verdict="regressed", weight="fails"))
    found = digest_of_gate(gate)
    assert (found.run, list(found.tests), list(found.past)) == (None, [], [])
    assert (found.weight, found.sentence, found.held_against) == ("fails", gate.sentence, 7)
    assert [one.nodeid for one in found.findings] == ["test_a"]
