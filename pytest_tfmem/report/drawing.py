"""The timeline of a test as a small picture: static SVG that stands in a page, with nothing else to load."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from pytest_tfmem.figures import each
from pytest_tfmem.report.gpus import short_names
from pytest_tfmem.report.layout import plain, shorten_end
from pytest_tfmem.report.waivers import ceiling
from pytest_tfmem.units import format_size, readable_ceiling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tfmem.figures import Checkpoint, Measurement, Timeline

_WIDTH, _HEIGHT = 720, 110  # of one panel's drawing, in which memory goes from 0 to its top
_LEFT, _RIGHT = 80, 20  # room for the sizes, and for half of the last second's number
_HEAD, _FOOT, _NAMES = 22, 20, 13  # room above a panel for its title, below all, and for a row of names
_WIDE = _LEFT + _WIDTH + _RIGHT
# Colours that can be told from white and from black, each with a dash of its own for who cannot tell them apart.
_STROKES = (("#2f7fd6", ""), ("#c2620c", "6 2"), ("#23926b", "2 2"), ("#a45bc4", "8 3 2 3"))
_LIMIT = "#d43a3a"
_ROOM_ABOVE = 3  # a limit that is more than so many times what was held would press the line to the ground
_STEPS = [number << 10 * unit for unit in range(7) for number in (1, 2, 5, 10, 20, 50, 100, 200, 500)]
_MOST_STEPS = 4
_MOST_NAMES = 24
_LETTER = 6.4  # widths of a letter, about
_LONGEST_NAME = 18
_TEXT = 'font-family="system-ui,sans-serif" font-size="11" fill="currentColor"'


@dataclass(frozen=True, slots=True)
class _Shape:
    """One line of a panel. `sizes` are bytes, None where nothing was read."""

    name: str
    sizes: Sequence[int | None]

    @property
    def peak(self) -> int:
        return max((size for size in self.sizes if size is not None), default=0)


@dataclass(frozen=True, slots=True)
class _Panel:
    """Lines that share a scale, and the limit that they are to stay under, if it is of the same kind of bytes."""

    title: str
    shapes: Sequence[_Shape]
    figure: str
    limit: int | None

    @property
    def shows_limit(self) -> bool:
        return self.limit is not None and self.limit <= _ROOM_ABOVE * self._held

    @property
    def step(self) -> int:
        """Bytes from one line of the grid to the next: a round number of them."""
        return next(step for step in _STEPS if _MOST_STEPS * step >= self._most)

    @property
    def top(self) -> int:
        return self.step * -(-self._most // self.step)

    @property
    def _most(self) -> int:
        return max(self._held, self.limit or 0 if self.shows_limit else 0, 1)

    @property
    def _held(self) -> int:
        return max(shape.peak for shape in self.shapes)


def drawn(test: Measurement) -> str:
    """The test's timeline as an SVG element; empty where there is none. Everything of the test's is escaped."""
    timeline = test.timeline
    panels = [*_panels(test, timeline)] if timeline else []
    if timeline is None or not panels:
        return ""
    last = max(*timeline.seconds, 0.001)
    rows = _rows_of_names(timeline.checkpoints, last)
    above = _NAMES * (max(rows.values(), default=-1) + 1)
    height = above + len(panels) * (_HEAD + _HEIGHT) + _FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDE} {height}" {_TEXT}>',
        f"<title>Memory over time</title><desc>{_said(_described(panels, timeline.checkpoints, last))}</desc>",
        *_moments(timeline.checkpoints, rows, last, above=above, bottom=height - _FOOT),
        *(
            part
            for at, panel in enumerate(panels)
            for part in _panel(panel, timeline.seconds, last, above + at * (_HEAD + _HEIGHT) + _HEAD)
        ),
        *_seconds(last, height - 5),
        "</svg>",
    ]
    return "".join(parts)


def _panels(test: Measurement, timeline: Timeline) -> Iterator[_Panel]:
    host = _Shape("host", timeline.rss_tree_bytes)
    if host.peak:
        # What is drawn is of the whole tree. A limit of the process alone belongs there where it is the only process.
        yield _panel_of(test, "host memory of the test's processes", [host], ("rss_tree", "rss"))
    labels = [one.device for reading in test.readings.values() for one in each(reading) if one.device]
    names = short_names([*labels, *(gpu.device for gpu in timeline.gpus)])
    cards = [_Shape(names[gpu.device], gpu.bytes) for gpu in timeline.gpus if any(gpu.bytes)]
    if cards:
        yield _panel_of(test, "GPU memory that the driver charges to them", cards, ("gpu_footprint",))


def _panel_of(test: Measurement, title: str, shapes: Sequence[_Shape], figures: Sequence[str]) -> _Panel:
    figure = next((one for one in figures if one in test.limits), "")
    return _Panel(title, shapes, figure, ceiling(test.limits[figure]) if figure else None)


def _panel(panel: _Panel, seconds: Sequence[float], last: float, top: int) -> Iterator[str]:
    ground = top + _HEIGHT
    yield f'<text x="{_LEFT}" y="{top - 7}">{_said(_title(panel))}</text>'
    yield f'<path d="M{_LEFT} {top}V{ground}H{_LEFT + _WIDTH}" fill="none" stroke="currentColor" opacity=".5"/>'
    for size in range(0, panel.top + 1, panel.step):
        y = ground - _HEIGHT * size / panel.top
        yield f'<path d="M{_LEFT} {y:.0f}h{_WIDTH}" stroke="currentColor" opacity=".15"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{_on_axis(size)}</text>'
    for shape, (colour, dash) in zip(panel.shapes, _strokes(len(panel.shapes)), strict=True):
        path = _path(shape.sizes, seconds, last, panel.top, ground)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        yield (
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"{dashed}>'
            f"<title>{_said(shape.name)}, up to {format_size(shape.peak)}</title></path>"
        )
    yield from _legend(panel, top)
    if panel.shows_limit and panel.limit is not None:
        y = ground - _HEIGHT * panel.limit / panel.top
        yield (
            f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="{_LIMIT}" stroke-width="1.4" stroke-dasharray="4 3">'
            f"<title>limit of {_said(panel.figure)}: {format_size(panel.limit)}</title></path>"
        )


def _title(panel: _Panel) -> str:
    peak = format_size(max(shape.peak for shape in panel.shapes))
    return f"{panel.title}: up to {peak}, as sampled{_limit(panel)}"


def _limit(panel: _Panel) -> str:
    if panel.limit is None:
        return ""
    return f"; limit of {panel.figure} {format_size(panel.limit)}{'' if panel.shows_limit else ', far above'}"


def _on_axis(size: int) -> str:
    """A round size as one writes it: `200 MiB`, `2 GiB`."""
    return readable_ceiling(size) if size else "0"


def _strokes(count: int) -> list[tuple[str, str]]:
    return [_STROKES[at % len(_STROKES)] for at in range(count)]


def _path(sizes: Sequence[int | None], seconds: Sequence[float], last: float, top: int, ground: int) -> str:
    """The line through the points, interrupted where nothing was read."""
    path, goes_on = [], False
    for second, size in zip(seconds, sizes, strict=False):
        if size is not None:
            x, y = _LEFT + _WIDTH * max(second, 0) / last, ground - _HEIGHT * size / top
            path.append(f"{'L' if goes_on else 'M'}{x:.0f} {y:.0f}")
            # A point between two gaps is seen as a dot.
            path += [] if goes_on else ["h1"]
        goes_on = size is not None
    return "".join(path)


def _legend(panel: _Panel, top: int) -> Iterator[str]:
    if len(panel.shapes) == 1:
        return
    x = _LEFT + 10.0
    for shape, (colour, dash) in zip(panel.shapes, _strokes(len(panel.shapes)), strict=True):
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        yield f'<path d="M{x:.0f} {top + 11}h18" stroke="{colour}" stroke-width="2"{dashed}/>'
        yield f'<text x="{x + 23:.0f}" y="{top + 15}">{_said(shape.name)}</text>'
        x += _LETTER * len(shape.name) + 45


def _rows_of_names(checkpoints: Sequence[Checkpoint], last: float) -> dict[int, int]:
    """For each checkpoint whose name is written, by its place: the row in which nothing is in its way."""
    taken: list[list[tuple[float, float]]] = []
    rows: dict[int, int] = {}
    for at, one in enumerate(checkpoints[:_MOST_NAMES]):
        begin, end = _stretch(one, last)
        free = (row for row, names in enumerate(taken) if all(end <= other[0] or other[1] <= begin for other in names))
        row = rows[at] = next(free, len(taken))
        taken += [[]] * (row == len(taken))
        taken[row] = [*taken[row], (begin, end)]
    return rows


def _stretch(one: Checkpoint, last: float) -> tuple[float, float]:
    """From where to where the checkpoint's name goes: to the right of its moment, or to the left near the end."""
    x, room = _x(one.seconds, last), _LETTER * len(_short(one.name)) + 10
    return (x, x + room) if x + room <= _WIDE else (x - room, x)


def _moments(
    checkpoints: Sequence[Checkpoint], rows: dict[int, int], last: float, *, above: int, bottom: int
) -> Iterator[str]:
    for at, one in enumerate(checkpoints):
        x = _x(one.seconds, last)
        row = rows.get(at)
        top = above if row is None else above - _NAMES * row - _NAMES + 3
        yield (
            f'<path d="M{x:.0f} {top}V{bottom}" stroke="currentColor" opacity=".35" stroke-dasharray="1 3">'
            f"<title>{_said(one.name)}, after {one.seconds:.2f} s</title></path>"
        )
        if row is not None:
            begin, _ = _stretch(one, last)
            place = f'x="{x + 4:.0f}"' if begin == x else f'x="{x - 4:.0f}" text-anchor="end"'
            yield f'<text {place} y="{above - _NAMES * row - 2}" opacity=".8">{_said(_short(one.name))}</text>'


def _seconds(last: float, y: int) -> Iterator[str]:
    for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        yield (
            f'<text x="{_LEFT + part * _WIDTH:.0f}" y="{y}" text-anchor="{anchor}" opacity=".8">'
            f"{part * last:.{2 if last < 10 else 0}f} s</text>"  # noqa: PLR2004  from here on seconds will do
        )


def _described(panels: Sequence[_Panel], checkpoints: Sequence[Checkpoint], last: float) -> str:
    """The picture in words."""
    said = [f"{last:.1f} seconds"]
    for panel in panels:
        peaks = ", ".join(f"{shape.name} up to {format_size(shape.peak)}" for shape in panel.shapes)
        said.append(f"{panel.title}: {peaks}{_limit(panel)}")
    if checkpoints:
        named = ", ".join(f"{_short(one.name)} at {one.seconds:.2f} s" for one in checkpoints[:_MOST_NAMES])
        said.append(f"moments: {named}")
    return ". ".join(said) + "."


def _x(seconds: float, last: float) -> float:
    return _LEFT + _WIDTH * min(max(seconds, 0), last) / last


def _short(name: str) -> str:
    return shorten_end(plain(name), _LONGEST_NAME)


def _said(text: str) -> str:
    return escape(plain(text))
