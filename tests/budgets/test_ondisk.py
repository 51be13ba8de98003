"""A budgets file is written whole or not at all, and never over what somebody else has written."""

from __future__ import annotations

import os

import pytest

from pytest_tfmem.budgets.ondisk import write_budgets
from pytest_tfmem.errors import TfmemError


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path) -> None:
    path = tmp_path / "budgets.yaml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_budgets(path, b"new", read=b"old", shown="budgets.yaml")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
    assert os.listdir(tmp_path) == ["budgets.yaml"]


def test_of_a_link_the_file_is_written_that_it_leads_to(tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "ours.yaml"
    target.write_bytes(b"old")
    link = tmp_path / "budgets.yaml"
    link.symlink_to("elsewhere/ours.yaml")
    write_budgets(link, b"new", read=b"old", shown="budgets.yaml")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(("found", "read"), [(b"theirs", b"old"), (b"theirs", None)])
def test_what_somebody_else_has_written_meanwhile_stays(tmp_path, found, read) -> None:
    path = tmp_path / "budgets.yaml"
    path.write_bytes(found)
    with pytest.raises(TfmemError) as raised:
        write_budgets(path, b"new", read=read, shown="budgets.yaml")
    what = "this file was changed while tests ran, and is left as it is; run them again"
    assert str(raised.value) == f"budgets.yaml: {what}"
    assert path.read_bytes() == found
    assert os.listdir(tmp_path) == ["budgets.yaml"]


def test_a_new_file_is_written_where_there_is_none(tmp_path) -> None:
    write_budgets(tmp_path / "budgets.yaml", b"new", read=None, shown="budgets.yaml")
    assert (tmp_path / "budgets.yaml").read_bytes() == b"new"


def test_a_file_that_is_gone_is_one_line(tmp_path) -> None:
    with pytest.raises(TfmemError, match=r"^b: this file cannot be written: No such file or directory$"):
        write_budgets(tmp_path / "budgets.yaml", b"new", read=b"old", shown="b")
