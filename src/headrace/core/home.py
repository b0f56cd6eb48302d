"""The home folder: what lies in it, and that only its owner can read it.

A home holds customers' rows, predictions, and the secrets that Prefect keeps. Processes of Headrace create files with
the umask 077, and so do the services that they start. The folder itself is closed to others as well, for what was
written before, and for libraries that set modes of their own.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_log = logging.getLogger(__name__)

#: Everything that Headrace writes below a home lies in one of these.
FOLDERS = (
    *("evidently", "lake", "ledger", "mlflow", "outbox", "predictions", "prefect", "quality", "registry", "reports"),
    *("run", "runs", "stages", "store"),
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def owner_only() -> None:
    """From now on this process, and what it starts, creates files that only their owner can read. For entry points."""
    os.umask(_OTHERS)


def open_home(root: Path) -> None:
    """Make the home where it is not there; close what others than its owner can enter.

    A folder that holds other things too (somebody's HEADRACE_HOME=/tmp) keeps its own mode: only what is Headrace's in
    it is closed.
    """
    if not root.exists():
        root.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    root = root.resolve()  # of a link, what it points at is closed
    entries = {path.name: path for path in root.iterdir()}
    # The umask of a process that uses Headrace as a library is its own: its folders are closed when they are next met.
    open_folders = [entries[name] for name in FOLDERS if name in entries and _is_open_to_others(entries[name])]
    for folder in open_folders:
        for path in (*_below(folder), folder):  # the folder last: it says that all in it is done
            _restrict(path)
    if _is_open_to_others(root) and entries.keys() <= {*FOLDERS, ".gitignore"}:
        _restrict(root)
        _log.info("%s could be read by others: it is its owner's only now", root)


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _is_open_to_others(path: Path) -> bool:
    return bool(path.stat().st_mode & _OTHERS)


def _restrict(path: Path) -> None:
    try:
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
    except OSError:  # it went meanwhile, or is somebody else's, or on a disk that cannot be written
        return
