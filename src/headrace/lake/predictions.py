"""The prediction log of one problem: an answer leaves only once its row is on disk.

SQLite in WAL mode with synchronous=FULL: a commit that returned survives a power cut. Rows are only ever added; the
same id again is the same prediction and changes nothing.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.core.errors import CorruptError, HeadraceError, UnavailableError
from headrace.core.sqlite_files import SelfClosingConnection
from headrace.lake.keys import KeyValue


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One answer and everything needed to check it later.

    id: the same for the same prediction made again. cutoff_us, made_us: on the production clock. request: columns that
    came with the request. features: slug -> value that went into the model. ticks: feature view -> the tick its values
    are of (us). statuses: feature view -> FRESH, STALE or MISSING. probability: None where the policy abstained.
    row_key: key of the spine's row, empty where the request names none. Keys are canonical (`lake.keys`).
    """

    id: str
    cutoff_us: int
    made_us: int
    model_version: str
    join_keys: Mapping[str, KeyValue]
    probability: float | None
    source: Literal["score", "api"]
    request: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, float | str | None] = field(default_factory=dict)
    ticks: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    row_key: Sequence[Any] = ()


_NAMES = tuple(item.name for item in fields(Prediction))
_JSON = frozenset({"join_keys", "request", "features", "ticks", "statuses", "row_key"})
_TYPES = {"cutoff_us": "INTEGER NOT NULL", "made_us": "INTEGER NOT NULL", "probability": "REAL"}
_CREATE = (
    "CREATE TABLE IF NOT EXISTS predictions (id TEXT PRIMARY KEY, "
    + ", ".join(f"{name} {_TYPES.get(name, 'TEXT NOT NULL')}" for name in _NAMES if name != "id")
    + ", row_sum INTEGER)"
)
#: A row that is inserted and taken back: made after all others, so that it goes where the next ones will.
_PROBE = Prediction(
    id="", cutoff_us=NEVER, made_us=NEVER, model_version="", join_keys={}, probability=None, source="api"
)
#: Every row carries a checksum of its values: null in rows of before.
_CHECKSUM = "row_sum"
_STORED = ", ".join((*_NAMES, _CHECKSUM))
_INSERT = f"INSERT OR IGNORE INTO predictions ({_STORED}) VALUES ({', '.join('?' * (len(_NAMES) + 1))})"


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
        self._lock = threading.Lock()
        self._open_connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def append(self, rows: Sequence[Prediction]) -> int:
        """Write predictions in one transaction, durable on return; returns the number of new ones."""
        if not rows:
            return 0
        values = [_to_row(row) for row in rows]
        with self._connected() as connection:
            before = connection.total_changes
            with connection:
                connection.executemany(_INSERT, values)
            return connection.total_changes - before

    def check_writable(self) -> None:
        """Check that an append would succeed, without adding a row; raises what it would raise.

        An insert that is rolled back detects a damaged or locked file; rewriting the file's header detects a disk that
        is full or read-only.
        """
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(_INSERT, _to_row(replace(_PROBE, id=uuid.uuid4().hex)))
            finally:
                connection.rollback()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {int(version)}")

    def read(self, since_us: int = BEFORE_ALL, until_us: int = NEVER) -> list[Prediction]:
        """Return the predictions made in [since_us, until_us), oldest first."""
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT {_STORED} FROM predictions WHERE made_us >= ? AND made_us < ? ORDER BY made_us, id",
                (since_us, until_us),
            )
            return [_from_row(self._verified(row)) for row in rows]

    def pages(
        self, since_us: int = BEFORE_ALL, until_us: int = NEVER, *, size: int = 5_000
    ) -> Iterator[list[Prediction]]:
        """Yield the predictions made in [since_us, until_us), oldest first, at most `size` at a time."""
        last = (since_us, "")
        while True:
            with self._connected() as connection:
                rows = connection.execute(
                    f"SELECT {_STORED} FROM predictions WHERE (made_us, id) > (?, ?) AND made_us < ? "
                    "ORDER BY made_us, id LIMIT ?",
                    (*last, until_us, size),
                )
                page = [_from_row(self._verified(row)) for row in rows]
            if not page:
                return
            yield page
            last = (page[-1].made_us, page[-1].id)

    def find(self, prefix: str) -> list[Prediction]:
        """Return the prediction with this id; where there is none, up to ten whose id begins so."""
        with self._connected() as connection:
            statement = f"SELECT {_STORED} FROM predictions WHERE id = ?"
            rows = connection.execute(statement, (prefix,)).fetchall()
            if not rows and prefix:
                statement = f"SELECT {_STORED} FROM predictions WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 10"
                rows = connection.execute(statement, (len(prefix), prefix)).fetchall()
            return [_from_row(self._verified(row)) for row in rows]

    def read_by_cutoff(self, since_us: int, until_us: int, *, version: str) -> list[Prediction]:
        """Return a version's predictions with a cutoff in [since_us, until_us), oldest first."""
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT {_STORED} FROM predictions WHERE cutoff_us >= ? AND cutoff_us < ? "
                "AND model_version = ? AND probability IS NOT NULL ORDER BY made_us, id",
                (since_us, until_us, version),
            )
            return [_from_row(self._verified(row)) for row in rows]

    def probabilities(self, since_us: int, until_us: int, *, version: str) -> dict[tuple[Any, ...], float]:
        """Return row key -> probability of a version's scored rows with a cutoff in [since_us, until_us)."""
        with self._connected() as connection:
            cursor = connection.execute(
                f"SELECT {_STORED} FROM predictions WHERE cutoff_us >= ? AND cutoff_us < ? "
                "AND model_version = ? AND source = 'score' AND probability IS NOT NULL",
                (since_us, until_us, version),
            )
            rows = (dict(zip(_NAMES, self._verified(row), strict=True)) for row in cursor)
            return {tuple(json.loads(row["row_key"])): float(row["probability"]) for row in rows}

    def scored(self) -> int:
        """Return the number of scored rows."""
        with self._connected() as connection:
            rows = connection.execute("SELECT COUNT(*) FROM predictions WHERE source = 'score'")
            return int(rows.fetchone()[0])

    def __len__(self) -> int:
        with self._connected() as connection:
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
            self._open_connection.execute(_CREATE)
            present = {column[1] for column in self._open_connection.execute("PRAGMA table_info(predictions)")}
            if lacking := [name for name in _NAMES if name not in present]:
                raise CorruptError(
                    f"the prediction log has an older format: it lacks the column {lacking[0]!r}",
                    where=str(self.path),
                    fix="read it with the version that wrote it, and move it away: a new one is begun",
                )
            if _CHECKSUM not in present:
                self._open_connection.execute(
                    f"ALTER TABLE predictions ADD COLUMN {_CHECKSUM} INTEGER"
                )  # a log of before
            self._open_connection.execute("CREATE INDEX IF NOT EXISTS predictions_made ON predictions (made_us)")
            self._open_connection.commit()
            self._identity = _identity(self.path)
        return self._open_connection

    def _verified(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a row's values after comparing them with its checksum."""
        *values, known = row
        if known is not None and known != _checksum(values):
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


def _to_row(prediction: Prediction) -> tuple[Any, ...]:
    named = ((name, getattr(prediction, name)) for name in _NAMES)
    values = [_text(value) if name in _JSON else value for name, value in named]
    if prediction.probability is not None:
        values[_NAMES.index("probability")] = float(prediction.probability)  # as SQLite gives it back
    return (*values, _checksum(values))


def _checksum(values: Sequence[Any]) -> int:
    return zlib.crc32(repr(tuple(values)).encode())


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str)


def _text(value: Any) -> str:
    """Return a mapping or sequence as JSON; NaN becomes null."""
    value_to_encode = dict(value) if isinstance(value, Mapping) else list(value)
    try:
        return _encoder.encode(value_to_encode)
    except ValueError:  # rare, so that looking at every number is not worth its time
        if isinstance(value_to_encode, dict):
            return _encoder.encode({name: _finite(item) for name, item in value_to_encode.items()})
        return _encoder.encode([_finite(item) for item in value_to_encode])


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _from_row(row: tuple[Any, ...]) -> Prediction:
    values = dict(zip(_NAMES, row, strict=True))
    return Prediction(**{name: json.loads(value) if name in _JSON else value for name, value in values.items()})
