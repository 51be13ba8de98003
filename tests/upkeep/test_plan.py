"""What is changed in a budgets file: by what tests have needed over their sessions, and never by less."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from pytest_tfmem.budgets.edit import AddEntry, Remove, SetLimit
from pytest_tfmem.budgets.file import read_budgets
from pytest_tfmem.budgets.resolve import resolve
from pytest_tfmem.budgets.verdict import judge, worst
from pytest_tfmem.figures import Limit, Measurement, NotMeasured, Reading
from pytest_tfmem.history.environment import Environment
from pytest_tfmem.history.recorded import RecordedRun
from pytest_tfmem.history.rundocument import Run
from pytest_tfmem.history.series import history_of
from pytest_tfmem.units import parse_size
from pytest_tfmem.upkeep.needs import Needs
from pytest_tfmem.upkeep.plan import Planner, Suite

MIB = 1 << 20
HERE = Environment(
    python="3.12.1",
    python_implementation="CPython",
    system="Linux",
    os="Debian",
    kernel="6.18.44",
    machine="x86_64",
    packages={},
)
ELSEWHERE = msgspec.structs.replace(HERE, packages={"tensorflow": "2.20.0"})
TODAY = dt.date(2026, 3, 1)
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def reading(mib, exactness="lower-bound"):
    return Reading(bytes=int(mib * MIB), exactness=exactness, source="counter")


class Project:
    """A budgets file, and the tests that ran under it, each with a reading of rss_anon."""

    def __init__(self, text=None, *, profiles=()):
        self.file = None if text is None else read_budgets(text.encode(), shown="budgets.yaml")
        self.profiles = frozenset(profiles)
        self.tests = []
        self.earlier = []

    def ran(self, nodeid, mib=None, *, marker=None, outcome=None, **more):
        """This test ran now. A breach of its limits alone is what it fails for unless `outcome` says otherwise."""
        readings = {"rss_anon": reading(mib)} if mib is not None else {}
        readings |= more.pop("readings", {})
        limits = resolve(nodeid, (), self.file, profiles=self.profiles, today=TODAY).limits
        limits |= {figure: Limit(bytes=int(size * MIB), where="test_a.py:3") for figure, size in (marker or {}).items()}
        verdicts = judge(limits, readings)
        over = "over" in verdicts.values()
        test = Measurement(
            nodeid=nodeid,
            outcome=outcome or ("failed" if over else "passed"),
            start_method="spawn",
            verdict=worst(verdicts),
            readings=readings,
            limits=limits,
            verdicts=verdicts,
            phases={},
            breached=over and outcome is None,
            **more,
        )
        self.tests.append(test)
        return self

    def before(self, nodeid, *values, environment=HERE, outcome="passed"):
        """In as many sessions before, the oldest first, it read these MiB."""
        for number, mib in enumerate(values):
            test = Measurement(
                nodeid=nodeid,
                outcome=outcome,
                start_method="spawn",
                verdict="unlimited",
                readings={"rss_anon": reading(mib)},
                limits={},
                verdicts={},
                phases={},
            )
            began = START + dt.timedelta(days=number, seconds=len(self.earlier))
            run = Run(id=f"run{len(self.earlier)}", started_at=began)
            self.earlier.append(RecordedRun(run=run, environment=environment, tests=[test]))
        return self

    def plan(self, *words, suite=None):
        tolerance = self.file.defaults.tolerance if self.file else None
        planner = Planner(
            self.file,
            self.tests,
            needs=Needs(HERE, history_of(self.earlier), tolerance),
            profiles=self.profiles,
            suite=suite or Suite(nodeids=[test.nodeid for test in self.tests]),
            today=TODAY,
        )
        return planner.plan(words)


ONE = 'version: 1\nbudgets:\n  - {test: "test_a.py::test_x", rss_anon: %s MiB}\n'
GLOB = 'version: 1\nbudgets:\n  - {test: "test_a.py", rss_anon: %s MiB}\n'


def raised(size, entry=0, **more):
    return SetLimit(entry=entry, figure="rss_anon", size=size, **more)


# --- raise ---------------------------------------------------------------------------------------------------------


def test_a_limit_is_raised_to_the_most_of_the_last_sessions_and_the_floor_above() -> None:
    project = Project(ONE % 100).before("test_a.py::test_x", 120, 118, 119).ran("test_a.py::test_x", 117)
    assert project.plan("raise").all == [raised("122 MiB")]  # 120 and 1 %, written in three digits


def test_what_was_before_the_last_step_does_not_count() -> None:
    project = Project(ONE % 100).before("test_a.py::test_x", *[200] * 6, *[110] * 6).ran("test_a.py::test_x", 110)
    assert project.plan("raise").all == [raised("112 MiB")]


def test_what_the_test_read_under_other_conditions_raises_nothing() -> None:
    project = Project(ONE % 100).before("test_a.py::test_x", 500, environment=ELSEWHERE).ran("test_a.py::test_x", 110)
    assert project.plan("raise").all == [raised("112 MiB")]


def test_the_floor_is_that_of_the_file() -> None:
    text = (ONE % 100).replace("budgets:", "defaults: {tolerance: 10% and 2 MiB}\nbudgets:")
    assert Project(text).ran("test_a.py::test_x", 110).plan("raise").all == [raised("121 MiB")]


def test_a_limit_of_several_tests_is_raised_to_what_the_neediest_needs() -> None:
    project = (
        Project(GLOB % 100).ran("test_a.py::test_x", 110).ran("test_a.py::test_y", 150).ran("test_a.py::test_z", 9)
    )
    assert project.plan("raise").all == [raised("152 MiB")]


def test_of_limits_by_profile_the_one_that_holds_here_is_raised() -> None:
    text = """\
version: 1
profiles: {h200: {gpu: X}, cpu: {gpu: none}}
budgets:
  - {test: test_a.py, rss_anon: {h200: 1 MiB, cpu: 2 MiB, default: 3 MiB}}
"""
    assert Project(text, profiles=["cpu"]).ran("test_a.py::test_x", 90).plan("raise").all == [
        raised("91 MiB", profile="cpu")
    ]
    assert Project(text).ran("test_a.py::test_x", 90).plan("raise").all == [raised("91 MiB")]


def test_a_default_limit_is_raised_where_it_stands() -> None:
    project = Project("version: 1\ndefaults: {rss_anon: 1 MiB}\n").ran("test_a.py::test_x", 90)
    assert project.plan("raise").all == [raised("91 MiB", entry=None)]


def test_a_limit_in_a_marker_is_for_people_to_raise() -> None:
    project = Project(ONE % 200).ran("test_a.py::test_x", 150, marker={"rss_anon": 100})
    project.ran("test_a.py::test_x[2]", 160, marker={"rss_anon": 100})
    plan = project.plan("raise")
    assert plan.all == []
    assert plan.remarks == ["test_a.py:3: raise rss_anon to 162 MiB by hand"]


@pytest.mark.parametrize(
    ("mib", "more"),
    [
        (110, {"outcome": "failed"}),
        (110, {"outcome": "skipped"}),
        (110, {"died": "it was killed by signal 9"}),
        (None, {"readings": {"rss_anon": NotMeasured("no counter")}}),
        (100, {}),
        (50, {}),
    ],
    ids=["failed otherwise", "skipped", "died", "not measured", "at its limit", "below"],
)
def test_nothing_is_raised_by_what_says_nothing_of_the_need(mib, more) -> None:
    assert Project(ONE % 100).ran("test_a.py::test_x", mib, **more).plan("raise").all == []


def test_a_limit_whose_breach_is_a_warning_is_raised_too() -> None:
    text = (ONE % "{limit: 100 MiB, level: warn}").replace("} MiB}", "}}")
    project = Project(text).ran("test_a.py::test_x", 110, outcome="passed")
    assert project.plan("raise").all == [raised("112 MiB")]


def test_on_several_gpus_the_one_decides_that_needs_most() -> None:
    text = "version: 1\nbudgets: [{test: test_a.py, gpu: 100 MiB}]\n"
    project = Project(text).ran("test_a.py::test_x", readings={"gpu": [reading(150, "exact"), reading(90, "exact")]})
    assert project.plan("raise").all == [SetLimit(entry=0, figure="gpu", size="151 MiB")]


# --- trim ----------------------------------------------------------------------------------------------------------


def trimmable():
    return Project(ONE % 200).before("test_a.py::test_x", 100, 101, 103, 100)


def test_a_limit_far_above_the_series_is_trimmed_to_its_most() -> None:
    assert trimmable().ran("test_a.py::test_x", 99).plan("trim").all == [raised("105 MiB")]


def test_a_limit_is_trimmed_by_five_sessions_at_the_least() -> None:
    project = Project(ONE % 200).before("test_a.py::test_x", 100, 101, 103).ran("test_a.py::test_x", 99)
    assert project.plan("trim").all == []


def test_a_limit_is_not_trimmed_by_less_than_a_tenth() -> None:
    project = Project(ONE % 115).before("test_a.py::test_x", *[100] * 9).ran("test_a.py::test_x", 104)
    assert project.plan("trim").all == []  # 106 MiB would be proposed


def test_a_small_limit_is_not_trimmed_by_less_than_the_floor() -> None:
    project = Project(ONE % 3).before("test_a.py::test_x", *[1.1] * 9).ran("test_a.py::test_x", 1.1)
    assert project.plan("trim").all == []


def test_a_limit_holds_on_other_machines_too() -> None:
    project = trimmable().before("test_a.py::test_x", 150, environment=ELSEWHERE).ran("test_a.py::test_x", 99)
    assert project.plan("trim").all == []


def test_the_limit_of_several_tests_is_trimmed_if_all_of_them_need_less() -> None:
    project = Project(GLOB % 200)
    for name, used in (("test_x", 100), ("test_y", 120)):
        project.before(f"test_a.py::{name}", *[used] * 6).ran(f"test_a.py::{name}", used)
    suite = ["test_a.py::test_x", "test_a.py::test_y", "test_b.py::test_z"]
    assert project.plan("trim", suite=Suite(nodeids=suite)).all == [raised("122 MiB")]
    part = project.plan("trim", suite=Suite(nodeids=suite, part_of="-k may leave tests out"))
    assert (part.all, part.remarks) == ([], ["not trimmed: 1 limit of several tests (-k may leave tests out)"])
    skipped = project.plan("trim", suite=Suite(nodeids=[*suite, "test_a.py::test_was_skipped"]))
    assert (skipped.all, skipped.remarks) == (
        [],
        ["not trimmed: 1 limit of several tests (for some of the tests that they cover there is no reading)"],
    )
    unseen = project.plan("trim", suite=Suite(nodeids=suite, unseen=["test_a.py"]))
    assert unseen.all == []
    assert project.ran("test_a.py::test_failed", 1, outcome="failed").plan("trim").all == []


def test_what_is_sampled_is_never_trimmed() -> None:
    text = "version: 1\nbudgets: [{test: 'test_a.py::test_x', rss_tree: 500 MiB}]\n"
    project = Project(text).ran("test_a.py::test_x", readings={"rss_tree": reading(100, "sampled")})
    for number in range(9):
        test = msgspec.structs.replace(project.tests[0], limits={}, verdicts={})
        run = Run(id=f"{number}", started_at=START + dt.timedelta(days=number))
        project.earlier.append(RecordedRun(run=run, environment=HERE, tests=[test]))
    assert project.plan("trim").all == []


# --- create --------------------------------------------------------------------------------------------------------


def test_an_entry_is_made_for_a_test_without_a_limit() -> None:
    project = Project().before("test_a.py::test_x", 130).ran("test_a.py::test_x", 100)
    assert project.plan("create").all == [AddEntry(test="test_a.py::test_x", limits={"rss_anon": "132 MiB"})]


def test_a_gpu_that_is_used_gets_a_limit_under_the_profile_that_holds_here() -> None:
    text = "version: 1\nprofiles: {h200: {gpu: X}, any: {gpu: '*'}}\n"
    project = Project(text, profiles=["any", "h200"])
    project.ran("test_a.py::test_x", 100, readings={"gpu": [reading(0, "exact"), reading(64, "exact")]})
    project.ran("test_a.py::test_y", 100, readings={"gpu": [reading(0, "exact")]})
    project.ran("test_a.py::test_z", 100, readings={"gpu": [reading(7, "sampled")]})
    assert project.plan("create").all == [
        AddEntry(test="test_a.py::test_x", limits={"rss_anon": "101 MiB", "gpu": "64.1 MiB"}, profiles={"gpu": "h200"}),
        AddEntry(test="test_a.py::test_y", limits={"rss_anon": "101 MiB"}),
        AddEntry(test="test_a.py::test_z", limits={"rss_anon": "101 MiB"}),
    ]


def test_the_entry_of_a_test_gets_the_figure_that_it_lacks() -> None:
    text = "version: 1\nbudgets:\n- {test: '**', rss: 1 GiB}\n- {test: 'test_a.py::test_x', rss: 1 GiB}\n"
    project = Project(text).ran("test_a.py::test_x", 100).ran("test_a.py::test_y", 100)
    assert project.plan("create").all == [
        raised("101 MiB", entry=1),
        AddEntry(test="test_a.py::test_y", limits={"rss_anon": "101 MiB"}),
    ]


def test_limits_by_profile_get_that_of_this_machine() -> None:
    text = """\
version: 1
profiles: {h200: {gpu: X}, cpu: {gpu: none}}
budgets:
  - {test: "test_a.py::test_x", rss_anon: {h200: 1 MiB}}
"""
    project = Project(text, profiles=["cpu"]).ran("test_a.py::test_x", 100)
    assert project.plan("create").all == [raised("101 MiB", profile="cpu")]
    assert Project(text).ran("test_a.py::test_x", 100).plan("create").all == [raised("101 MiB")]


def test_no_entry_is_made_for_a_test_that_failed_or_has_a_limit() -> None:
    project = Project(ONE % 200).ran("test_a.py::test_x", 100).ran("test_a.py::test_y", 100, outcome="failed")
    project.ran("test_a.py::test_z", 100, marker={"rss_anon": 200})
    assert project.plan("create").all == []


# --- prune ---------------------------------------------------------------------------------------------------------

STALE = """\
version: 1
budgets:
  - {test: test_gone.py, rss: 1 GiB}
  - {test: test_a.py, rss_anon: 200 MiB}
  - {test: "tests/gpu/**", rss: 1 GiB}
waivers:
  - {test: test_gone.py, figure: rss, limit: 2 GiB, expires: 2026-03-01, reason: x}
  - {test: test_gone.py, figure: gpu, limit: 2 GiB, expires: 2026-02-28, reason: x}
  - {test: test_a.py, figure: gpu, limit: 2 GiB, expires: 2026-02-28, reason: x}
"""


def test_entries_without_a_test_go_and_waivers_without_one_that_have_ended() -> None:
    project = Project(STALE).ran("test_a.py::test_x", 100)
    assert project.plan("prune").all == [Remove(index=0), Remove(index=2), Remove(index=1, section="waivers")]


def test_nothing_goes_whose_tests_may_only_not_have_been_seen() -> None:
    project = Project(STALE).ran("test_a.py::test_x", 100)
    suite = Suite(nodeids=["test_a.py::test_x"], unseen=["tests/gpu/test_train.py"])
    assert project.plan("prune", suite=suite).all == [Remove(index=0), Remove(index=1, section="waivers")]


def test_after_a_run_of_a_part_nothing_goes_and_the_reason_is_told() -> None:
    plan = Project(STALE).plan("prune", suite=Suite(part_of="this is shard 1 of 2"))
    assert (plan.all, plan.remarks) == ([], ["not pruned: this is shard 1 of 2"])


def test_only_what_is_asked_for_is_done() -> None:
    project = Project((STALE % ()).replace("200", "50")).ran("test_a.py::test_x", 100).ran("test_b.py::test_y", 9)
    assert {word: list(project.plan(word).edits) for word in ("create", "raise", "prune")} == {
        "create": ["create"],
        "raise": ["raise"],
        "prune": ["prune"],
    }
    assert parse_size(project.plan("raise", "preview").all[0].size) == 101 * MIB
