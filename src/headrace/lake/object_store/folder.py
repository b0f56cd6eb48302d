"""Objects of a lake as files of a folder that all machines mount, such as NFS, or of a test."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from headrace.core.errors import UnavailableError
from headrace.core.files import sync_folder
from headrace.lake.object_store.objects import SETTING


class FolderObjects:
    """Objects below a folder; names are relative paths. A created object is on disk when the call returns.

    Args:
        root: The folder. It must exist: an empty mount point is not a new lake.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.where = str(root)

    def create(self, name: str, data: bytes) -> bool:
        """Create an object; False where one of that name exists."""
        with self._temporary(name) as (temporary, final):
            _write_durably(temporary, data)
            try:
                os.link(temporary, final)  # unlike a rename, it fails where the name is taken
            except FileExistsError:
                return False
            sync_folder(final.parent)
            return True

    def write(self, name: str, source: Path) -> None:
        """Write an object from a file, whether or not it exists."""
        with self._temporary(name) as (temporary, final):
            shutil.copyfile(source, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(final)
            sync_folder(final.parent)

    def read(self, name: str) -> bytes | None:
        """Read an object; None where there is none."""
        with self._errors():
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError:
                return None

    def fetch(self, name: str, target: Path) -> bool:
        """Write an object to a new file; False where there is none."""
        with self._errors():
            try:
                shutil.copyfile(self._root / name, target)
            except FileNotFoundError:
                return False
            return True

    def names(self, folder: str, after: str = "") -> Sequence[str]:
        """Return the names of the objects in a folder, sorted; only those after a name where one is given."""
        with self._errors():
            try:
                found = [f"{folder}/{path.name}" for path in (self._root / folder).iterdir() if path.name[0] != "."]
            except FileNotFoundError:
                return []
            return sorted(name for name in found if name > after)

    def remove(self, name: str) -> None:
        """Remove an object, whether or not it exists."""
        with self._errors():
            (self._root / name).unlink(missing_ok=True)

    def age_s(self, name: str) -> float | None:
        """Return how long ago an object was written, seconds; None where there is none."""
        with self._errors():
            try:
                return time.time() - (self._root / name).stat().st_mtime
            except FileNotFoundError:
                return None

    @contextmanager
    def _temporary(self, name: str) -> Iterator[tuple[Path, Path]]:
        """Yield the path of a temporary file beside that of an object, and the latter."""
        final = self._root / name
        temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex}.tmp")
        with self._errors():
            final.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield temporary, final
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise UnavailableError where the folder is gone or the file system fails."""
        if not self._root.is_dir():
            fix = "create it, or mount it; HEADRACE_LAKE names it"
            raise UnavailableError("the folder of the lake is not there", where=self.where, fix=fix)
        try:
            yield
        except OSError as error:
            raise UnavailableError(
                f"the lake cannot be reached ({error.strerror})",
                where=self.where,
                fix=f"check the folder ({SETTING}) and its disk; run again: nothing is half written",
            ) from None


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
