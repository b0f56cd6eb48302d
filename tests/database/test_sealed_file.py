"""Small databases: damage is found when they are opened, and is one clear error."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text

from headrace.core.errors import CorruptError, HeadraceError, UnavailableError
from headrace.database import sealed_file
from headrace.database.sealed_file import _VERIFIED, SealedFile
from headrace.database.table_group import TableGroup

#: One table of the ledger, so that the ledger's migrations apply to it.
GROUP = TableGroup(
    name="ledger",
    revision="r0001",
    metadata=(
        Table(
            "version",
            MetaData(),
            Column("version", Text, primary_key=True),
            Column("metrics", Text, nullable=False),
            Column("at_us", Integer),
        )
    ).metadata,
)


@pytest.fixture
def database(tmp_path: Path) -> SealedFile:
    made = SealedFile(path=tmp_path / "shop.db", group=GROUP)
    add(made, "7")
    add(made, "8")
    _VERIFIED.clear()  # as a new process finds it
    return made


def add(database: SealedFile, version: str) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO version VALUES (?, '{}', 1)", (version,))


def add_at_once(database: SealedFile, barrier: Barrier, number: int) -> None:
    barrier.wait()
    add(database, f"{number}")


def versions(database: SealedFile) -> list[str]:
    with database.read() as connection:
        return [row[0] for row in connection.exec_driver_sql("SELECT version FROM version ORDER BY 1")]


def flip_the_version(path: Path) -> None:
    """A row that says 7 says 6, in a file that SQLite finds whole."""
    data = path.read_bytes()
    assert data.count(b"7{}") == 1
    path.write_bytes(data.replace(b"7{}", b"6{}"))


def flip_the_schema(path: Path) -> None:
    """The column at_us becomes at_ur."""
    data = path.read_bytes()
    assert data.count(b"at_us INTEGER") == 1
    path.write_bytes(data.replace(b"at_us INTEGER", b"at_ur INTEGER"))


def spoil_the_schema(path: Path) -> None:
    """A word of the table's declaration holds a byte that is no text, which SQLite's message repeats."""
    data = path.read_bytes()
    assert data.count(b"at_us INTEGER") == 1
    path.write_bytes(data.replace(b"at_us INTEGER", b"at_us INTEGE\xe5"))


def spoil_a_text(path: Path) -> None:
    """A row that says 7 holds a byte that is no text."""
    path.write_bytes(path.read_bytes().replace(b"7{}", b"\xb7{}"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped": (flip_the_version, "checksum differs"),
    "flipped schema": (flip_the_schema, "is damaged"),
    "flipped to no text": (spoil_a_text, "is damaged"),
    "schema flipped to no text": (spoil_the_schema, "is damaged"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "is damaged"),
    "spoilt page": (lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192), "is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "braces": (lambda path: path.write_bytes(b"{}"), "is damaged"),
    "removed": (Path.unlink, "is gone"),
}


@pytest.mark.parametrize("use", [versions, lambda database: add(database, "9")], ids=["read", "write"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_clear_error(database: SealedFile, damage: str, use: Callable[[SealedFile], object]) -> None:
    work, message = DAMAGES[damage]
    work(database.path)
    with pytest.raises(CorruptError, match=message) as raised:
        use(database)
    assert raised.value.where == str(database.path)
    assert "backup" in raised.value.fix


def test_an_older_file_is_refused_until_its_note_is_deleted(database: SealedFile) -> None:
    old = database.path.read_bytes()
    add(database, "9")
    database.path.write_bytes(old)
    _VERIFIED.clear()
    with pytest.raises(CorruptError, match=r"older than what was last written.*delete \.shop\.db\.serial"):
        versions(database)
    database.path.with_name(".shop.db.serial").unlink()
    assert versions(database) == ["7", "8"]


def test_a_file_of_another_problem_is_refused(database: SealedFile, tmp_path: Path) -> None:
    other = SealedFile(path=tmp_path / "other.db", group=GROUP)
    for version in "123":
        add(other, version)
    database.path.write_bytes(other.path.read_bytes())
    with pytest.raises(CorruptError):
        versions(database)


def test_a_lost_file_may_be_begun_anew_and_that_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = SealedFile(path=tmp_path / "shop.db", group=GROUP, recreate=True)
    add(made, "7")
    add(made, "8")
    made.path.unlink()
    assert versions(made) == []
    assert "shop.db is gone, and reads as a new one" in caplog.text
    add(made, "1")
    _VERIFIED.clear()
    assert versions(made) == ["1"]


def test_a_file_of_an_earlier_version_of_headrace_is_sealed_by_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE version (version TEXT PRIMARY KEY, metrics TEXT NOT NULL, barred TEXT);"
            "INSERT INTO version VALUES ('7', '{}', NULL)"
        )
    connection.close()
    made = SealedFile(path=path, group=GROUP)
    assert versions(made) == ["7"]
    add(made, "8")
    _VERIFIED.clear()
    assert versions(made) == ["7", "8"]


def test_a_transaction_that_fails_leaves_rows_and_seal(database: SealedFile) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO version VALUES ('9', '{}', 1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    _VERIFIED.clear()
    assert versions(database) == ["7", "8"]


def test_a_full_file_system_is_told(database: SealedFile) -> None:
    def fill() -> None:
        with database.write() as connection:
            (pages,) = connection.exec_driver_sql("PRAGMA page_count").fetchone()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.exec_driver_sql("INSERT INTO version VALUES ('9', ?, 1)", ("x" * 100_000,))

    with pytest.raises(UnavailableError, match="make room"):
        fill()
    assert versions(database) == ["7", "8"]


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    made = SealedFile(path=tmp_path / "shop.db", group=GROUP)
    made.path.mkdir()
    with pytest.raises(HeadraceError, match=r"shop\.db"):
        versions(made)


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_spoilt_log_or_index_beside_the_file_changes_nothing(database: SealedFile, suffix: str) -> None:
    database.path.with_name(f"{database.path.name}{suffix}").write_bytes(b"\xff" * 8192)
    assert versions(database) == ["7", "8"]
    add(database, "9")
    assert versions(database) == ["7", "8", "9"]


def test_the_log_of_another_file_is_never_taken_for_its_own(database: SealedFile, tmp_path: Path) -> None:
    other = SealedFile(path=tmp_path / "other" / "shop.db", group=GROUP)
    add(other, "1")
    with other.read():  # keeps its log from being folded into it
        add(other, "2")
        left = other.path.with_name("shop.db-wal").read_bytes()
    assert left
    database.path.with_name("shop.db-wal").write_bytes(left)
    with pytest.raises(CorruptError, match="another home or problem"):
        versions(database)


def test_a_write_during_the_verification_of_a_read_is_no_damage(
    database: SealedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another write ends, and records its serial number, after the read has seen the number in the file."""
    seen, writing = sealed_file._serial, []

    def serial_and_then_a_write(connection: sqlite3.Connection) -> int:
        number = seen(connection)
        if not writing:
            writing.append(number)
            add(database, "9")
            _VERIFIED.clear()
        return number

    monkeypatch.setattr(sealed_file, "_serial", serial_and_then_a_write)
    assert versions(database) == ["7", "8", "9"]


def test_threads_that_create_one_database_all_write_to_it(tmp_path: Path) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for attempt in range(20):
            made = SealedFile(path=tmp_path / f"{attempt}.db", group=GROUP)
            with ThreadPoolExecutor(8) as pool:
                barrier = Barrier(8)
                for _ in pool.map(partial(add_at_once, made, barrier), range(8)):
                    pass
            assert versions(made) == [f"{number}" for number in range(8)]
    finally:
        sys.setswitchinterval(interval)
