"""Which tests are explained, of what, and what becomes of a fault on the way."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pytest_tfmem.explain import flow, host
from pytest_tfmem.explain.earlier import Earlier
from pytest_tfmem.explanations import Explanation, Holder
from pytest_tfmem.history.runfile import run_lines
from pytest_tfmem.settings import read_settings
from tests.made import made_run, made_test

MIB = 1 << 20
OVER = replace(made_test("a", rss=MIB, rss_growth=MIB, limited=["rss"]), verdicts={"rss": "over"}, breached=True)
FAILED = replace(OVER, outcome="failed")
WITHIN = replace(OVER, verdicts={"rss": "ok"}, breached=False)


def raises():
    raise OSError("no more processes")


@pytest.mark.parametrize(
    ("test", "breach", "always"),
    [
        (FAILED, ["rss"], ["rss"]),
        (OVER, ["rss"], ["rss"]),
        (WITHIN, [], ["rss"]),
        (replace(WITHIN, limits={}, verdicts={}), [], ["rss_growth"]),
        (replace(FAILED, verdicts={"rss": "over", "rss_growth": "over"}), ["rss_growth", "rss"], ["rss_growth", "rss"]),
        (replace(FAILED, verdicts={"rss": "waived"}), [], ["rss"]),
    ],
)
def test_what_is_over_is_explained_and_with_always_what_has_a_limit_or_a_reading(test, breach, always):
    assert host.wanted(test, "breach") == breach
    assert host.wanted(test, "always") == always


@pytest.mark.parametrize("test", [replace(FAILED, died="was killed"), replace(OVER, outcome="skipped"), WITHIN])
def test_one_that_died_or_was_skipped_or_is_within_its_limits_is_not_run_again(test):
    assert not flow.is_wanted(test, "breach")
    assert not flow.is_wanted(FAILED, "off")
    assert flow.is_wanted(FAILED, "breach")


def test_a_test_that_failed_otherwise_is_not_run_again():
    (found,) = flow.explain(raises, replace(FAILED, breached=False), "breach")
    assert found.failed == "the test failed for another reason, too"


def test_a_fault_on_the_way_is_a_reason():
    (found,) = flow.explain(raises, FAILED, "breach")
    assert (found.figure, found.holders) == ("rss", [])
    assert found.failed == "the second run could not be made use of: OSError: no more processes"


@pytest.fixture
def earlier(pytester):
    def read(*runs):
        folder = pytester.mkdir("runs")
        for number, run in enumerate(runs):
            (folder / f"{number}.jsonl").write_bytes(run_lines(run))
        settings = read_settings(pytester.parseconfig(f"--tfmem-history={folder}"))
        return Earlier(settings, root=pytester.path, run_id=lambda: "0" * 31 + "9")

    return read


def explained(size, **more):
    held = Holder(bytes=size, what="load", kind="python")
    return [Explanation(figure="rss_growth", peak_bytes=size, holders=[held], source="memray", **more)]


def test_the_latest_run_counts_in_which_the_test_was_fine_and_was_explained(earlier):
    fine = [replace(WITHIN, verdict="ok", explanations=explained(size)) for size in (1, 2, 3)]
    over = replace(FAILED, verdict="over", explanations=explained(4))
    failed = replace(WITHIN, verdict="ok", explanations=[Explanation(figure="rss", failed="it died")])
    found = earlier(
        made_run(1, fine[0]), made_run(2, fine[1]), made_run(3, over), made_run(4, failed), made_run(9, fine[2])
    )
    kept = found.of("a", "rss")
    assert kept is not None
    assert kept[0].peak_bytes == 2
    assert found.of("a", "gpu") is None
    assert found.of("b", "rss") is None
