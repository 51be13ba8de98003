"""Channels between the controller and other processes: messages in pieces, broken off, and with descriptors."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.isolate import wire
from pytest_tfmem.isolate.channel import MOST_BYTES, Channel, ControlChannel
from pytest_tfmem.isolate.wire import WireError, encode
from tests.isolate.messages import messages

A_MESSAGE = wire.Refused("no such test", "detail")


def framed(*sent):
    """The bytes that travel."""
    return b"".join(len(encode(message)).to_bytes(8) + encode(message) for message in sent)


@pytest.fixture
def connected():
    """A channel, and the plain socket at its other end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), theirs


def taken_in(channel):
    """All messages that have arrived whole."""
    channel.take_in()
    return list(iter(channel.next_message, None))


@given(st.lists(messages, max_size=4), st.data())
def test_messages_arrive_in_order_however_they_are_cut(sent, data):
    travelling = framed(*sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(travelling)), max_size=9)) | {0, len(travelling)})
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours)
        received = []
        for begin, end in itertools.pairwise(cuts):
            theirs.sendall(travelling[begin:end])
            received += taken_in(channel)
    assert received == sent
    assert channel.ended is False


def test_a_message_that_arrives_byte_by_byte_is_not_there_before_its_last(connected):
    channel, theirs = connected
    travelling = framed(A_MESSAGE, wire.Done())
    arrived = []
    for position in range(len(travelling)):
        theirs.sendall(travelling[position : position + 1])
        arrived.append(taken_in(channel))
    first_end = len(framed(A_MESSAGE)) - 1
    assert {position: messages for position, messages in enumerate(arrived) if messages} == {
        first_end: [A_MESSAGE],
        len(travelling) - 1: [wire.Done()],
    }


def test_what_one_side_sends_the_other_receives(connected):
    channel, theirs = connected
    channel.send(A_MESSAGE)
    channel.send(wire.Done())
    channel.close()
    other = Channel(theirs)
    assert [other.receive(), other.receive()] == [A_MESSAGE, wire.Done()]
    with pytest.raises(EOFError):
        other.receive()
    assert other.ended is True


def test_a_message_of_many_megabytes_arrives(connected):
    channel, theirs = connected
    sent = wire.Reported({"sections": "x" * (8 << 20)})
    travelling = memoryview(framed(sent))
    theirs.setblocking(False)
    received = []
    while not received:
        if travelling:
            travelling = travelling[theirs.send(travelling) :]
        received = taken_in(channel)
    assert received == [sent]


@pytest.mark.parametrize("kept", [1, 7, 8, 9, len(framed(A_MESSAGE)) - 1])
def test_an_end_in_the_middle_of_a_message_is_said_to_be_one(connected, kept):
    channel, theirs = connected
    theirs.sendall(framed(wire.Done()) + framed(A_MESSAGE)[:kept])
    theirs.close()
    assert channel.receive() == wire.Done()
    with pytest.raises(WireError) as broken:
        channel.receive()
    assert str(broken.value) == "broke off in the middle of a message"


def test_an_end_between_messages_is_an_end(connected):
    channel, theirs = connected
    theirs.sendall(framed(A_MESSAGE))
    theirs.close()
    assert taken_in(channel) == [A_MESSAGE]
    assert taken_in(channel) == []
    assert channel.ended is True


def test_a_connection_that_is_reset_is_at_its_end():
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    with ours:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
        theirs.close()
        channel = Channel(ours)
        channel.take_in()
        assert channel.ended is True
        assert channel.next_message() is None


def test_a_length_beyond_what_a_message_may_have_is_refused_before_it_is_awaited(connected):
    channel, theirs = connected
    theirs.sendall((MOST_BYTES + 1).to_bytes(8))
    channel.take_in()
    with pytest.raises(WireError) as refused:
        channel.next_message()
    assert str(refused.value) == "sent a message of 268435457 bytes, more than one may have"


def test_the_longest_message_is_awaited(connected):
    channel, theirs = connected
    theirs.sendall(MOST_BYTES.to_bytes(8))
    channel.take_in()
    assert channel.next_message() is None


def test_text_printed_into_the_socket_is_refused(connected):
    channel, theirs = connected
    theirs.sendall(b"Hello, world!\n")
    channel.take_in()
    with pytest.raises(WireError, match="more than one may have"):
        channel.next_message()


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors do not travel there")
class TestControlChannel:
    @pytest.fixture
    def control(self):
        """Both ends of a channel over which descriptors travel."""
        ours, theirs = map(ControlChannel, socket.socketpair())
        yield ours, theirs
        ours.close()
        theirs.close()

    @pytest.fixture
    def files(self, tmp_path):
        """Three files, each with its name in it, open."""
        for name in ("a", "b", "c"):
            (tmp_path / name).write_text(name)
        with (tmp_path / "a").open() as a, (tmp_path / "b").open() as b, (tmp_path / "c").open() as c:
            yield [a.fileno(), b.fileno(), c.fileno()]

    @staticmethod
    def read(descriptors):
        """What is in the files, each of which is closed by it."""
        contents = []
        for descriptor in descriptors:
            with open(descriptor) as file:
                file.seek(0)
                contents.append(file.read())
        return "".join(contents)

    def test_descriptors_travel_with_their_message_in_order(self, control, files):
        ours, theirs = control
        ours.send(wire.Fork(), files)
        assert theirs.receive() == wire.Fork()
        taken = theirs.take_descriptors(3)
        assert set(taken) & set(files) == set()
        assert self.read(taken) == "abc"

    def test_each_message_has_its_own_though_they_arrive_together(self, control, files):
        ours, theirs = control
        sent = [(wire.Forked(1), files[:1]), (wire.Exited(1, 0), []), (wire.Fork(), files[1:])]
        for message, descriptors in sent:
            ours.send(message, descriptors)
        received = [(theirs.receive(), self.read(theirs.take_descriptors(count))) for count in (1, 0, 2)]
        assert received == [(wire.Forked(1), "a"), (wire.Exited(1, 0), ""), (wire.Fork(), "bc")]

    def test_what_travels_is_not_inherited_by_programs(self, control, files):
        ours, theirs = control
        ours.send(wire.Fork(), files)
        theirs.receive()
        taken = theirs.take_descriptors(3)
        assert [os.get_inheritable(descriptor) for descriptor in taken] == [False] * 3
        assert self.read(taken) == "abc"

    def test_a_message_longer_than_a_socket_holds_arrives_with_its_descriptors(self, control, files):
        ours, theirs = control
        unfit = wire.Unfit("x" * (1 << 20))
        sender = threading.Thread(target=ours.send, args=(unfit, files))
        sender.start()
        assert theirs.receive() == unfit
        sender.join()
        assert self.read(theirs.take_descriptors(3)) == "abc"

    @pytest.mark.parametrize("sent", [0, 2])
    def test_a_message_without_its_descriptors_is_refused(self, control, files, sent):
        ours, theirs = control
        ours.send(wire.Fork(), files[:sent])
        theirs.receive()
        with pytest.raises(WireError) as refused:
            theirs.take_descriptors(3)
        assert str(refused.value) == "sent a message without its descriptors"

    def test_descriptors_that_nobody_took_are_closed_with_the_channel(self, control):
        ours, theirs = control
        reading, writing = os.pipe()
        ours.send(wire.Fork(), [writing])
        os.close(writing)
        theirs.receive()
        theirs.close()
        os.set_blocking(reading, False)
        assert os.read(reading, 1) == b""  # nobody can write into it any more
        os.close(reading)

    def test_those_that_were_taken_are_not(self, control, files):
        ours, theirs = control
        ours.send(wire.Fork(), files)
        theirs.receive()
        taken = theirs.take_descriptors(2)
        theirs.close()
        assert self.read(taken) == "ab"

    def test_a_fork_of_who_may_speak_sends_nothing(self, control, monkeypatch):
        ours, theirs = control
        monkeypatch.setattr(os, "getpid", lambda: -1)
        ours.send(wire.Fork(), [0])
        monkeypatch.undo()
        ours.close()
        with pytest.raises(EOFError):
            theirs.receive()

    def test_a_channel_that_is_closed_is_at_its_end(self, control):
        ours, _ = control
        assert ours.ended is False
        ours.close()
        assert ours.ended is True
