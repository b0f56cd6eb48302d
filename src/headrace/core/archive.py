"""Back up a folder as one archive, consistently while services write to it, and restore it.

The archive is a .tar.gz of the files, and at its end a manifest of their sha256 sums. What is written while it is made:

- A SQLite file is copied by SQLite's own online backup: one state of it, with its write-ahead log, as of one instant.
- Every other file is written once and renamed into place, so what is opened is whole, or it is appended to, and its
  reader drops a last line that was cut.
- Files refer to each other, so they are copied in an order (`core.copy_order`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
import uuid
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from headrace.core.copy_order import is_sqlite, ordered_files
from headrace.core.errors import ConflictError, CorruptError, HeadraceError, NotFoundError, UnavailableError
from headrace.core.files import staged_folder, sync_folder

MANIFEST = "headrace-backup.json"
_FORMAT = 1
_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The content of an archive: number of files, and their total size in bytes, unpacked."""

    files: int
    size: int


@dataclass(kw_only=True)
class _Packed:
    """sums: path -> sha256 and size. links: path -> the one that is the same file, archived under that name."""

    sums: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    inodes: dict[tuple[int, int], str] = field(default_factory=dict)


def pack(
    folder: Path,
    archive: Path,
    *,
    order: Sequence[str],
    exclude: Sequence[str] = (),
    instead: Mapping[str, Path] | None = None,
) -> Summary:
    """Write a folder to a new archive, atomically.

    Args:
        folder, archive: The folder, and the file to write.
        order: Relative paths in the order of copying: referring files first. Files below none of them come first.
        exclude: Relative paths that are not archived.
        instead: Relative path -> a file elsewhere that is archived under it, before all others.

    Raises:
        ConflictError: The archive exists already, or is inside the folder.
        CorruptError: A database of the folder is damaged.
    """
    if archive.exists():
        raise ConflictError("there is such a file already", where=str(archive), fix="name another: none is overwritten")
    if archive.absolute().is_relative_to(folder.absolute()):
        raise ConflictError("lies in what is archived", where=str(archive), fix="name a file elsewhere")
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_name(f".{archive.name}.{uuid.uuid4().hex}.tmp")
    packed = _Packed()
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
                for name, path in (instead or {}).items():
                    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
                        _add_file(tar, name, _snapshot(path, Path(work) / "copy.db"), packed)
                for path in ordered_files(folder, order, (*exclude, *(instead or {}))):
                    _add(tar, folder, path, packed, work=archive.parent)
                manifest = {"format": _FORMAT, "files": packed.sums, "links": packed.links}
                _add_bytes(tar, MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(archive)
        sync_folder(archive.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return _summary(packed.sums)


def unpack(archive: Path, folder: Path) -> Summary:
    """Restore a folder from an archive, atomically, after comparing every file with its checksum.

    Raises:
        NotFoundError: The archive does not exist.
        ConflictError: The folder is not empty.
        CorruptError: The archive is damaged, or names paths outside of the folder.
    """
    if not archive.is_file():
        raise NotFoundError("no such file", where=str(archive))
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(
            "is not empty", where=str(folder), fix="stop what runs there, and restore to a new folder (HEADRACE_HOME)"
        )
    with staged_folder(folder) as staging:
        staging.chmod(0o700)
        try:
            sums = _extract(archive, staging)
        except HeadraceError:
            raise
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the disk; gzip's own have no number
                raise UnavailableError(f"cannot be restored ({error.strerror})", where=str(folder)) from None
            reason = str(error).split("\n")[0] or type(error).__name__
            raise CorruptError(f"is no whole archive ({reason})", where=str(archive), fix="use another one") from None
    return _summary(sums)


def _summary(sums: dict[str, dict[str, Any]]) -> Summary:
    return Summary(files=len(sums), size=sum(int(entry["size"]) for entry in sums.values()))


# -- packing


def _add(tar: tarfile.TarFile, folder: Path, path: Path, packed: _Packed, *, work: Path) -> None:
    name = path.relative_to(folder).as_posix()
    if is_sqlite(path):
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            _add_file(tar, name, _snapshot(path, Path(temporary) / "copy.db"), packed)
        return
    try:
        stat = path.stat()
        key = (stat.st_dev, stat.st_ino)
        if stat.st_nlink > 1 and key in packed.inodes:
            packed.links[name] = packed.inodes[key]
            return
        _add_file(tar, name, path, packed)
        packed.inodes[key] = name
    except FileNotFoundError:  # replaced, or removed as no longer needed, since the folder was listed
        return


def _snapshot(path: Path, copy: Path) -> Path:
    """One state of a database that others may be writing."""
    try:
        with (
            # For writing where that can be: a reader alone would leave the log's files behind.
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30.0)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            verdict = str(target.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        raise CorruptError(f"cannot be copied ({error})", where=str(path), fix="see that it is whole") from None
    if verdict != "ok":
        raise CorruptError(f"is damaged ({verdict.splitlines()[-1]})", where=str(path), fix="restore an earlier backup")
    return copy


def _add_file(tar: tarfile.TarFile, name: str, path: Path, packed: _Packed) -> None:
    with path.open("rb") as file:
        stat = os.fstat(file.fileno())
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = stat.st_size, int(stat.st_mtime), 0o600
        reader = _Hashing(file)
        tar.addfile(member, reader)  # as many bytes as there were: what is appended meanwhile is of later
        packed.sums[name] = {"sha256": reader.digest.hexdigest(), "size": member.size}


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, io.BytesIO(data))


class _Hashing(io.RawIOBase):
    """A file that sums up what is read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


# -- unpacking


def _extract(archive: Path, folder: Path) -> dict[str, dict[str, Any]]:
    manifest: dict[str, Any] | None = None
    sums: dict[str, dict[str, Any]] = {}
    with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            _check_member(member, archive)
            content = tar.extractfile(member)
            assert content is not None  # a regular file has some
            if member.name == MANIFEST:
                manifest = json.loads(content.read())
            else:
                sums[member.name] = _write(content, folder / member.name)
        while stream.read(1 << 20):  # to its end, where the sum of all of it is compared
            pass
    if manifest is None:
        raise CorruptError("has no manifest: it was cut, or is no backup of Headrace", where=str(archive))
    if manifest["format"] != _FORMAT:
        raise CorruptError(f"is of format {manifest['format']!r}", where=str(archive), found=[_FORMAT])
    differences = sorted(
        name for name in sums.keys() | manifest["files"].keys() if sums.get(name) != manifest["files"].get(name)
    )
    if differences:
        raise CorruptError(
            "its files differ from its manifest", where=str(archive), found=differences, fix="use another one"
        )
    for name, same in manifest["links"].items():
        _link(folder, name, same)
    return sums


def _check_member(member: tarfile.TarInfo, archive: Path) -> None:
    """Archives of ours hold plain files below the folder, and nothing else."""
    if not member.isreg() or not _is_below(member.name):
        raise CorruptError(
            "names what no backup holds: a link, or a place outside of the home",
            where=str(archive),
            found=[member.name],
            fix="it is none of `headrace backup`: do not trust it",
        )


def _is_below(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\\" not in name and "\0" not in name


def _write(content: IO[bytes], path: Path) -> dict[str, Any]:
    """Write one file; its sum and size."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while data := content.read(1 << 20):
            digest.update(data)
            size += len(data)
            file.write(data)
    return {"sha256": digest.hexdigest(), "size": size}


def _link(folder: Path, name: str, same: str) -> None:
    if not (_is_below(name) and _is_below(same)):
        raise ValueError(f"a link from {name} to {same}")
    (folder / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.link(folder / same, folder / name)
