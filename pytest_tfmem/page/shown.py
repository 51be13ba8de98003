"""Text that is fit to be looked at: nothing in it acts, hides or turns the line around."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from pytest_tfmem.history.commits import shortened
from pytest_tfmem.report.layout import plain

if TYPE_CHECKING:
    import datetime as dt

_SCHEMES = ("http", "https")


def shown(text: str) -> str:
    """The text with its control characters, and those that change its direction, visible as escapes."""
    return plain(text)


def lines_of(text: str) -> str:
    """The same of text that has lines, which stay lines."""
    return "\n".join(plain(line) for line in text.splitlines())


def moment(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def short_commit(commit: str | None) -> str:
    return shown(shortened(commit)) if commit else ""


def link_to_test(nodeid: str) -> str:
    """The address, within the page, of a test: as JavaScript's encodeURIComponent writes it."""
    return "#test=" + quote(nodeid.encode("utf-8", "surrogatepass"), safe="-_.!~*'()")


def web_address(link: str | None) -> str:
    """The link if it leads to the web, else nothing: what stands in a variable of CI may be anything."""
    try:
        parts = urlsplit(link or "")
    except ValueError:
        return ""
    return (link or "") if parts.scheme in _SCHEMES and parts.netloc else ""


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 60:  # noqa: PLR2004  a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
