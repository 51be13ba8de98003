"""Every option and ini key: each way in, and what is said of a value that is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_tfmem import settings
from pytest_tfmem.errors import TfmemError
from pytest_tfmem.settings import options, read_settings

# By option: how it is given on the command line and in the ini file, and the setting that comes of it.
_WAYS = {
    "--tfmem-start-method": ("spawn", "start_method", "spawn"),
    "--tfmem-allocator": ("growth", "allocator", "growth"),
    "--tfmem-gpu": ("require", "gpu", "require"),
    "--tfmem-timeout": ("90", "timeout_seconds", 90.0),
    "--tfmem-interval": ("0.5", "interval_seconds", 0.5),
    "--tfmem-all": (None, "measure_all", True),
    "--tfmem-explain": ("always", "explain", "always"),
    "--no-tfmem": (None, "in_process", "--no-tfmem"),
    "--tfmem-fail-on": ("regression", "fail_on_regression", True),
    "--tfmem-update": ("raise, trim", "update", frozenset({"raise", "trim"})),
    "--tfmem-shard": ("2/4", "shard", (2, 4)),
}
_BAD = [
    ("--tfmem-timeout", "soon", "'soon' is not a time; write a positive number of seconds, such as 60"),
    ("--tfmem-timeout", "0", "'0' is not a time"),
    ("--tfmem-timeout", "-1", "'-1' is not a time"),
    ("--tfmem-timeout", "nan", "'nan' is not a time"),
    ("--tfmem-timeout", "9" * 400, "is not a time"),
    ("--tfmem-interval", "20ms", "'20ms' is not a time"),
    ("--tfmem-json", "no/such/folder/run.json", "no/such/folder/run.json is in a folder that does not exist"),
    ("--tfmem-json", ".", ". is a folder; name a file"),
    ("--tfmem-shard", "3/2", "'3/2' is not a shard; write such as 2/4"),
    ("--tfmem-baseline", "gone.jsonl", "gone.jsonl does not exist; name run files, folders or databases"),
    ("--tfmem-shard", "2 of 4", "is not a shard"),
    ("--tfmem-update", "raise,lower", "'lower' is not a choice; choose some of create, raise, trim, prune, preview"),
    ("--tfmem-update", "preview", "there is nothing to preview; name some of create, raise, trim, prune"),
    ("--tfmem-budgets", "gone.yaml", "this file cannot be read"),
    ("--tfmem-budgets", ".", "this is not a file"),
]
_BAD_CHOICES = ["--tfmem-start-method", "--tfmem-allocator", "--tfmem-gpu", "--tfmem-fail-on", "--tfmem-explain"]


@pytest.fixture
def read(pytester, monkeypatch):
    """Reads the settings of a session with these arguments and this ini file."""

    monkeypatch.delenv("CI", raising=False)

    def read_with(*arguments, ini=""):
        pytester.makeini(f"[pytest]\n{ini}\n")
        return read_settings(pytester.parseconfig(*arguments))

    return read_with


def _ini_key(option):
    return option.removeprefix("--").replace("-", "_")


def test_nothing_is_settled_that_nobody_asked_for(read, pytester):
    assert read() == settings.Settings(
        budgets=None,
        start_method="auto",
        preload=None,
        allocator=None,
        gpu="auto",
        timeout_seconds=None,
        interval_seconds=options.DEFAULT_INTERVAL_SECONDS,
        measure_all=False,
        in_process="",
        json=None,
        junit_properties=True,
        explain="off",
        lease_dir=None,
        history=str(pytester.path / ".tfmem" / "runs"),
        baseline=(),
        fail_on_limits=True,
        fail_on_regression=False,
        update=frozenset(),
        shard=None,
    )


def test_every_option_is_tried_here():
    tried = {*_WAYS, "--tfmem-budgets", "--tfmem-json", "--tfmem-history", "--tfmem-baseline"}
    assert {option.option for option in options._OPTIONS} == tried


@pytest.mark.parametrize("option", _WAYS)
def test_each_setting_can_be_given_as_an_option(read, option):
    value, name, wanted = _WAYS[option]
    given = option if value is None else f"{option}={value}"
    assert getattr(read(given), name) == wanted


@pytest.mark.parametrize("option", _WAYS)
def test_each_setting_can_be_given_in_the_ini_file(read, option):
    value, name, wanted = _WAYS[option]
    assert getattr(read(ini=f"{_ini_key(option)} = {value or 'true'}"), name) == wanted


@pytest.mark.parametrize("name", ["measure_all", "in_process"])
def test_a_switch_in_the_ini_file_can_be_off(read, name):
    assert not getattr(read(ini="tfmem_all = false\nno_tfmem = no"), name)


def test_an_option_wins_over_the_ini_file(read):
    ini = "tfmem_timeout = 1\ntfmem_gpu = off\ntfmem_allocator = bfc\ntfmem_budgets = a.yaml\ntfmem_json = a.json"
    given = ["--tfmem-timeout=2", "--tfmem-gpu=auto", "--tfmem-allocator=growth", "--tfmem-budgets=b.yaml"]
    found = read(*given, "--tfmem-json=b.json", ini=ini)
    assert (found.timeout_seconds, found.gpu, found.allocator) == (2.0, "auto", "growth")
    assert (found.budgets.name, found.json.name) == ("b.yaml", "b.json")


def test_a_value_in_the_ini_file_that_is_wrong_does_no_harm_where_an_option_is_given(read):
    assert read("--tfmem-timeout=2", ini="tfmem_timeout = soon").timeout_seconds == 2.0


def test_junit_properties_can_be_switched_off(read):
    assert read(ini="tfmem_junit_properties = false").junit_properties is False


def test_a_folder_for_locks_is_named_from_the_ini_file_and_need_not_be_there(read, pytester, monkeypatch):
    monkeypatch.chdir(pytester.mkdir("below"))
    ini = "tfmem_lease_dir = locks"
    assert read("-c", str(pytester.path / "tox.ini"), ini=ini).lease_dir == pytester.path / "locks"
    assert read("-c", str(pytester.path / "tox.ini"), ini="tfmem_lease_dir = /var/locks").lease_dir == Path(
        "/var/locks"
    )


def test_a_folder_for_locks_that_is_a_file_is_refused(read, pytester):
    (pytester.path / "locks").write_text("")
    with pytest.raises(TfmemError) as raised:
        read(ini="tfmem_lease_dir = locks")
    assert str(raised.value) == "tox.ini: tfmem_lease_dir: locks is not a folder; name a folder"


@pytest.mark.parametrize(("option", "name"), [("--tfmem-history", "history"), ("--tfmem-baseline", "baseline")])
def test_a_place_of_earlier_runs_is_a_path_from_where_it_is_written_or_a_url(read, pytester, monkeypatch, option, name):
    monkeypatch.chdir(pytester.mkdir("below"))
    pytester.mkdir("runs")
    pytester.mkdir("below/runs")
    ini = f"{_ini_key(option)} = runs"
    of_ini = getattr(read("-c", str(pytester.path / "tox.ini"), ini=ini), name)
    of_option = getattr(read("-c", str(pytester.path / "tox.ini"), f"{option}=runs"), name)
    of_url = getattr(read(f"{option}=sqlite:///runs.db"), name)
    found = [of_ini, of_option, of_url] if name == "history" else [*of_ini, *of_option, *of_url]
    assert found == [str(pytester.path / "runs"), str(pytester.path / "below" / "runs"), "sqlite:///runs.db"]


def test_no_history_is_kept_and_no_baseline_taken_where_that_is_said(read):
    found = read("--tfmem-history=off", "--tfmem-baseline=off")
    assert (found.history, found.baseline) == (None, ("off",))


def test_several_baselines_stand_with_commas_between(read, pytester):
    (pytester.path / "a.jsonl").touch()
    pytester.mkdir("b")
    assert read("--tfmem-baseline=a.jsonl, b").baseline == (str(pytester.path / "a.jsonl"), str(pytester.path / "b"))


def test_a_folder_for_history_that_is_a_file_is_refused(read, pytester):
    (pytester.path / "runs").write_text("")
    with pytest.raises(TfmemError) as raised:
        read("--tfmem-history=runs")
    assert str(raised.value) == "--tfmem-history: runs is not a folder; name a folder"


def test_budgets_are_not_changed_in_ci(read, monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(TfmemError, match=r"^--tfmem-update: budgets are not changed in CI"):
        read("--tfmem-update=raise")
    assert read().update == frozenset()


def test_budgets_yaml_in_the_root_directory_is_taken_if_it_is_there(read, pytester):
    (pytester.path / "budgets.yaml").write_text("version: 1\n")
    assert read().budgets == pytester.path / "budgets.yaml"


def test_a_budgets_file_is_named_from_where_its_name_stands(read, pytester, monkeypatch):
    below = pytester.mkdir("below")
    monkeypatch.chdir(below)
    ini = "tfmem_budgets = limits.yaml"
    assert read("-c", str(pytester.path / "tox.ini"), ini=ini).budgets == pytester.path / "limits.yaml"
    assert read("-c", str(pytester.path / "tox.ini"), "--tfmem-budgets=limits.yaml").budgets == below / "limits.yaml"


@pytest.mark.parametrize("option", ["--pdb", "--trace", "--setup-plan", "--setup-only", "--setup-show"])
def test_options_that_need_the_tests_in_pytests_own_process_have_them_there(read, option):
    assert read(option).in_process == option


@pytest.mark.parametrize(("option", "value", "said"), _BAD)
def test_a_bad_option_ends_pytest_with_one_line_and_status_4(pytester, option, value, said):
    result = pytester.runpytest_subprocess(f"{option}={value}")
    _is_refused(result, said)
    if option != "--tfmem-budgets":  # whose message begins with the file
        assert _error(result).startswith(f"ERROR: {option}: ")


@pytest.mark.parametrize(("option", "value", "said"), [bad for bad in _BAD if bad[0] != "--tfmem-budgets"])
def test_a_bad_value_in_the_ini_file_is_said_to_stand_there(read, option, value, said):
    with pytest.raises(TfmemError) as raised:
        read(ini=f"{_ini_key(option)} = {value}")
    assert str(raised.value).startswith(f"tox.ini: {_ini_key(option)}: ")
    assert said in str(raised.value)


@pytest.mark.parametrize("option", _BAD_CHOICES)
def test_a_choice_that_is_none_is_refused_as_option_and_in_the_ini_file(pytester, option):
    assert pytester.runpytest_subprocess(f"{option}=fastest").ret == pytest.ExitCode.USAGE_ERROR
    pytester.makeini(f"[pytest]\n{_ini_key(option)} = fastest\n")
    _is_refused(pytester.runpytest_subprocess(), "'fastest' is not a choice; choose one of ")


def test_a_bad_value_ends_a_session_of_several_workers_in_the_same_way(pytester):
    pytest.importorskip("xdist")
    pytester.makepyfile("def test_a(): pass")
    _is_refused(pytester.runpytest_subprocess("-n2", "--tfmem-timeout=soon"), "'soon' is not a time")


def test_a_value_cannot_act_on_the_terminal(pytester):
    result = pytester.runpytest_subprocess("--tfmem-timeout=\x1b[2J")
    _is_refused(result, r"'\x1b[2J' is not a time")


def _error(result):
    return next(line for line in result.errlines if line.startswith("ERROR: "))


def _is_refused(result, said):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in _error(result)
    output = "\n".join([*result.outlines, *result.errlines])
    assert "\x1b" not in output
    assert not re.search(r"Traceback|INTERNALERROR", output)


def test_the_history_is_where_option_variable_and_ini_key_say_in_this_order(read, pytester, monkeypatch):
    ini = "tfmem_history = of_ini"
    monkeypatch.delenv("TFMEM_HISTORY", raising=False)
    assert read(ini=ini).history == str(pytester.path / "of_ini")
    monkeypatch.setenv("TFMEM_HISTORY", "of_variable")
    assert read(ini=ini).history == str(pytester.path / "of_variable")
    assert read("--tfmem-history=of_option", ini=ini).history == str(pytester.path / "of_option")
    monkeypatch.setenv("TFMEM_HISTORY", "postgresql://me:Sesame@host/db")
    assert read(ini=ini).history == "postgresql://me:Sesame@host/db"
    monkeypatch.setenv("TFMEM_HISTORY", "off")
    assert read(ini=ini).history is None
    monkeypatch.setenv("TFMEM_HISTORY", "")
    assert read(ini=ini).history == str(pytester.path / "of_ini")


@pytest.mark.parametrize("name", ["history", "baseline"])
def test_a_url_that_is_none_is_refused_before_any_test_and_without_its_password(read, name, monkeypatch):
    for arguments, variable in (([f"--tfmem-{name}=postgresql://me:Ses/ame@host/db"], ""), ([], "mysql://me:Ses@host")):
        monkeypatch.setenv("TFMEM_HISTORY", variable)
        with pytest.raises(TfmemError, match="write sqlite:///FILE or postgresql") as refused:
            read(*arguments)
        assert "Ses" not in str(refused.value)
