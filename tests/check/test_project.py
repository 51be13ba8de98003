from __future__ import annotations

import pytest

from pytest_tfmem.check.project import find_project
from pytest_tfmem.errors import TfmemError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("raise RuntimeError('collected')")
    return tmp_path


def test_the_root_directory_is_that_of_pytest_from_any_folder_in_it(root):
    found = find_project(root / "tests")
    assert found.root == str(root)
    assert found.history == str(root / ".tfmem" / "runs")
    assert found.budgets is None


def test_settings_are_taken_from_where_pytest_takes_them(root, monkeypatch):
    (root / "pytest.ini").write_text("[pytest]\ntfmem_history = measured\ntfmem_budgets = memory.yaml\n")
    found = find_project(root / "tests")
    assert (found.history, found.budgets) == (str(root / "measured"), str(root / "memory.yaml"))
    monkeypatch.setenv("PYTEST_ADDOPTS", "--tfmem-history=off")
    assert find_project(root).history is None


def test_the_budgets_file_is_told_if_it_is_there(root):
    (root / "budgets.yaml").write_text("version: 1\n")
    assert find_project(root / "tests").budgets == str(root / "budgets.yaml")


def test_a_wrong_setting_is_told_in_one_line(root):
    (root / "pytest.ini").write_text("[pytest]\ntfmem_gpu = perhaps\n")
    with pytest.raises(TfmemError, match=r"^pytest.ini: tfmem_gpu: 'perhaps' is not a choice; choose one of"):
        find_project(root)


def test_what_pytest_itself_refuses_is_told_in_one_line(root):
    (root / "conftest.py").write_text("import no_such_module")
    with pytest.raises(TfmemError, match=r"pytest could not be asked for its settings: .*no_such_module") as caught:
        find_project(root)
    assert "\n" not in str(caught.value)
