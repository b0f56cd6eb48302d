"""Blobs of each partition in a file of their own, appended in any order, read once."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_HEADER = struct.Struct("<iq")


class Spool:
    """Files of blobs.

    Args:
        folder: made where it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def append(self, partition: int, source: int, blob: bytes) -> None:
        """Add a blob of a source (a number) to a partition."""
        with (self._folder / str(partition)).open("ab") as file:
            file.write(_HEADER.pack(source, len(blob)))
            file.write(blob)

    def partitions(self) -> list[int]:
        """The partitions that have blobs."""
        return sorted(int(path.name) for path in self._folder.iterdir())

    def take(self, partition: int) -> Iterator[tuple[int, bytes]]:
        """Each blob of a partition with its source; afterwards the file is removed."""
        path = self._folder / str(partition)
        if not path.exists():
            return
        with path.open("rb") as file:
            while header := file.read(_HEADER.size):
                source, size = _HEADER.unpack(header)
                yield source, file.read(size)
        path.unlink()
