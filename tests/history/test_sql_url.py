from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.errors import TfmemError
from pytest_tfmem.history.sql.faults import scrubbed
from pytest_tfmem.history.sql.url import read_url
from pytest_tfmem.history.store import open_store

ROOT = Path("/project")
HOW = "; write sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, with %40"


def refusal(url):
    with pytest.raises(TfmemError) as refused:
        open_store(url, root=ROOT)
    return str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:Sesame@host:5433/runs", "postgresql://host:5433/runs"),
        ("postgresql://me:Sesame@host/runs", "postgresql://host/runs"),
        ("postgres://me@host", "postgresql://host/"),
        ("postgresql://me:Sesame@[::1]:5432/runs", "postgresql://[::1]:5432/runs"),
        ("postgresql:///runs?host=/run/pg&user=me&password=Sesame&sslmode=require", "postgresql:///runs?host=/run/pg"),
        ("postgresql://?service=ci", "postgresql:///?service=ci"),
        ("sqlite:///kept/runs.db", "sqlite:///kept/runs.db"),
        ("sqlite:////srv/runs.db", "sqlite:////srv/runs.db"),
    ],
)
def test_a_url_is_shown_without_user_and_password(url, shown):
    address = read_url(url, root=ROOT)
    assert address.shown == shown
    assert "Sesame" not in repr(address)
    assert open_store(url, root=ROOT).shown == shown


def test_a_url_is_read():
    address = read_url("postgresql://m%40e:a%2Fb%20c@h-1.example:1234/d%20b?sslmode=require&host=%2Frun", root=ROOT)
    assert (address.user, address.password, address.host, address.port) == ("m@e", "a/b c", "h-1.example", 1234)
    assert (address.database, address.options) == ("d b", {"sslmode": "require", "host": "/run"})
    assert read_url("sqlite:///a/b.db", root=ROOT).file == Path("/project/a/b.db")
    assert read_url("sqlite:////a/b.db", root=ROOT).file == Path("/a/b.db")


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("mysql://me:Sesame@host/db", "mysql://...: no database that runs are kept in" + HOW),
        ("postgresql+asyncpg://me:Sesame@host/db", "postgresql+asyncpg://...: no database that runs are kept in" + HOW),
        ("Sesame@x://host", "URL://...: no database that runs are kept in" + HOW),
        ("sqlite://", "sqlite://...: names no file" + HOW),
        ("sqlite:///:memory:", "sqlite://...: names no file" + HOW),
        ("sqlite://runs.db", "sqlite://...: names no file" + HOW),
        ("postgresql://me:Ses@ame@host/db", "postgresql://...: is not the URL of a database" + HOW),
        ("postgresql://me:Sesame/x@host/db", "postgresql://...: is not the URL of a database" + HOW),
        ("postgresql://me:Sesame?x@host/db", "postgresql://...: is not the URL of a database" + HOW),
        ("postgresql://me:Sesame#x@host/db", "postgresql://...: is not the URL of a database" + HOW),
        ("postgresql://me:Sesame@host:port/db", "postgresql://...: is not the URL of a database" + HOW),
        ("postgresql://host/db?Sesame", "postgresql://...: is not the URL of a database" + HOW),
    ],
)
def test_a_url_that_is_none_is_refused_without_showing_a_part_of_it(url, line):
    said = refusal(url)
    assert said.startswith(line)
    assert "Ses" not in said


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.sampled_from(["postgresql", "postgres", "sqlite", "x"]))
def test_whatever_stands_for_a_password_is_not_shown(text, scheme):
    url = f"{scheme}://me:Sesame{text}Open@host/db"
    try:
        shown = read_url(url, root=ROOT).shown
    except TfmemError as refused:
        shown = str(refused)
    assert "Sesame" not in shown or scheme == "sqlite"
    assert "Open@" not in shown or scheme == "sqlite"


def test_secrets_are_taken_out_of_what_a_driver_says(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "of-the-environment")
    address = read_url("postgresql://me:Ses%20ame@h/d?sslpassword=of-the-key", root=ROOT)
    said = "no 'Ses ame', no of-the-key, no of-the-environment"
    assert scrubbed(said, address.secrets) == "no '***', no ***, no ***"
    assert scrubbed("fatal", ["a"]) == ""  # a letter that is blanked out of words can be read off the rest
    assert scrubbed("fatal", ["b"]) == "fatal"
