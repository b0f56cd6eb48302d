"""Rewrite MLflow's artifact locations after a home folder was moved or copied.

MLflow stores artifact locations as absolute paths. After a move they name the old folder: a run would write there, and
find no model once it is deleted. No relative form works both with and without a server: MLflow makes a relative path
absolute, and `mlflow-artifacts:` needs a running server. So locations that name another home are rewritten in one
transaction.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

_log = logging.getLogger(__name__)

#: Where MLflow stores locations: (table, column). All of an experiment's begin with the experiment's own.
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_FOLDER = "/mlflow/artifacts"
_BUSY_S = 30.0


def relocate(store: Path) -> bool:
    """Rewrite the artifact locations of a home's MLflow database that name another home.

    Args:
        store: `<home>/mlflow/mlflow.db`; a database elsewhere is not changed, nor are locations outside of any home.

    Returns:
        Whether any location was rewritten.
    """
    artifacts = store.absolute().parent / "artifacts"
    if not store.exists() or not str(artifacts).endswith(_FOLDER):
        return False
    with closing(sqlite3.connect(store, timeout=_BUSY_S, isolation_level=None)) as database:
        moved = {
            prefix: _rebased(prefix, artifacts)
            for prefix in _prefixes(database)
            if not _is_same_folder(prefix, artifacts)
        }
        if not moved:
            return False
        database.execute("BEGIN IMMEDIATE")
        for table, column in _present(database):
            for old, new in moved.items():
                database.execute(
                    f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?)'
                    f' WHERE "{column}" = ? OR substr("{column}", 1, ?) = ?',
                    (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )
        database.execute("COMMIT")
    _log.warning("this home was at %s: MLflow's locations name its new place now", _path(next(iter(moved))).parents[1])
    return True


def _prefixes(database: sqlite3.Connection) -> Iterator[str]:
    """Yield the artifact folders of homes in experiments' locations, as stored: a path, or a file: address."""
    if ("experiments", "artifact_location") not in _present(database):
        return
    rows = database.execute("SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location IS NOT NULL")
    found = (_prefix(str(location)) for (location,) in rows.fetchall())
    yield from dict.fromkeys(prefix for prefix in found if prefix)


def _prefix(location: str) -> str | None:
    if not location.startswith(("/", "file:///")):
        return None
    head, folder, _ = f"{location}/".rpartition(f"{_FOLDER}/")
    return f"{head}{_FOLDER}" if folder else None


def _path(prefix: str) -> Path:
    return Path(unquote(urlsplit(prefix).path) if prefix.startswith("file:") else prefix)


def _is_same_folder(prefix: str, artifacts: Path) -> bool:
    """Whether a location is this home's artifact folder, by its path or through a link."""
    path = _path(prefix)
    return path == artifacts or (path.exists() and artifacts.exists() and path.samefile(artifacts))


def _rebased(prefix: str, artifacts: Path) -> str:
    return artifacts.as_uri() if prefix.startswith("file:") else str(artifacts)


def _present(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the columns of _LOCATIONS that this version of MLflow has."""
    return [
        (table, column)
        for table, column in _LOCATIONS
        if column in [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
    ]
