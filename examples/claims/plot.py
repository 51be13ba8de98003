"""A claim's rows as a picture: an SVG that brings its own light and dark, and needs nothing to be drawn with."""

from __future__ import annotations

import math
from html import escape
from itertools import cycle
from typing import TYPE_CHECKING

from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from claim import Plot, Row, Unit

WIDTH, RIGHT, TOP, BAR = 720, 128, 52, 26
KIB = 1 << 10
LETTER = 7  # about the mean width of one
STYLE = """
svg { --ground: #ffffff; --edge: #d0d7de; --text: #1f2328; --faint: #59636e; --a: #2a6fbb; --b: #b3540a; --c: #2f7d4f;
  --d: #8250b0; --e: #9a6700; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ground: #16191d; --edge: #3d444d; --text: #e6edf3; --faint: #9aa4af;
  --a: #64a8f0; --b: #f0954a; --c: #63c287; --d: #c39bea; --e: #d9b13b; } }
.ground { fill: var(--ground); stroke: var(--edge); } text { fill: var(--text); } .faint { fill: var(--faint); }
.title { font-weight: 600; } .axis { stroke: var(--faint); } .grid { stroke: var(--edge); }
.whisker { stroke: var(--text); stroke-width: 1.5; } polyline { stroke-width: 2; }
.a { fill: var(--a); stroke: var(--a); } .b { fill: var(--b); stroke: var(--b); }
.c { fill: var(--c); stroke: var(--c); } .d { fill: var(--d); stroke: var(--d); }
.e { fill: var(--e); stroke: var(--e); } polyline.line { fill: none; }
"""


def drawn(plot: Plot, rows: Sequence[Row]) -> str:
    """The picture of the rows that are plotted, which are of one unit: bars with their spread, or lines over x."""
    shown = [row for row in rows if row.plotted and row.unit == next(one.unit for one in rows if one.plotted)]
    return _lines(plot, [row for row in shown if row.x is not None]) if plot.x else _bars(plot, shown)


def _bars(plot: Plot, rows: Sequence[Row]) -> str:
    most = max(max(row.values) for row in rows) or 1
    colours = _colours(rows)
    left = 28 + LETTER * max(len(row.what) for row in rows)

    def at(value: float) -> float:
        return left + max(0.0, value) / most * (WIDTH - left - RIGHT)

    parts = []
    for place, row in enumerate(rows):
        y = TOP + place * BAR
        parts += [
            _text(left - 10, y + 14, row.what, anchor="end"),
            _bar(colours[row.series], left, y + 3, at(row.median) - left),
            *_whisker(at(min(row.values)), at(max(row.values)), y + BAR / 2 - 2),
            _text(at(max(row.values)) + 8, y + 14, shown_value(row.median, row.unit), kind="faint"),
        ]
    height = TOP + len(rows) * BAR + 14
    parts.append(f'<line class="axis" x1="{left}" x2="{left}" y1="{TOP - 4}" y2="{height - 14}"/>')
    return _picture(plot.title, height, parts)


def _bar(colour: str, x: float, y: float, width: float) -> str:
    return f'<rect class="{colour}" x="{x}" y="{y}" width="{width:.1f}" height="{BAR - 10}"/>'


def _whisker(least: float, most: float, y: float) -> list[str]:
    """From the least to the most of what repeats read, where that is wide enough to be seen."""
    if most - least < 2:
        return []
    ends = [(least, y, most, y), (least, y - 4, least, y + 4), (most, y - 4, most, y + 4)]
    return [f'<line class="whisker" x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}"/>' for x1, y1, x2, y2 in ends]


def _lines(plot: Plot, rows: Sequence[Row]) -> str:
    left, end, bottom, height = 92, WIDTH - 24, 296, 372
    along = _scale([row.x or 0.0 for row in rows], left, end, log=plot.log, from_zero=False)
    values = [value for row in rows for value in row.values]
    up = _scale(values, bottom, TOP + 8, log=plot.log, from_zero=True)
    parts = [_text((left + end) / 2, bottom + 40, plot.x, anchor="middle", kind="faint")]
    for value in ticks(min(values), max(values), rows[0].unit, log=plot.log):
        y = up(value)
        parts.append(f'<line class="grid" x1="{left}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 8, y + 4, shown_value(value, rows[0].unit), anchor="end", kind="faint"))
    places = sorted({row.x or 0.0 for row in rows})
    parts += [_text(along(x), bottom + 20, f"{x:,.6g}", anchor="middle", kind="faint") for x in places]
    for name, colour in _colours(rows).items():
        one = sorted((row for row in rows if row.series == name), key=lambda row: row.x or 0.0)
        parts += _line(one, colour, along, up)
    return _picture(plot.title, height, parts + _legend(rows, height))


def _colours(rows: Sequence[Row]) -> dict[str, str]:
    """The colour of each series, by its name."""
    return dict(zip(dict.fromkeys(row.series for row in rows), cycle("abcde")))


def _line(rows: Sequence[Row], colour: str, along: Callable[[float], float], up: Callable[[float], float]) -> list[str]:
    points = [(along(row.x or 0.0), row) for row in rows]
    path = " ".join(f"{x:.1f},{up(row.median):.1f}" for x, row in points)
    parts = [f'<polyline class="{colour} line" points="{path}"/>']
    for x, row in points:
        low, high = up(min(row.values)), up(max(row.values))
        parts.append(f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        parts.append(f'<circle class="{colour}" cx="{x:.1f}" cy="{up(row.median):.1f}" r="4"/>')
    return parts


def _legend(rows: Sequence[Row], height: float) -> list[str]:
    parts, x = [], 92.0
    for name, colour in _colours(rows).items():
        if name:
            parts.append(f'<circle class="{colour}" cx="{x}" cy="{height - 18}" r="5"/>')
            parts.append(_text(x + 11, height - 14, name))
            x += 32 + 7 * len(name)
    return parts


def _scale(
    values: Sequence[float], start: float, end: float, *, log: bool, from_zero: bool
) -> Callable[[float], float]:
    most, least = max(values), 0.0 if from_zero and not log else min(values)

    def of(value: float) -> float:
        return math.log(max(value, 1e-9)) if log else value

    span = (of(most) - of(least)) or 1.0
    return lambda value: start + (of(max(value, least)) - of(least)) / span * (end - start)


def ticks(least: float, most: float, unit: Unit, *, log: bool = False) -> list[float]:
    """At most eight round numbers up to the most, from 0 or, where the axis is logarithmic, from the least."""
    if log:
        found = [4.0**power for power in range(60) if least <= 4.0**power <= most]
        return found[:: 1 + len(found) // 8]
    base = 1024.0 if unit.startswith("bytes") else 1000.0
    sizes = [step * base**power for power in range(-2, 6) for step in (1, 2, 5, 10, 20, 50, 100, 200, 500)]
    size = next((size for size in sizes if most < 7 * size), most)
    return [size * place for place in range(int(most / size) + 1)]


def shown_value(value: float, unit: Unit) -> str:
    """As the table and the pictures have it: `1.50 GiB`, `4.5 KiB per call`, `0.52 s`, `1.98 times`."""
    if unit == "times":
        return f"{value:,.3g} times"
    if unit == "seconds":
        return f"{value:.3g} s"
    size = f"{value / KIB:.1f} KiB" if KIB <= abs(value) < 10 * KIB else format_size(round(value))
    return size + unit.removeprefix("bytes")


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    ground = f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="6"/>'
    named = [f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", ground, _text(20, 28, title, kind="title")]
    return "\n".join([head, *named, *parts, "</svg>", ""])
