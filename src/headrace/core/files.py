"""Atomic and durable writes. A reader sees the old bytes or the new ones, never half of either."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.fingerprint import canonical


def sync_folder(folder: Path) -> None:
    """Make a rename inside a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file atomically: temporary file, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically; dataclasses and sets are written in their canonical form."""
    write_bytes(path, (json.dumps(canonical(value), indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; NotFoundError or CorruptError names it where that fails."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError("no such file", where=str(path)) from None
    except ValueError as error:
        raise CorruptError(f"not valid JSON ({error})", where=str(path)) from None


@contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `final` when the block ends without an error.

    If another process created `final` meanwhile, the temporary folder is dropped: content-addressed work is equal.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        try:
            temporary.rename(final)
        except OSError:
            if not final.exists():
                raise
        sync_folder(final.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files and folders that killed writers left; the caller holds the lock of all writers."""
    for leftover in folder.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
