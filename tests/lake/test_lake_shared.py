"""A lake on an object store: what other homes see, what is fetched again, and which stores are refused."""

from __future__ import annotations

import pickle
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.errors import ConflictError, CorruptError, DataError, DeclarationError, UnavailableError
from headrace.core.settings import settings
from headrace.lake.batch import DamagedBatch, load
from headrace.lake.cursor import newest, record
from headrace.lake.object_store import cloud
from headrace.lake.object_store.log import Log
from headrace.lake.object_store.objects import open_objects
from headrace.lake.repair import find_damaged, restore
from headrace.lake.store import Lake
from headrace.schema import Table
from tests.lake.shared_lakes import PARTS, THINGS, lake_at, state, things
from tests.problems.s3 import s3


@pytest.fixture(params=["folder", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty store."""
    if request.param == "folder":
        (tmp_path / "store").mkdir()
        yield f"file://{tmp_path}/store"
    else:
        with s3("lakes") as endpoint:
            yield f"s3://lakes/of/{tmp_path.name}?endpoint_override={endpoint}"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """An empty store in a folder."""
    (tmp_path / "store").mkdir()
    return f"file://{tmp_path}/store"


def test_homes_share_batches_clock_quarantine_and_cursors(tmp_path: Path, address: str) -> None:
    table = Table(name="things", key="id", source="-", cursor="id")
    one, other = lake_at(tmp_path / "one", address), lake_at(tmp_path / "other", address)
    one.append(table, things({1: 1.0, 2: None}), arrival_us=0, bootstrap=True)
    record(one, table, 2)
    refused = one.quarantine(PARTS, pa.table({"x": ["y"]}), arrival_us=3, reasons=[{"reason": "no key"}])
    assert one.advance_clock(7) == 7
    assert other.clock() == 7
    since = newest(other, table)
    assert since is not None
    assert since.value == 2
    found = other.folder / refused.relative_to(one.folder)
    assert {path.name: path.read_bytes() for path in found.iterdir()} == {
        path.name: path.read_bytes() for path in refused.iterdir()
    }
    assert not other.append(table, things({2: None, 1: 1.0}), arrival_us=9).new
    assert other.append(table, things({3: 1.0}), arrival_us=9).id.startswith("000001-")
    assert other.advance_clock(5) == 7
    assert state(one) == state(other)
    for batch in one.batches("things"):
        assert (other.folder / "tables/things" / batch.id / "batch.json").read_bytes() == (
            batch.path / "batch.json"
        ).read_bytes()


def test_the_setting_names_the_store(tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Lake(tmp_path, "p").is_shared
    settings.cache_clear()
    monkeypatch.setenv("HEADRACE_LAKE", folder)
    try:
        assert Lake(tmp_path, "p").is_shared
        assert not Lake(tmp_path, "p", store="").is_shared
    finally:
        settings.cache_clear()


def test_a_lake_of_one_home_is_uploaded_by_the_first_change(tmp_path: Path, address: str) -> None:
    local = Lake(tmp_path / "one", "p", store="")
    for day in range(3):
        local.append(THINGS, things({day: 1.0}), arrival_us=day)
    local.quarantine(THINGS, things({}), arrival_us=1, reasons=[])
    local.advance_clock(4)
    before = state(local)
    one = lake_at(tmp_path / "one", address)
    assert state(one) == before
    assert lake_at(tmp_path / "other", address).clock() is None  # reading uploads nothing
    one.append(THINGS, things({2: 1.0}), arrival_us=9)
    other = lake_at(tmp_path / "other", address)
    assert state(other) == before
    one.append(THINGS, things({2: 2.0}), arrival_us=9)
    assert state(other) == state(one) != before


def test_a_home_with_another_lake_is_refused(tmp_path: Path, folder: str) -> None:
    lake_at(tmp_path / "one", folder).append(THINGS, things({1: 1.0}), arrival_us=1)
    for same in (True, False):
        Lake(tmp_path / str(same), "p", store="").append(THINGS, things({1: 1.0 if same else 2.0}), arrival_us=1)
    assert lake_at(tmp_path / "True", folder).snapshot().table("things").num_rows == 1
    other = lake_at(tmp_path / "False", folder)
    for ask in (other.snapshot, lambda: other.advance_clock(5)):
        with pytest.raises(ConflictError, match=r"not the one that this home is a copy of.*things/000000-"):
            ask()
    assert Lake(tmp_path / "False", "p", store="").snapshot().table("things")["value"].to_pylist() == [2.0]


def test_a_store_that_was_emptied_or_begun_anew_is_not_added_to(tmp_path: Path, folder: str) -> None:
    one = lake_at(tmp_path / "one", folder)
    one.append(THINGS, things({1: 1.0}), arrival_us=1)
    shutil.rmtree(tmp_path / "store" / "p")
    with pytest.raises(ConflictError, match="lacks the last change"):
        one.append(THINGS, things({2: 1.0}), arrival_us=1)
    anew = lake_at(tmp_path / "anew", folder)
    for value in (1.0, 2.0):
        anew.append(THINGS, things({1: value}), arrival_us=1)
    with pytest.raises(ConflictError, match="lacks the last change"):
        one.append(THINGS, things({2: 1.0}), arrival_us=1)
    with pytest.raises(ConflictError, match=r"entry 1 of its log does not follow"):
        one.refresh()


def test_a_lost_entry_is_not_taken_for_the_end(tmp_path: Path, folder: str) -> None:
    one = lake_at(tmp_path / "one", folder)
    for key in range(3):
        one.append(THINGS, things({key: 1.0}), arrival_us=1)
    (tmp_path / "store/p/log/00000001.json").rename(tmp_path / "lost")
    with pytest.raises(CorruptError, match=r"log is gone.*versioning"):
        lake_at(tmp_path / "other", folder).snapshot()
    (tmp_path / "store/p/log/00000001.json").write_text("{")
    with pytest.raises(CorruptError, match="not readable"):
        lake_at(tmp_path / "other", folder).snapshot()
    (tmp_path / "lost").rename(tmp_path / "store/p/log/00000001.json")
    assert state(lake_at(tmp_path / "other", folder)) == state(one)


@pytest.mark.parametrize("name", ["rows.parquet", "batch.json", "manifest.json", ""])
def test_what_is_damaged_in_a_home_is_fetched_again(tmp_path: Path, folder: str, name: str) -> None:
    one = lake_at(tmp_path / "one", folder)
    batch = one.append(THINGS, things({key: key / 7 for key in range(50)}), arrival_us=1)
    whole, snapshot = state(one), one.snapshot()
    for damage in (b"", None):
        path = batch.path / name
        if path.is_dir():
            shutil.rmtree(path)
        elif damage is None:
            path.unlink()
        else:
            path.write_bytes(damage)
        assert load(one.batches("things")[0]).num_rows == 50
        assert state(lake_at(tmp_path / "one", folder)) == whole
        assert find_damaged(one) == ()
    (batch.path / "rows.parquet").write_bytes(b"")
    assert snapshot.table("things").num_rows == 50


def test_a_run_mends_a_home_from_the_store(tmp_path: Path, folder: str) -> None:
    one = lake_at(tmp_path / "one", folder)
    batch = one.append(THINGS, things({1: 1.0}), arrival_us=1)
    whole = state(one)
    shutil.rmtree(batch.path)
    (damaged,) = find_damaged(one)
    assert restore(one, damaged)
    assert state(one) == whole


def test_rows_that_the_store_lost_are_named_and_can_be_given_up(tmp_path: Path, folder: str) -> None:
    one = lake_at(tmp_path / "one", folder)
    kept, lost = (one.append(THINGS, things({key: 1.0}), arrival_us=1) for key in (1, 2))
    data = {path.name: path for path in (tmp_path / "store/p/data").iterdir()}
    (entry,) = Log(open_objects(folder), "p").after(0)
    path = data[entry.changes[0]["files"]["rows.parquet"]]
    rows = path.read_bytes()
    for damage, match in ((None, "has lost it"), (rows[:-1] + b"!", "holds other bytes")):
        path.unlink(missing_ok=True)
        if damage is not None:
            path.write_bytes(damage)
        with pytest.raises(DamagedBatch, match=rf"{match}.*mkdir -p .*/other/lake/p/given-up/things/{lost.id}"):
            lake_at(tmp_path / "other", folder).snapshot()
    shutil.rmtree(lost.path)
    (one.folder / "given-up/things" / lost.id).mkdir(parents=True)
    assert [batch.id for batch in one.batches("things")] == [kept.id]
    one.append(THINGS, things({3: 1.0}), arrival_us=1)
    assert state(lake_at(tmp_path / "other", folder)) == state(one)


def test_rows_that_do_not_fit_are_refused_by_every_home(tmp_path: Path, folder: str) -> None:
    one, other = lake_at(tmp_path / "one", folder), lake_at(tmp_path / "other", folder)
    one.append(THINGS, pa.table({"id": [1], "new": ["x"]}), arrival_us=1)
    with pytest.raises(DataError, match="new"):
        other.append(THINGS, pa.table({"id": [2], "new": [7]}), arrival_us=1)
    with pytest.raises(DataError, match="the key was id"):
        other.append(Table(name="things", key="new", source="-"), pa.table({"id": [2], "new": ["y"]}), arrival_us=1)
    assert len(Log(open_objects(folder), "p").after(-1)) == 1


def test_an_answer_that_is_lost_is_not_taken_for_another_machines(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library sends the request again, and that one finds the entry which the first one made."""
    one = lake_at(tmp_path / "one", folder)
    objects = open_objects(folder)
    create = objects.create
    monkeypatch.setattr(objects, "create", lambda name, data: create(name, data) and False)
    assert one.append(THINGS, things({1: 1.0}), arrival_us=1).new
    assert len(Log(objects, "p").after(-1)) == 1


def test_the_store_is_asked_once_where_nothing_is_new(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake_at(tmp_path / "one", folder).append(THINGS, things({1: 1.0}), arrival_us=1)
    objects, asked = open_objects(folder), []
    for name in ("read", "names", "fetch", "create", "write"):
        before = getattr(objects, name)
        monkeypatch.setattr(
            objects, name, lambda *given, before=before, name=name: asked.append(name) or before(*given)
        )
    lake = lake_at(tmp_path / "one", folder)
    for _ in range(3):
        lake.clock()
        lake.batches("things")
        Lake(tmp_path / "one", "p", store=folder).snapshot().table("things")
    assert asked == ["read"]


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("/mnt/lake", "no address of a store.*file:///folder"),
        ("ftp://host/lake", "no address of a store"),
        ("s3://key:planted@bucket/lake", "holds credentials.*AWS_ACCESS_KEY_ID"),
    ],
)
def test_what_is_no_address_of_a_store_is_refused(tmp_path: Path, address: str, match: str) -> None:
    with pytest.raises(DeclarationError, match=rf"setting HEADRACE_LAKE: .*{match}") as raised:
        Lake(tmp_path, "p", store=address)
    assert "planted" not in str(raised.value)


def test_a_store_that_is_gone_is_one_clear_error_and_nothing_is_half_written(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "_RETRIES", 0)
    one = lake_at(tmp_path / "one", folder)
    one.append(THINGS, things({1: 1.0}), arrival_us=1)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    before = {path: path.read_bytes() for path in one.folder.rglob("*") if path.is_file()}
    for act in (one.refresh, lambda: one.append(THINGS, things({2: 1.0}), arrival_us=2), lambda: one.advance_clock(3)):
        with pytest.raises(UnavailableError, match=r"/store: the folder of the lake is not there. create it, or mount"):
            act()
    assert {path: path.read_bytes() for path in one.folder.rglob("*") if path.is_file()} == before
    assert len(one.batches("things")) == 1  # what the home has can be read
    with s3("lakes"):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
        with pytest.raises(UnavailableError, match=r"^s3://nothing/here: there is no such bucket. create it") as raised:
            lake_at(tmp_path / "two", "s3://nothing/here").clock()
        assert "planted" not in str(raised.value)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "planted")
        with pytest.raises(UnavailableError, match=r"^s3://gone/lake: .*does not answer \(no connection\)") as raised:
            lake_at(tmp_path / "three", "s3://gone/lake").clock()
        assert "planted" not in str(raised.value)


def test_batches_and_lakes_go_to_other_processes(tmp_path: Path, folder: str) -> None:
    one = lake_at(tmp_path / "one", folder)
    one.append(THINGS, things({1: 1.0}), arrival_us=1)
    (batch,) = pickle.loads(pickle.dumps(one)).batches("things")
    shutil.rmtree(batch.path)
    assert load(pickle.loads(pickle.dumps(batch)))["value"].to_pylist() == [1.0]


def test_large_rows_go_to_s3_in_parts(tmp_path: Path) -> None:
    rows = pa.table({"id": np.arange(900_000), "value": np.random.default_rng(0).random(900_000)})
    with s3("lakes"):
        lake_at(tmp_path / "one", "s3://lakes/large").append(THINGS, rows, arrival_us=1)
        other = lake_at(tmp_path / "other", "s3://lakes/large")
        assert other.snapshot().table("things")["value"].equals(pa.chunked_array(rows["value"].chunks))
        assert (other.batches("things")[0].path / "rows.parquet").stat().st_size > 6_000_000
