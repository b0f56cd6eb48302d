"""Sources of tables: files, data frames, databases and lake houses, each read whole or in record batches."""

from headrace.problems.sources.adbc import AdbcSource
from headrace.problems.sources.duckdb_tables import DuckDBSource
from headrace.problems.sources.feeds.change_table import ChangeTable
from headrace.problems.sources.feeds.feed import ChangeFeed
from headrace.problems.sources.files import FileSource
from headrace.problems.sources.lakehouse import DeltaSource, IcebergSource
from headrace.problems.sources.sql import SqlSource

__all__ = [
    "AdbcSource",
    "ChangeFeed",
    "ChangeTable",
    "DeltaSource",
    "DuckDBSource",
    "FileSource",
    "IcebergSource",
    "SqlSource",
]
