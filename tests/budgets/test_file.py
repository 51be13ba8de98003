"""budgets.yaml: what it says is read with its lines, and every mistake is told in one line."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_tfmem.budgets.file import MOST_BYTES, load_budgets
from pytest_tfmem.budgets.model import Defaults, Profile, Tolerance
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.figures import FIGURES, Limit
from pytest_tfmem.units import parse_size
from tests.budgets.refused import ENTRY, REFUSED, Refused
from tests.strategies import documents

GIB = 1 << 30

EXAMPLE = """\
version: 1
defaults: {allocator: cuda_malloc_async, tolerance: "2% and 2 MiB"}
profiles:
  h200: {gpu: "NVIDIA H200*"}
  cpu:  {gpu: none}
budgets:
  - test: "tests/test_train.py::test_step"
    rss: 1.5 GiB
    gpu: {h200: 2 GiB, default: 3 GiB}
  - test: "tests/io/**"
    rss_growth: {limit: 512 MiB, level: warn}
waivers:
  - {test: "tests/test_big.py::test_fp32", figure: gpu, limit: 4 GiB, expires: 2027-01-31,
     issue: "#123", reason: "float32 fallback until the kernel lands"}
"""

slow_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def test_the_example_is_read_whole(load) -> None:
    file = load(EXAMPLE)
    assert file.shown == "budgets.yaml"
    assert file.defaults == Defaults(allocator="cuda_malloc_async", tolerance=Tolerance(fraction=0.02, bytes=2 << 20))
    assert file.profiles == (
        Profile(name="h200", gpu="NVIDIA H200*", where="budgets.yaml:4"),
        Profile(name="cpu", gpu="none", where="budgets.yaml:5"),
    )
    assert [entry.pattern.text for entry in file.entries] == ["tests/test_train.py::test_step", "tests/io/**"]
    assert file.entries[0].limits["rss"].otherwise == Limit(bytes=3 * GIB // 2, where="budgets.yaml:8")
    assert file.entries[0].limits["gpu"].by_profile == {"h200": Limit(bytes=2 * GIB, where="budgets.yaml:9")}
    assert file.entries[0].limits["gpu"].otherwise == Limit(bytes=3 * GIB, where="budgets.yaml:9")
    growth = Limit(bytes=GIB // 2, where="budgets.yaml:11", level="warn")
    assert file.entries[1].limits["rss_growth"].otherwise == growth
    (waiver,) = file.waivers
    assert (waiver.pattern.text, waiver.figure, waiver.bytes) == ("tests/test_big.py::test_fp32", "gpu", 4 * GIB)
    assert (waiver.expires, waiver.issue, waiver.where) == (dt.date(2027, 1, 31), "#123", "budgets.yaml:13")
    assert waiver.reason == "float32 fallback until the kernel lands"


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_a_mistake_is_told_in_one_line(load, refused: Refused) -> None:
    with pytest.raises(TfmemError) as raised:
        load(refused.text)
    assert str(raised.value) == refused.message
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_windows_line_ends_change_no_place(load, refused: Refused) -> None:
    with pytest.raises(TfmemError) as raised:
        load(refused.text.replace("\n", "\r\n"))
    assert str(raised.value) == refused.message


@given(document=documents)
@slow_fixture
def test_whatever_may_be_written_is_read(load, document: dict) -> None:
    file = load(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    assert len(file.entries) == len(document.get("budgets") or [])
    for entry, written in zip(file.entries, document.get("budgets") or [], strict=True):
        for figure, limits in entry.limits.items():
            of = written[figure]
            first = next(iter(of.values())) if isinstance(of, dict) and "limit" not in of else of
            smallest = parse_size(first["limit"] if isinstance(first, dict) else first)
            assert smallest in {limit.bytes for limit in [*limits.by_profile.values(), limits.otherwise] if limit}
        assert set(entry.limits) == {
            figure for figure, value in written.items() if figure in FIGURES and not isinstance(value, bool)
        }
        assert (entry.timeout_seconds, entry.warm_up) == (written.get("timeout"), written.get("warmup"))
        asked = written.get("gpu_tensors")
        assert entry.gpu_tensors_wanted is (asked if isinstance(asked, bool) else None)


def refusal(load, text: str) -> str | None:
    try:
        load(text)
    except TfmemError as error:
        return str(error)
    return None


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@\n\t 1~?,<="), max_size=40))
@slow_fixture
def test_any_text_is_read_or_refused_in_one_line(load, text: str) -> None:
    for whole in (text, f"version: 1\nbudgets:\n  - test: {text}\n", f"{ENTRY}    rss: {text}\n"):
        refused = refusal(load, whole)
        assert refused is None or (refused.startswith("budgets.yaml:") and refused.isprintable())


@given(st.binary(max_size=60))
@slow_fixture
def test_any_bytes_are_read_or_refused_in_one_line(load, data: bytes) -> None:
    with pytest.raises(TfmemError) as raised:
        load(b"\xc3" + data)
    assert str(raised.value).isprintable()


def test_the_level_of_an_entry_holds_for_its_limits_without_one(load) -> None:
    limits = "    rss: 1\n    rss_tree: {limit: 1}\n    gpu: {limit: 1, level: error}\n"
    entry = load(ENTRY + "    level: warn\n" + limits).entries[0]
    assert [limits.otherwise.level for limits in entry.limits.values()] == ["warn", "warn", "error"]


@pytest.mark.parametrize(("written", "calls"), [("0", 0), ("1", 1), ("'100'", 100)])
def test_an_entry_says_how_often_its_tests_are_called_before_they_are_measured(load, written: str, calls: int) -> None:
    assert load(ENTRY + f"    warmup: {written}\n").entries[0].warm_up == calls


@pytest.mark.parametrize(("written", "wanted"), [("true", True), ("False", False), ("1 GiB", None)])
def test_tensors_may_be_asked_for_without_a_limit(load, written: str, wanted: bool | None) -> None:
    entry = load(ENTRY + f"    gpu_tensors: {written}\n    gpu: 2 GiB\n").entries[0]
    assert entry.gpu_tensors_wanted is wanted
    assert ("gpu_tensors" in entry.limits) is (wanted is None)
    assert load(f"version: 1\ndefaults: {{gpu_tensors: {written}}}\n").defaults.gpu_tensors_wanted is wanted


def test_in_quotes_a_leading_zero_is_no_octal(load) -> None:
    assert load(ENTRY + "    rss: '017'\n").entries[0].limits["rss"].otherwise.bytes == 17


def test_a_limit_by_profile_has_the_line_of_its_own_size(load) -> None:
    head = "version: 1\nprofiles: {cpu: {gpu: none}}\nbudgets:\n"
    limits = load(head + "- test: a\n  rss:\n    cpu: 1\n    default:\n      limit: 2\n").entries[0].limits["rss"]
    assert (limits.by_profile["cpu"].where, limits.otherwise.where) == ("budgets.yaml:6", "budgets.yaml:8")


def test_limits_by_profile_stand_in_the_order_in_which_profiles_are_declared(load) -> None:
    text = "version: 1\nprofiles: {b: {gpu: B}, a: {gpu: A}}\ndefaults: {gpu: {a: 1, b: 2}}\n"
    assert list(load(text).defaults.limits["gpu"].by_profile) == ["b", "a"]


def test_an_alias_stands_for_the_value_at_its_anchor(load) -> None:
    file = load("version: 1\nbudgets:\n- {test: a, rss: &most 1 GiB}\n- {test: b, rss: *most}\n")
    assert file.entries[1].limits["rss"].otherwise == Limit(bytes=GIB, where="budgets.yaml:3")


def test_sections_may_be_left_empty(load) -> None:
    file = load("version: 1\ndefaults:\nprofiles:\nbudgets:\nwaivers:\n")
    assert (file.defaults, file.profiles, file.entries, file.waivers) == (Defaults(), (), (), ())


def test_an_entry_may_have_no_limits(load) -> None:
    assert load(ENTRY).entries[0].limits == {}


@pytest.mark.parametrize(
    ("written", "fraction", "size"),
    [("2%", 0.02, 0), ("2 MiB", 0, 2 << 20), ("2 MiB and 1.5 %", 0.015, 2 << 20), ("0", 0, 0)],
)
def test_a_tolerance_has_a_percentage_a_size_or_both(load, written: str, fraction: float, size: int) -> None:
    tolerance = load(f"version: 1\ndefaults: {{tolerance: {written}}}\n").defaults.tolerance
    assert tolerance == Tolerance(fraction=pytest.approx(fraction), bytes=size)


def test_a_reason_of_several_lines_is_read_as_one_line(load) -> None:
    text = "version: 1\nwaivers:\n- test: a\n  figure: gpu\n  limit: 1\n  expires: 2027-01-31\n  issue: 7\n"
    waiver = load(text + '  reason: "one\\n\\n  two \\e[31m"\n').waivers[0]
    assert (waiver.reason, waiver.issue) == ("one two \\x1b[31m", "7")


def test_a_byte_order_mark_is_no_part_of_the_text(load) -> None:
    with pytest.raises(TfmemError, match=r"^budgets\.yaml:1:1: unknown key 'versions'"):
        load(b"\xef\xbb\xbfversions: 1\n")
    with pytest.raises(TfmemError, match=r"^budgets\.yaml:1:2: the character U\+0000"):
        load(b"\xef\xbb\xbf#\0")
    assert load(b"\xef\xbb\xbfversion: 1\n").entries == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"version: 1\n# caf\xe9\n", "budgets.yaml:2:6: the byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("version: 1\n".encode("utf-16"), "budgets.yaml:1:1: the byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"#" * (MOST_BYTES + 1), "budgets.yaml: this file has more than 1 MiB; is it the right file?"),
    ],
    ids=["latin-1", "utf-16", "large"],
)
def test_bytes_that_are_no_budgets_are_refused(load, data: bytes, message: str) -> None:
    with pytest.raises(TfmemError) as raised:
        load(data)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "version: 1\nx: " + "[" * 50_000,
            "budgets.yaml:2:19: this is nested in more than 16 levels; a budgets file needs 6",
        ),
        (
            "\n".join(" " * depth + "a:" for depth in range(1000)),
            "budgets.yaml:16:16: this is nested in more than 16 levels; a budgets file needs 6",
        ),
        (
            "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 1000)),
            "budgets.yaml:1:5: this is nested in more than 16 levels; a budgets file needs 6",
        ),
        (
            "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1},' * 10}]\n" for i in range(1, 10)),
            "budgets.yaml: this file has more than 100,000 values, aliases written out",
        ),
        (
            'x: "\\U00110000"',
            "budgets.yaml: this is not YAML: chr() arg not in range(0x110000)",
        ),
    ],
    ids=["brackets", "indents", "a chain of aliases", "a bomb of aliases", "no character"],
)
def test_hostile_texts_end_in_one_line_too(load, text: str, message: str) -> None:
    with pytest.raises(TfmemError) as raised:
        load(text)
    assert str(raised.value) == message


def test_a_tag_is_refused_and_never_executed(load, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    with pytest.raises(TfmemError) as raised:
        load(f"{ENTRY}    rss: !!python/object/apply:os.mkdir ['{trace}']\n")
    assert str(raised.value) == (
        "budgets.yaml:4:10: the tag !!python/object/apply:os.mkdir is not read here; write a plain value"
    )
    assert not trace.exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "budgets.yaml: this file cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "budgets.yaml: this is not a file; give the path of a YAML file"),
        (os.mkfifo, "budgets.yaml: this is not a file; give the path of a YAML file"),
        (
            lambda path: path.symlink_to(path),
            "budgets.yaml: this file cannot be read: Too many levels of symbolic links",
        ),
    ],
    ids=["missing", "a directory", "a pipe", "a link to itself"],
)
def test_what_is_no_file_is_told_apart(tmp_path: Path, make, message: str) -> None:
    path = tmp_path / "budgets.yaml"
    make(path)
    with pytest.raises(TfmemError) as raised:
        load_budgets(path, shown="budgets.yaml")
    assert str(raised.value) == message


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "budgets.yaml"
    path.touch(mode=0)
    with pytest.raises(TfmemError, match=r"^budgets\.yaml: this file cannot be read: Permission denied$"):
        load_budgets(path, shown="budgets.yaml")


def test_the_plugins_own_import_does_not_read_yaml() -> None:
    code = "import sys, pytest_tfmem, pytest_tfmem.figures; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0
