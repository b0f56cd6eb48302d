"""`headrace lake`: a store and a home give each other what they lost; objects that no entry names are removed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.core.errors import ConflictError
from headrace.core.settings import settings
from headrace.lake.object_store.agreement import agree
from headrace.lake.store import Lake, keep_local
from tests.cli.command import headrace
from tests.lake.shared_lakes import THINGS, lake_at, state, things
from tests.tiny_problem import write_tiny_problem


@pytest.fixture
def address(tmp_path: Path) -> str:
    """An empty store in a folder."""
    (tmp_path / "store").mkdir()
    return f"file://{tmp_path}/store"


def data(folder: Path) -> list[Path]:
    return sorted((folder / "store" / "p" / "data").iterdir())


def test_a_lake_of_one_home_is_uploaded(tmp_path: Path, address: str) -> None:
    local = Lake(tmp_path / "one", "p", store="")
    local.append(THINGS, things({1: 1.0}), arrival_us=1)
    local.advance_clock(3)
    found = agree(local.folder, address)
    assert (found.entries, found.batches, found.lost) == (1, 1, ())
    assert state(lake_at(tmp_path / "other", address)) == state(local)


def test_files_that_the_store_lost_come_from_a_home_that_has_them(tmp_path: Path, address: str) -> None:
    one = lake_at(tmp_path / "one", address)
    one.append(THINGS, things({1: 1.0}), arrival_us=1)
    whole = state(one)
    (path,) = data(tmp_path)
    path.unlink()
    assert agree(one.folder, address).uploaded == 1
    assert state(lake_at(tmp_path / "other", address)) == whole
    path.unlink()
    shutil.rmtree(one.batches("things")[0].path / "rows.parquet", ignore_errors=True)
    (one.batches("things")[0].path / "rows.parquet").write_bytes(b"")
    assert [name.rpartition("/")[2] for name in agree(one.folder, address).lost] == ["rows.parquet"]


def test_objects_of_killed_appends_are_removed_once_they_are_old(tmp_path: Path, address: str) -> None:
    one = lake_at(tmp_path / "one", address)
    one.append(THINGS, things({1: 1.0}), arrival_us=1)
    (named,) = data(tmp_path)
    (named.parent / ("0" * 64)).write_bytes(b"rows")
    assert (agree(one.folder, address).young, len(data(tmp_path))) == (1, 2)
    assert agree(one.folder, address, leftover_s=0.0).removed == 1
    assert data(tmp_path) == [named]


def test_a_lost_bucket_is_filled_again_from_a_copy(tmp_path: Path, address: str) -> None:
    one = lake_at(tmp_path / "one", address)
    for key in range(3):
        one.append(THINGS, things({key: 1.0}), arrival_us=key)
    one.advance_clock(9)
    whole = state(one)
    shutil.rmtree(tmp_path / "store" / "p")
    with pytest.raises(ConflictError, match="see docs/operating"):
        agree(one.folder, address)
    with pytest.raises(ConflictError, match="HEADRACE_LAKE does not name its store"):
        Lake(tmp_path / "one", "p", store="").append(THINGS, things({9: 1.0}), arrival_us=9)
    with pytest.raises(ConflictError, match=r"remove shared\.json"):
        Lake(tmp_path / "one", "p", store="").advance_clock(10)
    for name in ("shared.json", ".shared.json.copy"):
        (one.folder / name).unlink()
    assert agree(one.folder, address).batches == 3
    assert state(lake_at(tmp_path / "other", address)) == state(one) == whole


KILLED = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from headrace.lake.object_store import shared
from headrace.lake.object_store.folder import FolderObjects
from headrace.lake.store import Lake
from headrace.schema import Table
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
place, name = {"upload": (FolderObjects, "write"), "entry": (FolderObjects, "create"), "rename": (Path, "rename"),
               "index": (shared, "write_index"), "state": (shared, "write_state")}[sys.argv[3]]
setattr(place, name, die)
lake = Lake(Path(sys.argv[1]), "p", store=sys.argv[2])
lake.append(Table(name="things", key="id", source="-"), pa.table({"id": [1], "value": [1.0]}), arrival_us=1)
"""


@pytest.mark.parametrize("moment", ["upload", "entry", "rename", "index", "state"])
def test_a_process_that_is_killed_leaves_nothing_or_a_batch(tmp_path: Path, address: str, moment: str) -> None:
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "one"), address, moment]
    killed = subprocess.run(arguments, env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    committed = moment in ("rename", "index", "state")
    other = lake_at(tmp_path / "other", address)
    assert len(other.batches("things")) == committed
    one = lake_at(tmp_path / "one", address)
    assert one.append(THINGS, things({1: 1.0}), arrival_us=1).new == (not committed)
    assert state(one) == state(other)
    assert not list(one.folder.glob("tables/*/.*.tmp"))


def test_what_a_killed_fetch_left_is_removed(tmp_path: Path, address: str) -> None:
    lake_at(tmp_path / "one", address).append(THINGS, things({1: 1.0}), arrival_us=1)
    other = lake_at(tmp_path / "other", address)
    leftover = other.folder / "tables" / "things" / ".000000-0123.0123.tmp"
    leftover.mkdir(parents=True)
    (leftover / "rows.parquet").touch()
    assert len(other.batches("things")) == 1
    assert not leftover.exists()


def test_a_replay_has_a_lake_of_its_own(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.cache_clear()
    monkeypatch.setenv("HEADRACE_LAKE", address)
    try:
        keep_local(tmp_path / "replays")
        assert not Lake(tmp_path / "replays", "p").is_shared
        assert Lake(tmp_path / "home", "p").is_shared
    finally:
        settings.cache_clear()


def test_the_command_says_what_it_did(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = str(write_tiny_problem(tmp_path / "shop"))
    settings.cache_clear()
    try:
        assert "names no store" in headrace("lake", problem, home=tmp_path / "one").err
        settings.cache_clear()
        monkeypatch.setenv("HEADRACE_LAKE", address)
        Lake(tmp_path / "one", "shop").append(THINGS, things({1: 1.0}), arrival_us=1)
        shown = headrace("lake", problem, home=tmp_path / "one")
        assert (shown.code, shown.out.strip()) == (
            0,
            f"the lake of shop is in {tmp_path}/store: 1 batches in 1 entries",
        )
        for path in (tmp_path / "store" / "shop" / "data").iterdir():
            path.unlink()
        (Lake(tmp_path / "one", "shop").batches("things")[0].path / "rows.parquet").write_bytes(b"")
        assert "has lost" in headrace("lake", problem, home=tmp_path / "one").err
    finally:
        settings.cache_clear()
