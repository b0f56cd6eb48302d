"""Small SQLite files that many threads and processes write: atomic, durable, with checksums.

Transactions are short: BEGIN IMMEDIATE, WAL, synchronous=FULL. A file is created with the tables of this release, and
one of an earlier release is migrated when it is opened.

Every transaction increments the file's serial number (SQLite's user_version) and stores a sha256 of all rows in the
table `seal`. A process verifies it once for each serial number, after SQLite's own check, so a flipped bit is detected
before anything uses it. The last serial number and a random id of the file are stored beside it, as `.NAME.serial`: a
file that is missing, older than the last one written, or of another home is detected.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from headrace.core.errors import CorruptError
from headrace.core.files import write_bytes
from headrace.core.fingerprint import fingerprint
from headrace.core.sqlite_files import BUSY_S, failure, translated
from headrace.database.sqlite_connection import over, without_wrapper
from headrace.database.sqlite_tables import prepare
from headrace.database.table_group import TableGroup

_log = logging.getLogger(__name__)

_TABLES = (
    "SELECT name, sql FROM sqlite_master "
    "WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'seal' ORDER BY name"
)
_SEAL = "CREATE TABLE IF NOT EXISTS seal (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), sha256 TEXT NOT NULL)"

#: File (and which one stood there: device, inode) -> the serial number that was last compared with its seal.
_VERIFIED: dict[tuple[Path, int, int], int] = {}
#: Missing files that this process has logged.
_REPORTED_MISSING: set[Path] = set()


@dataclass(frozen=True, kw_only=True)
class _Serial:
    """The content of `.NAME.serial`. line: random id of the file, which its seal contains too."""

    serial: int
    line: str


@dataclass(frozen=True, kw_only=True)
class SealedFile:
    """One SQLite file with the tables of a group.

    Attributes:
        path: The file.
        group: Its tables.
        fix: What to do about a damaged file, for errors.
        recreate: Whether a missing file is created again, because its reader recovers it; otherwise it is an error.
    """

    path: Path
    group: TableGroup
    fix: str = "bring it back from a backup"
    recreate: bool = False

    @property
    def place(self) -> str:
        """The file, for messages."""
        return str(self.path)

    def exists(self) -> bool:
        """Whether the file exists."""
        return self.path.exists()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for reading. Reading creates no file: a missing one has empty tables.

        Raises:
            CorruptError: The file is damaged.
            UnavailableError: The file cannot be read.
            ConflictError: A newer release wrote it.
        """
        with translated(self.path, self.fix), without_wrapper():
            self._require_present()
            path = _readable(self.path) if self.path.exists() else ":memory:"
            with closing(self._open(path)) as raw, over(raw) as connection:
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection with an open transaction, committed at the end of the block. Raises as `read` does."""
        with translated(self.path, self.fix), without_wrapper():
            self._require_present()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open(str(self.path))) as raw, over(raw) as connection, self._transaction(raw):
                yield connection

    @contextmanager
    def _transaction(self, raw: sqlite3.Connection) -> Iterator[None]:
        raw.execute("BEGIN IMMEDIATE")
        try:
            self._verify(raw)
            yield
            written = self._seal(raw)
        except BaseException:
            if raw.in_transaction:  # a full disk ends it by itself
                raw.execute("ROLLBACK")
            raise
        raw.execute("COMMIT")
        self._record_serial(written)

    def _open(self, path: str) -> sqlite3.Connection:
        raw = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, uri=path.startswith("file:"))
        try:
            raw.execute("PRAGMA synchronous = FULL")
            prepare(raw, self.group, None if path == ":memory:" else self.path, self._transaction)
            self._verify_in_transaction(raw)
        except BaseException:
            raw.close()
            raise
        return raw

    def _verify_in_transaction(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")
        try:
            self._verify(connection)
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")

    def _verify(self, connection: sqlite3.Connection) -> None:
        """Compare the rows with their checksum, once for each serial number, inside a transaction."""
        recorded = self._recorded_serial()  # before the first read of the transaction, which others write after
        serial, file = _serial(connection), self._file()
        if file is None or _VERIFIED.get(file) == serial:
            return
        if serial < recorded.serial and not (serial == 0 and self.recreate):
            raise self._corrupt("is older than what was last written")
        try:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            line, checksum = _read_seal(connection)
            intact = verdict == "ok" and (not serial or checksum == self._digest(connection, serial, line))
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            translated_error = failure(error, self.path, self.fix) if isinstance(error, sqlite3.Error) else None
            if translated_error is not None:
                raise translated_error from error
            verdict, intact = str(error), False  # a name or a text in it that is none any more
        if not intact:
            why = "its checksum differs" if verdict == "ok" else " ".join(verdict.split())[:120]
            raise self._corrupt(f"is damaged ({why})")
        if serial and recorded.line not in ("", line):
            raise self._corrupt("is of another home or problem, or its -wal is")
        _VERIFIED[file] = serial

    def _seal(self, connection: sqlite3.Connection) -> _Serial:
        """Increment the serial number and write the checksum of all rows; returns what to store in `.NAME.serial`."""
        recorded = self._recorded_serial()
        serial = max(_serial(connection), recorded.serial) + 1
        connection.execute(_SEAL)
        line = _read_seal(connection)[0] or recorded.line or uuid.uuid4().hex[:12]
        connection.execute(f"PRAGMA user_version = {serial:d}")
        seal = f"{line}:{self._digest(connection, serial, line)}"
        connection.execute("INSERT OR REPLACE INTO seal VALUES (1, ?)", (seal,))
        return _Serial(serial=serial, line=line)

    def _digest(self, connection: sqlite3.Connection, serial: int, line: str) -> str:
        names = connection.execute(_TABLES)
        digest = hashlib.sha256(f"{self.path.name} {self.group.seal} {serial} {line}".encode())
        for name, declared in names.fetchall():
            digest.update(declared.encode())
            for row in connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid'):
                digest.update(repr(row).encode())
        return digest.hexdigest()

    def _file(self) -> tuple[Path, int, int] | None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None  # tables in memory
        return self.path, stat.st_dev, stat.st_ino

    def _require_present(self) -> None:
        """Check that a file that was written before exists and is not empty."""
        recorded = self._recorded_serial()  # first: another process may write both meanwhile
        size = self.path.stat().st_size if self.path.exists() else None
        if size or not recorded.serial:
            return
        what = "is gone" if size is None else "is empty"
        if not self.recreate:
            raise self._corrupt(what)
        if self.path not in _REPORTED_MISSING:
            _log.warning("%s %s, and reads as a new one: %s", self.path, what, self.fix)
            _REPORTED_MISSING.add(self.path)

    def _corrupt(self, what: str) -> CorruptError:
        fix = (
            f"{self.fix}; to go on with what is there, delete {self._serial_path.name}"
            if "damaged" not in what
            else self.fix
        )
        return CorruptError(what, where=str(self.path), fix=fix)

    @property
    def _serial_path(self) -> Path:
        return self.path.with_name(f".{self.path.name}.serial")

    def _recorded_serial(self) -> _Serial:
        """Read `.NAME.serial`; serial number 0 where it is missing or damaged."""
        try:
            serial, line, sum_ = self._serial_path.read_text().split()
            if sum_ == _checksum(serial, line):
                return _Serial(serial=int(serial), line=line)
        except (OSError, ValueError):
            pass
        return _Serial(serial=0, line="")

    def _record_serial(self, written: _Serial) -> None:
        # The change is committed: a failure to write this file does not undo it.
        serial, line = str(written.serial), written.line
        with contextlib.suppress(OSError):
            write_bytes(self._serial_path, f"{serial} {line} {_checksum(serial, line)}\n".encode())


def _readable(path: Path) -> str:
    """Return the address to open an existing file; immutable on a read-only file system, where SQLite cannot create
    the index of its log."""
    log = path.with_name(f"{path.name}-wal")
    read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    try:
        has_log = log.stat().st_size > 0
    except FileNotFoundError:  # or the last connection has just deleted it
        has_log = False
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1" if read_only and not has_log else str(path)


def _serial(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _read_seal(connection: sqlite3.Connection) -> tuple[str, str]:
    """Read the file's id and checksum from the table `seal`; empty where there is none."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'seal'").fetchone():
        return "", ""
    row = connection.execute("SELECT sha256 FROM seal").fetchone()
    line, _, sum_ = str(row[0] if row else "").rpartition(":")
    return line, sum_


def _checksum(serial: str, line: str) -> str:
    return fingerprint([serial, line])[:16]
