"""pytest's reports on their way through a message."""

from __future__ import annotations

import enum
import math

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.reports import encodable, is_of_phase, pack, plain, shortened, unpack

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=5) | st.complex_numbers(),
    lambda values: st.one_of(
        st.lists(values, max_size=3),
        st.tuples(values, values),
        st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), values, max_size=3),
    ),
    max_leaves=12,
)
texts = st.text(max_size=20)
properties = st.lists(st.tuples(texts, st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | texts))
same_config = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def report(**attributes):
    told = {
        "nodeid": "test_a.py::test_b",
        "location": ("test_a.py", 3, "test_b"),
        "keywords": {"test_b": 1},
        "outcome": "passed",
        "longrepr": None,
        "when": "call",
        "sections": [],
        "user_properties": [],
        "duration": 0.5,
        "start": 1.0,
        "stop": 1.5,
    }
    return pytest.TestReport(**told | attributes)


def sent(config, packed_report):
    """The report as it is on the other side."""
    message = wire.decode(wire.encode(wire.Reported(pack(config, packed_report))))
    return unpack(config, message.report)


@given(anything)
def test_anything_becomes_something_that_a_message_can_hold(value):
    held = plain(value)
    assert plain(held) == held or "nan" in repr(held)
    msgspec.msgpack.decode(msgspec.msgpack.encode(held))


builtin = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
    max_leaves=12,
)


@given(builtin)
def test_what_is_plain_stays_as_it_is(value):
    assert plain(value) == value


@given(st.integers())
def test_an_integer_that_no_message_can_hold_becomes_its_text(number):
    assert plain(number) == (number if -(1 << 63) <= number < 1 << 63 else str(number))


@given(st.text())
def test_text_can_always_be_encoded_and_loses_nothing_but_lone_surrogates(text):
    escaped = encodable(text)
    escaped.encode()
    assert escaped == text or any("\ud800" <= char <= "\udfff" for char in text)


@given(st.text(), st.integers(2, 40))
def test_a_text_that_is_cut_keeps_its_two_ends(text, most):
    cut = shortened(text, most)
    if len(text) <= most:
        assert cut == text
    else:
        assert cut.startswith(text[: most // 2])
        assert cut.endswith(text[-(most // 2) :])
        left_out = len(text) - most // 2 * 2
        assert cut[most // 2 : -(most // 2)] == f"\n[... {left_out} characters left out by pytest-tfmem ...]\n"


def test_what_contains_itself_ends_somewhere():
    ring: list[object] = []
    ring.append(ring)
    held = plain(ring)
    depth = 0
    while isinstance(held, list):
        held, depth = held[0], depth + 1
    assert (depth, held) == (40, "[[...]]")


class Scalar:
    """As NumPy's scalars and arrays are: `item` gives a Python value, or raises."""

    def __repr__(self):
        return f"Scalar({self._item!r})"

    def __init__(self, item):
        self._item = item

    def item(self):
        if isinstance(self._item, Exception):
            raise self._item
        return self._item

    def __str__(self):
        return "its text"


class Unspeakable:
    def __repr__(self):
        return "Unspeakable()"

    def __str__(self):
        raise RuntimeError


class Word(str, enum.Enum):  # noqa: UP042  whose str() is not its text, unlike StrEnum's
    ONE = "one"


class Silent(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (Scalar(3), 3),
        (Scalar(2.5), 2.5),
        (Scalar(True), True),
        (Scalar(1 << 70), "its text"),
        (Scalar(math.nan), "its text"),
        (Scalar(math.inf), "its text"),
        (Scalar([1]), "its text"),
        (Scalar(ValueError("an array of two")), "its text"),
        (Unspeakable(), "<Unspeakable whose text raises RuntimeError>"),
        (Word.ONE, "one"),
        (Silent("text"), "text"),
        ({1: 2, None: 3}, {"1": 2, "None": 3}),
        ({Unspeakable(): 1}, {"<Unspeakable whose text raises RuntimeError>": 1}),
        (("a", ("b",)), ["a", ["b"]]),
        (b"raw", "b'raw'"),
        ("\udcff", "\\udcff"),
        ({"\udcff": "\ud800"}, {"\\udcff": "\\ud800"}),
    ],
    ids=repr,
)
def test_what_is_foreign_becomes_a_number_or_a_text(value, held):
    assert plain(value) == held
    assert type(plain(value)) is type(held)


def test_a_numpy_number_is_the_number_that_it_is():
    numpy = pytest.importorskip("numpy")
    held = plain({"int": numpy.int64(3), "float": numpy.float64(2.5), "array": numpy.arange(2)})
    assert held == {"int": 3, "float": 2.5, "array": "[0 1]"}


@given(properties, st.lists(st.tuples(texts, texts)))
@same_config
def test_a_report_arrives_as_it_was_sent(pytestconfig, user_properties, sections):
    arrived = sent(pytestconfig, report(user_properties=user_properties, sections=sections))
    assert arrived.user_properties == [(encodable(name), plain(value)) for name, value in user_properties]
    assert arrived.sections == [(encodable(name), encodable(text)) for name, text in sections]
    assert arrived.location == ("test_a.py", 3, "test_b")
    assert (arrived.nodeid, arrived.outcome, arrived.when) == ("test_a.py::test_b", "passed", "call")
    assert (arrived.duration, arrived.start, arrived.stop) == (0.5, 1.0, 1.5)


def test_a_skips_place_and_reason_are_a_tuple_again(pytestconfig):
    skipped = report(outcome="skipped", longrepr=("test_a.py", 3, "Skipped: not today"))
    assert sent(pytestconfig, skipped).longrepr == ("test_a.py", 3, "Skipped: not today")


def test_a_failure_is_shown_as_it_was(pytestconfig):
    with pytest.raises(ZeroDivisionError) as raised:
        1 / 0  # noqa: B018
    failed = report(outcome="failed", longrepr=raised.getrepr())
    arrived = sent(pytestconfig, failed)
    assert arrived.longreprtext == failed.longreprtext
    assert arrived.longrepr.reprcrash.message == "ZeroDivisionError: division by zero"


def test_an_attribute_that_a_plugin_added_comes_along(pytestconfig):
    assert sent(pytestconfig, report(wasxfail="reason: slow")).wasxfail == "reason: slow"


def test_long_output_is_cut_in_its_middle(pytestconfig):
    packed = pack(pytestconfig, report(sections=[("Captured stdout call", "a" * (5 << 20))]))
    ((_, text),) = packed["sections"]
    assert len(text) < (4 << 20) + 100
    assert "1048576 characters left out" in text


@pytest.mark.parametrize(
    ("data", "is_its_own"),
    [
        ({"$report_type": "TestReport", "when": "call"}, True),
        ({"$report_type": "TestReport", "when": "setup"}, False),
        ({"$report_type": "TestReport", "when": "call", "_report_type": "SubTestReport"}, False),
        ({"$report_type": "CollectReport", "when": "call"}, False),
        ({}, False),
    ],
)
def test_a_phases_own_report_is_told_from_a_subtests(data, is_its_own):
    assert is_of_phase(data, "call") is is_its_own
