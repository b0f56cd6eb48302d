"""The tables of the ledger: `registry.ledger` describes them, `database.migrations.ledger` creates them.

A change of these tables needs a migration, and its revision here.
"""

from __future__ import annotations

from sqlalchemy import REAL, CheckConstraint, Column, Double, Integer, MetaData, Table, Text

from headrace.database.column_types import Whole
from headrace.database.table_group import TableGroup

metadata = MetaData()
change = Table(
    "change",
    metadata,
    Column("sequence", Whole, primary_key=True, autoincrement=False),
    Column("action", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("previous", Text),
    Column("reason", Text, nullable=False),
    Column("at_us", Whole, nullable=False),
)
version = Table(
    "version",
    metadata,
    Column("version", Text, primary_key=True),
    Column("metrics", Text, nullable=False, server_default="{}"),
    Column("barred", Text),
)
challenger = Table(
    "challenger",
    metadata,
    Column("only_one", Integer, CheckConstraint("only_one = 1"), primary_key=True, autoincrement=False),
    Column("version", Text),
)
alias = Table(
    "alias", metadata, Column("name", Text, primary_key=True), Column("written", Text), Column("writing", Text)
)
identity = Table(
    "identity",
    metadata,
    Column("only_one", Integer, CheckConstraint("only_one = 1"), primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
)
rollout = Table(
    "rollout",
    metadata,
    Column("sequence", Whole, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("champion", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("share", Double().with_variant(REAL(), "sqlite"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("at_us", Whole, nullable=False),
)

audit_outbox = Table(
    "audit_outbox",
    metadata,
    Column("sequence", Whole, primary_key=True, autoincrement=False),
    Column("who", Text, nullable=False),
    Column("made_us", Whole, nullable=False),
)
fencing_token = Table(
    "fencing_token",
    metadata,
    Column("work", Text, primary_key=True),
    Column("number", Whole, nullable=False),
    Column("holder", Text, nullable=False),
)

LEDGER = TableGroup(name="ledger", metadata=metadata, revision="r0003", seal="alias")
