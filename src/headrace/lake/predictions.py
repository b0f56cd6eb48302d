"""The prediction log of one problem: an answer leaves only once its row is on disk.

SQLite in WAL mode with synchronous=FULL: a commit that returned survives a power cut. Rows are only ever added; the
same id again is the same prediction and changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from headrace.core.clock import BEFORE_ALL, NEVER
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
    + ")"
)
_INSERT = f"INSERT OR IGNORE INTO predictions ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))})"


class PredictionLog:
    """Opened on first use; safe to share between threads. Several processes may write at once."""

    def __init__(self, root: Path, problem: str) -> None:
        self.path = Path(root) / "predictions" / f"{problem}.db"
        self._lock = threading.Lock()
        self._open: sqlite3.Connection | None = None

    def append(self, rows: Sequence[Prediction]) -> int:
        """Write predictions in one transaction, durable on return. Returns how many were new."""
        if not rows:
            return 0
        values = [_to_row(row) for row in rows]
        with self._lock:
            connection = self._connection()
            before = connection.total_changes
            with connection:
                connection.executemany(_INSERT, values)
            return connection.total_changes - before

    def read(self, since_us: int = BEFORE_ALL, until_us: int = NEVER) -> list[Prediction]:
        """Predictions made in [since_us, until_us), oldest first."""
        with self._lock:
            found = self._connection().execute(
                f"SELECT {', '.join(_NAMES)} FROM predictions WHERE made_us >= ? AND made_us < ? ORDER BY made_us, id",
                (since_us, until_us),
            )
            return [_from_row(row) for row in found]

    def answered(self, since_us: int, until_us: int, *, version: str) -> list[Prediction]:
        """One version's answers with cutoff in [since_us, until_us), scored or by request, oldest first."""
        with self._lock:
            found = self._connection().execute(
                f"SELECT {', '.join(_NAMES)} FROM predictions WHERE cutoff_us >= ? AND cutoff_us < ? "
                "AND model_version = ? AND probability IS NOT NULL ORDER BY made_us, id",
                (since_us, until_us, version),
            )
            return [_from_row(row) for row in found]

    def probabilities(self, since_us: int, until_us: int, *, version: str) -> dict[tuple[Any, ...], float]:
        """Row key -> probability of one version's scored rows with cutoff in [since_us, until_us)."""
        with self._lock:
            found = self._connection().execute(
                "SELECT row_key, probability FROM predictions WHERE cutoff_us >= ? AND cutoff_us < ? "
                "AND model_version = ? AND source = 'score' AND probability IS NOT NULL",
                (since_us, until_us, version),
            )
            return {tuple(json.loads(key)): float(probability) for key, probability in found}

    def __len__(self) -> int:
        with self._lock:
            return int(self._connection().execute("SELECT COUNT(*) FROM predictions").fetchone()[0])

    def close(self) -> None:
        """Give the file back; the log opens again on next use."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
            connection.execute("PRAGMA busy_timeout = 30000")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(_CREATE)
            connection.execute("CREATE INDEX IF NOT EXISTS predictions_made ON predictions (made_us)")
            connection.commit()
            self._open = connection
        return self._open


def _to_row(prediction: Prediction) -> tuple[Any, ...]:
    values = ((name, getattr(prediction, name)) for name in _NAMES)
    return tuple(_text(value) if name in _JSON else value for name, value in values)


def _text(value: Any) -> str:
    # NaN has no JSON spelling that other readers take; a missing feature is null.
    plain = dict(value) if isinstance(value, Mapping) else list(value)
    return json.dumps(plain, separators=(",", ":"), allow_nan=False, default=str)


def _from_row(row: tuple[Any, ...]) -> Prediction:
    values = dict(zip(_NAMES, row, strict=True))
    return Prediction(**{name: json.loads(value) if name in _JSON else value for name, value in values.items()})
