"""Small JSON state files, each stored twice with a checksum: damage to one of the two is detected, repaired and logged.

A file contains one JSON object and, under `seal`, the sha256 of the rest, a serial number that grows with every write,
and a random id shared by all versions of the file. Its replica is beside it, as `.NAME.copy`.

  one of the two is damaged or gone    it is written again from the other
  the file is older than its copy      an old version was put in its place: it is written again from the copy
  the copy is older than the file      a write was interrupted between them: the next write repairs it
  they have different ids              a file of another home or problem: refused, because either may be right
  both are damaged                     refused

A file without a seal and without a copy is of an earlier version of Headrace, and is taken as it is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import write_bytes
from headrace.core.fingerprint import canonical, fingerprint

_log = logging.getLogger(__name__)

_SEAL = "seal"


@dataclass(frozen=True, kw_only=True)
class _Version:
    """An intact version of a file. serial 0: written by an earlier version of Headrace, without a checksum."""

    data: bytes
    value: Mapping[str, Any]
    serial: int
    line: str


def replica_path(path: Path) -> Path:
    """Return the path of a file's replica."""
    return path.with_name(f".{path.name}.copy")


def exists(path: Path) -> bool:
    """Whether a file was ever written: it or its replica exists."""
    return path.exists() or replica_path(path).exists()


def write_replicas(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file and its replica. One writer at a time: the caller holds a lock."""
    versions = [version for version in (_version(path), _version(replica_path(path))) if isinstance(version, _Version)]
    line = next((version.line for version in versions if version.line), uuid.uuid4().hex[:12])
    data = _encode(value, max((version.serial for version in versions), default=0) + 1, line)
    write_bytes(path, data)
    write_bytes(replica_path(path), data)


def read_replicas(path: Path) -> dict[str, Any]:
    """Read a file; a damaged file or replica is repaired from the other, and that is logged.

    Raises:
        NotFoundError: It was never written.
        CorruptError: Both are damaged, or belong to different files.
    """
    original, copy = _version(path), _version(replica_path(path))
    if isinstance(original, _Version) and not original.serial:
        if copy is None:
            return dict(original.value)
        original = "has no checksum"
    if isinstance(original, _Version):
        if isinstance(copy, _Version):
            return dict(_current(path, original, copy).value)
        _repair(replica_path(path), original, copy or "is gone")
        return dict(original.value)
    if isinstance(copy, _Version):
        _repair(path, copy, original or "is gone")
        return dict(copy.value)
    if original is None and copy is None:
        raise NotFoundError("no such file", where=str(path))
    fix = "bring both back from a backup"
    raise CorruptError(
        f"{original or 'is gone'}, and so is its copy", where=str(path), found=[replica_path(path).name], fix=fix
    )


def remove_replicas(path: Path) -> None:
    """Remove a file and its replica."""
    replica_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _current(path: Path, original: _Version, copy: _Version) -> _Version:
    """Return the current one of two intact versions."""
    if original.line != copy.line or (original.serial == copy.serial and original.data != copy.data):
        raise CorruptError(
            "is of another home or problem than its copy",
            where=str(path),
            found=[replica_path(path).name],
            fix="delete the one of the two that does not belong here, or bring both back from a backup",
        )
    if original.serial >= copy.serial:
        return original
    reread = _version(path)  # a writer may have been between the two reads
    if isinstance(reread, _Version) and reread.serial >= copy.serial:
        return reread
    _repair(path, copy, "is an older version of itself")
    return copy


def _repair(path: Path, source: _Version, damage: str) -> None:
    """Write a file from its replica, or the reverse; a read-only disk is no error."""
    _log.warning("%s %s: it was mended from the other of its two copies", path, damage)
    with contextlib.suppress(OSError):
        write_bytes(path, source.data)


def _version(path: Path) -> _Version | str | None:
    """Read an intact version; a string says what is wrong with it; None where there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        value = json.loads(data)
    except ValueError:
        return "is damaged (not JSON)" if data else "is empty"
    if not isinstance(value, dict) or not value:
        return "is damaged (nothing in it)"
    seal = value.pop(_SEAL, None)
    if seal is None:
        return _Version(data=data, value=value, serial=0, line="")
    try:
        serial, line, sum_ = int(seal["serial"]), str(seal["line"]), str(seal["sha256"])
    except (TypeError, KeyError, ValueError):
        return "is damaged (its checksum cannot be read)"
    if sum_ != _checksum(value, serial, line):
        return "is damaged (its checksum differs)"
    return _Version(data=data, value=value, serial=serial, line=line)


def _checksum(value: Mapping[str, Any], serial: int, line: str) -> str:
    return fingerprint({"value": value, "serial": serial, "line": line})


def _encode(value: Mapping[str, Any], serial: int, line: str) -> bytes:
    content: dict[str, Any] = json.loads(json.dumps(canonical(value)))
    seal = {"line": line, "serial": serial, "sha256": _checksum(content, serial, line)}
    return (json.dumps({**content, _SEAL: seal}, indent=2, ensure_ascii=False) + "\n").encode()
