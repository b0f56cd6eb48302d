"""Assembled rows are a cache: with and without them, in memory or on disk, a snapshot has the same rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from headrace.core.errors import CorruptError
from headrace.lake import assembled, snapshot
from headrace.lake.batch import Batch
from headrace.lake.snapshot import Snapshot
from headrace.lake.store import Lake
from headrace.lake.times import TIMESTAMP
from headrace.schema import Table

THINGS = Table(name="things", key=("id", "part"), source="-")

Row = tuple[int, str | None, float | None]
row = st.tuples(st.integers(0, 2), st.sampled_from(["a", None]), st.sampled_from([None, 0.0, 1.0]))
#: Rows of a batch, its arrival, and how much earlier its rows arrived (None: with it).
batches = st.tuples(st.lists(row, min_size=1, max_size=4), st.integers(10, 14), st.sampled_from([None, None, 0, 3]))


def append(lake: Lake, number: int, values: list[Row], at: int, early: int | None) -> None:
    found = {(one, part): value for one, part, value in values}
    columns = {
        "id": pa.array([key[0] for key in found], pa.int64()),
        "part": pa.array([key[1] for key in found], pa.string()),
        "value": pa.array(list(found.values()), pa.float64()),
    }
    if number % 3 == 2:
        columns["more"] = pa.nulls(len(found), pa.string())
    if early is not None:
        columns["_arrival"] = pa.array([at - early] * len(found), TIMESTAMP)
    lake.append(THINGS, pa.table(columns), arrival_us=at, source=str(number))


def from_every_batch(lake: Lake) -> pa.Table:
    """The rows of a snapshot, read from all of its batches."""
    ordered = sorted(lake.snapshot().batches("things"), key=snapshot.precedence)
    return snapshot._numbered(snapshot._assemble("things", ordered))


#: The third row is a repeat, hence dropped; the fourth arrives before it and makes it a version of its own.
A_REPEAT_THAT_COUNTS_LATER: list[tuple[list[Row], int, int | None]] = [
    ([(0, "a", None)], 10, None),
    ([(0, "a", None)], 10, None),
    ([(0, "a", None)], 11, None),
    ([(0, "a", 0.0)], 13, 3),
]


@example(history=A_REPEAT_THAT_COUNTS_LATER, many=1)
@settings(max_examples=15, deadline=None)
@given(history=st.lists(batches, min_size=3, max_size=8), many=st.integers(1, 3))
def test_a_snapshot_has_the_rows_of_all_batches(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[list[Row], int, int | None]],
    many: int,
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), "p")
    earlier: Snapshot | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembled, "MANY", many)
        for number, (values, at, early) in enumerate(history):
            append(lake, number, values, at, early)
            expected = from_every_batch(lake)
            assert lake.snapshot().table("things").equals(expected)  # from disk
            if number % 2:
                continue
            extended = lake.snapshot()
            if earlier is not None:
                extended.reuse(earlier)
            assert extended.table("things").equals(expected)  # from memory
            earlier = extended


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake of five batches, of which the first four are assembled."""
    monkeypatch.setattr(assembled, "MANY", 4)
    lake = Lake(tmp_path, "p")
    for number in range(4):
        append(lake, number, [(number, "a", 1.0)], 10 + number, None)
    lake.snapshot().table("things")
    append(lake, 4, [(0, "a", 2.0)], 20, None)
    return lake


def test_only_later_batches_are_read(long: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, loaded, load = from_every_batch(long), list[int](), snapshot.load

    def counted(batch: Batch) -> pa.Table:
        loaded.append(batch.sequence)
        return load(batch)

    monkeypatch.setattr(snapshot, "load", counted)
    assert long.snapshot().table("things").equals(expected)
    assert loaded == [4]
    assert len(long.snapshot(12).table("things")) == 3  # a snapshot of an earlier instant is not covered
    assert loaded == [4, 0, 1, 2]


def test_damaged_or_missing_assembled_rows_are_made_again(long: Lake) -> None:
    (folder,) = (long.folder / "assembled" / "things").iterdir()
    expected = from_every_batch(long)
    (folder / "rows.parquet").write_bytes(b"damaged")
    assert long.snapshot().table("things").equals(expected)
    shutil.rmtree(long.folder / "assembled")
    assert long.snapshot().table("things").equals(expected)


def test_a_missing_batch_is_an_error_although_its_rows_are_assembled(long: Lake) -> None:
    shutil.rmtree(long.batches("things")[1].path)
    with pytest.raises(CorruptError, match="it is gone"):
        long.snapshot()


def test_a_file_that_is_superseded_is_removed(long: Lake) -> None:
    for number in range(5, 9):
        append(long, number, [(number, "a", 1.0)], 20 + number, None)
    assert long.snapshot().table("things").equals(from_every_batch(long))
    assert [item.name[:8] for item in (long.folder / "assembled" / "things").iterdir()] == ["00000009"]


def test_a_lake_that_cannot_be_written_is_read(long: Lake) -> None:
    shutil.rmtree(long.folder / "assembled")
    (long.folder / "assembled").write_text("in the way")
    assert long.snapshot().table("things").equals(from_every_batch(long))
