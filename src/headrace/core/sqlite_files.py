"""SQLite files: the integrity check of SQLite, and its errors as HeadraceErrors with a fix, for every room."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from headrace.core.errors import CorruptError, HeadraceError, UnavailableError

BUSY_S = 30.0


_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
#: How messages about damage begin that have no code of their own: of a text, and of a number in the file's header.
_DAMAGED_TEXTS = ("Could not decode to UTF-8", "unsupported file format")


_UNUSABLE = {
    sqlite3.SQLITE_FULL: "make room on its disk, then do it again",
    sqlite3.SQLITE_IOERR: "see that its disk is there and has room, then do it again",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable, then do it again",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder readable and writable, then do it again",
    sqlite3.SQLITE_PERM: "make the file and its folder readable and writable, then do it again",
    sqlite3.SQLITE_BUSY: "another process has held it for long: see that it ends, then do it again",
    sqlite3.SQLITE_LOCKED: "another process has held it for long: see that it ends, then do it again",
}


#: File and check -> device, inode, size and time of its last change when SQLite last found it sound.
_SOUND: dict[tuple[Path, str], tuple[int, int, int, int]] = {}


class SelfClosingConnection(sqlite3.Connection):
    """A connection that closes when its last reference is dropped, as when the thread that uses it ends.

    From 3.13 on, Python warns about a connection that is dropped unclosed. Pass it as `factory` to `sqlite3.connect`,
    with `check_same_thread=False`: the garbage collector runs in any thread.
    """

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # the file could not be opened
            self.close()


def require_sound(path: Path, fix: str, *, indexes: bool = False) -> None:
    """Run SQLite's integrity check on a file that another library writes, once per process for each state of it.

    It detects files that are no database and inconsistent pages, but no changed values. A missing file passes.

    Args:
        path: The file.
        fix: What to do about a damaged file, for the error.
        indexes: Also compare indexes with their tables, and check the order of the rows of tables without row ids.
            Takes longer where there are indexes.

    Raises:
        CorruptError: The file is damaged or empty.
        UnavailableError: The file cannot be read.
    """
    if not path.exists():
        return
    check = "integrity_check" if indexes else "quick_check"
    stat = path.stat()
    stamp = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if _SOUND.get((path, check)) == stamp:
        return
    if not stat.st_size:
        raise CorruptError("is empty", where=str(path), fix=fix)
    with translated(path, fix), closing(sqlite3.connect(path, timeout=BUSY_S)) as connection:
        verdict = connection.execute(f"PRAGMA {check}(1)").fetchone()[0]
    if verdict != "ok":
        raise CorruptError(f"is damaged ({' '.join(verdict.split())[:120]})", where=str(path), fix=fix)
    _SOUND[path, check] = stamp


def accepts_writes(path: Path, timeout_s: float = BUSY_S) -> bool:
    """Whether a write, which is rolled back, succeeds; not where SQLite takes a damaged file as read only.

    Args:
        path: The file. It exists.
        timeout_s: Time to wait for another process's transaction (s).

    Raises:
        UnavailableError: The file cannot be written for another reason.
    """
    with translated(path, ""), closing(sqlite3.connect(path, timeout=timeout_s)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("PRAGMA user_version = 1")
        except sqlite3.Error as error:
            if not is_refused_by_header(error, path):
                raise
            return False
        finally:
            connection.rollback()
    return True


def set_aside(path: Path) -> Path:
    """Rename a damaged database to NAME.damaged (the next one to NAME.damaged-2), with its log; return the new path."""
    names = itertools.chain([".damaged"], (f".damaged-{number}" for number in itertools.count(2)))
    aside = next(other for name in names if not (other := path.with_name(path.name + name)).exists())
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").replace(aside.with_name(f"{aside.name}-wal"))
    path.replace(aside)
    return aside


@contextmanager
def translated(path: Path, fix: str) -> Iterator[None]:
    """Convert errors of SQLite and of the file system about a file to CorruptError or UnavailableError, with a fix."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if (translated_error := failure(error, path, fix)) is None:
            raise
        raise translated_error from error
    except UnicodeDecodeError as error:
        raise CorruptError("is damaged (a name in it is no text)", where=str(path), fix=fix) from error
    except PermissionError as error:
        raise UnavailableError(
            f"cannot be used ({error.strerror})", where=str(error.filename or path), fix=_UNUSABLE[sqlite3.SQLITE_PERM]
        ) from error


def failure(error: sqlite3.Error, path: Path, fix: str) -> HeadraceError | None:
    """Convert an SQLite error about a file to a HeadraceError; None for an error of a statement.

    Args:
        error: The error.
        path: The file.
        fix: What to do about a damaged file.
    """
    code = _code(error)
    if is_damage(error):
        return CorruptError(f"is damaged ({error})", where=str(path), fix=fix)
    if code in _UNUSABLE:
        return UnavailableError(f"cannot be used ({error})", where=str(path), fix=_UNUSABLE[code])
    return None


def is_damage(error: BaseException) -> bool:
    """Whether an error of a statement says that the file is damaged: its pages, a name in it, or a text."""
    if isinstance(error, UnicodeDecodeError):  # of SQLite's message about a name that is no text any more
        return True
    if not isinstance(error, sqlite3.Error):
        return False
    return _code(error) in _DAMAGED or str(error).startswith(_DAMAGED_TEXTS)


def is_statement_error(error: BaseException) -> bool:
    """Whether SQLite refused the statement itself, such as for a name that it lost as bits of the schema flipped."""
    return isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_ERROR


def is_refused_by_header(error: BaseException, path: Path) -> bool:
    """Whether a write to a writable file failed as to a read-only one: SQLite takes it so where its header has a
    version that it does not know (https://www.sqlite.org/fileformat.html, 1.3.3).

    The header cannot be read beside SQLite: closing the file would drop the locks that SQLite has in this process.
    """
    is_read_only = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY
    return is_read_only and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
