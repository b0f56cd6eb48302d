"""Manifests: the sha256 of every file of a folder, verified before a file is read.

A process computes the checksum of a file once, and again only after its inode, size or times of change differ, so a
check costs one stat call.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.core.errors import CorruptError
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import file_digest

MANIFEST = "manifest.json"

#: Age from which a file's checksum is cached: time stamps have a resolution of up to 2 s, and a later change within it
#: would not be seen.
_SETTLED_NS = 2_000_000_000

#: Device, inode, size, times of change of content and of inode (ns).
Stamp = tuple[int, int, int, int, int]

_SUMS: dict[Stamp, str] = {}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The sha256 of every file below a folder, by relative path."""

    folder: Path
    sums: Mapping[str, str]

    def path(self, name: str) -> Path:
        """Return the path of a file, or of a folder, after comparing it with its checksums.

        Raises:
            CorruptError: A file differs, or is not in the manifest.
        """
        names = [entry for entry in self.sums if entry == name or entry.startswith(f"{name}/")]
        if not names:
            raise CorruptError("the manifest does not name it", where=str(self.folder / name))
        for entry in names:
            _compare(self.folder / entry, self.sums[entry])
        return self.folder / name

    def check(self) -> None:
        """Compare the folder with the manifest; CorruptError for a changed, missing or additional file."""
        differences = sorted(set(_names(self.folder)) ^ set(self.sums))
        if differences:
            raise CorruptError("files differ from the manifest", where=str(self.folder), found=differences)
        for name, expected in self.sums.items():
            _compare(self.folder / name, expected)


def write_manifest(folder: Path) -> Manifest:
    """Write manifest.json into a folder, from its other files."""
    sums = {name: file_checksum(folder / name) for name in _names(folder)}
    write_json(folder / MANIFEST, sums)
    return Manifest(folder=folder, sums=sums)


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest without comparing files; NotFoundError or CorruptError where there is none."""
    sums = read_json(folder / MANIFEST)
    if not isinstance(sums, dict) or not all(isinstance(value, str) for value in sums.values()):
        raise CorruptError("is no manifest", where=str(folder / MANIFEST))
    return Manifest(folder=folder, sums=sums)


def check_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest and compare all files with it; CorruptError names the first that differs."""
    manifest = read_manifest(folder)
    manifest.check()
    return manifest


def file_checksum(path: Path) -> str:
    """Return the sha256 of a file, hex; cached while the file is unchanged."""
    stamp = stable_stamp(path)
    if stamp is None:
        return file_digest(path)
    if stamp not in _SUMS:
        digest = file_digest(path)
        if _stamp(path) != stamp:
            return digest
        _SUMS[stamp] = digest
    return _SUMS[stamp]


def stable_stamp(path: Path) -> Stamp | None:
    """Return the stamp that identifies a file's state; None while a change could go unnoticed."""
    now_ns = time.time_ns()
    stamp = _stamp(path)
    return stamp if now_ns - max(stamp[-2:]) >= _SETTLED_NS else None


def link_file(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it where the file system has no links; a cached checksum is kept."""
    digest = _SUMS.get(_stamp(source))
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        return
    if digest is not None:
        _SUMS[_stamp(target)] = digest  # a link is a change of the inode, not of what it holds


def _names(folder: Path) -> list[str]:
    """Relative paths of a folder's files, without its manifest."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [name for name in names if name != MANIFEST]


def _compare(path: Path, expected: str) -> None:
    try:
        digest = file_checksum(path)
    except FileNotFoundError:
        raise CorruptError("is gone", where=str(path)) from None
    except OSError as error:
        raise CorruptError(f"cannot be read ({error.strerror})", where=str(path)) from None
    if digest != expected:
        raise CorruptError("sha256 differs from the manifest", where=str(path))


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
