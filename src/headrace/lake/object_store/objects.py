"""Read and write the objects of a store by name, for a lake that several machines share.

| address | store |
|---|---|
| `s3://bucket/folder`, with `?endpoint_override=`, `region=` | an S3 API, through obstore |
| `gs://bucket/folder`, `az://container/folder` | Google Cloud Storage, Azure, through obstore |
| `file:///folder` | a folder that all machines mount; it must exist |

A store needs one conditional operation: to create an object unless there is one of that name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from headrace.core.errors import DeclarationError
from headrace.core.redact import redact

#: The setting that names the store, for errors.
SETTING = "setting HEADRACE_LAKE"
_SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "file")


class Objects(Protocol):
    """The objects below an address. All operations raise UnavailableError where the store does not do them.

    Attributes:
        where: The address without secrets, for errors.
    """

    where: str

    def create(self, name: str, data: bytes) -> bool:
        """Create an object; False where one of that name exists. After a lost answer, False may be of this call."""

    def write(self, name: str, source: Path) -> None:
        """Write an object from a file, whether or not it exists."""

    def read(self, name: str) -> bytes | None:
        """Read an object; None where there is none."""

    def fetch(self, name: str, target: Path) -> bool:
        """Write an object to a new file; False where there is none."""

    def names(self, folder: str, after: str = "") -> Sequence[str]:
        """Return the names of the objects in a folder, sorted; only those after a name where one is given."""

    def remove(self, name: str) -> None:
        """Remove an object, whether or not it exists."""

    def age_s(self, name: str) -> float | None:
        """Return how long ago an object was written, seconds; None where there is none."""


@lru_cache(maxsize=16)
def open_objects(address: str) -> Objects:
    """Open a store. Nothing is asked of it yet.

    Raises:
        DeclarationError: The address is none of a store, or holds a password.
        UnavailableError: The package that reaches it is not installed.
    """
    parts = urlsplit(address)
    if parts.scheme not in _SCHEMES or not (parts.netloc or parts.scheme == "file"):
        raise DeclarationError(
            "is no address of a store",
            where=SETTING,
            found=[redact(address)],
            fix="write it as s3://bucket/folder, gs://bucket/folder, az://container/folder or file:///folder",
        )
    if "@" in parts.netloc:
        raise DeclarationError(
            "holds credentials",
            where=SETTING,
            fix="give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in files (..._FILE)",
        )
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme == "file":
        from headrace.lake.object_store.folder import FolderObjects

        return FolderObjects(Path(parts.path))
    from headrace.lake.object_store.cloud import open_cloud

    return open_cloud(parts.scheme, parts.netloc, parts.path.strip("/"), options, where=redact(address))
