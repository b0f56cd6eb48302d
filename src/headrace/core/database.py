"""Small SQLite files that many threads and processes write: short BEGIN IMMEDIATE transactions, WAL, synchronous=FULL.

A change is there whole and for good, or not at all, whoever else is writing.

Every transaction counts up the file's serial number (SQLite's user_version) and ends with a sha256 of all rows, in the
table `seal`. A process compares them once for each serial number that it meets, after SQLite's own check: a bit that
flipped in a version's number or in a decision is found before anybody acts on it. The last serial number is noted
beside the file, as `.NAME.serial`, with a random name of the file: one that was lost, is older than the last one
written, or is of another home (SQLite takes any log that it finds beside a file for the file's own) is noticed.
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

from headrace.core.errors import CorruptError, HeadraceError, UnavailableError
from headrace.core.files import write_bytes
from headrace.core.fingerprint import fingerprint

_log = logging.getLogger(__name__)

_BUSY_S = 30.0
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNUSABLE = {
    sqlite3.SQLITE_FULL: "make room on its disk, then do it again",
    sqlite3.SQLITE_IOERR: "see that its disk is there and has room, then do it again",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable, then do it again",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder readable and writable, then do it again",
    sqlite3.SQLITE_PERM: "make the file and its folder readable and writable, then do it again",
    sqlite3.SQLITE_BUSY: "another process has held it for long: see that it ends, then do it again",
    sqlite3.SQLITE_LOCKED: "another process has held it for long: see that it ends, then do it again",
}
_TABLES = (
    "SELECT name, sql FROM sqlite_master "
    "WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'seal' ORDER BY name"
)
_SEAL = "CREATE TABLE IF NOT EXISTS seal (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), sha256 TEXT NOT NULL)"

#: File (and which one stood there: device, inode) -> the serial number that was last compared with its seal.
_COMPARED: dict[tuple[Path, int, int], int] = {}
#: Lost files that were told of in this process.
_MISSED: set[Path] = set()
#: File -> device, inode, size and time of its last change when SQLite last found it sound.
_SOUND: dict[Path, tuple[int, int, int, int]] = {}


@dataclass(frozen=True, kw_only=True)
class _Note:
    """What is noted beside a file. line: a random name of this file, that its seal holds too."""

    serial: int
    line: str


@dataclass(frozen=True, kw_only=True)
class Database:
    """One file. schema: CREATE TABLE IF NOT EXISTS statements; last: the table that the last of them makes, by which a
    file that has them all is known. fix: what to do about a damaged file. anew: a lost file is begun anew, because
    whoever reads it notices and mends that; otherwise it is an error."""

    path: Path
    schema: str
    last: str
    fix: str = "bring it back from a backup"
    anew: bool = False

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to look with. Reading makes no file: where there is none yet, empty tables are read.

        Raises CorruptError where the file is damaged, UnavailableError where it cannot be read.
        """
        with translated(self.path, self.fix):
            self._require_there()
            with closing(self._open(_readable(self.path) if self.path.exists() else ":memory:")) as connection:
                yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing. Raises as `read` does."""
        with translated(self.path, self.fix):
            self._require_there()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open(str(self.path))) as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    self._compare(connection)
                    yield connection
                    written = self._seal(connection)
                except BaseException:
                    if connection.in_transaction:  # a full disk ends it by itself
                        connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            self._note(written)

    def _open(self, path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, uri=path.startswith("file:"))
        try:
            connection.execute("PRAGMA synchronous = FULL")
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self.last,)).fetchone():
                self._compare_apart(connection)
            elif connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'seal'").fetchone():
                raise self._corrupt("is of something else")
            else:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(self.schema)
        except BaseException:
            connection.close()
            raise
        return connection

    def _compare_apart(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")
        try:
            self._compare(connection)
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")

    def _compare(self, connection: sqlite3.Connection) -> None:
        """Compare the rows with their seal, unless that was done for this serial number; inside a transaction."""
        serial, file = _serial(connection), self._file()
        if file is None or _COMPARED.get(file) == serial:
            return
        noted = self._noted()
        if serial < noted.serial and not (serial == 0 and self.anew):
            raise self._corrupt("is older than what was last written")
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            line, sum_ = _sealed(connection)
            same = found == "ok" and (not serial or sum_ == self._digest(connection, serial, line))
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            ours = failure(error, self.path, self.fix) if isinstance(error, sqlite3.Error) else None
            if ours is not None:
                raise ours from error
            found, same = str(error), False  # a name or a text in it that is none any more
        if not same:
            why = "its checksum differs" if found == "ok" else " ".join(found.split())[:120]
            raise self._corrupt(f"is damaged ({why})")
        if serial and noted.line not in ("", line):
            raise self._corrupt("is of another home or problem, or its -wal is")
        _COMPARED[file] = serial

    def _seal(self, connection: sqlite3.Connection) -> _Note:
        """Count up the serial number and write the sum of all rows; returns what to note."""
        noted = self._noted()
        serial = max(_serial(connection), noted.serial) + 1
        connection.execute(_SEAL)
        line = _sealed(connection)[0] or noted.line or uuid.uuid4().hex[:12]
        connection.execute(f"PRAGMA user_version = {serial:d}")
        seal = f"{line}:{self._digest(connection, serial, line)}"
        connection.execute("INSERT OR REPLACE INTO seal VALUES (1, ?)", (seal,))
        return _Note(serial=serial, line=line)

    def _digest(self, connection: sqlite3.Connection, serial: int, line: str) -> str:
        names = connection.execute(_TABLES)
        digest = hashlib.sha256(f"{self.path.name} {self.last} {serial} {line}".encode())
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

    def _require_there(self) -> None:
        """A file that was written before must be there, and hold something."""
        size = self.path.stat().st_size if self.path.exists() else None
        if size or not self._noted().serial:
            return
        what = "is gone" if size is None else "is empty"
        if not self.anew:
            raise self._corrupt(what)
        if self.path not in _MISSED:
            _log.warning("%s %s, and reads as a new one: %s", self.path, what, self.fix)
            _MISSED.add(self.path)

    def _corrupt(self, what: str) -> CorruptError:
        fix = (
            f"{self.fix}; to go on with what is there, delete {self._note_path.name}"
            if "damaged" not in what
            else self.fix
        )
        return CorruptError(what, where=str(self.path), fix=fix)

    @property
    def _note_path(self) -> Path:
        return self.path.with_name(f".{self.path.name}.serial")

    def _noted(self) -> _Note:
        """What was last written; serial number 0 where no note tells."""
        try:
            serial, line, sum_ = self._note_path.read_text().split()
            if sum_ == _sum(serial, line):
                return _Note(serial=int(serial), line=line)
        except (OSError, ValueError):
            pass
        return _Note(serial=0, line="")

    def _note(self, written: _Note) -> None:
        # The change itself is committed: that the note cannot be written is no failure of it.
        serial, line = str(written.serial), written.line
        with contextlib.suppress(OSError):
            write_bytes(self._note_path, f"{serial} {line} {_sum(serial, line)}\n".encode())


def require_sound(path: Path, fix: str) -> None:
    """SQLite's own check of a file that a library of others writes, once in a process for each state of the file.

    Finds what is no database, and pages that do not fit together; not a value that changed. No file is no fault. Raises
    CorruptError or UnavailableError. fix: what to do about a damaged file.
    """
    if not path.exists():
        return
    stat = path.stat()
    stamp = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if _SOUND.get(path) == stamp:
        return
    if not stat.st_size:
        raise CorruptError("is empty", where=str(path), fix=fix)
    with translated(path, fix), closing(sqlite3.connect(path, timeout=_BUSY_S)) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise CorruptError(f"is damaged ({' '.join(found.split())[:120]})", where=str(path), fix=fix)
    _SOUND[path] = stamp


def set_aside(path: Path) -> Path:
    """Move a damaged database out of the way, for whoever wants to look at it, without its log; returns where."""
    aside = path.with_name(f"{path.name}.damaged")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.replace(aside)
    return aside


@contextmanager
def translated(path: Path, fix: str) -> Iterator[None]:
    """SQLite's errors about a file, and the file system's, as ours: CorruptError or UnavailableError, with a fix."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if (ours := failure(error, path, fix)) is None:
            raise
        raise ours from error
    except UnicodeDecodeError as error:  # of SQLite's message about a name that is no text any more
        raise CorruptError("is damaged (a name in it is no text)", where=str(path), fix=fix) from error
    except PermissionError as error:
        raise UnavailableError(
            f"cannot be used ({error.strerror})", where=str(error.filename or path), fix=_UNUSABLE[sqlite3.SQLITE_PERM]
        ) from error


def failure(error: sqlite3.Error, path: Path, fix: str) -> HeadraceError | None:
    """What an error of SQLite says of the file; None where it is about a statement. fix: of a damaged file."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGED:
        return CorruptError(f"is damaged ({error})", where=str(path), fix=fix)
    if code in _UNUSABLE:
        return UnavailableError(f"cannot be used ({error})", where=str(path), fix=_UNUSABLE[code])
    return None


def _readable(path: Path) -> str:
    """How to open a file that is there: on a read-only file system, where SQLite cannot make the index of its log, as
    one that nobody changes."""
    left = path.with_name(f"{path.name}-wal")
    read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    unread = left.exists() and left.stat().st_size
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1" if read_only and not unread else str(path)


def _serial(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _sealed(connection: sqlite3.Connection) -> tuple[str, str]:
    """The line and the sum of the seal; empty where there is none."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'seal'").fetchone():
        return "", ""
    row = connection.execute("SELECT sha256 FROM seal").fetchone()
    line, _, sum_ = str(row[0] if row else "").rpartition(":")
    return line, sum_


def _sum(serial: str, line: str) -> str:
    return fingerprint([serial, line])[:16]
