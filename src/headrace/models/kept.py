"""What a family derives from the rows of a study, such as binned data: made once, not once a trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

Made = TypeVar("Made")


class Kept:
    """Belongs to one training set and its validation rows. folder: where several processes share what can be filed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What `make` makes; in this process it is called once for each name."""
        if name not in self._made:
            self._made[name] = make()
        kept: Made = self._made[name]
        return kept

    def filed(self, name: str, write: Callable[[Path], Any]) -> Path:
        """The path of a file that one process of all writes, at once whole."""
        path = self.folder / name
        if not path.exists():
            with FileLock(self.folder / f".{name}.lock"):
                if not path.exists():
                    unfinished = self.folder / f".{name}.tmp"
                    unfinished.unlink(missing_ok=True)
                    write(unfinished)
                    unfinished.replace(path)
        return path
