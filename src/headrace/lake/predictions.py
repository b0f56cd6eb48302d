"""The prediction log of one problem: an answer leaves only once its row is on disk.

SQLite in WAL mode with synchronous=FULL: a commit that returned survives a power cut. Rows are only ever added; the
same id again is the same prediction and changes nothing. Servers write to a journal (`lake.journal`) in front of it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.core.errors import CorruptError, HeadraceError, UnavailableError
from headrace.core.sqlite_files import SelfClosingConnection
from headrace.lake.journal_segments import Segment, journal_folder, reading_alone, segments
from headrace.lake.packed_features import FeatureNames, PackedFeatures, names_by_digest
from headrace.lake.prediction_rows import (
    ADDED,
    CREATE,
    CREATE_NAMES,
    INSERT_NAMES,
    NAMES,
    PROBE,
    ROWS_AT_ONCE,
    STORED,
    Prediction,
    checksum,
    from_row,
    insert_statement,
    to_row,
)

__all__ = ["Prediction", "PredictionLog"]


#: Size of the write-ahead file of a server: it is written back to the database when it is full.
RESERVED_BYTES = 16 * 1024 * 1024
#: Records of the journal that are moved in one transaction.
RECORDS_AT_ONCE = 500

_DAMAGED = (
    "bring it back from a backup, or move it and its -wal and -shm away: a new one is begun, without what is in it"
)


class PredictionLog:
    """The prediction log of one problem, opened at first use. Safe for many threads and processes.

    Every method raises CorruptError where the file is damaged, and UnavailableError where it cannot be read or written;
    the next use opens the file again.
    """

    def __init__(self, root: Path, problem: str) -> None:
        self.path = Path(root) / "predictions" / f"{problem}.db"
        self._journal = journal_folder(root, problem)
        self._lock = threading.Lock()
        self._open_connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._names: dict[bytes, FeatureNames] = {}

    def append(self, rows: Sequence[Prediction]) -> int:
        """Write predictions in one transaction, durable on return; returns the number of new ones."""
        if not rows:
            return 0
        names = {row.features.names for row in rows if isinstance(row.features, PackedFeatures)}
        return self._insert([to_row(row) for row in rows], names)

    def take_in(self) -> int:
        """Move what servers have written to the prediction journal (`lake.journal`) here; return the number of rows.

        Every method that reads does so first, so that no reader has to know the journal. Nothing is lost where it is
        interrupted: rows are here before the journal forgets them, and the same row again changes nothing.
        """
        if not segments(self._journal):
            return 0
        try:
            with reading_alone(self._journal):
                return sum(self._take_in(segment) for segment in segments(self._journal))
        except OSError as error:
            raise _failure(error, self._journal) from error

    def _take_in(self, segment: Segment) -> int:
        is_finished, moved, records = not segment.is_written, 0, segment.unread()
        for start in range(0, len(records), RECORDS_AT_ONCE):
            part = records[start : start + RECORDS_AT_ONCE]
            names = {item for record in part for item in record.names}
            moved += self._insert([row for record in part for row in record.rows], names)
            segment.record_position(part[-1].end)
        if is_finished:
            segment.remove()
        return moved

    def _insert(self, values: Sequence[tuple[Any, ...]], names: Collection[FeatureNames]) -> int:
        with self._connected() as connection:
            before = connection.total_changes
            with connection:
                new = {item.digest: item for item in names if item.digest not in self._names}
                connection.executemany(INSERT_NAMES, [(digest, item.content) for digest, item in new.items()])
                for start in range(0, len(values), ROWS_AT_ONCE):
                    part = values[start : start + ROWS_AT_ONCE]
                    connection.execute(insert_statement(len(part)), [value for row in part for value in row])
            self._names.update(new)
            return connection.total_changes - before

    def reserve(self, size: int = RESERVED_BYTES) -> None:
        """Write zeros behind the write-ahead file's end up to a size, so that the next commits do not grow it.

        A commit that grows a file also waits for the file system's journal: about 4 ms instead of .15 ms on ext4.
        SQLite takes zeros for the end of the file's content, as it does what is left of an earlier, longer one.
        """
        with self._connected() as connection:
            connection.execute(f"PRAGMA wal_autocheckpoint = {size // 4096}")
            path = self.path.with_name(f"{self.path.name}-wal")
            with path.open("ab") as file:
                file.write(bytes(max(size - file.tell(), 0)))
                file.flush()
                os.fsync(file.fileno())

    def check_writable(self) -> None:
        """Check that an append would succeed, without adding a row; raises what it would raise.

        An insert that is rolled back detects a damaged or locked file; rewriting the file's header detects a disk that
        is full or read-only.
        """
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(insert_statement(1), to_row(replace(PROBE, id=uuid.uuid4().hex)))
            finally:
                connection.rollback()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {int(version)}")

    def read(self, since_us: int = BEFORE_ALL, until_us: int = NEVER) -> list[Prediction]:
        """Return the predictions made in [since_us, until_us), oldest first."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {STORED} FROM predictions WHERE made_us >= ? AND made_us < ? ORDER BY made_us, id",
                (since_us, until_us),
            )
            return [from_row(self._verified(row), self._names_of) for row in rows]

    def pages(
        self, since_us: int = BEFORE_ALL, until_us: int = NEVER, *, size: int = 5_000
    ) -> Iterator[list[Prediction]]:
        """Yield the predictions made in [since_us, until_us), oldest first, at most `size` at a time."""
        last = (since_us, "")
        while True:
            with self._reading() as connection:
                rows = connection.execute(
                    f"SELECT {STORED} FROM predictions WHERE (made_us, id) > (?, ?) AND made_us < ? "
                    "ORDER BY made_us, id LIMIT ?",
                    (*last, until_us, size),
                )
                page = [from_row(self._verified(row), self._names_of) for row in rows]
            if not page:
                return
            yield page
            last = (page[-1].made_us, page[-1].id)

    def find(self, prefix: str) -> list[Prediction]:
        """Return the prediction with this id; where there is none, up to ten whose id begins so."""
        with self._reading() as connection:
            statement = f"SELECT {STORED} FROM predictions WHERE id = ?"
            rows = connection.execute(statement, (prefix,)).fetchall()
            if not rows and prefix:
                statement = f"SELECT {STORED} FROM predictions WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 10"
                rows = connection.execute(statement, (len(prefix), prefix)).fetchall()
            return [from_row(self._verified(row), self._names_of) for row in rows]

    def read_by_cutoff(self, since_us: int, until_us: int, *, version: str) -> list[Prediction]:
        """Return a version's answers with a cutoff in [since_us, until_us), oldest first."""
        return self._by_cutoff(since_us, until_us, version, "source <> 'shadow'")

    def shadows(self, since_us: int, until_us: int, *, version: str) -> list[Prediction]:
        """Return a version's shadow predictions with a cutoff in [since_us, until_us), oldest first."""
        return self._by_cutoff(since_us, until_us, version, "source = 'shadow'")

    def _by_cutoff(self, since_us: int, until_us: int, version: str, condition: str) -> list[Prediction]:
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {STORED} FROM predictions WHERE cutoff_us >= ? AND cutoff_us < ? AND {condition} "
                "AND model_version = ? AND probability IS NOT NULL ORDER BY made_us, id",
                (since_us, until_us, version),
            )
            return [from_row(self._verified(row), self._names_of) for row in rows]

    def probabilities(self, since_us: int, until_us: int, *, version: str) -> dict[tuple[Any, ...], float]:
        """Return row key -> probability of a version's scored rows with a cutoff in [since_us, until_us)."""
        with self._reading() as connection:
            cursor = connection.execute(
                f"SELECT {STORED} FROM predictions WHERE cutoff_us >= ? AND cutoff_us < ? "
                "AND model_version = ? AND source = 'score' AND probability IS NOT NULL",
                (since_us, until_us, version),
            )
            rows = (dict(zip(NAMES, self._verified(row), strict=True)) for row in cursor)
            return {tuple(json.loads(row["row_key"])): float(row["probability"]) for row in rows}

    def scored(self) -> int:
        """Return the number of scored rows."""
        with self._reading() as connection:
            rows = connection.execute("SELECT COUNT(*) FROM predictions WHERE source = 'score'")
            return int(rows.fetchone()[0])

    def __len__(self) -> int:
        with self._reading() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM predictions").fetchone()[0])

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._close_connection()

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return `_connected`, once what servers have written is here."""
        self.take_in()
        return self._connected()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection to one thread at a time; errors become HeadraceErrors."""
        with self._lock:
            try:
                yield self._connection()
            except (sqlite3.DatabaseError, OSError, UnicodeDecodeError) as error:
                self._close_connection()
                raise _failure(error, self.path) from error

    def _connection(self) -> sqlite3.Connection:
        if self._open_connection is not None and self._identity != _identity(self.path):
            self._close_connection()
        if self._open_connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._open_connection = sqlite3.connect(
                self.path, timeout=30, check_same_thread=False, factory=SelfClosingConnection
            )
            self._open_connection.execute("PRAGMA journal_mode = WAL")
            self._open_connection.execute("PRAGMA synchronous = FULL")
            self._open_connection.execute(CREATE)
            self._open_connection.execute(CREATE_NAMES)
            self._names = {}
            present = {column[1] for column in self._open_connection.execute("PRAGMA table_info(predictions)")}
            if lacking := [name for name in NAMES if name not in present | set(ADDED)]:
                raise CorruptError(
                    f"the prediction log has an older format: it lacks the column {lacking[0]!r}",
                    where=str(self.path),
                    fix="read it with the version that wrote it, and move it away: a new one is begun",
                )
            for name in (name for name in ADDED if name not in present):  # a log of before
                self._open_connection.execute(f"ALTER TABLE predictions ADD COLUMN {name} {ADDED[name]}")
            self._open_connection.execute("CREATE INDEX IF NOT EXISTS predictions_made ON predictions (made_us)")
            self._open_connection.commit()
            self._identity = _identity(self.path)
        return self._open_connection

    def _names_of(self, digest: bytes) -> FeatureNames:
        if digest not in self._names and self._open_connection is not None:
            rows = self._open_connection.execute("SELECT digest, content FROM feature_names").fetchall()
            self._names = names_by_digest(rows, str(self.path))
        if digest not in self._names:
            raise CorruptError("the prediction log lacks the names of features", where=str(self.path), fix=_DAMAGED)
        return self._names[digest]

    def _verified(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a row's values after comparing them with its checksum."""
        *values, known = row
        if known is not None and known != checksum(values):
            what = f"prediction {values[0]!r} is damaged (its checksum differs)"
            raise CorruptError(what, where=str(self.path), fix=_DAMAGED)
        return tuple(values)

    def _close_connection(self) -> None:
        if self._open_connection is not None:
            self._open_connection.close()
            self._open_connection = None


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _failure(error: Exception, path: Path) -> HeadraceError:
    damaged = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    if damaged or "decode" in str(error):
        return CorruptError("the prediction log is damaged", where=str(path), found=[error], fix=_DAMAGED)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    fix = "see that its disk is there, is writable and is not full"
    return UnavailableError(f"the prediction log cannot be used: {reason}", where=str(path), fix=fix)
