"""The production clock of one problem: the instant up to which its data have arrived. It never goes back.

clock.json is stored twice with a checksum (`core.replicas`), so a damaged, missing or older clock is detected and
repaired. Every prediction reads the clock; an unchanged file is not read again.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from headrace.core.clock import iso
from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.replicas import read_replicas, replica_path, write_replicas

_Stamp = tuple[int, int, int]

#: File -> its stamps (its own and its copy's) and the instant that was read then.
_READ: dict[Path, tuple[tuple[_Stamp, _Stamp], int]] = {}


def read(folder: Path) -> int | None:
    """Return the instant, microseconds UTC; None before it is first set; CorruptError where both copies are damaged."""
    path, copy = _files(folder)
    stamps = _stamps(path, copy)
    known = _READ.get(path)
    if known is not None and known[0] == stamps:
        return known[1]
    try:
        value = read_replicas(path)
    except NotFoundError:
        return None
    try:
        now = int(value["now_us"])
    except (KeyError, TypeError, ValueError):
        raise CorruptError("holds no instant", where=str(path), fix="bring it back from a backup") from None
    if stamps is not None:
        _READ[path] = (stamps, now)
    return now


def advance(folder: Path, to_us: int) -> int:
    """Advance the clock and return it; an earlier instant changes nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".clock.lock"):
        now = read(folder)
        if now is not None and now >= to_us:
            return now
        write_replicas(folder / "clock.json", {"now": iso(to_us), "now_us": to_us})
    return to_us


@lru_cache(maxsize=64)
def _files(folder: Path) -> tuple[Path, Path]:
    """Return the file and its replica: a look at them takes less time than making their names."""
    path = folder / "clock.json"
    return path, replica_path(path)


def _stamps(path: Path, copy: Path) -> tuple[_Stamp, _Stamp] | None:
    """Return the stamps of the file and its replica; None where one is missing."""
    try:
        file_stat, copy_stat = path.stat(), copy.stat()
    except OSError:
        return None
    return (file_stat.st_ino, file_stat.st_mtime_ns, file_stat.st_size), (
        copy_stat.st_ino,
        copy_stat.st_mtime_ns,
        copy_stat.st_size,
    )
