"""The trial journal: one JSON line per trial, appended and synced before anybody is told of it.

A kill can only tear the last line. Opening a journal drops a torn tail from the file, so what is read and what is
appended next always start at a line's beginning. The first line holds the study's key: a journal of another study
(other space, seed, searcher or data) is refused, not mixed in.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from headrace.core.errors import ConflictError, CorruptError
from headrace.core.files import sync_folder
from headrace.search.trial import Trial


class Journal:
    """An open journal, locked against a second writer. Use as a context manager."""

    def __init__(self, path: Path, key: str) -> None:
        """Open or create. Raises ConflictError for another study's journal or a second writer, CorruptError for
        a line before the last that cannot be read."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("a+b")
        try:
            self._lock()
            self.trials = self._recover(key)
        except BaseException:
            self._file.close()
            raise

    def append(self, trial: Trial) -> None:
        """Write one trial; it is on disk when this returns."""
        self._write(trial.to_json())
        self.trials = (*self.trials, trial)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConflictError(
                "another process is running this study", where=str(self.path), fix="wait for it to end"
            ) from None

    def _recover(self, key: str) -> tuple[Trial, ...]:
        self._file.seek(0)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._file.truncate(len(whole))
            os.fsync(self._file.fileno())
        if not whole:
            self._write({"journal": 1, "key": key})
            sync_folder(self.path.parent)
            return ()
        header, *lines = [self._parse(number, line) for number, line in enumerate(whole.splitlines(), start=1)]
        if header.get("key") != key:
            raise ConflictError(
                "this journal belongs to another study",
                where=str(self.path),
                found=[header.get("key")],
                fix="the space, searcher, seed, workers or data differ: give this study a journal of its own",
            )
        return tuple(Trial.from_json(line) for line in lines)

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except ValueError as error:
            raise CorruptError(f"line {number} is not JSON ({error})", where=str(self.path)) from None
        if not isinstance(value, dict):
            raise CorruptError(f"line {number} is not a record", where=str(self.path))
        return value

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record, allow_nan=False, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
