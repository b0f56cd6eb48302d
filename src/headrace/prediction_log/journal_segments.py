"""Files of the prediction journal of one problem: which there are, whether their writer lives, how far they were read.

A segment is written by one process, which holds a lock on it for as long as it may write. Beside it stands how far its
records are in the prediction log. That number may lag behind: the same record twice is the same predictions.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.core.files import write_bytes
from headrace.prediction_log.journal_records import Record, next_record, read_records

_log = logging.getLogger(__name__)

SUFFIX = ".segment"
_POSITION, _DAMAGED = ".position", ".damaged"
#: Bytes read at once. No record holds as many zeros in a row.
_PART = 1024 * 1024


def journal_folder(root: Path, problem: str) -> Path:
    """Return the folder of a problem's segments."""
    return Path(root) / "predictions" / "journal" / problem


@dataclass(frozen=True)
class Segment:
    """One file of the journal."""

    path: Path

    @property
    def position(self) -> int:
        """Bytes whose records are in the prediction log."""
        try:
            return int(self._position_path.read_bytes())
        except (FileNotFoundError, ValueError):
            return 0

    def record_position(self, position: int) -> None:
        """Note that the records before a position are in the prediction log; an older note does no harm."""
        temporary = self._position_path.with_suffix(".tmp")
        temporary.write_bytes(str(position).encode())
        temporary.replace(self._position_path)

    def unread(self) -> list[Record]:
        """Return the whole records that are not in the prediction log yet; of a finished segment all of them.

        A record that is followed by others and is not whole is damaged: it is skipped, and the file is kept aside.
        """
        is_written, start = self.is_written, self.position
        data = _content(self.path, start)
        records = list(read_records(data))
        end = records[-1].end if records else 0
        while not is_written and (following := next_record(data, end)) is not None:
            _log.error("%s is damaged at byte %d: %d bytes are lost", self.path, start + end, following - end)
            write_bytes(self.path.with_suffix(_DAMAGED), self.path.read_bytes())
            records += read_records(data, following)
            end = records[-1].end
        return [replace(record, end=start + record.end) for record in records]

    @property
    def is_written(self) -> bool:
        """Whether its writer lives."""
        # NFS gives an exclusive lock only to who may write (flock(2)).
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def remove(self) -> None:
        """Delete the file, whose records are all in the prediction log."""
        self.path.unlink(missing_ok=True)
        self._position_path.unlink(missing_ok=True)

    @property
    def _position_path(self) -> Path:
        return self.path.with_suffix(_POSITION)


def _content(path: Path, start: int) -> bytes:
    """Return the bytes of a segment from a position up to the zeros that were reserved behind its records."""
    parts = []
    with path.open("rb") as file:
        file.seek(start)
        while (part := file.read(_PART)).strip(b"\0"):
            parts.append(part)
    return b"".join(parts)


def segments(folder: Path) -> list[Segment]:
    """Return the segments of a folder, oldest first."""
    try:
        return [Segment(path) for path in sorted(folder.iterdir()) if path.suffix == SUFFIX]
    except (FileNotFoundError, NotADirectoryError):
        return []


def reserved_bytes(folder: Path) -> int:
    """Return the bytes of all segments of a folder; one that is removed meanwhile may count."""
    total = 0
    for segment in segments(folder):
        with suppress(FileNotFoundError):
            total += segment.path.stat().st_size
    return total


@contextmanager
def reading_alone(folder: Path) -> Iterator[None]:
    """Let one process at a time move records from segments to the prediction log."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
