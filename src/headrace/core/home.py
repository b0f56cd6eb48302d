"""The home folder: its subfolders, and their permissions, which only the owner has.

A home contains customers' rows, predictions and Prefect's secrets. Headrace's processes and services create files with
umask 077. The folders are restricted as well, for files of earlier versions and of libraries that set their own modes.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from headrace.core.errors import UnavailableError

_log = logging.getLogger(__name__)

#: The folders of a home that Headrace writes.
FOLDERS = (
    *(
        "access",
        "architectures",
        "audits",
        "backfill",
        "certificates",
        "evaluations",
        "evidently",
        "lake",
        "ledger",
        "mlflow",
    ),
    *("outbox", "predictions", "prefect", "quality", "registry", "replays", "reports", "run", "runs", "shadows"),
    *("stages", "store"),
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
#: Why an address is refused as a home; a path made of it would be a folder named `s3:`.
NO_ADDRESS = (
    "an address: the home is a folder or a mounted volume; the lake may be in S3 (HEADRACE_LAKE), and so may sources of"
    " tables and MLflow's artifacts"
)


def is_address(text: str) -> bool:
    """Whether a text names a place of a store, such as s3://bucket/folder, rather than a folder."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", text) is not None


def owner_only() -> None:
    """Set umask 077 for this process and its children. For entry points."""
    os.umask(_OTHERS)


def open_home(root: Path) -> None:
    """Create the home where it is missing, and restrict its folders to their owner.

    A folder that contains other things too (HEADRACE_HOME=/tmp) keeps its own mode; only Headrace's folders in it are
    restricted.

    Raises:
        UnavailableError: The file system takes no new folder there.
    """
    if not root.exists():
        try:
            root.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
        except FileNotFoundError:  # some file systems, such as /proc, take no new folder
            raise UnavailableError(
                "cannot be created here", where=str(root), fix="name another folder with --home or HEADRACE_HOME"
            ) from None
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
    except OSError:  # it was removed meanwhile, belongs to another user, or is on a read-only disk
        return
