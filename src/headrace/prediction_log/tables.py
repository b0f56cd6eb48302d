"""The tables of the prediction log: `log` describes them, `database.migrations.predictions` creates them.

A change of these tables needs a migration, and its revision here.
"""

from __future__ import annotations

from sqlalchemy import REAL, Column, Double, Index, LargeBinary, MetaData, Table, Text

from headrace.database.column_types import TextOrBytes, Whole
from headrace.database.table_group import TableGroup

metadata = MetaData()
predictions = Table(
    "predictions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("cutoff_us", Whole, nullable=False),
    Column("made_us", Whole, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("join_keys", Text, nullable=False),
    Column("probability", Double().with_variant(REAL(), "sqlite")),
    Column("source", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("features", TextOrBytes, nullable=False),
    Column("ticks", Text, nullable=False),
    Column("statuses", Text, nullable=False),
    Column("row_key", Text, nullable=False),
    Column("request_id", Text),
    Column("row_sum", Whole),
    Index("predictions_made", "made_us"),
)
feature_names = Table(
    "feature_names", metadata, Column("digest", LargeBinary, primary_key=True), Column("content", Text, nullable=False)
)
PREDICTIONS = TableGroup(name="predictions", metadata=metadata, revision="r0002")
