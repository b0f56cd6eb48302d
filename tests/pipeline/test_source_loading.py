"""Sources into the lake: in chunks, only what is new, all or nothing; times of parent rows; what cannot be read."""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock, Timeout
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.core.errors import DataError, UnavailableError
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.production import loading
from headrace.pipeline.stages import ingest as ingest_stage
from headrace.problems.catalogue import load_problem
from headrace.problems.sources import reading
from headrace.problems.sources.addresses import as_source
from headrace.problems.sources.reading import SourceReader
from headrace.schema import Table
from headrace.testing import shop_world
from tests.pipeline.shop import Shop

DECLARATION = """
from headrace.schema import EntitySet, Problem, Relationship, Table, each_row

races = Table(name="races", key="race_id", time="date", resolution="1d", source="races.csv")
results = Table(name="results", key="result_id", source={source}, {options})
problem = Problem(
    name="shop",
    entity_set=EntitySet(tables=[races, results], relationships=[Relationship("races.race_id", "results.race_id")]),
    spine=each_row("results", cutoff={cutoff}),
    label="points > 3",
)
"""
START = datetime(2024, 1, 1, tzinfo=UTC)


def shop(
    folder: Path, source: str = "'results.csv'", options: str = 'time="at", tz="UTC"', cutoff: str = "'at'"
) -> Shop:
    (folder / "races.csv").write_text("race_id,date\n" + "".join(f"{i},2024-01-{i + 1:02d}\n" for i in range(9)))
    text = DECLARATION.format(source=source, options=options, cutoff=cutoff)
    (folder / "problem.py").write_text(text)
    return Shop(path=folder / "problem.py", home=folder / "home")


def result(number: int) -> str:
    at = START + timedelta(hours=number)
    return f"{number},{number % 9},{at:%Y-%m-%d %H:%M:%S},{number % 7}"


def write_csv(folder: Path, numbers: range) -> None:
    lines = ["result_id,race_id,at,points", *map(result, numbers)]
    (folder / "results.csv").write_text("\n".join(lines) + "\n")


def write_database(folder: Path, numbers: range) -> None:
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute(
            "create table if not exists results (result_id integer, race_id integer, at datetime, points real)"
        )
        database.executemany(
            "insert into results values (?, ?, ?, ?)", [result(number).split(",") for number in numbers]
        )
    database.close()


def loaded(shop: Shop, table: str = "results") -> list[dict[str, object]]:
    """The rows in the lake, without the columns of versions."""
    rows = Lake(shop.home, "shop").snapshot().table(table)
    return rows.drop_columns(["_arrival", "_order"]).sort_by("result_id").to_pylist()


def sizes(shop: Shop) -> list[int]:
    return [batch.rows for batch in Lake(shop.home, "shop").batches("results")]


def ingest(shop: Shop) -> None:
    shop.run().run_stage("ingest")


def test_chunks_are_batches_with_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whole", "chunks"):
        (tmp_path / name).mkdir()
        write_csv(tmp_path / name, range(150))
    whole, chunked = shop(tmp_path / "whole"), shop(tmp_path / "chunks")
    ingest(whole)
    monkeypatch.setattr(reading, "CHUNK_BYTES", 500)
    monkeypatch.setattr("headrace.problems.sources.files.WHOLE", 0)
    monkeypatch.setattr("headrace.problems.sources.csv_files.BLOCK", 1200)
    ingest(chunked)
    assert len(sizes(whole)) == 1
    assert len(sizes(chunked)) > 2
    assert loaded(chunked) == loaded(whole)
    assert not (chunked.home / "lake" / "shop" / "incoming" / "results").exists()


@pytest.mark.parametrize("cursor", ["at", "result_id"])
def test_only_rows_beyond_the_cursor_are_read_again(tmp_path: Path, cursor: str) -> None:
    write_database(tmp_path, range(100))
    mine = shop(tmp_path, '"sqlite:///shop.db#results"', f'time="at", tz="UTC", cursor="{cursor}"')
    ingest(mine)
    write_database(tmp_path, range(100, 130))
    ingest(mine)
    ingest(mine)
    assert sizes(mine) == [100, 30]
    assert [row["result_id"] for row in loaded(mine)] == list(range(130))
    clock = Lake(mine.home, "shop").clock()
    assert clock == int((START + timedelta(hours=129)).timestamp() * 1e6) + 1


def test_a_table_that_returns_to_an_older_state_is_a_version(tmp_path: Path) -> None:
    mine = shop(tmp_path)
    for points in (5, 8, 5, 5, 8):
        lines = [f"3,3,2024-01-01 03:00:00,{points}", result(4)]
        (tmp_path / "results.csv").write_text("\n".join(["result_id,race_id,at,points", *lines]) + "\n")
        ingest(mine)
        ingest(mine)
    assert [row["points"] for row in loaded(mine) if row["result_id"] == 3] == [5, 8, 5, 8]
    assert len(sizes(mine)) == 4


@pytest.mark.parametrize("text_key", [False, True])
def test_a_table_of_several_chunks_that_returns_to_an_older_state_is_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text_key: bool
) -> None:
    """Only the chunk that differs from what the lake holds is appended again."""
    monkeypatch.setattr(reading, "CHUNK_BYTES", 500)
    monkeypatch.setattr("headrace.problems.sources.files.WHOLE", 0)
    monkeypatch.setattr("headrace.problems.sources.csv_files.BLOCK", 1200)
    mine = shop(tmp_path)
    last = 0
    for state, points in enumerate((5, 8, 5, 5, 8, 6, 8)):
        lines = [result(number) for number in range(100, 250)]
        lines[3] = f"103,3,2024-01-01 03:00:00,{points}"
        if text_key:
            lines = [f"k{line}" for line in lines]
        (tmp_path / "results.csv").write_text("\n".join(["result_id,race_id,at,points", *lines]) + "\n")
        ingest(mine)
        if state == 0:
            last = len(sizes(mine))
            assert last > 2
        count = len(sizes(mine))
        ingest(mine)
        assert len(sizes(mine)) == count
    key = "k103" if text_key else 103
    assert [row["points"] for row in loaded(mine) if row["result_id"] == key] == [5, 8, 5, 8, 6, 8]
    assert len(sizes(mine)) == last + 5


def test_a_later_load_arrives_later_although_the_newest_rows_were_deleted(tmp_path: Path) -> None:
    mine = shop(tmp_path)
    write_csv(tmp_path, range(20))
    ingest(mine)
    for points in ("8", "9"):
        (tmp_path / "results.csv").write_text(
            "\n".join(["result_id,race_id,at,points", f"3,3,2024-01-01 03:00:00,{points}"]) + "\n"
        )
        ingest(mine)
    assert [row["points"] for row in loaded(mine) if row["result_id"] == 3] == [3, 8, 9]
    arrivals = [batch.arrival_us for batch in Lake(mine.home, "shop").batches("results")]
    assert arrivals == sorted(arrivals)


def test_a_correction_arrives_no_earlier_than_the_tick_that_was_served(tmp_path: Path) -> None:
    """What is known before a tick is seen at it. Events move the clock exactly onto ticks."""
    mine = shop(tmp_path)
    write_csv(tmp_path, range(20))
    ingest(mine)
    lake, tick = Lake(mine.home, "shop"), int((START + timedelta(days=2)).timestamp() * 1e6)
    lake.advance_clock(tick)
    (tmp_path / "results.csv").write_text(
        (tmp_path / "results.csv").read_text().replace("3,3,2024-01-01 03:00:00,3", "3,3,2024-01-01 03:00:00,8")
    )
    ingest(mine)
    assert [row["points"] for row in loaded(mine) if row["result_id"] == 3] == [3, 8]
    assert lake.batches("results")[-1].arrival_us == tick
    assert lake.clock() == tick


def test_rows_at_the_end_of_the_cursor_that_came_later_are_not_lost(tmp_path: Path) -> None:
    mine = shop(tmp_path, options='time="at", tz="UTC", cursor="points"')
    write_csv(tmp_path, range(6))  # points 0 to 5
    ingest(mine)
    lines = (tmp_path / "results.csv").read_text() + "90,1,2024-01-02 00:00:00,5\n91,1,2024-01-02 00:00:00,4\n"
    (tmp_path / "results.csv").write_text(lines)
    ingest(mine)
    assert [row["result_id"] for row in loaded(mine)] == [0, 1, 2, 3, 4, 5, 90]
    assert sizes(mine) == [6, 1]


def test_a_load_that_was_killed_is_read_again_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path, range(10))
    mine = shop(tmp_path, options='time="at", tz="UTC", cursor="at"')
    ingest(mine)
    write_csv(tmp_path, range(40))
    with monkeypatch.context() as patch:
        patch.setattr(reading, "CHUNK_BYTES", 100)
        patch.setattr("headrace.problems.sources.files.WHOLE", 0)
        patch.setattr("headrace.problems.sources.csv_files.BLOCK", 400)
        appended = loading.append_batch

        def killed(lake: Lake, *arguments: object, **options: object) -> object:
            if len(lake.batches("results")) > 1:
                raise KeyboardInterrupt
            return appended(lake, *arguments, **options)  # type: ignore[arg-type]

        patch.setattr(loading, "append_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(mine)
    assert 10 < len(loaded(mine)) < 40
    ingest(mine)
    assert [row["result_id"] for row in loaded(mine)] == list(range(40))


def test_a_key_in_two_chunks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path, range(100))
    (tmp_path / "results.csv").write_text((tmp_path / "results.csv").read_text() + "3,1,2024-01-02 00:00:00,5\n")
    monkeypatch.setattr(reading, "CHUNK_BYTES", 500)
    monkeypatch.setattr("headrace.problems.sources.files.WHOLE", 0)
    monkeypatch.setattr("headrace.problems.sources.csv_files.BLOCK", 1200)
    mine = shop(tmp_path)
    with pytest.raises(DataError, match=r"refused.*1 duplicate keys \(result_id\). found: 3"):
        ingest(mine)
    assert sum(sizes(mine)) == 0


@settings(max_examples=25, deadline=None)
@example(chunks=[[0], [25], [0, 25]], ascending=False, text=False)  # keys of two earlier chunks
@given(
    chunks=st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=5, unique=True), max_size=6),
    ascending=st.booleans(),
    text=st.booleans(),
)
def test_keys_of_chunks_are_compared(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[list[int]], ascending: bool, text: bool
) -> None:
    """A key that an earlier chunk has is found, wherever the chunks are; its twin holds all keys."""
    folder, seen = tmp_path_factory.mktemp("load"), set[int]()
    if ascending:
        chunks = [[10 * number + key % 10 for key in keys] for number, keys in enumerate(chunks)]
    load = loading.Load(table=Table(name="things", key="id", source="-"), folder=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "history_end", lambda *_: 0)
        for keys in map(set, chunks):
            ids = pa.array(sorted(keys), pa.int64())
            rows = pa.table({"id": ids.cast(pa.string()) if text else ids})
            if seen & keys:
                with pytest.raises(DataError, match=f"{len(seen & keys)} duplicate keys"):
                    load.require_new_keys(rows)
                return
            load.require_new_keys(rows)
            load.add(shop_world.problem, rows)
            seen |= keys
    if ascending and not text:
        assert not load._digests  # nothing had to be compared


def test_chunks_that_do_not_fit_below_a_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path, range(150))
    monkeypatch.setattr(reading, "CHUNK_BYTES", 500)
    monkeypatch.setattr("headrace.problems.sources.files.WHOLE", 0)
    monkeypatch.setattr("headrace.problems.sources.csv_files.BLOCK", 1200)
    mine = shop(tmp_path)
    run = mine.run()
    run.context = replace(run.context, max_memory=1_000_000)
    with pytest.raises(DataError, match=r"1 MB is not enough to load a source in chunks.*give at least") as refused:
        run.run_stage("ingest")
    assert refused.value.facts["enough_mb"] > 1
    assert sizes(mine) == []


def test_a_source_that_changes_while_it_is_read_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path, range(100))
    monkeypatch.setattr(reading, "CHUNK_BYTES", 500)
    monkeypatch.setattr("headrace.problems.sources.files.WHOLE", 0)
    monkeypatch.setattr("headrace.problems.sources.csv_files.BLOCK", 1200)
    mine = shop(tmp_path)
    checked = loading.checked_batch

    def written_meanwhile(*arguments: object) -> object:
        write_csv(tmp_path, range(120))
        return checked(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "checked_batch", written_meanwhile)
    with pytest.raises(
        DataError, match=r"results.csv: the source changed while it was read.*rename it when it is whole"
    ):
        ingest(mine)
    assert not (mine.home / "lake" / "shop" / "tables" / "results").exists()


def test_the_time_of_a_parent_is_joined(tmp_path: Path) -> None:
    write_csv(tmp_path, range(20))
    mine = shop(
        tmp_path,
        options='time="races.date", known_at={"points": "races.date + 1d"}, roles={"at": "ignore"}',
        cutoff="'races.date'",
    )
    problem = load_problem(mine.path)
    table = problem.entity_set.table("results")
    assert (table.time, table.resolution, problem.cutoff.column) == ("races_date", "1d", "races_date")
    ingest(mine)
    assert [row["races_date"] for row in loaded(mine)][:3] == [
        START,
        START + timedelta(days=1),
        START + timedelta(days=2),
    ]
    (tmp_path / "results.csv").write_text("result_id,race_id,points\n1,77,3\n2,1,9\n")
    with pytest.raises(DataError, match="races_date"):  # a race that is not there: no time, and so refused
        shop(
            tmp_path / "home", source="'../results.csv'", options='time="races.date"', cutoff="'races.date'"
        ).run().run_stage("ingest")


def test_a_foreign_key_of_another_type_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("result_id,race_id,points\n1,r1,3\n2,r2,9\n")
    mine = shop(tmp_path, options='time="races.date"', cutoff="'races.date'")
    with pytest.raises(DataError, match=r"race_id is string, and the key of races is int64. write both with one type"):
        ingest(mine)


@pytest.mark.parametrize("kind", ["csv", "sql"])
def test_texts_without_a_value(tmp_path: Path, kind: str) -> None:
    lines = [r"0,0,2024-01-01 10:00:00,\N", "1,NA,2024-01-01 11:00:00,5", "2,None,2024-01-01 12:00:00,2.5"]
    if kind == "csv":
        (tmp_path / "results.csv").write_text("\n".join(["result_id,team,at,points", *lines]) + "\n")
    else:
        with sqlite3.connect(tmp_path / "shop.db") as database:
            database.execute("create table results (result_id integer, team text, at datetime, points text)")
            database.executemany("insert into results values (?, ?, ?, ?)", [line.split(",") for line in lines])
        database.close()
    source = "'results.csv'" if kind == "csv" else "'sqlite:///shop.db#results'"
    mine = shop(tmp_path, source, 'time="at", tz="UTC", null_values=("\\\\N", "NA")')
    problem = load_problem(mine.path)
    rows = SourceReader.of(problem).rows(problem.entity_set.table("results"))
    assert rows["points"].to_pylist() == [None, 5.0, 2.5]
    assert rows["team"].to_pylist() == ["0", None, "None"]


def test_a_nested_column_is_refused_or_ignored(tmp_path: Path) -> None:
    rows = pa.table(
        {"result_id": [1], "race_id": [1], "at": [START], "points": [4.0], "driver": [{"name": "a", "born": 1990}]}
    )
    pq.write_table(rows, tmp_path / "results.parquet")
    with pytest.raises(DataError, match=r"results.driver: the type struct<.*> cannot be kept.*role 'ignore'"):
        ingest(shop(tmp_path, "'results.parquet'", 'time="at"'))
    (tmp_path / "home2").mkdir()
    mine = shop(tmp_path / "home2", "'../results.parquet'", 'time="at", roles={"driver": "ignore"}')
    problem = load_problem(mine.path)
    assert SourceReader.of(problem).rows(problem.entity_set.table("results")).num_rows == 1


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://me:secret@127.0.0.1:1/shop#orders",
        "postgresql+adbc://me:secret@127.0.0.1:1/shop#orders",
        "s3://shop/orders.parquet?endpoint_override=127.0.0.1:1&scheme=http&region=us-east-1",
        "http://127.0.0.1:1/orders.csv",
    ],
)
def test_a_service_that_is_gone_is_named_without_its_password(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with pytest.raises(UnavailableError, match="does not answer") as found:
        as_source(address).read()
    assert "127.0.0.1:1" in str(found.value)
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    ("address", "package", "extra"),
    [
        ("duckdb:///shop.duckdb#orders", "duckdb", "duckdb"),
        ("delta:///orders", "deltalake", "delta"),
        ("iceberg://shop/sales.orders", "pyiceberg", "iceberg"),
        ("postgresql+adbc://host/shop#orders", "adbc_driver_postgresql", "postgres"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    address: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=rf"{package} is not installed\. pip install 'headrace\[{extra}\]'"):
        as_source(address).read()


VALUES = st.sampled_from(["", "1", "2", "3.5", "x", "true", "2024-01-01", "NA"])


@settings(max_examples=40, deadline=None)
@example(columns=[("", ""), ("", ""), ("", ""), ("", "3.5")])  # PyArrow names the row in its error
@given(columns=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=40))
def test_a_csv_in_blocks_has_the_values_of_one_that_is_read_whole(
    columns: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import pyarrow.fs as fs

    from headrace.problems.sources.csv_files import Dialect, csv_batches, csv_types, read_csv

    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    path.write_text("n,a,b\n" + "".join(f"{i},{a},{b}\n" for i, (a, b) in enumerate(columns)))
    local, dialect = fs.LocalFileSystem(), Dialect()
    types = csv_types(local, str(path), dialect, block=24)
    blocks = pa.Table.from_batches(list(csv_batches(local, str(path), types, dialect, block=24)))
    whole = read_csv(local, str(path), {}, dialect)
    for name in whole.column_names:
        assert [_plain(value) for value in blocks[name].to_pylist()] == [
            _plain(value) for value in whole[name].to_pylist()
        ]


def _plain(value: object) -> object:
    """A date, time or condition as its text: how the lake reads both."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, int | float) or value is None else _number(str(value))


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text.removesuffix(" 00:00:00")


def test_chunks_of_numbers_that_cannot_be_read_together_are_refused_whole(tmp_path: Path) -> None:
    mine = shop(tmp_path)
    write_csv(tmp_path, range(1))
    problem, table = load_problem(mine.path), load_problem(mine.path).entity_set.table("results")
    chunks = [
        pa.table({"result_id": [number], "race_id": [1], "at": ["2024-01-01 00:00:00"], "points": [points]})
        for number, points in enumerate([2**53 + 1, 0.5])
    ]
    with loading.prepared(problem, mine.home, table, chunks) as load:
        outcome = loading.commit(problem, mine.home, load, arrival_us=0, bootstrap=True)
    assert outcome.quarantined is not None
    assert f"{2**53 + 1} in chunk 1" in outcome.quarantined.reasons[0]
    assert sizes(mine) == []


def test_loads_at_once_do_not_share_what_waits_on_disk(tmp_path: Path) -> None:
    mine = shop(tmp_path)
    write_csv(tmp_path, range(1))
    problem, table = load_problem(mine.path), load_problem(mine.path).entity_set.table("results")

    def chunks(first: int) -> list[pa.Table]:
        return [
            pa.table({"result_id": [number], "race_id": [1], "at": ["2024-01-01 00:00:00"], "points": [1]})
            for number in range(first, first + 3)
        ]

    with loading.prepared(problem, mine.home, table, chunks(0)) as load:
        with loading.prepared(problem, mine.home, table, chunks(10)) as other:
            assert [chunk["result_id"].to_pylist() for chunk in other.chunks()] == [[10], [11], [12]]
        assert [chunk["result_id"].to_pylist() for chunk in load.chunks()] == [[0], [1], [2]]
    assert not (Lake(mine.home, "shop").folder / "incoming" / "results").exists()


def test_one_run_at_a_time_loads_and_removes_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, held = shop(tmp_path), []
    write_csv(tmp_path, range(3))
    left = Lake(mine.home, "shop").folder / "incoming" / "results" / "0123"
    left.mkdir(parents=True)
    load = ingest_stage._load

    def watched(context: Context, lake: Lake, *, first: bool) -> Any:
        with pytest.raises(Timeout):
            FileLock(ingest_stage.load_lock(context), timeout=0).acquire()
        held.append(first)
        return load(context, lake, first=first)

    monkeypatch.setattr(ingest_stage, "_load", watched)
    ingest(mine)
    assert held == [True]
    assert not left.exists()
    assert sizes(mine) == [3]
