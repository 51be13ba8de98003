"""The tables as this version of pytest-tfmem has them. They are made by `migrations`, step by step.

What was recorded stands whole in `runs.header`, `runs.footer` and `documents`. Everything else is an index over that:
the readings that count, in the words of `history.series`, so that a window over many runs is read without their
documents. A series is a test's figure, on one GPU, under the same conditions.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, String, Table, Text

from pytest_tfmem.history.sql.columns import AnyText, Moment

VERSION = 2

metadata = MetaData()

schema = Table("tfmem_schema", metadata, Column("version", Integer, nullable=False))

runs = Table(
    "tfmem_runs",
    metadata,
    Column("key", BigInteger, primary_key=True),
    Column("id", AnyText, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("commit_id", AnyText),
    Column("branch", AnyText),
    Column("dirty", Boolean),
    Column("header", Text, nullable=False),
    Column("footer", Text),
    Column("complete", Boolean, nullable=False),
    Column("tests", Integer, nullable=False),
)

# The tests of a run, compressed, in parts of a size that a database takes in one piece.
documents = Table(
    "tfmem_documents",
    metadata,
    Column("run", BigInteger, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("tests", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

conditions = Table(
    "tfmem_conditions",
    metadata,
    Column("fingerprint", String(12), primary_key=True),
    Column("record", Text, nullable=False),
)

# `digest`: the SHA-256 of the node id, because that may be longer than what PostgreSQL takes into an index.
tests = Table(
    "tfmem_tests",
    metadata,
    Column("key", BigInteger, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("nodeid", AnyText, nullable=False),
)

series = Table(
    "tfmem_series",
    metadata,
    Column("key", BigInteger, primary_key=True),
    Column("test", BigInteger, nullable=False),
    Column("conditions", String(12), nullable=False),
    Column("figure", AnyText, nullable=False),
    Column("gpu", Integer, nullable=False),
)

readings = Table(
    "tfmem_readings",
    metadata,
    Column("run", BigInteger, primary_key=True),
    Column("series", BigInteger, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("exactness", Text, nullable=False),
    Column("error_bytes", BigInteger),
)
