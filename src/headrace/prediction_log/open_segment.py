"""The segment of the prediction journal that this process writes; for `prediction_log.journal`."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from headrace.core.errors import UnavailableError
from headrace.core.files import sync_folder
from headrace.prediction_log.journal_records import encode_record, names_of_rows
from headrace.prediction_log.journal_segments import SUFFIX, reserved_bytes
from headrace.prediction_log.packed_features import FeatureNames
from headrace.prediction_log.rows import Prediction


class OpenSegment:
    """The segment that this process writes. Its space is reserved, so that a write does not change its size.

    It has its name only once it is locked: a file with that name and without a lock has no writer any more.
    """

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{time.time_ns():020d}-{os.getpid()}{SUFFIX}"
        self.end = 0
        self.size = size
        self.finished = self.closed = False
        self._names: dict[bytes, FeatureNames] = {}
        temporary = self.path.with_suffix(".new")
        self.descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(self.descriptor, 0, size)
            temporary.rename(self.path)
            sync_folder(folder)
        except BaseException:
            self.close()
            temporary.unlink(missing_ok=True)
            raise

    def write(self, rows: Sequence[Prediction]) -> None:
        new = names_of_rows(rows, self._names)
        record = encode_record(rows, new)
        written = os.pwrite(self.descriptor, record, self.end)
        if written != len(record):
            raise OSError(28, "the disk is full")
        self.end += written
        self._names.update((names.digest, names) for names in new)

    def probe(self) -> None:
        """Write zeros where the next record comes."""
        os.pwrite(self.descriptor, bytes(16), self.end)

    @property
    def is_full(self) -> bool:
        return self.end >= self.size

    @property
    def is_in_place(self) -> bool:
        """Whether the file still has its name: a restored home has other files."""
        return os.fstat(self.descriptor).st_nlink > 0

    def close(self) -> None:
        self.closed = True
        with suppress(OSError):
            os.close(self.descriptor)


def require_room(folder: Path, segment_bytes: int, limit_bytes: int) -> None:
    """Check that a further segment keeps the journal within its limit; raises UnavailableError.

    Where no row of it can be moved to the prediction log, the journal would otherwise take the whole disk. Segments of
    all processes count. Processes that ask at the same moment may exceed the limit by a segment each.
    """
    used = reserved_bytes(folder)
    if used + segment_bytes > limit_bytes:
        raise UnavailableError(
            f"the prediction journal is full: {used / 1e6:,.0f} of {limit_bytes / 1e6:,.0f} MB are in use",
            where=str(folder),
            fix="see in the server's log why rows are not moved to the prediction log (is PostgreSQL reachable?), or "
            "raise HEADRACE_JOURNAL_LIMIT",
        )
