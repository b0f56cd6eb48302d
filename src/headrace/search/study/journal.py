"""The journal of a study: one JSON line per finished trial, appended and fsynced before the trial is reported.

A killed process can leave only the last line incomplete; opening the journal removes it. The first line holds the
study's key, and a journal with another key (other space, seed, searcher or data) is refused. Every line ends with a
checksum of itself and of the key; opening removes lines whose checksum does not match, and the study repeats those
trials.
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
        """Open a journal, or create it.

        Args:
            path: The file.
            key: Key of the study.

        Raises:
            ConflictError: The file is the journal of another study, or another process has it open.
        """
        #: Number of lines removed because they were incomplete or changed.
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
        """Append one trial and fsync."""
        self._append(_encode_line(trial.to_json(), self._key) + b"\n")
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
        self._require_same_key(header)
        intact = [line for line in lines if _is_intact(line, self._key)]
        expected = [_encode_line({"journal": 2, "key": self._key}, ""), *intact]
        self.damaged = len(lines) + bool(header) - len(intact) - (header == expected[0])
        intact_data = b"".join(line + b"\n" for line in expected)
        if intact_data != data:
            self._file.truncate(0)
            self._append(intact_data)
            sync_folder(self.path.parent)
        return tuple(_decode_line(line) for line in intact)

    def _require_same_key(self, header: bytes) -> None:
        key = json.loads(header)["key"] if _is_intact(header, "") else self._key
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
#: Length of the checksum with its name, to the end of the line.
_LENGTH = len(f', "{_SUM}": "01234567"}}')


def _decode_line(line: bytes) -> Trial:
    return Trial.from_json({name: value for name, value in json.loads(line).items() if name != _SUM})


def _encode_line(record: dict[str, Any], key: str) -> bytes:
    """Encode a record as a line that ends with its checksum."""
    return _append_checksum(json.dumps(record, allow_nan=False, ensure_ascii=False).encode(), key)


def _append_checksum(text: bytes, key: str) -> bytes:
    return text[:-1] + b', "%s": "%08x"}' % (_SUM.encode(), zlib.crc32(text, zlib.crc32(key.encode())))


def _is_intact(line: bytes, key: str) -> bool:
    return line == _append_checksum(line[:-_LENGTH] + b"}", key)
