"""The command line of a test's process: the user's own, and nothing that would act twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_tfmem.isolate.arguments import child_arguments, dismiss_bookkeepers, neutralise


@pytest.fixture
def parsed(pytester):
    """Parses a command line in a folder with an ini file, without configuring pytest."""
    pytester.makeini("[pytest]\naddopts = -q\n")

    def parse(*arguments):
        return pytester.parseconfig(*arguments)

    return parse


def neutralised(config, **keywords):
    settled = {"path": "/tests/test_a.py", "basetemp": "/scratch/1", "workerinput": None}
    neutralise(config, **settled | keywords)
    return config


def test_the_users_arguments_come_first_and_in_order(parsed):
    config = parsed("-x", "-k", "a and b", "-p", "no:cacheprovider", "-W", "error")
    given = list(config.invocation_params.args)
    assert child_arguments(config)[: len(given)] == given
    assert given[:7] == ["-x", "-k", "a and b", "-p", "no:cacheprovider", "-W", "error"]


def test_what_was_found_by_searching_is_settled(parsed, pytester):
    config = parsed()
    settled = child_arguments(config)[len(config.invocation_params.args) :]
    assert settled[:3] == [f"--rootdir={pytester.path}", "-c", str(pytester.path / "tox.ini")]


def test_without_an_ini_file_none_is_named(pytester):
    assert "-c" not in child_arguments(pytester.parseconfig())


def test_a_path_among_the_arguments_is_text(parsed):
    config = parsed(Path("tests"))
    assert all(isinstance(argument, str) for argument in child_arguments(config))


def test_a_seed_is_settled_for_both_processes(pytester):
    pytest.importorskip("pytest_randomly")
    assert "--randomly-seed=7" in child_arguments(pytester.parseconfig("--randomly-seed=7"))[-2:]
    config = pytester.parseconfigure("-p", "no:asyncio")
    assert f"--randomly-seed={config.option.randomly_seed}" in child_arguments(config)


def test_coverage_is_not_measured_a_second_time_by_its_plugin(parsed):
    pytest.importorskip("pytest_cov")
    assert child_arguments(parsed())[-1] == "--no-cov"


def test_what_chooses_tests_is_taken_back(parsed):
    config = neutralised(parsed("-k", "name", "-m", "mark", "--deselect", "a", "--lf", "--ff", "--nf", "--sw"))
    option = config.option
    assert (option.keyword, option.markexpr, option.deselect) == ("", "", None)
    assert (option.lf, option.failedfirst, option.newfirst, option.stepwise) == (False, False, False, False)


def test_what_writes_files_is_taken_back(parsed, pytester):
    config = neutralised(parsed("--junitxml=junit.xml", "--tfmem-json=run.json", "--durations=5", "--pastebin=all"))
    option = config.option
    assert (option.xmlpath, option.tfmem_json, option.durations, option.pastebin) == (None, None, None, None)


def test_what_empties_or_shows_the_cache_is_taken_back(parsed):
    config = neutralised(parsed("--cache-clear", "--cache-show"))
    assert (config.option.cacheclear, config.option.cacheshow) == (False, None)


def test_what_spreads_tests_is_taken_back(parsed):
    pytest.importorskip("xdist")
    option = neutralised(parsed("-n", "2", "--dist", "loadgroup")).option
    assert (option.numprocesses, option.dist, option.tx) == (None, "no", [])


def test_what_decides_how_a_test_runs_is_kept(parsed):
    option = neutralised(parsed("-x", "-s", "-vv", "--tb=short", "-l", "--runxfail", "--strict-markers")).option
    assert (option.maxfail, option.capture, option.tbstyle) == (1, "no", "short")
    assert (option.showlocals, option.runxfail) == (True, True)


def test_one_file_is_collected_into_one_folder(parsed):
    config = neutralised(parsed("somewhere"))
    assert (config.args, config.option.basetemp) == (["/tests/test_a.py"], "/scratch/1")
    assert not hasattr(config, "workerinput")


def test_a_plugin_sees_the_same_xdist_worker(parsed):
    given = {"workerid": "gw1", "workercount": 2}
    config = neutralised(parsed(), workerinput=given)
    config.workerinput["more"] = 1
    config.workeroutput["more"] = 1
    assert given == {"workerid": "gw1", "workercount": 2}


@pytest.mark.parametrize(("option", "plugin"), [("--lf", "lfplugin"), ("--nf", "nfplugin"), ("--sw", "stepwiseplugin")])
def test_nobody_writes_the_sessions_caches(pytester, option, plugin):
    config = pytester.parseconfigure("-p", "no:asyncio", option)
    assert config.pluginmanager.hasplugin(plugin)
    dismiss_bookkeepers(config)
    dismiss_bookkeepers(config)
    assert not config.pluginmanager.hasplugin(plugin)
