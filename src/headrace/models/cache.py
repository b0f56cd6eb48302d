"""Cache what a model family derives from the rows of a fold, such as binned data, for all trials of a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

T = TypeVar("T")


class FoldCache:
    """Cache of one fold: values in memory, per process, and files that the worker processes share.

    Args:
        folder: Folder of the files, of this fold only.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._values: dict[str, Any] = {}

    def get_or_create(self, name: str, create: Callable[[], T]) -> T:
        """Return the value of a name; `create` computes it at the first call in this process."""
        if name not in self._values:
            self._values[name] = create()
        value: T = self._values[name]
        return value

    def get_or_write_file(self, name: str, write: Callable[[Path], Any]) -> Path:
        """Return the path of a file; `write` writes it atomically, in whichever process asks first."""
        path = self.folder / name
        if not path.exists():
            with FileLock(self.folder / f".{name}.lock"):
                if not path.exists():
                    unfinished = self.folder / f".{name}.tmp"
                    unfinished.unlink(missing_ok=True)
                    write(unfinished)
                    unfinished.replace(path)
        return path
