"""Tables that change, in Delta and in SQLite with a change table, and shops that read them whole or by changes."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.lake.store import Lake
from headrace.pipeline.production import loading
from headrace.problems.sources import reading
from tests.pipeline.shop import Shop

DECLARATION = """
from headrace.problems.sources import ChangeFeed, ChangeTable, DeltaSource, IcebergSource, SqlSource
from headrace.schema import EntitySet, Problem, Table, each_row

results = Table(name="results", key="result_id", time="at", tz="UTC", source={source})
problem = Problem(
    name="shop", entity_set=EntitySet(tables=[results]), spine=each_row("results", cutoff="at"), label="points > 3"
)
"""
START = datetime(2024, 1, 1, tzinfo=UTC)
#: (key, points) puts a row; points of None delete it.
Commit = dict[int, float | None]


def shop(folder: Path, source: str, name: str = "home") -> Shop:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(DECLARATION.format(source=source))
    return Shop(path=path, home=folder / name)


def ingest(mine: Shop) -> None:
    mine.run().run_stage("ingest")


def at(number: int) -> datetime:
    return START + timedelta(hours=number)


def versions(mine: Shop) -> dict[int, list[float]]:
    """The versions of each key, oldest first."""
    found: dict[int, list[float]] = {}
    for row in Lake(mine.home, "shop").snapshot().table("results").sort_by("_order").to_pylist():
        found.setdefault(row["result_id"], []).append(row["points"])
    return found


class World(ABC):
    """A table of a database or lake house, with what changes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[int, float] = {}
        folder.mkdir(parents=True, exist_ok=True)

    #: Source expressions: the feed, and the whole table.
    feed: str
    whole: str

    def commit(self, changes: Commit) -> None:
        """Change rows in one commit."""
        puts = {key: points for key, points in changes.items() if points is not None}
        gone = [key for key, points in changes.items() if points is None and key in self.rows]
        self._write(puts, gone)
        self.rows = {**{key: points for key, points in self.rows.items() if key not in gone}, **puts}

    @abstractmethod
    def _write(self, puts: dict[int, float], gone: Sequence[int]) -> None: ...


class Delta(World):
    """A Delta table whose change data feed is on."""

    def __init__(self, folder: Path, options: str = 'on_delete="ignore"') -> None:
        super().__init__(folder)
        self.address = f"delta:///{folder / 'results'}"
        self.feed = f'DeltaSource("{self.address}", changes=ChangeFeed({options}))'
        self.whole = f'"{self.address}"'

    def table(self, puts: dict[int, float]) -> pa.Table:
        times = pa.array([at(key) for key in puts], pa.timestamp("us", tz="UTC"))
        points = pa.array(puts.values(), pa.float64())
        return pa.table({"result_id": pa.array(puts, pa.int64()), "at": times, "points": points})

    def _write(self, puts: dict[int, float], gone: Sequence[int]) -> None:
        from deltalake import DeltaTable, write_deltalake

        place = str(self.folder / "results")
        if not self.rows and not DeltaTable.is_deltatable(place):
            write_deltalake(place, self.table(puts), configuration={"delta.enableChangeDataFeed": "true"})
            return
        if puts:
            merge = DeltaTable(place).merge(
                self.table(puts), "s.result_id = t.result_id", source_alias="s", target_alias="t"
            )
            merge.when_matched_update_all().when_not_matched_insert_all().execute()
        if gone:
            DeltaTable(place).delete(f"result_id in ({', '.join(map(str, gone))})")


class Triggered(World):
    """A table of SQLite with a change table that triggers write."""

    def __init__(self, folder: Path, options: str = 'on_delete="ignore"') -> None:
        super().__init__(folder)
        address = f"sqlite:///{folder / 'shop.db'}"
        changes = f'ChangeTable(table="changes", sequence="seq", operation="op", dropped=("changed",), {options})'
        self.feed = f'SqlSource("{address}", "results", changes={changes})'
        self.whole = f'"{address}#results"'
        with closing(sqlite3.connect(folder / "shop.db")) as database:
            columns = "result_id integer {}, at datetime, points real"
            database.execute(f"create table results ({columns.format('primary key')})")
            database.execute(
                f"create table changes (seq integer primary key, op text, changed integer, {columns.format('')})"
            )
            values = "({0}.result_id, {0}.at, {0}.points)"
            for event, kind, row in (("insert", "I", "new"), ("update", "U", "new"), ("delete", "D", "old")):
                database.execute(
                    f"create trigger on_{event} after {event} on results begin insert into changes (op, changed, "
                    f"result_id, at, points) values ('{kind}', 1704067200000 + (select count(*) from changes), "
                    f"{values.format(row).strip('()')}); end"
                )
            database.commit()

    def _write(self, puts: dict[int, float], gone: Sequence[int]) -> None:
        with closing(sqlite3.connect(self.folder / "shop.db")) as database:
            for key, points in puts.items():
                database.execute(
                    "insert into results values (?, ?, ?) on conflict do update set points = excluded.points",
                    (key, f"{at(key):%Y-%m-%d %H:%M:%S}", points),
                )
            database.executemany("delete from results where result_id = ?", [(key,) for key in gone])
            database.commit()


class Debezium(Triggered):
    """The change table alone, with the columns that Debezium writes."""

    def __init__(self, folder: Path, options: str = 'on_delete="ignore"') -> None:
        super().__init__(folder, options)
        with closing(sqlite3.connect(folder / "shop.db")) as database:
            database.execute(
                "create view flat as select lower(replace(op, 'I', 'c')) as __op, seq as __lsn, changed as __ts_ms, "
                "'false' as __deleted, result_id, at, points from changes"
            )
            database.commit()
        changes = f'ChangeTable(sequence="__lsn", operation="__op", {options})'
        self.feed = f'SqlSource("sqlite:///{folder / "shop.db"}", "flat", changes={changes})'


FIRST: Commit = {key: float(key % 7) for key in range(4)}
KINDS = (Delta, Triggered, Debezium)


def with_kill(mine: Shop, after: int | None) -> None:
    """Ingest in small chunks and end before the append of one; None: nothing is run."""
    if after is None:
        return
    appended, count = loading.append_batch, iter(range(100))

    def killed(*arguments: Any, **options: Any) -> Any:
        if next(count) >= after:
            raise KeyboardInterrupt
        return appended(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK_BYTES", 1)
        patch.setattr("headrace.problems.sources.feeds.change_table.BATCH_ROWS", 2)
        patch.setattr("headrace.problems.sources.sql.BATCH_ROWS", 2)
        patch.setattr("headrace.problems.sources.feeds.delta.ROWS", 1)
        patch.setattr(loading, "append_batch", killed)
        with suppress(KeyboardInterrupt):
            ingest(mine)
