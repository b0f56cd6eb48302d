"""Change feeds into the lake: only what changed, each version once, deletions and gaps by name."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from headrace.core.errors import DataError, DeclarationError
from headrace.lake.store import Lake
from headrace.pipeline.production import intake
from headrace.problems.sources import ChangeTable
from tests.pipeline.changing_tables import (
    FIRST,
    KINDS,
    Debezium,
    Delta,
    Triggered,
    World,
    ingest,
    shop,
    versions,
    with_kill,
)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[World]:
    found: type[World] = request.param
    return found


@pytest.fixture(autouse=True)
def _unvalidated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Great Expectations takes half of the time of such loads, and has tests of its own."""
    monkeypatch.setattr(intake, "validate_batch", lambda *_: SimpleNamespace(success=True, reasons=()))


def test_only_what_changed_is_read(tmp_path: Path, kind: type[World]) -> None:
    world = kind(tmp_path)
    mine = shop(tmp_path, world.feed)
    world.commit(dict.fromkeys(range(50), 1.0))
    ingest(mine)
    world.commit({3: 5.0, 60: 2.0})
    world.commit({3: 6.0})
    ingest(mine)
    ingest(mine)
    batches = Lake(mine.home, "shop").batches("results")
    assert [(batch.rows, batch.bootstrap) for batch in batches] == [(50, True), (2, False)]
    assert versions(mine)[3] == [1.0, 6.0]


def test_a_row_that_returns_to_an_older_state_is_a_version(tmp_path: Path, kind: type[World]) -> None:
    world = kind(tmp_path)
    mine = shop(tmp_path, world.feed)
    world.commit({1: 1.0, 2: 2.0})
    for points in (5.0, 1.0, 5.0, 1.0):
        ingest(mine)
        world.commit({1: points})
    ingest(mine)
    assert versions(mine)[1] == [1.0, 5.0, 1.0, 5.0, 1.0]


def test_a_load_that_was_killed_between_two_batches_is_finished(tmp_path: Path, kind: type[World]) -> None:
    world = kind(tmp_path)
    mine = shop(tmp_path, world.feed)
    world.commit(dict.fromkeys(range(6), 1.0))
    with_kill(mine, 2)
    world.commit({0: 2.0})  # between the kill and the next run
    with_kill(mine, 1)
    world.commit({1: 3.0, 2: 3.0, 3: 3.0, 7: 1.0})
    with_kill(mine, 1)
    ingest(mine)
    expected = {key: [1.0] for key in range(6)} | {7: [1.0]} | {key: [1.0, 3.0] for key in (1, 2, 3)} | {0: [1.0, 2.0]}
    assert versions(mine) == expected
    batches = Lake(mine.home, "shop").batches("results")
    assert sum(batch.rows for batch in batches) == sum(map(len, expected.values())), "no row is there twice"
    assert len({batch.source for batch in batches}) == len(batches)


def test_deleted_rows_are_refused_by_name_or_stay(tmp_path: Path, kind: type[World]) -> None:
    world = kind(tmp_path / "world", "")
    mine = shop(tmp_path, world.feed)
    world.commit(FIRST)
    ingest(mine)
    world.commit({7: 1.0})
    world.commit({7: None, 1: None, 2: None})
    with pytest.raises(
        DataError, match=r'results, .*: 2 rows were deleted.*result_id.*found: 1, 2\. .*on_delete="ignore"'
    ):
        ingest(mine)
    assert set(versions(mine)) == set(FIRST)
    world.commit({1: 4.0, 2: 2.0})  # a row that is put back was only changed
    ingest(mine)
    assert versions(mine)[1] == [1.0, 4.0]


@pytest.mark.parametrize(("kind", "time"), [(Delta, None), (Debezium, "__ts_ms"), (Triggered, "changed")])
def test_rows_arrive_with_their_commit_where_declared(tmp_path: Path, kind: type[World], time: str | None) -> None:
    committed = f', committed="{time}"' if time else ""
    world = kind(tmp_path / "world", f'arrival="commit"{committed}')
    mine = shop(tmp_path, world.feed)
    world.commit(FIRST)
    ingest(mine)
    for points in (5.0, 6.0, 7.0):
        world.commit({1: points})
    ingest(mine)
    rows = Lake(mine.home, "shop").snapshot().table("results").sort_by("_order")
    arrivals = [row["_arrival"] for row in rows.to_pylist() if row["result_id"] == 1]
    assert versions(mine)[1] == [1.0, 5.0, 6.0, 7.0]
    assert len(set(arrivals)) == 4
    clock = Lake(mine.home, "shop").clock()
    assert clock is not None
    assert clock > max(arrivals)
    ingest(mine)
    assert Lake(mine.home, "shop").clock() == clock


def test_a_table_without_a_change_data_feed_is_refused(tmp_path: Path) -> None:
    from deltalake import write_deltalake

    world = Delta(tmp_path / "world")
    write_deltalake(str(tmp_path / "world" / "results"), world.table({1: 1.0}))
    with pytest.raises(DataError, match=r"no change data feed.*delta.enableChangeDataFeed to true"):
        ingest(shop(tmp_path, world.feed))


@pytest.mark.parametrize("on_gap", ["refuse", "reload"])
def test_changes_that_are_gone_are_named_or_the_table_is_read_whole(tmp_path: Path, on_gap: str) -> None:
    from deltalake import DeltaTable

    world = Delta(tmp_path / "world", f'on_gap="{on_gap}"')
    mine = shop(tmp_path, world.feed)
    world.commit(FIRST)
    ingest(mine)
    world.commit({1: 5.0})
    world.commit({2: 6.0})
    place = tmp_path / "world" / "results"
    DeltaTable(place).create_checkpoint()
    (place / "_delta_log" / f"{1:020}.json").unlink()
    if on_gap == "refuse":
        with pytest.raises(DataError, match=r'the changes after 0\.\w+ cannot be read.*on_gap="reload"'):
            ingest(mine)
        return
    ingest(mine)
    world.commit({3: 8.0})
    ingest(mine)
    assert (versions(mine)[1], versions(mine)[2], versions(mine)[3]) == ([1.0, 5.0], [2.0, 6.0], [3.0, 8.0])


def test_a_table_that_was_replaced_is_a_gap(tmp_path: Path) -> None:
    world = Delta(tmp_path / "world", 'on_gap="refuse"')
    mine = shop(tmp_path, world.feed)
    world.commit(FIRST)
    ingest(mine)
    shutil.rmtree(tmp_path / "world" / "results")
    another = Delta(tmp_path / "world")
    for points in (1.0, 2.0, 3.0):
        another.commit({1: points})
    with pytest.raises(DataError, match="the table was replaced by another one"):
        ingest(mine)


def test_changes_that_were_read_may_be_removed_from_their_table(tmp_path: Path) -> None:
    world = Triggered(tmp_path / "world")
    mine = shop(tmp_path, world.feed)
    world.commit(FIRST)
    ingest(mine)
    with closing(sqlite3.connect(tmp_path / "world" / "shop.db")) as database:
        database.execute("delete from changes")
        database.execute("insert into changes values (40, 'U', 0, 1, '2024-01-01 01:00:00', 8.0)")
        database.commit()
    ingest(mine)
    with closing(sqlite3.connect(tmp_path / "world" / "shop.db")) as database:
        database.execute("delete from changes")
        database.commit()
    ingest(mine)
    assert versions(mine)[1] == [1.0, 8.0]
    assert [batch.source for batch in Lake(mine.home, "shop").batches("results")] == [
        "changes ..4 part 1 of 1",
        "changes 4..40 part 1 of 1",
    ]


@pytest.mark.parametrize("on_gap", ["refuse", "reload"])
@pytest.mark.parametrize("kind", [Triggered, Debezium])
def test_a_numbering_that_begins_anew_is_a_gap(tmp_path: Path, kind: type[Triggered], on_gap: str) -> None:
    """SQLite numbers the rows of an empty table from 1 again."""
    world = kind(tmp_path / "world", f'on_gap="{on_gap}"')
    mine = shop(tmp_path, world.feed)
    world.commit(FIRST)
    ingest(mine)
    with closing(sqlite3.connect(tmp_path / "world" / "shop.db")) as database:
        database.execute("delete from changes")
        database.commit()
    ingest(mine)
    world.commit({1: 8.0})
    if on_gap == "refuse":
        with pytest.raises(DataError, match=r'the changes after 4 cannot be read: .* 1, .*on_gap="reload"'):
            ingest(mine)
        return
    ingest(mine)
    world.commit({1: 9.0})
    ingest(mine)
    assert versions(mine) == {0: [0.0], 1: [1.0, 8.0, 9.0], 2: [2.0], 3: [3.0]}
    assert [batch.source for batch in Lake(mine.home, "shop").batches("results")] == [
        "changes ..4 part 1 of 1",
        "changes 4..1 part 1 of 1",
        "changes 1..2 part 1 of 1",
    ]


def test_two_changes_of_a_key_with_one_number_are_refused(tmp_path: Path) -> None:
    world = Debezium(tmp_path / "world")
    mine = shop(tmp_path, world.feed.replace('"__lsn"', '"points"'))
    world.commit(FIRST)
    with pytest.raises(DataError, match=r"no whole number: 3.0"):
        ingest(mine)
    with closing(sqlite3.connect(tmp_path / "world" / "shop.db")) as database:
        database.execute("create view tied as select 7 as n, * from flat union all select 7 as n, * from flat")
        database.commit()
    tied = shop(tmp_path, world.feed.replace('"__lsn"', '"n"').replace('"flat"', '"tied"'), "tied")
    with pytest.raises(DataError, match=r"two changes of one key have the same sequence number"):
        ingest(tied)


def test_a_declaration_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="on_delete='drop'"):
        ChangeTable(sequence="seq", operation="op", on_delete="drop")  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="arrival='commit' and committed=None"):
        ChangeTable(sequence="seq", operation="op", arrival="commit")
    world = Delta(tmp_path / "world")
    world.commit(FIRST)
    mine = shop(tmp_path, world.feed + ', cursor="at"')
    with pytest.raises(DeclarationError, match="a cursor and a change feed"):
        ingest(mine)
