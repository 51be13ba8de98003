"""Device memory over time: what was read of each card, thinned as it grows long."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_POINTS = 4000  # of each card: more than any timeline shows


class Point(NamedTuple):
    """Bytes on a card, so many seconds after the watching began."""

    seconds: float
    uuid: str
    bytes: int


class Points:
    """What was read, card by card. Where it grows too long, two neighbours become the greater at the earlier time."""

    def __init__(self) -> None:
        self._of: dict[str, list[Point]] = {}

    def __iter__(self) -> Iterator[Point]:
        for points in self._of.values():
            yield from points

    def add(self, point: Point) -> None:
        points = self._of.setdefault(point.uuid, [])
        points.append(point)
        if len(points) > MOST_POINTS:
            pairs = zip(points[::2], points[1::2], strict=False)
            points[:] = [Point(a.seconds, a.uuid, max(a.bytes, b.bytes)) for a, b in pairs] + points[
                2 * (len(points) // 2) :
            ]

    def cards(self) -> list[str]:
        return list(self._of)

    def at(self, seconds: Sequence[float], uuid: str) -> list[int | None]:
        """Most bytes on the card from each of the rising `seconds` to before the next; None where none was read."""
        most: list[int | None] = [None] * len(seconds)
        for point in self._of.get(uuid, []):
            place = bisect_right(seconds, point.seconds) - 1
            if place >= 0:
                most[place] = max(most[place] or 0, point.bytes)
        return most
