"""The tables of the outbox: `monitor.outbox.outbox` describes them, `database.migrations.outbox` creates them.

A change of these tables needs a migration, and its revision here.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, Table, Text

from headrace.database.column_types import Whole
from headrace.database.table_group import TableGroup

metadata = MetaData()
decision = Table(
    "decision",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("end_us", Whole, nullable=False),
    Column("body", Text, nullable=False),
    Column("put_us", Whole, nullable=False),
    Column("holder", Text),
    Column("token", Integer, nullable=False, server_default="0"),
    Column("until_us", Whole),
    Column("last_error", Text),
    Column("outcome", Text),
    Column("outcome_reason", Text, nullable=False, server_default=""),
    Column("version", Text),
    Column("finished_us", Whole),
)
alert = Table(
    "alert",
    metadata,
    Column("id", Text, primary_key=True),
    Column("decision_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("at_us", Whole, nullable=False),
    Column("links", Text, nullable=False),
    Column("put_us", Whole, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_us", Whole, nullable=False),
    Column("last_error", Text),
    Column("delivered_us", Whole),
    Column("number", Whole, nullable=False, server_default="0"),
)
delivery = Table(
    "delivery",
    metadata,
    Column("alert_id", Text, primary_key=True),
    Column("receiver", Text, primary_key=True),
    Column("at_us", Whole, nullable=False),
)
acknowledgement = Table(
    "acknowledgement",
    metadata,
    Column("decision_id", Text, primary_key=True),
    Column("at_us", Whole, primary_key=True),
    Column("who", Text, primary_key=True),
    Column("note", Text, nullable=False),
)

OUTBOX = TableGroup(name="outbox", metadata=metadata, revision="r0002", seal="delivery")
