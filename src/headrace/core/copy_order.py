"""List the files of a folder in the order in which a backup copies them, for `core.archive`.

Files refer to each other: a ledger to MLflow's versions, a version to its artifacts, the clock to batches. Whoever
writes them writes the file that is referred to first, and never removes it. A backup therefore copies the referring
file first: what it names is there when its turn comes. In the other order, a backup could name files that it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from pathlib import Path

_SQLITE = b"SQLite format 3\0"
#: Of SQLite files their logs are in the copy already; locks and unfinished files are of running processes.
_EXCLUDED_SUFFIXES = (".lock", ".tmp", "-wal", "-shm", "-journal")


def ordered_files(folder: Path, order: Sequence[str], exclude: Sequence[str]) -> Iterator[Path]:
    """Yield the files of a folder in the order to copy them: those in no part of the order first, then part by part.

    Args:
        folder: The folder.
        order: Relative paths of its parts, referring ones first.
        exclude: Relative paths that are left out.
    """
    excluded = {folder / name for name in exclude}
    parts = {folder / name for name in order}
    yield from _files(folder, excluded | parts)
    for part in order:
        path = folder / part
        if any(path.is_relative_to(name) for name in excluded):
            continue
        if path.is_dir():
            yield from _files(path, excluded | (parts - {path}))
        elif path.is_file():
            yield path


def _files(folder: Path, excluded: Set[Path]) -> Iterator[Path]:
    """Yield the files below a folder: state files, then databases, then those of its folders.

    A state file refers to the database beside it, and both to the files of folders below. A folder is listed only when
    its turn comes, so that files written meanwhile are found.
    """
    yield from sorted(
        (path for path in _listed(folder, excluded) if path.is_file()), key=lambda path: (is_sqlite(path), path)
    )
    for inner in [path for path in _listed(folder, excluded) if path.is_dir()]:
        yield from _files(inner, excluded)


def _listed(folder: Path, excluded: Set[Path]) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    return [path for path in entries if path not in excluded and not path.name.endswith(_EXCLUDED_SUFFIXES)]


def is_sqlite(path: Path) -> bool:
    """Whether a file is an SQLite database; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False
