"""The prediction journal of one serving process: an answer leaves once its row is in it, far sooner than in a database.

A row is appended to a file of this process (`journal_segments`) by one write, and moved to the prediction log later: by
whoever reads the log, or by the process of `journal_drain`. What has been written survives the end of this process,
kill -9 included. What a power cut leaves depends on the setting:

always     every row of an answer that was sent; the answer waits for the disk, together with others
interval   all but the rows of the last `interval_s` seconds; the answer waits for no disk

Where rows cannot be moved, because PostgreSQL is away, the journal grows up to a limit. Beyond it, writes are refused.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

from headrace.core.errors import HeadraceError, UnavailableError
from headrace.core.settings import settings
from headrace.prediction_log.journal_segments import journal_folder, reserved_bytes
from headrace.prediction_log.open_segment import OpenSegment, require_room
from headrace.prediction_log.rows import Prediction

_log = logging.getLogger(__name__)

Sync = Literal["always", "interval"]

#: Bytes that are reserved for a segment; it may have more where one record needs them.
SEGMENT_BYTES = 32 * 1024 * 1024
INTERVAL_S = 0.1

#: Called with the error that befell a sync, None where it succeeded.
Synced = Callable[[HeadraceError | None], None]


class PredictionJournal:
    """Appends predictions to segments. Safe for many threads; opened at the first write.

    Args:
        root: Home folder.
        problem: Name of the problem.
        sync: When rows are on disk: before `append` returns (always), or within `interval_s` (interval).
        interval_s: Seconds between two syncs.
        segment_bytes: Bytes of a segment, after which the next one is begun.
        limit_bytes: Bytes that the segments of all processes may take; None: the setting `journal_limit`.
    """

    def __init__(
        self,
        root: Path,
        problem: str,
        *,
        sync: Sync = "always",
        interval_s: float = INTERVAL_S,
        segment_bytes: int = SEGMENT_BYTES,
        limit_bytes: int | None = None,
    ) -> None:
        self.folder = journal_folder(root, problem)
        self.sync: Sync = sync
        self._interval_s = interval_s
        self._segment_bytes = segment_bytes
        self.limit_bytes = int(settings().journal_limit) if limit_bytes is None else limit_bytes
        self._writing = threading.Lock()
        self._segment: OpenSegment | None = None
        self._next: OpenSegment | None = None
        self._changed = threading.Condition()
        self._waiting: list[Synced] = []
        self._unsynced: list[OpenSegment] = []
        self._thread: threading.Thread | None = None
        self._stopping = False

    def append(self, rows: Sequence[Prediction]) -> int:
        """Write predictions as one record, and wait for the disk where `sync` is always; return their number.

        Raises:
            UnavailableError: The journal cannot be written.
        """
        if not rows:
            return 0
        if self.sync == "interval":
            self.write(rows)
            return len(rows)
        done, errors = threading.Event(), list[HeadraceError]()

        def synced(error: HeadraceError | None) -> None:
            errors.extend([error] if error else [])
            done.set()

        self.write(rows)
        self.when_synced(synced)
        done.wait()
        if errors:
            raise errors[0]
        return len(rows)

    def when_synced(self, synced: Synced) -> None:
        """Call a function from another thread once everything that was written until now is on disk, or failed."""
        with self._changed:
            self._waiting.append(synced)
            self._start_thread()
            self._changed.notify()

    def write(self, rows: Sequence[Prediction]) -> None:
        """Write predictions as one record, without waiting for the disk.

        Raises:
            UnavailableError: The journal cannot be written, or has reached its limit.
        """
        if not rows:
            return
        with self._writing:
            try:
                segment = self._current()
                segment.write(rows)
            except OSError as error:
                self._finish_segment()
                raise _failure(error, self.folder) from error
            self._schedule(segment)

    @property
    def used_bytes(self) -> int:
        """Bytes of the segments of all processes, whether or not their rows are in the prediction log."""
        return reserved_bytes(self.folder)

    def check_writable(self) -> None:
        """Check that a write would succeed, without adding a record; raises UnavailableError."""
        with self._writing:
            try:
                self._current().probe()
            except OSError as error:
                self._finish_segment()
                raise _failure(error, self.folder) from error

    def close(self) -> None:
        """Sync and close the segments; the next write begins a new one."""
        with self._writing:
            self._finish_segment()
            with self._changed:
                prepared, self._next = self._next, None
                thread, self._thread, self._stopping = self._thread, None, True
                self._changed.notify()
            if prepared is not None:
                prepared.close()
            if thread is not None:
                thread.join()

    def __enter__(self) -> PredictionJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _current(self) -> OpenSegment:
        """Return the segment to write to: a new one where there is none, it is full, or its file was moved away."""
        segment = self._segment
        if segment is not None and (segment.finished or segment.is_full or not segment.is_in_place):
            self._finish_segment()
        while self._segment is None:
            with self._changed:
                prepared, self._next = self._next, None
            self._segment = prepared or self._new_segment()
            if not self._segment.is_in_place:
                self._finish_segment()
        return self._segment

    def _new_segment(self) -> OpenSegment:
        """Begin a segment; UnavailableError where the journal has reached its limit."""
        require_room(self.folder, self._segment_bytes, self.limit_bytes)
        return OpenSegment(self.folder, self._segment_bytes)

    def _finish_segment(self) -> None:
        """Begin a new segment with the next write; the sync thread syncs and closes the old one."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.finished = True
            self._schedule(segment)

    def _schedule(self, segment: OpenSegment) -> None:
        """Let the sync thread sync a segment."""
        with self._changed:
            if segment in self._unsynced:
                return
            self._unsynced.append(segment)
            self._start_thread()
            if self.sync == "interval":
                self._changed.notify()

    def _start_thread(self) -> None:
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name="prediction-journal", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        """Sync what was written: as soon as somebody waits for it, else `interval_s` seconds after the write."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsynced or self._waiting or self._stopping)
                self._changed.wait_for(lambda: self._waiting or self._stopping, self._interval_s)
                segments, self._unsynced = self._unsynced, []
                waiting, self._waiting = self._waiting, []
                ends = self._stopping and not segments and not waiting
            if ends:
                return
            error = self._sync_all(segments)
            for synced in waiting:
                synced(error)
            self._prepare_next()

    def _sync_all(self, segments: Sequence[OpenSegment]) -> HeadraceError | None:
        """Sync segments, and close those that are finished; return what went wrong."""
        failed: HeadraceError | None = None
        for segment in segments:
            if segment.closed:
                continue
            is_finished = segment.finished  # before the sync: it then covers the last write
            try:
                os.fdatasync(segment.descriptor)
            except OSError as error:  # what the system holds of it may be lost: nothing more is written behind it
                failed = _failure(error, self.folder)
                _log.error("%s", failed)
                segment.finished = is_finished = True
            if is_finished:
                segment.close()
        return failed

    def _prepare_next(self) -> None:
        """Make the next segment once half of the present one is used, so that no write waits for it."""
        segment = self._segment
        if segment is None or self._next is not None or segment.end < self._segment_bytes // 2:
            return
        with suppress(OSError, UnavailableError):  # the write that needs it reports what is wrong
            made = self._new_segment()
            with self._changed:
                is_needed = not self._stopping and self._next is None
                self._next = made if is_needed else self._next
            if not is_needed:
                made.close()


def _failure(error: OSError, folder: Path) -> HeadraceError:
    fix = "see that its disk is there, is writable and is not full"
    return UnavailableError(f"the prediction log cannot be used: {error.strerror}", where=str(folder), fix=fix)
