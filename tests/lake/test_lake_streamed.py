"""Tables larger than memory: their files have the rows of a snapshot in memory, however they are divided."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from headrace.core import parquet
from headrace.core.errors import DataError
from headrace.lake import snapshot
from headrace.lake.snapshot import Snapshot
from headrace.lake.store import Lake
from headrace.lake.streamed import repeats, table_files, version_order
from headrace.lake.streamed.key_digests import key_digests
from headrace.lake.times import TIMESTAMP
from headrace.lake.versions import kept_versions
from headrace.schema import Table
from tests.full_disk import full_disk

THINGS = Table(name="things", key=("id", "part"), source="-")
NUMBERED = Table(name="things", key="id", source="-")

Row = tuple[int, str | None, float | None]
row = st.tuples(st.integers(0, 2), st.sampled_from(["a", None]), st.sampled_from([None, 0.0, 1.0]))
#: Rows of a batch, its arrival (None: a bootstrap load), how much earlier each of its rows arrived (empty: with it),
#: and whether it lacks a column, has it all empty, has whole numbers in it, or has another column.
batches = st.tuples(
    st.lists(row, min_size=1, max_size=5),
    st.sampled_from([None, 10, 11, 12, 14]),
    st.sampled_from([(), (), (0, 3), (4, 1, 0), (2, 2)]),
    st.sampled_from(["", "", "", "lacks", "empty", "whole", "more"]),
)
History = list[tuple[list[Row], int | None, tuple[int, ...], str]]


def append(lake: Lake, number: int, batch: tuple[list[Row], int | None, tuple[int, ...], str], table: Table) -> None:
    values, at, early, shape = batch
    found = {(one, part) if table is THINGS else (one, None): (part, value) for one, part, value in values}
    columns = {
        "id": pa.array([key[0] for key in found], pa.int64()),
        "part": pa.array([part for part, _ in found.values()], pa.string()),
        "value": pa.array([value for _, value in found.values()], pa.float64()),
    }
    if shape == "lacks":
        del columns["value"]
    elif shape == "empty":
        columns["value"] = pa.nulls(len(found))
    elif shape == "whole":
        columns["value"] = columns["value"].cast(pa.int64())
    elif shape == "more":
        columns["more"] = pa.array([number % 2 == 0] * len(found))
    if early and at is not None:
        columns["_arrival"] = pa.array([at - early[each % len(early)] for each in range(len(found))], TIMESTAMP)
    lake.append(table, pa.table(columns), arrival_us=at or 0, bootstrap=at is None, source=str(number))


def from_every_batch(found: Snapshot) -> pa.Table:
    """The twin: the rows of a snapshot, assembled in memory from all of its batches."""
    ordered = sorted(found.batches("things"), key=snapshot.precedence)
    return snapshot._numbered(snapshot._assemble("things", ordered))


def in_files(found: Snapshot) -> pa.Table:
    return pa.concat_tables([parquet.read(path) for path in found.files("things")])


#: A repeat is dropped; a late row comes before it, and it becomes a version.
A_REPEAT_THAT_COUNTS_LATER: History = [
    ([(0, "a", None)], 10, (), ""),
    ([(0, "a", None)], 11, (), ""),
    ([(0, "a", 0.0)], 14, (4,), ""),
]


@example(history=A_REPEAT_THAT_COUNTS_LATER, part_rows=1, most_files=3, every=1, table=THINGS)
@settings(max_examples=15, deadline=None)
@given(
    history=st.lists(batches, min_size=1, max_size=7),
    part_rows=st.integers(1, 6),
    most_files=st.integers(1, 4),
    every=st.integers(1, 3),
    table=st.sampled_from([THINGS, NUMBERED]),
)
def test_the_files_have_the_rows_of_a_snapshot_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    history: History,
    part_rows: int,
    most_files: int,
    every: int,
    table: Table,
) -> None:
    """With late rows, repeats, other columns and types, first loads; written at once and extended batch by batch."""
    lake = Lake(tmp_path_factory.mktemp("lake"), "p")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_files, "PART_BYTES", 0)
        patch.setattr(table_files, "LEAST_ROWS", part_rows)
        patch.setattr(repeats, "_DIGESTS_AT_ONCE", 3)
        patch.setattr(table_files, "MOST_FILES", most_files)
        for number, batch in enumerate(history):
            append(lake, number, batch, table)
            if number % every and number + 1 < len(history):
                continue
            found = lake.snapshot()
            expected = from_every_batch(found)
            rows = in_files(found)
            assert rows.equals(expected)
            assert rows.schema.equals(expected.schema)
            assert found.schema("things").equals(expected.schema)
            patch.setattr(snapshot, "LARGE_BYTES", -1)
            assert lake.snapshot().table("things").equals(expected)
            patch.setattr(snapshot, "LARGE_BYTES", 128 << 20)
            loaded = lake.snapshot()
            assert loaded.table("things").equals(expected)
            assert loaded.schema("things").equals(expected.schema)
            earlier = lake.snapshot(11)
            if earlier.batches("things"):
                assert in_files(earlier).equals(from_every_batch(earlier))


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40),
    size=st.integers(1, 9),
    collide=st.booleans(),
)
def test_repeats_are_those_of_the_whole_table(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[int, bool]], size: int, collide: bool
) -> None:
    """Also where different keys share a digest."""
    rows = pa.table(
        {
            "id": pa.array([str(key) for key, _ in values], pa.string()),
            "value": pa.array([value for _, value in values], pa.bool_()),
            "_arrival": pa.array(range(len(values)), pa.int64()),
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        if collide:
            patch.setattr(repeats, "key_digests", lambda rows, keys: key_digests(rows, keys) % np.uint64(2))
        found = repeats.find_repeats(_InMemory(rows, size), ["id"], tmp_path_factory.mktemp("work"), part_rows=size)
    assert (~found).tolist() == kept_versions(rows, ["id"]).tolist()


class _InMemory:
    """Rows of a table in parts."""

    def __init__(self, table: pa.Table, size: int) -> None:
        self._table, self._size, self.rows, self.schema = table, size, table.num_rows, table.schema

    def parts(self, columns: object = None, only: object = None) -> object:
        return ((at, self._table.slice(at, self._size)) for at in range(0, self.rows, self._size))


def test_keys_that_are_equal_have_equal_digests_whatever_is_beside_them() -> None:
    """A null beside whole numbers does not make floats of them."""
    columns = {
        "number": pa.array([2**60 + 1, None, 5], pa.int64()),
        "text": pa.array(["a", None, ""]),
        "float": pa.array([0.0, None, 1.5]),
        "flag": pa.array([True, None, False]),
        "time": pa.array([0, None, 7], TIMESTAMP),
    }
    rows = pa.table(columns)
    for name in columns:
        both = key_digests(rows, [name])
        assert len(set(both.tolist())) == 3
        assert [key_digests(rows.slice(at, 1), [name])[0] for at in range(3)] == both.tolist()
    other = rows.set_column(2, "float", pa.array([-0.0, None, 1.5]))
    assert key_digests(other, [*columns]).tolist() == key_digests(rows, [*columns]).tolist()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake of four batches, of which the first three are in files."""
    lake = Lake(tmp_path, "p")
    for number in range(3):
        append(lake, number, ([(number, "a", 1.0)], 10 + number, (), ""), THINGS)
    in_files(lake.snapshot())
    append(lake, 3, ([(0, "a", 1.0), (1, "a", 2.0)], 20, (), ""), THINGS)
    return lake


def folders(lake: Lake) -> list[Path]:
    return sorted(item for item in (lake.folder / "in-files" / "things").iterdir() if item.is_dir())


def test_later_batches_extend_the_files(lake: Lake) -> None:
    (before,) = folders(lake)
    rows = in_files(lake.snapshot())
    assert rows["id"].to_pylist() == [0, 1, 2, 1]  # one row of the last batch is a repeat
    first, after = folders(lake)[0], folders(lake)[1]
    assert first == before
    assert (after / "000000.parquet").stat().st_ino == (before / "000000.parquet").stat().st_ino
    assert parquet.read(after / "000001.parquet").num_rows == 1


def test_damaged_files_are_written_again(lake: Lake) -> None:
    expected = in_files(lake.snapshot())
    (folders(lake)[1] / "000001.parquet").write_bytes(b"damaged")
    assert in_files(lake.snapshot()).equals(expected)
    shutil.rmtree(lake.folder / "in-files")
    assert in_files(lake.snapshot()).equals(expected)


def test_folders_that_nobody_opens_are_removed(lake: Lake) -> None:
    (first,) = folders(lake)
    (first.parent / ".work-killed").mkdir()
    old = time.time() - table_files.UNUSED_S - 60
    in_files(lake.snapshot())
    os.utime(first, (old, old))
    append(lake, 4, ([(5, "a", 1.0)], 21, (), ""), THINGS)
    in_files(lake.snapshot())
    assert [item.name[:8] for item in folders(lake)] == ["00000004", "00000005"]


def test_a_full_disk_is_an_error_that_names_the_folder(lake: Lake) -> None:
    with full_disk(), pytest.raises(DataError, match=r"in-files.*cannot be written to files .*make room"):
        in_files(lake.snapshot())
    assert len(folders(lake)) == 1


def test_many_arrivals_are_sorted_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches whose arrivals overlap, one instant of which has most rows."""
    monkeypatch.setattr(version_order, "_SAMPLED", 50)
    monkeypatch.setattr(table_files, "PART_BYTES", 0)
    monkeypatch.setattr(table_files, "LEAST_ROWS", 100)
    rng, lake = np.random.default_rng(0), Lake(tmp_path, "p")
    for number in range(2):
        arrival = np.where(rng.random(3_000) < 0.5, 500, rng.integers(0, 1_000, 3_000))
        rows = {
            "id": pa.array(rng.permutation(3_000)),
            "value": pa.array(rng.integers(0, 2, 3_000)),
            "_arrival": pa.array(arrival, TIMESTAMP),
        }
        lake.append(NUMBERED, pa.table(rows), arrival_us=1_000, source=str(number))
    assert in_files(lake.snapshot()).equals(from_every_batch(lake.snapshot()))
