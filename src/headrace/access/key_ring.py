"""Find the record of a presented key in memory, for every request of a server; the file is looked at twice a second.

A look is one `stat`. So a key that is made or revoked counts within `LOOK_S`. The hash of a presented key is computed
each time: that costs a microsecond, less than a second look-up in a cache of checked keys would save.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from headrace.access.key_file import KeyFile
from headrace.access.keys import Key, id_of, matches
from headrace.core.errors import CorruptError, HeadraceError

_log = logging.getLogger(__name__)

#: Seconds between looks at the file.
LOOK_S = 0.5


class KeyRing:
    """The keys that a server accepts. Of one thread.

    A file that cannot be read leaves no key: a server that does not know which keys are revoked accepts none.

    Args:
        file: The file of keys.
        clock_s: A clock that only goes forward, seconds.
    """

    def __init__(self, file: KeyFile, clock_s: Callable[[], float]) -> None:
        self._file = file
        self._clock_s = clock_s
        self._next_look_s = float("-inf")
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def find(self, presented: bytes) -> Key | None:
        """Return the record of a key, which may be expired or revoked; None for a key that was never made here."""
        now_s = self._clock_s()
        if now_s >= self._next_look_s:
            self._look()
            self._next_look_s = now_s + LOOK_S
        number = id_of(presented)
        record = None if number is None else self._keys.get(number)
        if record is None or not matches(record, presented, self._file.pepper):
            return None
        return record

    def _look(self) -> None:
        stamp = _stamp(self._file.path)
        if stamp == self._stamp:
            return
        self._keys, self._stamp = {}, stamp
        try:
            self._keys = {key.id: key for key in self._file.records()}
        except (HeadraceError, OSError) as error:
            self._stamp = None  # looked at again, until it can be read
            _log.error(
                "no API key is accepted: %s", error if isinstance(error, CorruptError) else "the file is unreadable"
            )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes whenever the file is replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
