"""A small disk of its own for a home, made full, read-only and large again; root on Linux only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A file system in memory, at a folder."""

    folder: Path

    def leave(self, room: int) -> None:
        """Leave so many bytes free."""
        stat = os.statvfs(self.folder)
        self._remount(f"size={(stat.f_blocks - stat.f_bfree) * stat.f_frsize + room}")

    def enlarge(self) -> None:
        """Make room."""
        self._remount("size=1g")

    def protect(self) -> None:
        """Make it read-only."""
        self._remount("ro")

    def _remount(self, options: str) -> None:
        _mount("-o", f"remount,{options}", str(self.folder))


@contextmanager
def disk_with(content: Path, folder: Path) -> Iterator[Disk]:
    """A disk at a folder that holds a copy of some content. Skips where mounting is not allowed."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small file system")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        _mount("-t", "tmpfs", "-o", "size=1g", "headrace-chaos", str(folder))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a small file system cannot be mounted here: {error.stderr.strip()}")
    try:
        shutil.copytree(content, folder, dirs_exist_ok=True)
        yield Disk(folder=folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True, capture_output=True, text=True)
