"""The trial journal: one JSON line per trial, appended and synced before anybody is told of it.

A kill can only tear the last line. Opening a journal drops a torn tail from the file, so what is read and what is
appended next always start at a line's beginning. The first line holds the study's key: a journal of another study
(other space, seed, searcher or data) is refused, not mixed in. Every line ends with a checksum of itself and of the
key: opening drops the lines that a disk has changed, and whoever runs the study runs those trials again.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from headrace.core.errors import ConflictError
from headrace.core.files import sync_folder
from headrace.search.trial import Trial


class Journal:
    """An open journal, locked against a second writer. Use as a context manager."""

    def __init__(self, path: Path, key: str) -> None:
        """Open or create. Raises ConflictError for another study's journal or a second writer.

        damaged: how many lines were, and were dropped.
        """
        self.path = path
        self.damaged = 0
        self._key = key
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("a+b")
        try:
            self._lock()
            self.trials = self._recover()
        except BaseException:
            self._file.close()
            raise

    def append(self, trial: Trial) -> None:
        """Write one trial; it is on disk when this returns."""
        self._append(_sealed(trial.to_json(), self._key) + b"\n")
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

    def _recover(self) -> tuple[Trial, ...]:
        self._file.seek(0)
        data = self._file.read()
        header, *lines = data[: data.rfind(b"\n") + 1].split(b"\n")[:-1] or [b""]
        self._refuse_another(header)
        whole = [line for line in lines if _is_whole(line, self._key)]
        expected = [_sealed({"journal": 2, "key": self._key}, ""), *whole]
        self.damaged = len(lines) + bool(header) - len(whole) - (header == expected[0])
        kept = b"".join(line + b"\n" for line in expected)
        if kept != data:
            self._file.truncate(0)
            self._append(kept)
            sync_folder(self.path.parent)
        return tuple(
            Trial.from_json({name: value for name, value in json.loads(line).items() if name != _SUM}) for line in whole
        )

    def _refuse_another(self, header: bytes) -> None:
        key = json.loads(header)["key"] if _is_whole(header, "") else self._key
        if key != self._key:
            raise ConflictError(
                "this journal belongs to another study",
                where=str(self.path),
                found=[key],
                fix="the space, searcher, seed, workers or data differ: give this study a journal of its own",
            )

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())


_SUM = "crc32"
#: How long the checksum is with its name, to the end of the line.
_LENGTH = len(f', "{_SUM}": "01234567"}}')


def _trial(line: bytes) -> Trial:
    return Trial.from_json({name: value for name, value in json.loads(line).items() if name != _SUM})


def _sealed(record: dict[str, Any], key: str) -> bytes:
    """A record as a line that ends with its checksum."""
    return _with_sum(json.dumps(record, allow_nan=False, ensure_ascii=False).encode(), key)


def _with_sum(text: bytes, key: str) -> bytes:
    return text[:-1] + b', "%s": "%08x"}' % (_SUM.encode(), zlib.crc32(text, zlib.crc32(key.encode())))


def _is_whole(line: bytes, key: str) -> bool:
    return line == _with_sum(line[:-_LENGTH] + b"}", key)
