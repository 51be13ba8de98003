"""Cards that a test has to itself: no other test of this machine, of whatever session or user, has them meanwhile."""

from __future__ import annotations

import itertools
import os
import re
import time
from typing import TYPE_CHECKING, Self

from pytest_tfmem.errors import TfmemError, one_line
from pytest_tfmem.figures import GPU_FIGURES
from pytest_tfmem.isolate.hostlocks import HostLocks, own_note, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from pytest_tfmem.isolate.hostlocks import HeldLock, Note

VARIABLE = "TFMEM_LEASED"  # in a test's process: the level of the cards that it holds, and their uuids
_NONE_VISIBLE = "-1"  # no card has this number, and CUDA takes those before the first that there is not
_POLL_SECONDS = 0.025
_DOOR_POLL_SECONDS = 0.002  # it is held for a millisecond or less
_PATIENCE_SECONDS = 1.0  # before it is told that a test waits,
_REMINDER_SECONDS = 30.0  # and until it is told again
_MOST_NAMED = 4  # cards and their holders, in one line


class Lease:
    """Cards that are held, until it is released or its process ends.

    `cards`: their uuids, in the order of the visible devices. `waited_seconds`: how long for them. `level`: how many
    tests, each run by the one before it, hold them already.
    """

    def __init__(
        self, locks: Mapping[str, HeldLock], cards: tuple[str, ...], waited_seconds: float, level: int
    ) -> None:
        self.cards = cards
        self.waited_seconds = waited_seconds
        self.level = level
        self._locks = dict(locks)
        self._pid = os.getpid()

    def release(self) -> None:
        """Let others have the cards. Does nothing the second time, and in a fork of the process that holds them."""
        if os.getpid() != self._pid:
            return
        while self._locks:
            self._locks.popitem()[1].release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Leases:
    """Leases of the visible cards, `cards` by their uuids in CUDA's order.

    Within a test that itself holds cards (VARIABLE in `environment`, by default this process's) a session leases only
    those, on a level of its own: it never waits for what the test around it holds, nor for more while that holds some.
    Raises TfmemError if that variable is not as `nested_environment` writes it.
    """

    def __init__(
        self, cards: Sequence[str], directory: Path | None = None, *, environment: Mapping[str, str] | None = None
    ) -> None:
        leased = (os.environ if environment is None else environment).get(VARIABLE, "")
        self.level, outer = _parse_leased(leased) if leased else (0, None)
        self.cards = tuple(card for card in dict.fromkeys(cards) if outer is None or card in outer)
        self._locks = HostLocks(directory)

    def acquire(self, count: int, *, nodeid: str, on_wait: Callable[[str], None]) -> Lease:
        """Wait until `count` cards are held for the test `nodeid`, in the order in which tests asked.

        `on_wait` is given a sentence to show when it takes longer than a second, and again every 30 seconds. Raises
        TfmemError if there are not so many cards, or none can be locked; holds nothing after whatever is raised.
        """
        if count > len(self.cards):
            raise TfmemError(_too_many(count, self.cards, nested=self.level > 0))
        began = time.monotonic()
        waiter = _Waiter(self._locks, level=self.level, cards=self.cards, count=count, nodeid=nodeid, on_wait=on_wait)
        try:
            waiter.wait()
        except BaseException:
            waiter.give_back()
            raise
        chosen = tuple(card for card in self.cards if card in waiter.held)
        return Lease(waiter.held, chosen, time.monotonic() - began, self.level)


class _Waiter:
    """One test on its way to its cards.

    Tests are served in the order of their tickets, those that can do with different cards apart. A ticket is a lock
    too, so that one whose holder has died counts no more. Only the test whose turn it is takes cards, one by one as
    they come free: so no two ever hold what the other waits for, and none is overtaken, however many it needs.
    """

    def __init__(
        self,
        locks: HostLocks,
        *,
        level: int,
        cards: Sequence[str],
        count: int,
        nodeid: str,
        on_wait: Callable[[str], None],
    ) -> None:
        self.held: dict[str, HeldLock] = {}
        self._locks = locks
        self._level = level
        self._cards = cards
        self._count = count
        self._nodeid = nodeid
        self._on_wait = on_wait
        self._tell_at = time.monotonic() + _PATIENCE_SECONDS
        self._ticket: HeldLock | None = None
        self._door: HeldLock | None = None

    def wait(self) -> None:
        """Come to hold the cards."""
        if self._count == 0:
            return
        self._locks.prepare()
        ahead = self._enter()
        while ahead or not self._has_collected():
            self._sleep(_POLL_SECONDS, ahead)
            self._drop_served(ahead)
        self._leave()

    def give_back(self) -> None:
        """Hold nothing any more, wherever it was broken off."""
        while self.held:
            self.held.popitem()[1].release()
        self._leave()

    def _enter(self) -> list[str]:
        """The tickets before ours, the last one last. None, and no ticket, if nobody waits and the cards are free.

        One at a time goes through the door: so a ticket is greater than any that was there before, and is locked
        and has its note before anyone sees it.
        """
        while (door := self._locks.take(f"door-{self._level}")) is None:
            self._sleep(_DOOR_POLL_SECONDS, [])
        self._door = door
        tickets = self._tickets()
        ahead = [name for name in tickets if self._wants_our_cards(name)]
        self._drop_served(ahead)
        if ahead or not self._has_collected():
            self._ticket = self._next_ticket(tickets)
        self._door.release()
        self._door = None
        return ahead

    def _leave(self) -> None:
        if self._ticket is not None:
            self._ticket.remove()
        if self._door is not None:
            self._door.release()
        self._ticket = self._door = None

    def _tickets(self) -> list[str]:
        """All tickets, of the living and the dead, the first one first."""
        found = [re.fullmatch(rf"ticket-{self._level}-(\d+)", name) for name in self._locks.names()]
        return [match[0] for match in sorted((match for match in found if match), key=lambda match: int(match[1]))]

    def _next_ticket(self, tickets: Sequence[str]) -> HeldLock:
        last = int(tickets[-1].rpartition("-")[2]) if tickets else 0
        names = (f"ticket-{self._level}-{number}" for number in itertools.count(last + 1))
        return next(ticket for ticket in map(self._take, names) if ticket is not None)

    def _wants_our_cards(self, ticket: str) -> bool:
        note = self._locks.note(ticket)
        return note is None or not set(self._cards).isdisjoint(note.cards)

    def _drop_served(self, ahead: list[str]) -> None:
        """Drop from the end those whose holders have left the queue: the others need not be asked before the last."""
        while ahead and (theirs := self._locks.take(ahead[-1])) is not None:
            theirs.remove()
            ahead.pop()

    def _has_collected(self) -> bool:
        """Whether all cards that the test needs are held, after those that are free have been taken."""
        for card in self._in_our_order():
            if len(self.held) == self._count:
                break
            if card not in self.held and (lock := self._take(self._lock_of(card))) is not None:
                self.held[card] = lock
        return len(self.held) == self._count

    def _in_our_order(self) -> Sequence[str]:
        """The cards, by each process from another one on, so that not all begin with the first."""
        first = os.getpid() % len(self._cards)
        return [*self._cards[first:], *self._cards[:first]]

    def _lock_of(self, card: str) -> str:
        return f"card-{self._level}-{card}"

    def _take(self, name: str) -> HeldLock | None:
        return self._locks.take(name, own_note(self._nodeid, list(self._cards)))

    def _sleep(self, seconds: float, ahead: Sequence[str]) -> None:
        if time.monotonic() >= self._tell_at:
            self._on_wait(self._told(ahead))
            self._tell_at = time.monotonic() + _REMINDER_SECONDS
        time.sleep(seconds)

    def _told(self, ahead: Sequence[str]) -> str:
        missing = [card for card in self._cards if card not in self.held]
        holders = {card: self._locks.note(self._lock_of(card)) for card in missing}
        queue = [note for note in map(self._locks.note, ahead) if note is not None]
        return _waiting_text(self._nodeid, self._count, holders, queue)


def cards_needed(limits: Collection[str], gpus: int | None) -> int:
    """How many cards a test needs that has limits on these figures, and for which `tf_runtime` says `gpus`."""
    if gpus is not None:
        return gpus
    return int(any(figure in GPU_FIGURES for figure in limits))


def visible_devices(cards: Lease | Sequence[str]) -> str:
    """What CUDA_VISIBLE_DEVICES is to say where these cards, and no others, are to be seen."""
    return ",".join(cards.cards if isinstance(cards, Lease) else cards) or _NONE_VISIBLE


def nested_environment(lease: Lease) -> dict[str, str]:
    """What to add to the environment of the process of the test that holds the lease: for sessions started in it."""
    return {VARIABLE: f"{lease.level + 1}:{','.join(lease.cards)}"}


def _parse_leased(text: str) -> tuple[int, frozenset[str]]:
    match = re.fullmatch(r"(\d{1,3}):(.+)", text)
    if match is None:
        raise TfmemError(
            f"{VARIABLE}={one_line(text, most=80)!r} is not what a test's process has",
            hint="unset it: pytest-tfmem sets it where a test holds GPUs",
        )
    return int(match[1]), frozenset(match[2].split(","))


def _too_many(count: int, cards: Sequence[str], *, nested: bool) -> str:
    needed = f"tf_runtime(gpus={count}) needs {_gpus(count)}"
    have = {0: "none is", 1: "1 is"}.get(len(cards), f"{len(cards)} are")
    listed = f" ({', '.join(cards)})" if cards else ""
    held = " and held by the test in which this session runs" if nested else ""
    return f"{needed}, and {have} visible here{held}{listed}"


def _waiting_text(nodeid: str, count: int, holders: Mapping[str, Note | None], queue: Sequence[Note]) -> str:
    """Who waits, and for what: the holders of the cards, and the tests before it that wait too."""
    known = [f"{card} is held by {shown(note)}" for card, note in holders.items() if note is not None]
    reasons = known[:_MOST_NAMED]
    if len(known) > _MOST_NAMED:
        reasons.append(f"{len(known) - _MOST_NAMED} more are held")
    if queue:
        reasons.append(f"before it waits {shown(queue[0])}")
    if len(queue) > 1:
        reasons.append(f"and {len(queue) - 1} more")
    if not reasons:
        reasons = ["others hold them, and do not say who they are"]
    return f"{one_line(nodeid, most=120)} waits for {_gpus(count)}: {'; '.join(reasons)}"


def _gpus(count: int) -> str:
    return f"{count} GPU" if count == 1 else f"{count} GPUs"
