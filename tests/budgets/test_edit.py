"""budgets.yaml edited in its text: the touched values change, and not a byte besides."""

from __future__ import annotations

import random

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_tfmem.budgets.edit import AddEntry, Remove, SetLimit, edited, new_file
from pytest_tfmem.budgets.file import read_budgets
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import Limit
from pytest_tfmem.units import parse_size
from tests.strategies import documents, figures, nodeids

MIB = 1 << 20

FILE = """\
# our budgets
version: 1   # of the format
defaults: {rss: 1 GiB, tolerance: "2% and 2 MiB"}
profiles:
  h200: {gpu: "NVIDIA H200*"}
  cpu:  {gpu: none}
budgets:
  # about a
  - test: "a"   # trailing
    rss: {limit: 1 MiB , level: warn}   # tolerated
    rss_anon: '2 MiB'

  # about b
  - {test: b, rss: 3 MiB, gpu: {h200: 1 GiB, default: {limit: 2 GiB}}}  # in one line
      # still about b

# a heading
  # about c
  -
    test: c
    level: warn
    # about its limit
    rss_growth: "4 MiB"
    # at the end of c
waivers:
  - {test: "a", figure: gpu, limit: 1.9 GiB, expires: 2027-01-31, reason: "x"}
"""


def edit(text, *edits):
    return edited(text.encode(), edits, shown="budgets.yaml").decode()


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (SetLimit(entry=0, figure="rss", size="5 MiB"), "limit: 1 MiB ,", "limit: 5 MiB ,"),
        (SetLimit(entry=0, figure="rss_anon", size="5 MiB"), "'2 MiB'", "'5 MiB'"),
        (SetLimit(entry=1, figure="rss", size="5 MiB"), "rss: 3 MiB", "rss: 5 MiB"),
        (SetLimit(entry=1, figure="gpu", size="5 MiB", profile="h200"), "h200: 1 GiB", "h200: 5 MiB"),
        (SetLimit(entry=1, figure="gpu", size="5 MiB"), "limit: 2 GiB", "limit: 5 MiB"),
        (SetLimit(entry=2, figure="rss_growth", size="5 MiB"), '"4 MiB"', '"5 MiB"'),
        (SetLimit(entry=None, figure="rss", size="5 MiB"), "rss: 1 GiB", "rss: 5 MiB"),
        (
            SetLimit(entry=1, figure="gpu", size="5 MiB", profile="cpu"),
            "default: {limit: 2 GiB}}",
            "default: {limit: 2 GiB}, cpu: 5 MiB}",
        ),
        (SetLimit(entry=0, figure="gpu", size="5 MiB"), "'2 MiB'\n", "'2 MiB'\n    gpu: 5 MiB\n"),
        (
            SetLimit(entry=0, figure="gpu", size="5 MiB", profile="h200"),
            "'2 MiB'\n",
            "'2 MiB'\n    gpu: {h200: 5 MiB}\n",
        ),
        (SetLimit(entry=1, figure="rss_tree", size="5 MiB"), "{limit: 2 GiB}}}", "{limit: 2 GiB}}, rss_tree: 5 MiB}"),
        (SetLimit(entry=2, figure="gpu", size="5 MiB"), '"4 MiB"\n', '"4 MiB"\n    gpu: 5 MiB\n'),
        (Remove(index=1), FILE[FILE.index("  # about b") : FILE.index("# a heading")], ""),
        (Remove(index=2), FILE[FILE.index("  # about c") : FILE.index("waivers:")], ""),
        (Remove(index=0), FILE[FILE.index("  # about a") : FILE.index("  # about b")], ""),
        (Remove(index=0, section="waivers"), FILE[FILE.index('  - {test: "a", figure') :], ""),
        (
            AddEntry(test='x["é\\n"]', limits={"rss_anon": "6 MiB", "gpu": "1 GiB"}, profiles={"gpu": "h200"}),
            "    # at the end of c\n",
            '    # at the end of c\n  - test: "x[\\"é\\\\n\\"]"\n    rss_anon: 6 MiB\n    gpu: {h200: 1 GiB}\n',
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else repr(value)[:60],
)
def test_what_is_not_touched_stays_as_it_is(change, old, new) -> None:
    assert FILE.count(old) == 1
    expected = FILE.replace(old, new)
    assert edit(FILE, change) == expected
    for newline, mark in (("\r\n", ""), ("\n", "\ufeff"), ("\r", "\ufeff")):
        variant = mark + FILE.replace("\n", newline)
        assert edit(variant, change) == mark + expected.replace("\n", newline)


def test_several_changes_are_made_at_once() -> None:
    after = edit(
        FILE,
        Remove(index=0),
        SetLimit(entry=2, figure="rss_growth", size="8 MiB"),
        SetLimit(entry=1, figure="rss", size="7 MiB"),
        Remove(index=0, section="waivers"),
        AddEntry(test="x", limits={"rss": "1 MiB"}),
        AddEntry(test="y", limits={"rss": "2 MiB"}),
    )
    entries = read_budgets(after.encode(), shown="budgets.yaml").entries
    assert [entry.pattern.text for entry in entries] == ["b", "c", "x", "y"]
    assert [next(iter(entry.limits.values())).otherwise.bytes for entry in entries] == [
        7 * MIB,
        8 * MIB,
        MIB,
        2 * MIB,
    ]
    assert after.startswith("# our budgets\n")
    assert "# a heading" in after


def test_a_file_keeps_having_no_newline_at_its_end() -> None:
    text = "version: 1\nbudgets:\n- {test: a, rss: 1 MiB}"
    assert edit(text, SetLimit(entry=0, figure="rss", size="2 MiB")) == text.replace("1 MiB", "2 MiB")
    assert edit(text, AddEntry(test="b", limits={"rss": "1 MiB"})) == f'{text}\n- {{test: "b", rss: 1 MiB}}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\n", 'version: 1\nbudgets:\n  - test: "b"\n    rss: 1 MiB\n'),
        ("version: 1", 'version: 1\nbudgets:\n  - test: "b"\n    rss: 1 MiB'),
        (
            "version: 1\nbudgets:  # none\nwaivers:",
            'version: 1\nbudgets:  # none\n  - test: "b"\n    rss: 1 MiB\nwaivers:',
        ),
        ("version: 1\nbudgets: []\n", 'version: 1\nbudgets: [{test: "b", rss: 1 MiB}]\n'),
        ("{version: 1}\n", '{version: 1, budgets: [{test: "b", rss: 1 MiB}]}\n'),
        ('{"version": 1, "budgets": }\n', '{"version": 1, "budgets": [{test: "b", rss: 1 MiB}] }\n'),
        ("---\nversion: 1\n...\n", '---\nversion: 1\nbudgets:\n  - test: "b"\n    rss: 1 MiB\n...\n'),
        ("version: 1\nbudgets: ~\n", 'version: 1\nbudgets: \n  - test: "b"\n    rss: 1 MiB\n'),
        (
            "version: 1\nbudgets: [{test: a}, # a\n]\n",
            'version: 1\nbudgets: [{test: a}, {test: "b", rss: 1 MiB}, # a\n]\n',
        ),
    ],
)
def test_an_entry_is_added_wherever_there_may_be_one(text, expected) -> None:
    assert edit(text, AddEntry(test="b", limits={"rss": "1 MiB"})) == expected


@pytest.mark.parametrize(
    ("items", "index", "expected"),
    [
        ("[{test: a}, {test: b}]", 0, "[{test: b}]"),
        ("[{test: a}, {test: b}]", 1, "[{test: a}]"),
        ("[{test: a}, {test: b},]", 1, "[{test: a},]"),
        ("[{test: a}]", 0, "[]"),
        ("[{test: a}, ]", 0, "[ ]"),
        ("[{test: a}, # of a, it is\n  {test: b}]", 0, "[ # of a, it is\n  {test: b}]"),
        ("[{test: a}, # of a\n  {test: b}]", 1, "[{test: a}, # of a\n  ]"),
        ("[{test: a} # of a,\n  , {test: b}]", 0, "[ # of a,\n   {test: b}]"),
    ],
)
def test_an_entry_in_brackets_is_removed_with_its_comma(items, index, expected) -> None:
    assert edit(f"version: 1\nbudgets: {items}\n", Remove(index=index)) == f"version: 1\nbudgets: {expected}\n"


def test_a_new_file_says_what_it_is() -> None:
    data = new_file([AddEntry(test="a", limits={"rss": "1 MiB"})], shown="budgets.yaml")
    assert data.decode().startswith("# ")
    (entry,) = read_budgets(data, shown="budgets.yaml").entries
    assert entry.limits["rss"].otherwise == Limit(bytes=MIB, where="budgets.yaml:5")


def test_a_limit_that_is_added_has_the_level_of_its_entry() -> None:
    after = edit("version: 1\nbudgets:\n- test: a\n  level: warn\n", SetLimit(entry=0, figure="rss", size="1 MiB"))
    limit = read_budgets(after.encode(), shown="b").entries[0].limits["rss"].otherwise
    assert limit.level == "warn"


SHARED = "an anchor (&) or an alias (*) stands here, so that a change may reach further; change it by hand"


@pytest.mark.parametrize(
    ("text", "change", "line"),
    [
        ("- {test: a, rss: &x 1}\n- {test: b, rss: *x}\n", SetLimit(entry=0, figure="rss", size="2 B"), 3),
        ("- {test: a, rss: &x 1}\n- {test: b, rss: *x}\n", SetLimit(entry=1, figure="rss", size="2 B"), 3),
        ("- {test: a, rss: &x 1}\n- {test: b, rss: *x}\n", SetLimit(entry=1, figure="gpu", size="2 B"), 3),
        ("- {test: a, rss: &x 1}\n- {test: b, rss: *x}\n", Remove(index=0), 3),
        ("- {test: a, rss: &x 1}\n- {test: b, rss: *x}\n", AddEntry(test="c", limits={"rss": "1 B"}), 3),
        ("- {test: a, rss: &x {limit: 1}}\n", SetLimit(entry=0, figure="rss", size="2 B"), 3),
        ("- &x {test: a, rss: 1}\n- *x\n", SetLimit(entry=1, figure="rss", size="2 B"), 3),
        ("- {test: a, gpu: &x {h200: 1}}\n", SetLimit(entry=0, figure="gpu", size="2 B"), 3),
    ],
)
def test_what_an_alias_may_stand_for_is_left_to_people(text, change, line) -> None:
    whole = f"version: 1\nbudgets:\n{text}profiles: {{h200: {{gpu: X}}}}\n"
    with pytest.raises(TfmemError) as raised:
        edit(whole, change)
    assert str(raised.value) == f"budgets.yaml:{line}: {SHARED}"


def test_what_comes_out_other_than_intended_is_given_up() -> None:
    # A mapping of one pair needs no braces in brackets: a second key would be an entry of its own.
    with pytest.raises(TfmemError) as raised:
        edit("version: 1\nbudgets: [test: a]\n", SetLimit(entry=0, figure="rss", size="1 MiB"))
    said = "this file is written in a way that cannot be changed in place; change it by hand"
    assert str(raised.value) == f"budgets.yaml: {said}"


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nbudgets:\n- test: a\n  rss: >-\n    1 MiB\n",
        "version: 1\nbudgets:\n- test: a\n  rss: |\n    1 MiB\n",
    ],
)
def test_a_size_that_is_a_block_is_left_to_people(text) -> None:
    with pytest.raises(
        TfmemError, match=r"^budgets\.yaml:4: this value is not written in one piece; change it by hand$"
    ):
        edit(text, SetLimit(entry=0, figure="rss", size="1 MiB"))


def styled(document, draw):
    """The document as YAML, with a style of its own for every part, comments and line ends."""

    class Dumper(yaml.SafeDumper):
        def represent_mapping(self, tag, mapping, flow_style=None):
            return super().represent_mapping(tag, mapping, flow_style=draw(st.booleans()))

        def represent_sequence(self, tag, sequence, flow_style=None):
            return super().represent_sequence(tag, sequence, flow_style=draw(st.booleans()))

        def ignore_aliases(self, data):
            return True

    quotes = draw(st.sampled_from([None, "'", '"']))
    Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, quotes))
    width, indent = draw(st.sampled_from([20, 80, 1000])), draw(st.integers(2, 4))
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=width, indent=indent)


@st.composite
def files(draw):
    """A file that reads, as bytes: in any style, with comments, empty lines, line ends, and a mark at its head."""
    text = styled(draw(documents), draw)
    lines = text.split("\n")
    rng = random.Random(draw(st.integers(0, 1 << 16)))
    commented = [f"{line}  # {rng.choice(['c', '- x', '{,]', 'é'])}" if rng.random() < 0.3 else line for line in lines]
    spaced = [part for line in commented for part in ([line, ""] if rng.random() < 0.1 else [line])]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    for variant in (spaced, commented, lines):
        data = newline.join(variant).encode()
        try:
            if read_plain(data) == read_plain(text.encode()):
                return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + data
        except TfmemError:
            continue
    return text.encode()


def read_plain(data):
    """What the file says, without lines."""
    file = read_budgets(data, shown="budgets.yaml")
    return [
        *(
            (entry.pattern.text, plain_limits(entry.limits), entry.timeout_seconds, entry.warm_up)
            for entry in file.entries
        ),
        plain_limits(file.defaults.limits),
        [(waiver.pattern.text, waiver.figure, waiver.bytes, waiver.expires, waiver.reason) for waiver in file.waivers],
    ]


def plain_limits(limits):
    return {
        (figure, name): (limit.bytes, limit.level)
        for figure, of in limits.items()
        for name, limit in [*of.by_profile.items(), (None, of.otherwise)]
        if limit
    }


thorough = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=200)


@given(data=st.data())
@thorough
def test_of_any_file_a_size_is_changed_and_every_byte_beside_it_kept(data) -> None:
    before = data.draw(files())
    file = read_budgets(before, shown="budgets.yaml")
    holders = [*enumerate(entry.limits for entry in file.entries), (None, file.defaults.limits)]
    all_places = [(number, *place) for number, limits in holders for place in plain_limits(limits)]
    if not all_places:
        return
    entry, figure, profile = data.draw(st.sampled_from(all_places))
    after = edited(before, [SetLimit(entry=entry, figure=figure, profile=profile, size="12.5 MiB")], shown="b")
    at = after.index(b"12.5 MiB", common_prefix(before, after) - len(b"12.5 MiB") if before != after else 0)
    tail = len(after) - at - len(b"12.5 MiB")
    assert before[:at] == after[:at]
    assert before[len(before) - tail :] == after[len(after) - tail :]
    written = before[at : len(before) - tail].decode()
    quote = before[at - 1 : at].decode().strip(" \n")  # folded and escaped, what stands in quotes reads otherwise
    if quote in {'"', "'"}:
        written = yaml.load(f"{quote}{written}{quote}", yaml.BaseLoader)
    old = file.entries[entry].limits if entry is not None else file.defaults.limits
    assert parse_size(" ".join(written.split())) == plain_limits(old)[figure, profile][0]
    new = read_budgets(after, shown="b")
    now = new.entries[entry].limits if entry is not None else new.defaults.limits
    assert plain_limits(now) == plain_limits(old) | {
        (figure, profile): (parse_size("12.5 MiB"), plain_limits(old)[figure, profile][1])
    }


def common_prefix(one, other):
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@given(data=st.data(), test=nodeids(), figure=figures)
@thorough
def test_of_any_file_entries_are_removed_and_added_and_the_rest_says_what_it_said(data, test, figure) -> None:
    before = data.draw(files())
    file = read_budgets(before, shown="budgets.yaml")
    gone = data.draw(st.sets(st.integers(0, len(file.entries) - 1))) if file.entries else set()
    edits = [*(Remove(index=number) for number in gone), AddEntry(test=test, limits={figure: "1 MiB"})]
    after = edited(before, edits, shown="b")
    *entries, defaults, waivers = read_plain(before)
    left = [entry for number, entry in enumerate(entries) if number not in gone]
    added = (test, {(figure, None): (MIB, "error")}, None, None)
    assert read_plain(after) == [*left, added, defaults, waivers]
