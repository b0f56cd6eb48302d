"""The online file: exact values, one refresh at a time, and what a reader sees meanwhile."""

from __future__ import annotations

import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import CorruptError, DataError, UnavailableError
from headrace.core.sqlite_files import require_sound
from headrace.store.online_file.packed import DamagedRowError, PackedLayout
from headrace.store.online_file.rows import RowStore
from headrace.store.online_file.tables import EVENT, RowQuery, Watermark
from headrace.store.online_file.writing import PackedWriter


def mark(view: str = "v", tick_us: int = 10, layout: str = "l") -> Watermark:
    return Watermark(view=view, tick_us=tick_us, rows=0, layout=layout, history="h")


def ask(*keys: tuple[object, ...], columns: tuple[str, ...] = ("x",), view: str = "v") -> RowQuery:
    return RowQuery(view=view, join_keys=("a",), columns=columns, keys=keys)


def table(**columns: list[object]) -> pa.Table:
    return pa.table(columns)


def test_unknown_keys_and_null_keys_have_no_row(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    assert store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])]) == 1
    [found] = store.read([ask(("p",), ("q",), (None,), ("p",))])
    assert found.rows == [(1.5,), None, None, (1.5,)]
    assert found.watermark is not None
    assert (found.watermark.tick_us, found.watermark.rows) == (10, 1)


def test_before_the_first_refresh_nothing_is_there(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    [found] = store.read([ask(("p",))])
    assert (found.watermark, found.rows) == (None, [None])
    assert (store.watermarks(), store.count("v")) == ({}, 0)
    store.ensure("v", ["a"], ["x"])
    [found] = store.read([ask(("p",))])
    assert (found.watermark, found.rows) == (None, [None])


def test_a_column_that_was_never_written_is_no_value(tmp_path: Path) -> None:
    """SQLite reads an unknown name in double quotes as a string; that must not become a feature."""
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    [found] = store.read([ask(("p",), columns=("x", "y"))])
    assert (found.watermark, found.rows) == (None, [None])


NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False), st.just(-0.0), st.just(5e-324))
WHOLE = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=5))


def bits(value: object) -> object:
    return struct.pack("d", value) if isinstance(value, float) else value


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(NUMBERS, WHOLE, TEXTS), min_size=1, max_size=20), whole_keys=st.booleans())
def test_values_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[object, ...]], whole_keys: bool
) -> None:
    store = RowStore(tmp_path_factory.mktemp("rows") / "online.db")
    keys: list[object] = [i * 2**40 if whole_keys else f"k{i}" for i in range(len(rows))]
    columns = [pa.array(list(values)) for values in zip(*rows, strict=True)]
    types = (pa.float64(), pa.int64(), pa.string())
    chunk = pa.table([pa.array(keys), *(c.cast(t) for c, t in zip(columns, types, strict=True))], ["a", "x", "y", "z"])
    store.replace(mark(), ["a"], ["x", "y", "z"], [chunk.slice(0, 1), chunk.slice(1)])
    [found] = store.read([ask(*((key,) for key in keys), columns=("x", "y", "z"))])
    assert [tuple(map(bits, row or ())) for row in found.rows] == [tuple(map(bits, row)) for row in rows]


def test_a_refresh_that_dies_leaves_the_one_before(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(tick_us=10), ["a"], ["x"], [table(a=["p"], x=[1.0])])

    def dying() -> Iterator[pa.Table]:
        yield table(a=["p"], x=[2.0], y=[3.0])
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        store.replace(mark(tick_us=20), ["a"], ["x", "y"], dying())
    [found] = store.read([ask(("p",))])
    assert found.rows == [(1.0,)]
    assert found.watermark is not None
    assert found.watermark.tick_us == 10
    assert store.replace(mark(tick_us=20), ["a"], ["x", "y"], [table(a=["p"], x=[2.0], y=[3.0])]) == 1


def test_a_reader_sees_values_and_tick_of_the_same_refresh(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    keys = [f"k{i}" for i in range(50)]

    def refresh(tick: int) -> None:
        values = [float(tick)] * len(keys)
        for view in ("v", "w"):
            store.replace(mark(view=view, tick_us=tick), ["a"], ["x"], [table(a=keys, x=values)])

    refresh(0)
    writer = threading.Thread(target=lambda: [refresh(tick) for tick in range(1, 40)])
    writer.start()
    seen = set()
    try:
        while writer.is_alive():
            asks = [ask(*((key,) for key in keys)), ask(*((key,) for key in keys), view="w")]
            for found in store.read(asks):
                assert found.watermark is not None
                assert set(found.rows) == {(float(found.watermark.tick_us),)}
                seen.add(found.watermark.tick_us)
    finally:
        writer.join()
    assert store.read([ask(("k0",))])[0].rows == [(39.0,)]
    assert seen


def test_a_replaced_file_is_seen(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.0])])
    assert store.read([ask(("p",))])[0].rows == [(1.0,)]
    for path in tmp_path.glob("online.db*"):
        path.unlink()
    assert store.read([ask(("p",))])[0].rows == [None]
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[2.0])])
    assert store.read([ask(("p",))])[0].rows == [(2.0,)]


def test_pushed_rows_change_only_their_own(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x", "y"], [table(a=["p", "q"], x=[1.0, 2.0], y=["u", "v"])])
    store.upsert("v", ["a"], ["x"], [["q", 5.0], ["r", 6.0]])
    [found] = store.read([ask(("p",), ("q",), ("r",), columns=("x", "y"))])
    assert found.rows == [(1.0, "u"), (5.0, "v"), (6.0, None)]
    store.drop("v")
    assert (store.watermarks(), store.count("v")) == ({}, 0)


def test_composite_keys(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a", "b"], ["x"], [table(a=["p", "p"], b=[1, 2], x=[1.0, 2.0])])
    asked = RowQuery(view="v", join_keys=("a", "b"), columns=("x",), keys=[("p", 2), ("p", 1), ("p", None)])
    assert store.read([asked])[0].rows == [(2.0,), (1.0,), None]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "online.db"
    path.write_bytes(b"not a database at all, but long enough to be taken for one" * 50)
    store = RowStore(path)
    assert store.watermarks() == {}
    with pytest.raises(CorruptError, match=r"online\.db.*delete it"):
        store.read([ask(("p",))])
    with pytest.raises(CorruptError, match=r"online\.db.*delete it"):
        store.replace(mark(), ["a"], ["x"], [])


def changed_on_disk(store: RowStore, statement: str) -> None:
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute(statement)


def test_a_value_that_changed_on_disk_is_never_served(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    columns = [f"x{number}" for number in range(250)]  # more than a function of SQL takes
    rows = table(a=["p", "q"], **{name: [1.5, None] for name in columns})
    store.replace(mark(), ["a"], columns, [rows])
    assert store.checksums_match("v")
    [found] = store.read([ask(("p",), ("q",), columns=("x0", "x249"))])
    assert found.rows == [(1.5, 1.5), (None, None)]
    damaged = "CAST(substr(`row packed`, 1, 99) || x'aa' || substr(`row packed`, 101) AS BLOB)"
    changed_on_disk(store, f"UPDATE v SET `row packed` = {damaged} WHERE `key a` = 'p'")
    with pytest.raises(CorruptError, match="the online store is damaged"):
        store.read([ask(("p",), columns=("x0",))])
    [found] = store.read([ask(("q",), columns=("x0",))])
    assert found.rows == [(None,)]
    assert not store.checksums_match("v")
    store.replace(mark(), ["a"], columns, [rows])
    assert store.checksums_match("v")


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_flipped_bit_anywhere_is_never_a_wrong_value_and_is_mended(data: st.DataObject) -> None:
    values = {
        "a": [f"k{k}" for k in range(40)],
        "x": [k / 7 for k in range(40)],
        "name of a feature": [f"t{k}" for k in range(40)],
    }
    expected = list(zip(values["x"], values["name of a feature"], strict=True))
    query = ask(*[(key,) for key in values["a"]], columns=("x", "name of a feature"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "online.db"
        RowStore(path).replace(mark(), ["a"], ["x", "name of a feature"], [table(**values)])
        content = bytearray(path.read_bytes())
        used = [at for at, value in enumerate(content) if value]  # most bytes of the pages are unused
        at = data.draw(st.sampled_from(used), "byte")
        content[at] ^= 1 << data.draw(st.integers(0, 7), "bit")
        path.write_bytes(content)
        store = RowStore(path)
        try:
            [found] = store.read([query])
            assert all(row in (None, values) for row, values in zip(found.rows, expected, strict=True))
        except CorruptError:
            pass
        store.set_aside_if_damaged()
        try:
            store.replace(mark(), ["a"], ["x", "name of a feature"], [table(**values)])
        except CorruptError:  # names the file, and says to delete it
            path.unlink()
            store.replace(mark(), ["a"], ["x", "name of a feature"], [table(**values)])
        assert store.read([query])[0].rows == expected


def test_a_flipped_bit_in_the_schema_or_header_is_damage_for_single_rows_too(tmp_path: Path) -> None:
    """SQLite alone says that a column is unknown, or that the file is read only."""
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    content = store.path.read_bytes()
    for at in (18, content.index(b"row event_us"), content.index(b"columns TEXT")):
        store.path.write_bytes(bytes([*content[:at], content[at] ^ 1, *content[at + 1 :]]))
        damaged = RowStore(store.path)
        with pytest.raises(CorruptError, match="online store is damaged"):
            damaged.upsert("v", ["a"], ["x"], [("p", 2.5)])
        damaged.set_aside_if_damaged()
        assert not store.path.exists()


def test_a_file_that_another_process_has_locked_is_not_set_aside(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    require_sound(store.path, "", indexes=True)  # found sound before: what is left is to read its schema
    with pytest.MonkeyPatch.context() as patch, closing(sqlite3.connect(store.path)) as other:
        patch.setattr("headrace.store.online_file.rows.LOCK_TIMEOUT_S", 0)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="database is locked"):
            RowStore(store.path).set_aside_if_damaged()
    assert store.read([ask(("p",))])[0].rows == [(1.5,)]


def test_a_refresh_mends_an_event_time_that_changed_on_disk(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    changed_on_disk(store, "UPDATE v SET `row event_us` = 0")
    assert not store.checksums_match("v")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    assert store.read([ask(("p",))])[0].rows == [(1.5,)]


def test_statistics_that_a_visitor_leaves_are_no_damage(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    changed_on_disk(store, "ANALYZE")
    assert RowStore(store.path).is_sound()


def test_a_check_leaves_a_reader_its_locks(tmp_path: Path) -> None:
    """Closing the file drops SQLite's locks of a process: a last other process then takes the log from its readers."""
    store = RowStore(tmp_path / "online.db")
    store.ensure("v", ["a"], ["x"])
    store.upsert("v", ["a"], ["x"], [("p", 1.0)])
    assert store.read([ask(("p",))])[0].rows == [(1.0,)]
    assert store.is_sound()
    push = "import sys; from headrace.store.online_file.rows import RowStore; from pathlib import Path; "
    push += "RowStore(Path(sys.argv[1])).upsert('v', ['a'], ['x'], [('p', float(sys.argv[2]))])"
    for value in (2.0, 3.0):
        subprocess.run([sys.executable, "-c", push, str(store.path), str(value)], check=True)
        assert store.read([ask(("p",))])[0].rows == [(value,)]


def damaged_columns(path: Path) -> RowStore:
    """A view with a column per feature, where y of p changed on disk."""
    store = RowStore(path)
    store.ensure("v", ["a"], ["x", "y"])
    store.upsert("v", ["a"], ["x", "y", EVENT], [("p", 1.0, 2.0, 7), ("q", 3.0, 4.0, 7)])
    changed_on_disk(store, "UPDATE v SET y = 20.0 WHERE `key a` = 'p'")
    return RowStore(path)


def test_a_push_or_a_new_feature_makes_no_damaged_value_valid(tmp_path: Path) -> None:
    store = damaged_columns(tmp_path / "online.db")
    store.upsert("v", ["a"], ["x"], [("p", 5.0), ("q", 6.0), ("r", 7.0)])
    store.ensure("v", ["a"], ["x", "y", "z"], grow=True)
    store.upsert("v", ["a"], ["z"], [("p", 8.0), ("q", 9.0)])
    with pytest.raises(CorruptError, match="online store is damaged"):
        store.read([ask(("p",), columns=("y",))])
    assert not store.checksums_match("v")
    [found] = store.read([ask(("q",), ("r",), columns=("x", "y", "z"))])
    assert found.rows == [(6.0, 4.0, 9.0), (7.0, None, None)]
    store.upsert("v", ["a"], ["x", "y", "z", EVENT], [("p", 1.0, 2.0, 3.0, 9)])
    assert store.read([ask(("p",), columns=("x", "y", "z"))])[0].rows == [(1.0, 2.0, 3.0)]
    assert store.checksums_match("v")


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    connect = sqlite3.connect

    def small(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.execute("PRAGMA max_page_count = 8")
        return connection

    rows = table(a=[f"k{number}" for number in range(20_000)], x=[float(number) for number in range(20_000)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        with pytest.raises(UnavailableError, match=r"online\.db.*full.*make room on its disk"):
            store.replace(mark(tick_us=20), ["a"], ["x"], [rows])
    [found] = store.read([ask(("p",))])
    assert found.rows == [(1.5,)]
    assert found.watermark is not None
    assert found.watermark.tick_us == 10


def test_a_file_of_before_has_no_checksum_of_its_schema_and_is_read(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    changed_on_disk(store, "PRAGMA user_version = 0")
    assert RowStore(store.path).is_sound()
    store.upsert("v", ["a"], ["x"], [("p", 2.5)])
    assert store.read([ask(("p",))])[0].rows == [(2.5,)]


@pytest.mark.parametrize("damaged", [b"\xff", b"", b"0", b'12345678[["x"],["d"]]', b'[["x"]', b"[1,2]"])
def test_a_damaged_layout_is_an_error_until_the_next_refresh(tmp_path: Path, damaged: bytes) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE headrace_layouts SET columns = CAST(? AS TEXT)", (damaged,))
    store = RowStore(store.path)
    with pytest.raises(CorruptError, match="online store is damaged"):
        store.read([ask(("p",))])
    with pytest.raises(CorruptError, match="online store is damaged"):
        store.upsert("v", ["a"], ["x"], [("p", 2.5)])
    store.ensure("v", ["a"], ["x"])  # as Feast does where the view is published again
    assert not store.checksums_match("v")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    assert store.read([ask(("p",))])[0].rows == [(1.5,)]


def test_a_layout_of_before_has_no_checksum_and_is_read(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE headrace_layouts SET columns = ?", ('[["x"], ["d"]]',))
    assert RowStore(store.path).read([ask(("p",))])[0].rows == [(1.5,)]


def test_checksums_follow_pushed_rows_and_new_columns(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.5])])
    store.upsert("v", ["a"], ["x"], [("p", 2.5), ("q", 3)])
    assert store.checksums_match("v")
    store.ensure("v", ["a"], ["x", "y"], grow=True)
    [found] = store.read([ask(("p",), ("q",), columns=("x", "y"))])
    assert found.rows == [(2.5, None), (3, None)]
    assert store.checksums_match("v")


def test_rows_of_before_have_no_checksum_and_are_read(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.ensure("v", ["a"], ["x"])
    store.upsert("v", ["a"], ["x"], [("p", 1.5)])
    changed_on_disk(store, "ALTER TABLE v DROP COLUMN `row sum`")
    [found] = store.read([ask(("p",))])
    assert found.rows == [(1.5,)]
    assert store.checksums_match("v")


def test_only_rows_that_changed_are_written(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    keys = [f"k{number:02d}" for number in range(50)]
    store.replace(mark(tick_us=10), ["a"], ["x"], [table(a=keys, x=[1.0] * 50)])
    changed: list[int] = []
    finish = PackedWriter.finish

    def counting(self: PackedWriter) -> int:
        changed.append(self.changed)
        return finish(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PackedWriter, "finish", counting)
        store.replace(mark(tick_us=20), ["a"], ["x"], [table(a=keys, x=[1.0] * 48 + [2.0, None])])
    assert changed == [2]
    [found] = store.read([ask(("k00",), ("k48",), ("k49",))])
    assert found.rows == [(1.0,), (2.0,), (None,)]
    assert found.watermark is not None
    assert found.watermark.tick_us == 20


def test_keys_that_a_refresh_lacks_are_removed(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a", "b"], ["x"], [table(a=["p", "p", "q"], b=[1, 2, 1], x=[1.0, 2.0, 3.0])])
    assert store.replace(mark(), ["a", "b"], ["x"], [table(a=["p"], b=[2], x=[2.0])]) == 1
    asked = RowQuery(view="v", join_keys=("a", "b"), columns=("x",), keys=[("p", 2), ("p", 1), ("q", 1)])
    assert store.read([asked])[0].rows == [(2.0,), None, None]
    assert (store.count("v"), len(written_keys(store))) == (1, 1)


def written_keys(store: RowStore) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(store.path)) as database:
        return database.execute("SELECT `key a`, `key b` FROM v").fetchall()


def test_a_refresh_replaces_a_pushed_row(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    rows = table(a=["p"], x=[1.0])
    store.replace(mark(), ["a"], ["x"], [rows])
    store.upsert("v", ["a"], ["x", EVENT], [("p", 1.0, 77)])
    assert store.read([ask(("p",), columns=(EVENT, "x"))])[0].rows == [(77, 1.0)]
    store.replace(mark(), ["a"], ["x"], [rows])
    assert store.read([ask(("p",), columns=(EVENT, "x"))])[0].rows == [(None, 1.0)]


def test_a_pushed_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[1.0])])
    with pytest.raises(DataError, match="no column 'y' before the next refresh"):
        store.upsert("v", ["a"], ["y"], [("p", 1.0)])


def test_rows_of_a_release_without_packed_rows_are_read_and_replaced(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "online.db")
    store.ensure("v", ["a"], ["x"])
    store.upsert("v", ["a"], ["x"], [("p", 1.0)])
    assert store.read([ask(("p",))])[0].rows == [(1.0,)]
    store.replace(mark(), ["a"], ["x"], [table(a=["p"], x=[2.0])])
    assert store.read([ask(("p",))])[0].rows == [(2.0,)]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(NUMBERS, WHOLE, TEXTS, TEXTS), min_size=1, max_size=12))
def test_one_row_is_packed_as_many_are(rows: list[tuple[object, ...]]) -> None:
    names, types = ["x", "y", "z", "u"], (pa.float64(), pa.int64(), pa.string(), pa.string())
    arrays = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), types, strict=True)]
    layout = PackedLayout.of(pa.table(arrays, names).schema, names)
    keys = [(number, "k") for number in range(len(rows))]
    many = list(layout.encode(pa.table(arrays, names), keys))
    one = [layout.encode_row(row, key, None) for row, key in zip(rows, keys, strict=True)]  # type: ignore[arg-type]
    assert many == one
    decode = layout.decoder(("u", "x"))
    assert [tuple(map(bits, decode(packed, key, None))) for packed, key in zip(many, keys, strict=True)] == [
        (bits(row[3]), bits(row[0])) for row in rows
    ]
    with pytest.raises(DamagedRowError):
        decode(many[0], (1, "other"), None)
