"""Digests to show, and text that means harm."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_tfmem.budgets.raises import Raise
from pytest_tfmem.digest.build import digest_of, digest_of_gate
from pytest_tfmem.explanations import Explanation, Holder
from pytest_tfmem.figures import Limit
from pytest_tfmem.gate.decide import Plan
from pytest_tfmem.gate.result import GateResult, Judged, Renamed, Stale
from pytest_tfmem.history.baseline import Earlier
from pytest_tfmem.history.recorded import Footer
from tests.made import ENVIRONMENT, made_run, made_test

MIB = 1 << 20
_MARKUP = ("`", "``", "|", "\\", "\\|", "**", "_", "~~", "- ", "1. ", "+ ", "===", "|---|", "$x$", "![x](http://e.org)")
_HTML = ("<script>", "</code>", "<!--", "-->", "</details>", "&amp;", "&#124;")
_CALLS = ("@team", "#12", "[a](b)", "https://e.org", "www.e.org", "a@e.org", "deadbeefcafe", "GH-1", ":tada:")
_COMMANDS = ("::error::", "::", "%0A", "%250A", "%", ",", "=", "##[error]")
_UNSEEN = (" ", "  ", "\n", "\r\n", "\u202e", "\0", "\u2028", "\x1b[31m")
_PIECES = st.sampled_from([*_MARKUP, *_HTML, *_CALLS, *_COMMANDS, *_UNSEEN])
hostile = st.lists(_PIECES | st.text(max_size=4), max_size=10).map("".join)


def limited(nodeid, used, verdict, *, allowed=500 * MIB, level="error", where="budgets.yaml:12", **more):
    """A measurement of a test that has a limit on its `rss`."""
    limit = Limit(bytes=allowed, where=where, level=level)
    more.setdefault("outcome", "failed" if verdict == "over" and level == "error" else "passed")
    more.setdefault("breached", more["outcome"] == "failed")
    test = made_test(nodeid, rss=used)
    return replace(test, limits={"rss": limit}, verdicts={"rss": verdict}, verdict=verdict, **more)


def digest(*tests, complete=True, environment=ENVIRONMENT, gate=None, **run):
    """The digest of a run of these tests, held against nothing."""
    recorded = made_run(1, *tests, environment=environment, **run)
    recorded = replace(recorded, footer=Footer(duration_seconds=1, tests=len(tests)) if complete else None)
    return digest_of(recorded, Earlier(), directory=Path("/"), gate=gate)


def gate_result(*judged, **more):
    usual = {"status": 1, "sentence": "not passed: 1 test regressed", "base": "origin/main", "head": "a" * 40}
    usual |= {"merge_base": "b" * 40, "tests": 300, "runs": 20, "sessions": 15, "decided": 1}
    usual |= {"plan": Plan(attempts=7, bound=0.0083, series=301, sessions=(20, 20), rank=1)}
    return GateResult(judged=list(judged), **usual | more)


def gate_digest(*judged, **more):
    return digest_of_gate(gate_result(*judged, **more))


def judged(nodeid="tests/test_a.py::test_a", verdict="regressed", weight="fails", **more):
    usual = {"figure": "rss", "now_bytes": 77 * MIB, "before_bytes": 74 * MIB}
    usual |= {"since": dt.datetime(2026, 3, 1, tzinfo=dt.UTC), "since_commit": "c" * 40}
    return Judged(nodeid=nodeid, verdict=verdict, weight=weight, **usual | more)


def hostile_gate(text):
    """A gate's result with this text wherever it takes any."""
    limit = Limit(bytes=MIB, where=text)
    return gate_result(
        judged(text, notes=[text], since_commit=text, figure=text or "rss"),
        judged(text, verdict="over", limit=limit, notes=[text], renamed_from=text),
        judged(f"near {text}", verdict="near", weight="fine", limit=limit, notes=[text]),
        judged(text, verdict="new", weight="fine"),
        judged(text, verdict="ok", weight="fine", notes=[text]),
        judged(text, verdict="incomparable", weight="fine", notes=[text]),
        sentence=text,
        base=text,
        head=text,
        merge_base=text,
        raised=[Raise(test=text, figure=text, before=text, after=text, where=text, where_before=f"{text}:2")],
        renamed=[Renamed(nodeid=text, renamed_from=text)],
        gone=[text],
        stale=[Stale(where=text, kind="budget", test=text)],
        warnings=[text],
    )


def hostile_digest(text, *, gate=None):
    """The digest of a run with this text wherever it takes any."""
    failed = limited(f"a{text}", 900 * MIB, "over", where=text, notes=[text])
    held = Holder(bytes=MIB, what=text, where=text, detail=text, path=[text, text], kind="python", new=True)
    explanations = [
        Explanation(figure=text, peak_bytes=MIB, holders=[held], source=text, against=text, device=text, notes=[text]),
        Explanation(figure=text, failed=text or "x"),
    ]
    tests = [
        replace(failed, where=text, explanations=explanations),
        replace(made_test(f"b{text}", rss=MIB), unmeasured=text or "x", out_of_memory=text, outcome="failed"),
        replace(made_test(f"c{text}", outcome="failed"), died=text or "x", where=f"{text}:3"),
        limited(f"d{text}", 490 * MIB, "near", where=text),
    ]
    settings = {"XLA_FLAGS": text, text: text}
    environment = replace(ENVIRONMENT, os=text, settings=settings, plugins=[text], packages={text: text})
    origin = {"commit": text, "branch": text, "ci": text, "ci_link": text}
    return digest(*tests, environment=environment, gate=gate, **origin)
