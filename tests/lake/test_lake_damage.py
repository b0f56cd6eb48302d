"""Batches that were damaged: found when they are read, named, and written again from rows that are the same."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.core.errors import CorruptError
from headrace.core.replicas import replica_path
from headrace.lake import batch as batches
from headrace.lake import store
from headrace.lake.batch import DamagedBatch
from headrace.lake.batch_index import INDEX, write_index
from headrace.lake.repair import find_damaged, restore
from headrace.lake.store import Lake
from headrace.schema import Table

THINGS = Table(name="things", key="id", source="-")
FILES = ("rows.parquet", "batch.json", "manifest.json")


def things(first: int) -> pa.Table:
    return pa.table({"id": range(first, first + 50), "value": np.arange(50) / 7, "name": [f"n{i}" for i in range(50)]})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three batches: the middle one is damaged by the tests."""
    lake = Lake(tmp_path, "p")
    for day in range(3):
        lake.append(THINGS, things(50 * day), arrival_us=day)
    return lake


def middle(lake: Lake) -> Path:
    return sorted((lake.folder / "tables" / "things").glob("0*"))[1]


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_found_and_mended(lake: Lake, name: str) -> None:
    whole = lake.snapshot().table("things")
    path = middle(lake) / name
    data = path.read_bytes()
    for place in np.random.default_rng(0).integers(8 * len(data), size=12).tolist():
        flip(path, place)
        try:
            found = lake.snapshot().table("things")
            assert found.equals(whole)  # a space that is another space
            assert json.loads(path.read_bytes()) == json.loads(data)
        except DamagedBatch:
            (one,) = find_damaged(lake)
            if not restore(lake, one):
                assert name == "rows.parquet"
                assert restore(lake, one, THINGS, things(50))
        assert lake.snapshot().table("things").equals(whole)
        assert path.read_bytes() == data
        assert find_damaged(lake) == ()


@pytest.mark.parametrize("damage", ["gone", "emptied", "braces", "of another batch"])
@pytest.mark.parametrize("name", [*FILES, ""])
def test_damage_is_named_and_mended(lake: Lake, name: str, damage: str) -> None:
    before, path = lake.snapshot(), middle(lake) / name
    if damage == "gone" or not name:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "braces":
        path.write_bytes(b"{}")
    else:
        shutil.copyfile(sorted(path.parent.parent.glob("0*"))[0] / name, path)
    with pytest.raises(DamagedBatch, match=rf"{middle_name(path, name)}: a damaged batch: .*headrace run"):
        lake.snapshot().table("things")
    (one,) = find_damaged(lake)
    assert not restore(lake, one, THINGS, things(7))
    assert restore(lake, one) or restore(lake, one, THINGS, things(50))
    assert lake.snapshot().fingerprint == before.fingerprint
    assert lake.snapshot().table("things").equals(before.table("things"))


def middle_name(path: Path, name: str) -> str:
    return path.name if not name else path.parent.name


def test_what_is_damaged_is_not_added_to(lake: Lake) -> None:
    flip(middle(lake) / "rows.parquet", 100)
    with pytest.raises(DamagedBatch, match="a damaged batch"):
        lake.append(THINGS, things(200), arrival_us=9)


def test_a_batch_that_is_given_up_is_gone_on_without(lake: Lake) -> None:
    folder = middle(lake)
    shutil.rmtree(folder)
    (lake.folder / "given-up" / "things" / folder.name).mkdir(parents=True)
    assert find_damaged(lake) == ()
    assert lake.snapshot().table("things").num_rows == 100
    lake.append(THINGS, things(200), arrival_us=9)
    assert lake.snapshot().table("things").num_rows == 150


def test_the_last_batch_is_missed_too(lake: Lake) -> None:
    last = sorted((lake.folder / "tables" / "things").glob("0*"))[-1]
    shutil.rmtree(last)
    with pytest.raises(DamagedBatch, match=rf"{last.name}: a damaged batch: it is gone"):
        lake.batches("things")


def test_without_its_index_a_lake_is_read_as_it_lies(lake: Lake) -> None:
    """A lake of an earlier version has none; the next batch writes it. Damage to it alone is mended from its copy."""
    path = lake.folder / "tables" / "things" / INDEX
    path.write_text("{")
    assert lake.snapshot().table("things").num_rows == 150
    path.write_text("{")
    replica_path(path).write_text("")
    with pytest.raises(CorruptError, match=INDEX):
        lake.snapshot()
    path.unlink()
    replica_path(path).unlink()
    assert lake.snapshot().table("things").num_rows == 150
    lake.append(THINGS, things(200), arrival_us=9)
    shutil.rmtree(middle(lake))
    with pytest.raises(DamagedBatch, match="it is gone"):
        lake.snapshot()


def test_a_batch_that_was_committed_and_not_noted_is_as_good(lake: Lake) -> None:
    path = lake.folder / "tables" / "things" / INDEX
    earlier = {item: item.read_bytes() for item in (path, replica_path(path))}
    lake.append(THINGS, things(200), arrival_us=9)
    for item, data in earlier.items():  # a kill between the two
        item.write_bytes(data)
    assert len(lake.batches("things")) == 4
    assert not lake.append(THINGS, things(200), arrival_us=9).new
    shutil.rmtree(sorted(path.parent.glob("0*"))[-1])
    with pytest.raises(DamagedBatch, match="it is gone"):
        lake.batches("things")


def test_a_damaged_refusal_is_kept_again(lake: Lake) -> None:
    reasons = [{"expectation": "e", "reason": "r"}]
    folder = lake.quarantine(THINGS, things(0), arrival_us=1, reasons=reasons)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    flip(folder / "rows.parquet", 400)
    assert lake.quarantine(THINGS, things(0), arrival_us=1, reasons=reasons) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_rows_of_another_table_are_not_taken_for_a_batch(lake: Lake) -> None:
    """They lack the key: which is said by the library in its own words."""
    pq.write_table(pa.table({"customer_id": ["c1"]}), middle(lake) / "rows.parquet")
    (one,) = find_damaged(lake)
    assert not restore(lake, one)
    assert restore(lake, one, THINGS, things(50))


def test_a_batch_whose_types_came_from_the_batches_before_it_is_mended(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    with_gap = pa.table({"id": [2, 3], "value": pa.array([2.0, None])})
    lake.append(THINGS, pa.table({"id": [1], "value": [1]}), arrival_us=0)
    lake.append(THINGS, with_gap, arrival_us=1)  # int64, as before
    lake.append(THINGS, pa.table({"id": [4], "value": [0.5]}), arrival_us=2)
    before = lake.snapshot().table("things")
    shutil.rmtree(middle(lake))
    (one,) = find_damaged(lake)
    assert restore(lake, one, THINGS, with_gap)
    assert lake.snapshot().table("things").equals(before)


@pytest.mark.parametrize("failing", ["write_manifest", "staged_folder"])
def test_mending_that_breaks_off_loses_no_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """A full disk or a kill, before the new folder is whole and between the two renames."""
    before = lake.snapshot().table("things")
    (middle(lake) / "batch.json").write_bytes(b"")
    (one,) = find_damaged(lake)
    with monkeypatch.context() as patched:
        patched.setattr(batches, failing, full_disk if failing == "write_manifest" else killed_before_the_rename)
        with pytest.raises(OSError, match="No space left"):
            restore(lake, one)
    (one,) = find_damaged(lake)
    assert restore(lake, one)
    assert lake.snapshot().table("things").equals(before)
    assert batches.set_aside(middle(lake)) == ()


def full_disk(*args: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def killed_before_the_rename(final: Path) -> Iterator[Path]:
    staged = final.with_name(f".{final.name}.0123.tmp")
    staged.mkdir()
    yield staged
    full_disk()


def test_the_rows_of_a_batch_that_was_given_up_may_come_again(lake: Lake) -> None:
    last = sorted((lake.folder / "tables" / "things").glob("0*"))[-1]
    shutil.rmtree(last)
    (lake.folder / "given-up" / "things" / last.name).mkdir(parents=True)
    again = lake.append(THINGS, things(100), arrival_us=9)
    assert again.new
    assert again.sequence == 3
    assert lake.snapshot().table("things").num_rows == 150
    assert not lake.append(THINGS, things(100), arrival_us=9).new


def test_a_batch_that_is_appended_while_a_table_is_read_is_no_damage(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process appends between the two reads: of the index, and of the folders."""
    read = store.read_index
    monkeypatch.setattr(store, "read_index", lambda home: appended_first(lake, home, read))
    assert len(lake.batches("things")) in (3, 4)


def appended_first(lake: Lake, home: Path, read: Callable[[Path], Mapping[str, object]]) -> Mapping[str, object]:
    folder = home / "000003-0123456789abcdef"
    if not folder.exists():
        rows = batches.content(things(200), ("id",), "things", "")
        facts = {**batches.batch_facts(batches.read(middle(lake))), "digest": rows.digest, "arrival_us": 9}
        batches.write(folder, rows.rows, facts)
        write_index(home, {**read(home), folder.name: facts})
    return read(home)
