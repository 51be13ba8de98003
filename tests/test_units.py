"""Sizes and times, as users write them and as they are shown."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.units import SECONDS_PATTERN, SIZE_PATTERN, format_size, parse_seconds, parse_size
from tests.strategies import size_bytes, written_sizes

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = "write bytes or a number and a unit, such as '512 MiB'"
SECONDS = "write a positive number of seconds, such as 60"


@given(size_bytes)
def test_whole_bytes_stand_for_themselves(size: int) -> None:
    assert parse_size(size) == parse_size(str(size)) == parse_size(f"{size} B") == size


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("1 KiB", 1024),
        ("1 kB", 1000),
        ("1MiB", 1024**2),
        ("1 MB", 10**6),
        ("1.5 GiB", 3 * 1024**3 // 2),
        ("1.5 GB", 1_500_000_000),
        ("2 TiB", 2 * 1024**4),
        ("2 TB", 2 * 10**12),
        ("0.3 B", 0),
        ("0.1 KiB", 102),
        ("  7  MiB ", 7 << 20),
        (" 12 ", 12),
        ("000000000000000000000000000005 B", 5),
        ("4194303.999999 TiB", int(Fraction("4194303.999999") * 2**40)),
    ],
)
def test_binary_units_count_in_1024_and_decimal_ones_in_1000(written: str, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("512 megs", "'512 megs' has an unknown unit 'megs'; the units are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"),
        ("5 gib", "'5 gib' has an unknown unit 'gib'; did you mean GiB?"),
        ("5 KB", "'5 KB' has an unknown unit 'KB'; did you mean kB?"),
        ("", f"'' is not a size; {SIZE}"),
        ("GiB", f"'GiB' is not a size; {SIZE}"),
        ("1.5", f"'1.5' is not a size; {SIZE}"),
        ("1,5 GiB", f"'1,5 GiB' is not a size; {SIZE}"),
        ("1e3 MiB", f"'1e3 MiB' is not a size; {SIZE}"),
        ("-5 MiB", f"'-5 MiB' is not a size; {SIZE}"),
        ("5 MiB 3", f"'5 MiB 3' is not a size; {SIZE}"),
        ("\u0665 MiB", f"'\u0665 MiB' is not a size; {SIZE}"),
        ("²", f"'²' is not a size; {SIZE}"),
        ("1_000", f"'1_000' is not a size; {SIZE}"),
        ("0" * 40 + "5 MiB", f"'{'0' * 40}5 MiB' is not a size; {SIZE}"),
        ("0" * 40 + "5", f"'{'0' * 40}5' is not a size; {SIZE}"),
        pytest.param("9" * 5000, f"'{'9' * 58}… is not a size; {SIZE}", id="5,000 digits in a text"),
        ("a\nb\x1b[31m", f"'a\\nb\\x1b[31m' is not a size; {SIZE}"),
        (1.5, f"1.5 is not a size; {SIZE}"),
        (True, f"True is not a size; {SIZE}"),
        (None, f"None is not a size; {SIZE}"),
        (b"5", f"a value of type bytes is not a size; {SIZE}"),
        (-1, f"-1 is out of range for a size; {SIZE}"),
        (1 << 62, f"4611686018427387904 is out of range for a size; {SIZE}"),
        ("4194304 TiB", f"'4194304 TiB' is out of range for a size; {SIZE}"),
        pytest.param(10**5000, f"this number is out of range for a size; {SIZE}", id="5,000 digits"),
    ],
)
def test_what_is_no_size_is_refused_with_what_would_be_right(value: object, message: str) -> None:
    with pytest.raises(TfmemError) as raised:
        parse_size(value, where="budgets.yaml:7:10")
    assert str(raised.value) == f"budgets.yaml:7:10: {message}"


def reads(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except TfmemError as error:
        return "out of range" in error.what  # which a pattern cannot say
    return True


@given(st.text(st.sampled_from("0123456789. kKMGTiB"), max_size=9) | written_sizes().map(str))
def test_the_pattern_for_editors_knows_the_same_sizes(text: str) -> None:
    assert reads(parse_size, text) == bool(re.fullmatch(SIZE_PATTERN, text.strip()))


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1 << 20, "1.0 MiB"),
        (3 << 29, "1.50 GiB"),
        (5 << 40, "5.00 TiB"),
        (-(3 << 20), "-3.0 MiB"),
        (-1, "-1 B"),
    ],
)
def test_a_size_is_shown_in_the_largest_binary_unit_that_keeps_it_at_one_or_more(size: int, shown: str) -> None:
    assert format_size(size) == shown


@given(st.integers(0, 1 << 50))
def test_what_is_shown_reads_as_the_same_size_to_half_its_last_digit(size: int) -> None:
    shown = format_size(size)
    number, unit = shown.split()
    digits = len(number.partition(".")[2])
    step = Fraction(parse_size(f"1 {unit}"), 10**digits)
    assert abs(Fraction(number) * parse_size(f"1 {unit}") - size) <= step / 2
    assert abs(parse_size(shown) - size) <= step / 2 + 1


@given(size_bytes.filter(bool))
def test_a_size_and_its_negative_are_shown_alike(size: int) -> None:
    assert format_size(-size) == f"-{format_size(size)}"


@pytest.mark.parametrize(
    ("written", "seconds"), [(60, 60.0), (0.25, 0.25), ("60", 60.0), (" 1.5 ", 1.5), ("0.001", 0.001)]
)
def test_seconds_are_a_positive_number(written: object, seconds: float) -> None:
    assert parse_seconds(written) == seconds


@given(st.floats(1e-9, 1e9) | st.integers(1, 10**9))
def test_seconds_survive_json(seconds: float) -> None:
    assert parse_seconds(json.loads(json.dumps(seconds))) == seconds


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (-1, "-1"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (True, "True"),
        (None, "None"),
        ("", "''"),
        ("soon", "'soon'"),
        ("1:30", "'1:30'"),
        ("1_0", "'1_0'"),
        ("\u0665", "'\u0665'"),
        ("-1", "'-1'"),
        ("nan", "'nan'"),
        ("9" * 400, f"'{'9' * 58}…"),
        pytest.param(10**5000, "this number", id="5,000 digits"),
        ([60], "a value of type list"),
    ],
)
def test_what_is_no_time_is_refused_with_what_would_be_right(value: object, shown: str) -> None:
    with pytest.raises(TfmemError) as raised:
        parse_seconds(value, where="--tfmem-timeout")
    assert str(raised.value) == f"--tfmem-timeout: {shown} is not a time; {SECONDS}"


@given(st.text(st.sampled_from("0123456789."), max_size=6))
def test_the_pattern_for_editors_knows_the_same_times(text: str) -> None:
    assume(text.strip("0."))  # a schema has other words for zero
    assert reads(parse_seconds, text) == bool(re.fullmatch(SECONDS_PATTERN, text))
