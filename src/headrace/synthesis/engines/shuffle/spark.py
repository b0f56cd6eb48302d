"""The engine on Spark, or on an engine that speaks Spark Connect, such as Sail.

For each entity, the fragments of the tables and of the queries are scattered into blobs, repartitioned by partition,
sorted within Spark's partitions, and computed by the local engine's functions through `mapInArrow`. Workers read the
tables' files and write results to a folder that all of them reach; only paths come back to the driver.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.core import parquet
from headrace.core.errors import DeclarationError, HeadraceError
from headrace.synthesis.engines.shuffle.engine import ShuffleEngine
from headrace.synthesis.engines.shuffle.partition import ShuffleTask
from headrace.synthesis.engines.shuffle.prepare import query_table
from headrace.synthesis.engines.shuffle.scatter import ROWS_AT_ONCE
from headrace.synthesis.engines.shuffle.streaming import (
    COMPUTED,
    SCATTERED,
    WorkerJob,
    compute_partitions,
    scatter_fragments,
)
from headrace.synthesis.language.parquet_tables import Fragment, ParquetTables, StreamedTables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Blobs that go to a Python worker together: a blob is up to a few megabytes.
_BLOBS_AT_ONCE = "32"


class SparkFailed(HeadraceError):
    """Spark could not be reached, or a worker failed."""


@dataclass(frozen=True, kw_only=True)
class SparkEngine(ShuffleEngine):
    """Computes on a Spark cluster, or in Spark's local mode.

    Attributes:
        master: of Spark, such as `local[2]` or `spark://host:7077`.
        remote: address of a Spark Connect server (`sc://host:15002`), in place of `master`.
        folder: that the driver and all workers read and write; None: this machine's temporary folder.
        memory: of the driver's Java process, in Spark's words.
    """

    name: str = "spark"
    master: str = "local[2]"
    remote: str | None = None
    folder: Path | None = None
    memory: str = "1g"

    @property
    def staging(self) -> Path | None:
        """See `ShuffleEngine.staging`."""
        return self.folder

    def run(self, task: ShuffleTask, keys: pa.Table, tables: StreamedTables, folder: Path) -> list[Path]:
        """See `ShuffleEngine.run`."""
        job = WorkerJob(
            task=task,
            fragments=tuple(_fragments(task, keys, tables, folder)),
            tables=_files(tables),
            folder=folder,
        )
        spark = session(self)
        count = len(job.fragments)
        with _named_failure(self):
            found = (
                spark.range(0, count, 1, min(count, max(2 * self.threads, 1)))
                .mapInArrow(scatter_fragments(job), SCATTERED)
                .repartition(_tasks(task, self.threads), "partition")
                .sortWithinPartitions("partition", "source")
                .mapInArrow(compute_partitions(job, is_sorted=self.remote is None), COMPUTED)
                .collect()
            )
        paths = sorted({Path(row["path"]) for row in found})
        if self.progress is not None:
            self.progress(f"{', '.join(task.plan.join_keys)}: {len(paths)} partitions on {self.remote or self.master}")
        return paths


def _tasks(task: ShuffleTask, threads: int) -> int:
    """Spark's own partitions: a few for each thread, so that no task waits long for another."""
    return max(min(task.layout.partitions, 4 * threads), 1)


def _fragments(
    task: ShuffleTask, keys: pa.Table, tables: StreamedTables, folder: Path
) -> Iterator[tuple[int, Fragment]]:
    """The parts of the queries, which are written to a file for it, and of the tables."""
    path = folder / "queries.parquet"
    queries = query_table(task.plan, keys)
    with parquet.writer(path, queries.schema, compression="lz4") as file:
        file.write_table(queries, row_group_size=ROWS_AT_ONCE)
    for number in range(parquet.ParquetFile(path).num_row_groups):
        yield 0, Fragment(path=path, row_group=number)
    for source, route in enumerate(task.plan.routes, 1):
        for fragment in tables.fragments(route.table):
            yield source, fragment


def _files(tables: StreamedTables) -> ParquetTables:
    if not isinstance(tables, ParquetTables):
        raise DeclarationError(
            f"Spark's workers cannot read tables of type {type(tables).__name__}",
            where='engine="spark"',
            found=["ParquetTables, and tables in memory"],
            fix="write them as Parquet (headrace.synthesis.language.parquet_tables.store_tables)",
        )
    return tables


def session(engine: SparkEngine) -> SparkSession:
    """The Spark session of this process, started at its first use."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise DeclarationError(
            "PySpark is not installed", where='engine="spark"', fix="pip install 'headrace[spark]'"
        ) from None
    # Without it, workers start the first `python` of the PATH, which may lack Headrace.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder: Any = SparkSession.builder.appName("headrace")
    with _named_failure(engine):
        if engine.remote is not None:
            return builder.remote(engine.remote).getOrCreate()
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.memory": engine.memory,
            "spark.sql.execution.arrow.maxRecordsPerBatch": _BLOBS_AT_ONCE,
            "spark.sql.adaptive.enabled": "false",  # it would join the tasks of small partitions into one
            "spark.log.level": "ERROR",
        }
        if engine.master.startswith("local"):
            settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        builder = builder.master(engine.master)
        for name, value in settings.items():
            builder = builder.config(name, value)
        return builder.getOrCreate()


@contextmanager
def _named_failure(engine: SparkEngine) -> Iterator[None]:
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise SparkFailed(
            f"Spark failed ({lines[-1][:300] if lines else type(error).__name__})",
            where=engine.remote or engine.master,
            fix="see its log; every worker needs Headrace, the same Python, and the folder HEADRACE_SPARK_FOLDER",
        ) from error
