"""Markdown as GitHub's own parser renders it, and what is in the page that comes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from cmarkgfm import github_flavored_markdown_to_html
from cmarkgfm.cmark import Options
from markdown_it import MarkdownIt

OURS = {
    "h3",
    "p",
    "code",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "details",
    "summary",
    "ul",
    "li",
    "strong",
    "br",
}


def by_github(text):
    return _read(github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE))


def by_markdown_it(text):
    return _read(MarkdownIt("gfm-like", {"html": True}).render(text))


def calls_someone(text):
    """Whether there is a mention, reference, commit, link or emoji in text outside of code, by GitHub or GitLab."""
    return re.search(r"[@#!~$^`<]|&\w|[0-9a-fA-F]{7}|://|www\.|GH-|[A-Z]+-\d|:\w+:", text)


def _read(html):
    page = Page()
    page.feed(html)
    page.close()
    return page


@dataclass
class Cell:
    """The text of a cell, and that of each code span in it; what stands in one span after the other is one."""

    text: str = ""
    spans: list = field(default_factory=list)


class Page(HTMLParser):
    """The elements of a page with their attributes, its comments, its text inside and outside of code, its rows."""

    def __init__(self):
        super().__init__()
        self.elements, self.comments, self.rows = [], [], []
        self.text, self.outside_code = "", ""
        self.spans = []
        self._within = []
        self._after_code = False

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(name for name, _ in attrs if name not in {"align", "style"})))
        if tag == "br":
            return
        self._within.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append(Cell())
        elif tag == "code" and not self._after_code:
            self.spans.append("")
            if self._in_cell():
                self.rows[-1][-1].spans.append("")
        self._after_code = False

    def handle_endtag(self, tag):
        assert self._within.pop() == tag
        self._after_code = tag == "code"

    def handle_data(self, data):
        self.text += data
        if self._in_cell():
            self.rows[-1][-1].text += data
        if "code" not in self._within:
            self.outside_code += data
            self._after_code = False
            return
        self.spans[-1] += data
        if self._in_cell():
            self.rows[-1][-1].spans[-1] += data

    def handle_comment(self, data):
        self.comments.append(data)

    def _in_cell(self):
        return bool({"td", "th"} & set(self._within))

    @property
    def tags(self):
        return {tag for tag, _ in self.elements}
