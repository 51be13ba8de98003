"""Databases that tests store runs in: a file of SQLite, and a PostgreSQL server of our own.

The server is made in a temporary folder, listens on a socket in there alone, and is stopped with the test session.
Where PostgreSQL is not installed its tests are skipped; with TFMEM_TEST_POSTGRES=required they fail.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

USER = "tfmem_tester"
PASSWORD = "Open/Sesame: 100%@secret?"  # recognisable, and with all that has a meaning in a URL
_INSTALLED = "/usr/lib/postgresql/*/bin"  # where Debian and its kin have what is not for everyone's PATH
_HASTY = "-c fsync=off -c full_page_writes=off -c max_connections=40 -c shared_buffers=32MB"


class Server:
    """A PostgreSQL server. As root it is run by a user that is not: it refuses root."""

    def __init__(self, binaries: Path, folder: Path, owner: str | None, options: str) -> None:
        self._options = options
        self._binaries = binaries
        self._owner = owner
        self._numbers = count(1)
        self.folder = folder

    def make(self) -> None:
        word = self.folder / "password"
        word.write_text(PASSWORD, encoding="utf-8")
        if self._owner:
            shutil.chown(self.folder, self._owner)
            shutil.chown(word, self._owner)
        usual = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", f"--username={USER}", f"--pwfile={word}", *usual)
        self.start()

    def start(self) -> None:
        self._run(
            "pg_ctl",
            "start",
            "--wait",
            f"--log={self.folder / 'log'}",
            f"--options=-k {self.folder} -h '' {self._options}",
        )

    def stop(self) -> None:
        """As if its machine had lost its power."""
        self._run("pg_ctl", "stop", "--mode=immediate", "--wait")

    @contextmanager
    def up_again(self):
        """What stops the server in here stops it for no other test."""
        try:
            yield
        finally:
            if not (self.folder / "data" / "postmaster.pid").exists():
                self.start()

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{quote(password, safe='')}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"of_test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, *, database: str = "postgres") -> None:
        with psycopg.connect(
            host=str(self.folder), user=USER, password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            connection.execute(statement)

    def _run(self, program: str, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        said = self.folder / "said"
        with said.open("ab") as output:  # no pipe: the server that is started would hold it open
            done = subprocess.run(
                [self._binaries / program, f"--pgdata={self.folder / 'data'}", *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=self._owner,
                group=pwd.getpwnam(self._owner).pw_gid if self._owner else None,
                extra_groups=[] if self._owner else None,
                check=False,
            )
        assert done.returncode == 0, f"{program} {arguments}: {said.read_text(encoding='utf-8')}"


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = sorted(glob.glob(_INSTALLED))
    return Path(installed[-1]) if installed else None


def _owner() -> str | None:
    """Who runs the server: oneself, or in place of root its own user, or whoever has no rights."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


@contextmanager
def running_server(options: str = _HASTY):
    """A server that is there while this lasts. By its usual options it does not wait for the disk."""
    binaries = _binaries()
    if binaries is None:
        missing = pytest.fail if os.environ.get("TFMEM_TEST_POSTGRES") == "required" else pytest.skip
        missing("PostgreSQL is not installed: no initdb")
    # Not pytest's own folder: that is closed to others, the user of the server among them, and its path too long for
    # a socket.
    with tempfile.TemporaryDirectory(prefix="tfmem-pg-") as folder:
        server = Server(binaries, Path(folder), _owner(), options)
        server.make()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres():
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres):
    return postgres.new_database()


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path / 'runs.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """The URL of an empty database, of each kind in turn."""
    return request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
