from __future__ import annotations

import io
import re
import shlex

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_fd_to_metric_families

from pytest_tfmem.budgets.model import Tolerance
from pytest_tfmem.exports import gitlab
from pytest_tfmem.exports.gitlab import rounded
from pytest_tfmem.exports.names import named
from pytest_tfmem.exports.rows import rows_of, values_of
from pytest_tfmem.gate.tolerance import floor_bytes
from tests.made import made_run, made_test
from tests.strategies import recorded_runs, size_bytes

MIB = 1 << 20
tolerances = st.builds(Tolerance, fraction=st.floats(0, 0.5), bytes=st.integers(0, 64 * MIB))


def _read_by_gitlab(text):
    """What GitLab keeps of a report: the values as strings, by the metric's name with its labels.

    As `parse_line` in ee/lib/gitlab/ci/parsers/metrics/generic.rb does: what follows a `#` is dropped, wherever that
    stands, and the rest is split as a shell would; a quote that is open then fails the report as a whole.
    """
    words = [shlex.split(re.sub(r"#.*$", "", line)) for line in text.split("\n") if line.strip()]
    return [(name, values[0]) for name, *values in filter(None, words) if values]


def _read_by_prometheus(text):
    return [one for family in text_fd_to_metric_families(io.StringIO(text)) for one in family.samples]


def _written(run, tolerance=None):
    return gitlab.written(values_of(rows_of(run)), tolerance=tolerance)


def test_a_reading_is_a_round_number_of_mib_by_figure_and_test():
    run = made_run(1, made_test("tests/a.py::test_x[a b]", rss_anon=200 * MIB + 12345, cpu_tensors=9 * MIB - 1))
    assert _read_by_gitlab(_written(run)) == [
        ("tfmem_rss_anon_mebibytes{test=tests/a.py::test_x[a b]}", "200"),
        ("tfmem_cpu_tensors_mebibytes{test=tests/a.py::test_x[a b]}", "8"),
    ]


def test_what_repeats_to_the_byte_keeps_its_64_kib():
    run = made_run(1, made_test("a", exactness="exact", gpu=[MIB + (64 << 10), 5 * MIB + 100]))
    assert _read_by_gitlab(_written(run)) == [
        ("tfmem_gpu_mebibytes{test=a,gpu=0}", "1.0625"),
        ("tfmem_gpu_mebibytes{test=a,gpu=1}", "5"),
    ]


def test_the_tolerance_of_the_budgets_file_is_the_one_that_counts():
    run = made_run(1, made_test("a", rss_anon=200 * MIB + 12345))
    assert _read_by_gitlab(_written(run, Tolerance(bytes=64 * MIB)))[0][1] == "192"
    (_, exact), *_ = _read_by_gitlab(_written(run, Tolerance()))
    assert float(exact) * MIB == 200 * MIB + 12345


def test_an_id_with_what_gitlab_takes_for_a_comment_fails_no_report():
    run = made_run(1, made_test('a[#1 "]', rss_anon=MIB), made_test("b", rss_anon=MIB))
    names = [name for name, _ in _read_by_gitlab(_written(run))]
    assert names[0].startswith('tfmem_rss_anon_mebibytes{test=a[\\x231 "]~')
    assert names[1] == "tfmem_rss_anon_mebibytes{test=b}"


def test_nine_in_ten_moves_of_a_tenth_of_the_tolerance_print_the_same():
    # 1 % and 1 MiB of 40 to 400 MiB, in places a byte apart from any grid.
    sizes = range(40 * MIB, 400 * MIB, 77_777)
    tolerance = Tolerance(fraction=0.01, bytes=MIB)
    same = [rounded(one, tolerance) == rounded(one + floor_bytes(tolerance, one) // 10, tolerance) for one in sizes]
    assert sum(same) / len(same) > 0.88


@given(size_bytes, size_bytes, tolerances)
def test_rounding_never_turns_growth_around_and_shows_twice_the_tolerance(one, other, tolerance):
    before, after = sorted((one, other))
    assert rounded(before, tolerance) <= rounded(after, tolerance)
    if after - before > 2 * floor_bytes(tolerance, after):
        assert rounded(before, tolerance) < rounded(after, tolerance)
    assert abs(rounded(one, tolerance) - one) <= floor_bytes(tolerance, one)


@given(recorded_runs(st.integers(0, 1 << 50)), st.none() | tolerances)
def test_any_run_is_read_back_by_gitlab_and_by_prometheus(run, tolerance):
    values = sorted(values_of(rows_of(run)), key=lambda one: one.figure)
    text = gitlab.written(values, tolerance=tolerance)
    read, kept = _read_by_prometheus(text), _read_by_gitlab(text)
    assert len({name for name, _ in kept}) == len(kept) == len(read) == len(values)
    assert sorted((one.name, one.labels["test"], one.labels.get("gpu")) for one in read) == sorted(
        (f"tfmem_{one.figure}_mebibytes", named(one.test.nodeid, without="#"), _place(one)) for one in values
    )
    assert [float(value) for _, value in kept] == [one.value for one in read]
    assert text.endswith("# EOF\n")


def _place(one):
    return None if one.gpu is None else str(one.gpu)
