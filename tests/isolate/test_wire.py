"""Messages between the controller and other processes: whole, of another version, and nonsense."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.wire import WireError, decode, encode
from tests.isolate.messages import EACH, messages

PREFIX = "sent something that is not a message of pytest-tfmem "
FRAME = bytes([0x92, wire.SCHEMA])  # the beginning of one: a list of two


@given(messages)
def test_what_is_encoded_is_decoded(message):
    assert decode(encode(message)) == message


def test_there_is_an_example_of_every_message():
    assert set(EACH) == set(get_args(wire.Message))


def test_another_version_is_told_with_its_cause():
    other = msgspec.msgpack.encode(wire.Frame(wire.SCHEMA + 1, msgspec.Raw(msgspec.msgpack.encode({"new": 1}))))
    with pytest.raises(WireError) as refused:
        decode(other)
    assert str(refused.value) == (
        f"speaks version {wire.SCHEMA + 1} of pytest-tfmem's messages and pytest version {wire.SCHEMA}:"
        " two versions of pytest-tfmem are installed where tests look for it"
    )


@given(st.binary(max_size=60))
@example(b"")
@example(b"\xc1")
@example(FRAME + b"\xc1")
def test_garbage_is_refused_whatever_it_is(data):
    with pytest.raises(WireError):
        decode(data)


@given(messages, st.data())
def test_a_message_with_a_byte_changed_is_a_message_or_refused(message, data):
    changed = bytearray(encode(message))
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(changed))
    except WireError:
        return
    assert isinstance(decoded, wire.Message)


@pytest.mark.parametrize(
    "body",
    [
        b"\x91" * 200_000,
        b"\x81\xa4type" * 100_000,
        b"\x82\xa4type\xa8Reported\xa6report\x81\xa1x" + b"\x91" * 100_000 + b"\xc0",
    ],
    ids=["lists", "mappings", "a report"],
)
def test_what_is_nested_without_end_is_refused(body):
    with pytest.raises(WireError, match=PREFIX):
        decode(FRAME + body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"type": "Nothing"}, "Invalid value 'Nothing' - at `$.type`"),
        ({"type": "Judged"}, "Object missing required field `breach`"),
        ({"type": "Judged", "breach": 1}, "Expected `str`, got `int` - at `$.breach`"),
        ({"type": "PhaseBegun", "phase": "lunch", "resident_bytes": 1}, "Invalid enum value 'lunch' - at `$.phase`"),
        (1, "Expected `object`, got `int`"),
    ],
)
def test_a_message_with_a_wrong_value_is_refused_with_its_path(body, why):
    with pytest.raises(WireError) as refused:
        decode(msgspec.msgpack.encode(wire.Frame(wire.SCHEMA, msgspec.Raw(msgspec.msgpack.encode(body)))))
    assert str(refused.value) == f"{PREFIX}({why})"
