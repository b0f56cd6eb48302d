"""Appending is idempotent, corrections are versions, snapshots never change, a kill leaves nothing half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from headrace.core.clock import BEFORE_ALL, DAY
from headrace.core.errors import CorruptError, DataError, NotFoundError
from headrace.lake.store import Lake
from headrace.lake.times import TIMESTAMP
from headrace.schema import Table

THINGS = Table(name="things", key="id", source="-")


def things(values: dict[int, float | None], **more: object) -> pa.Table:
    return pa.table({"id": list(values), "value": pa.array(list(values.values()), pa.float64()), **more})


def content(lake: Lake, as_of_us: int | None = None) -> list[tuple[int, float | None, int]]:
    rows = lake.snapshot(as_of_us).table("things").to_pylist()
    assert [row["_order"] for row in rows] == list(range(len(rows)))
    return [(row["id"], row["value"], row["_arrival"]) for row in rows]


def test_same_batch_twice_changes_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    first = lake.append(THINGS, things({1: 1.0, 2: None}), arrival_us=5)
    print_before = lake.snapshot().fingerprint
    shuffled = things({2: None, 1: 1.0}).select(["value", "id"])
    again = lake.append(THINGS, shuffled, arrival_us=9)
    assert first.new
    assert not again.new
    assert (again.id, again.arrival_us) == (first.id, 5)
    assert lake.snapshot().fingerprint == print_before
    assert content(lake) == [(1, 1.0, 5), (2, None, 5)]


def test_what_a_killed_append_left_is_removed_by_the_next_even_of_the_same_batch(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    batch = lake.append(THINGS, things({1: 1.0}), arrival_us=5)
    table = tmp_path / "lake" / "p" / "tables" / "things"
    assert (table / batch.id).is_dir()
    (table / f".{batch.id}.0123.tmp").mkdir()
    (table / "..batches.json.copy.0123.tmp").touch()  # of the index: the batch itself is finished
    lake.append(THINGS, things({1: 1.0}), arrival_us=5)
    assert list(table.glob(".*.tmp")) == []


def test_corrections_become_versions_and_repeats_bring_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    lake.append(THINGS, things({1: 1.0, 2: 2.0}), arrival_us=0, bootstrap=True)
    lake.append(THINGS, things({1: 1.5, 2: 2.0, 3: None}), arrival_us=10)
    assert content(lake) == [(1, 1.0, BEFORE_ALL), (2, 2.0, BEFORE_ALL), (1, 1.5, 10), (3, None, 10)]
    assert content(lake, 9) == [(1, 1.0, BEFORE_ALL), (2, 2.0, BEFORE_ALL)]


def test_a_value_may_return_when_its_source_is_another(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    for day, price in enumerate([10.0, 12.0, 10.0]):
        lake.append(THINGS, things({1: price}), arrival_us=day, source=f"dump of day {day}")
    assert [value for _, value, _ in content(lake)] == [10.0, 12.0, 10.0]


def test_rows_bring_their_own_arrival(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    lake.append(THINGS, things({1: 5.0}, _arrival=pa.array([4], TIMESTAMP)), arrival_us=10)
    lake.append(THINGS, things({1: 3.0}, _arrival=pa.array([2], TIMESTAMP)), arrival_us=10)
    assert content(lake) == [(1, 3.0, 2), (1, 5.0, 4)]
    with pytest.raises(DataError, match="rows arrive after their batch"):
        lake.append(THINGS, things({1: 5.0}, _arrival=pa.array([11], TIMESTAMP)), arrival_us=10)


batch_rows = st.dictionaries(st.integers(0, 4), st.one_of(st.none(), st.sampled_from([0.0, 1.0])), min_size=1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(batch_rows, min_size=1, max_size=4), data=st.data())
def test_any_order_and_any_resending_give_the_same_snapshot(
    tmp_path_factory: pytest.TempPathFactory, batches: list[dict[int, float | None]], data: st.DataObject
) -> None:
    straight = Lake(tmp_path_factory.mktemp("straight"), "p")
    for number, rows in enumerate(batches):
        straight.append(THINGS, things(rows), arrival_us=number, source=str(number))
    order = data.draw(st.permutations(range(len(batches))))
    resent = data.draw(st.lists(st.sampled_from(order), max_size=3))
    other = Lake(tmp_path_factory.mktemp("other"), "p")
    for number in [*order, *resent]:
        other.append(THINGS, things(batches[number]), arrival_us=number, source=str(number))
    assert other.snapshot().table("things").equals(straight.snapshot().table("things"))
    assert other.snapshot().fingerprint == straight.snapshot().fingerprint
    latest: dict[int, float | None] = {}
    for rows in batches:
        latest |= rows
    assert {key: value for key, value, _ in content(other)} == latest


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(batch_rows, min_size=2, max_size=5))
def test_earlier_snapshots_never_change(
    tmp_path_factory: pytest.TempPathFactory, batches: list[dict[int, float | None]]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"), "p")
    seen = []
    for number, rows in enumerate(batches):
        lake.append(THINGS, things(rows), arrival_us=number, source=str(number))
        snapshot = lake.snapshot(number)
        seen.append((snapshot.fingerprint, snapshot.table("things")))
    for number, (fingerprint, rows) in enumerate(seen):
        assert lake.snapshot(number).fingerprint == fingerprint
        assert lake.snapshot(number).table("things").equals(rows)


def test_more_and_fewer_columns_are_united(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    lake.append(THINGS, pa.table({"id": [1], "whole": [1], "empty": pa.nulls(1)}), arrival_us=0)
    lake.append(THINGS, pa.table({"id": [2], "whole": [1.5], "new": ["x"]}), arrival_us=1)
    rows = lake.snapshot().table("things")
    assert rows.select(["id", "whole", "new", "empty"]).to_pylist() == [
        {"id": 1, "whole": 1.0, "new": None, "empty": None},
        {"id": 2, "whole": 1.5, "new": "x", "empty": None},
    ]
    with pytest.raises(DataError, match=r"things.new: int64 in this batch, but string in batch 000001"):
        lake.append(THINGS, pa.table({"id": [3], "new": [7]}), arrival_us=2)
    assert len(lake.batches("things")) == 2


def test_key_cannot_change_and_bootstrap_cannot_be_empty(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    with pytest.raises(DataError, match="no rows"):
        lake.append(THINGS, things({}), arrival_us=0, bootstrap=True)
    lake.append(THINGS, things({1: 1.0}), arrival_us=0)
    with pytest.raises(DataError, match="the key was id"):
        lake.append(Table(name="things", key="value", source="-"), things({2: 1.0}), arrival_us=0)


def test_changed_bytes_are_found_before_they_are_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    batch = lake.append(THINGS, things({1: 1.0}), arrival_us=0)
    path = batch.path / "rows.parquet"
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(CorruptError, match=r"rows.parquet"):
        lake.snapshot().table("things")


def test_nothing_of_a_table(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing of table 'things' has come"):
        Lake(tmp_path, "p").snapshot().table("things")


def test_quarantine_keeps_the_batch_as_it_came(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    rows = pa.table({"whatever": ["x"]})
    path = lake.quarantine(THINGS, rows, arrival_us=3, reasons=[{"reason": "no key"}])
    assert path == lake.quarantine(THINGS, rows, arrival_us=4, reasons=[{"reason": "no key"}])
    assert "no key" in (path / "reasons.json").read_text()
    assert lake.batches("things") == ()
    assert lake.tables() == ()


def test_clock_only_moves_forward(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    assert lake.clock() is None
    assert lake.advance_clock(10) == 10
    assert lake.advance_clock(5) == 10
    assert lake.clock() == Lake(tmp_path, "p").clock() == 10


KILLED = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
import headrace.lake.batch as batch
from headrace.lake.store import Lake
from headrace.schema import Table
moment = sys.argv[2]
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
if moment == "before the manifest": batch.write_manifest = die
if moment == "before the rename": Path.rename = die
Lake(Path(sys.argv[1]), "p").append(Table(name="things", key="id", source="-"), pa.table({"id": [1]}), arrival_us=0)
"""


@pytest.mark.parametrize("moment", ["before the manifest", "before the rename", "never"])
def test_a_killed_append_leaves_nothing_or_all(tmp_path: Path, moment: str) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), moment], env=os.environ, check=False)
    lake = Lake(tmp_path, "p")
    if moment == "never":
        assert killed.returncode == 0
        assert len(lake.batches("things")) == 1
    else:
        assert killed.returncode == -signal.SIGKILL
        assert lake.batches("things") == ()
    assert lake.append(THINGS, pa.table({"id": [1]}), arrival_us=0).new == (moment != "never")
    assert lake.snapshot().table("things")["id"].to_pylist() == [1]
    assert not list((tmp_path / "lake/p/tables/things").glob(".*.tmp"))


def test_a_clock_behind_its_data_is_moved_on_and_that_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(tmp_path, "p")
    assert lake.catch_up(DAY) is None
    lake.append(THINGS, things({1: 1.0}), arrival_us=BEFORE_ALL, bootstrap=True)
    lake.advance_clock(DAY)
    lake.append(THINGS, things({1: 2.0}), arrival_us=2 * DAY)
    assert lake.catch_up(DAY) == DAY  # a kill came between the batch and the clock
    assert not caplog.text
    lake.append(THINGS, things({1: 3.0}), arrival_us=9 * DAY)
    assert lake.catch_up(DAY) == lake.clock() == 9 * DAY
    assert "behind its data" in caplog.text


@pytest.mark.parametrize("name", ["clock.json", ".clock.json.copy"])
def test_a_damaged_clock_is_mended(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    lake = Lake(tmp_path, "p")
    lake.advance_clock(5)
    assert lake.clock() == 5
    (lake.folder / name).write_bytes(b"{}")
    assert lake.clock() == 5
    assert name in caplog.text
    assert lake.advance_clock(7) == lake.clock() == 7


LARGEST = 2**53


def references(values: list[int | float | None], kind: pa.DataType) -> pa.Table:
    return pa.table({"id": range(len(values)), "value": pa.array(values, kind)})


def test_whole_numbers_that_come_as_floats_keep_their_type(tmp_path: Path) -> None:
    """A pandas frame with a gap has floats in place of whole numbers."""
    lake = Lake(tmp_path, "p")
    lake.append(THINGS, references([LARGEST + 1], pa.int64()), arrival_us=0)
    lake.append(THINGS, references([None, -2.0, float(LARGEST)], pa.float64()), arrival_us=1)
    values = lake.snapshot().table("things")["value"]
    assert values.type == pa.int64()
    assert values.to_pylist() == [LARGEST + 1, None, -2, LARGEST]


@pytest.mark.parametrize("value", [0.5, 2.0**54])
def test_whole_numbers_that_floats_cannot_hold_refuse_a_batch_of_floats(tmp_path: Path, value: float) -> None:
    lake = Lake(tmp_path, "p")
    first = lake.append(THINGS, references([1, LARGEST + 1], pa.int64()), arrival_us=0)
    with pytest.raises(DataError, match=rf"things.value.*{LARGEST + 1} in {first.id}.*as text"):
        lake.append(THINGS, references([value], pa.float64()), arrival_us=1)
    assert lake.snapshot().table("things")["value"].to_pylist() == [1, LARGEST + 1]


def test_a_batch_of_whole_numbers_that_floats_cannot_hold_is_refused_after_floats(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "p")
    lake.append(THINGS, references([0.5, 2.0], pa.float64()), arrival_us=0)
    with pytest.raises(DataError, match=rf"things.value.*{-LARGEST - 1} in this batch.*as text"):
        lake.append(THINGS, references([3, -LARGEST - 1], pa.int64()), arrival_us=1)
    lake.append(THINGS, references([-LARGEST, 7], pa.int64()), arrival_us=1)
    assert lake.snapshot().table("things")["value"].to_pylist() == [0.5, 2.0, -LARGEST, 7.0]
