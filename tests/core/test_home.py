"""A home is its owner's only; a folder that holds other things too is not taken for one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.errors import UnavailableError
from headrace.core.home import FOLDERS, open_home, owner_only

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def _modes(folder: Path) -> dict[str, int]:
    found = {path.relative_to(folder).as_posix(): path.lstat().st_mode & 0o777 for path in folder.rglob("*")}
    return {".": folder.stat().st_mode & 0o777, **found}


def test_a_new_home_is_its_owners(tmp_path: Path) -> None:
    open_home(tmp_path / "a" / "home")
    assert _modes(tmp_path / "a")["home"] == 0o700
    open_home(tmp_path / "a" / "home")


def test_an_existing_one_is_closed_once(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("of somebody else")
    home = tmp_path / "home"
    (home / "lake" / "shop").mkdir(parents=True)
    (home / "lake" / "shop" / "rows.parquet").touch()
    (home / "run").mkdir()
    (home / "run" / "tool").touch(mode=0o755)
    (home / "run" / "link").symlink_to(outside)
    open_home(home)
    links = ("run/link",)
    assert {name: mode for name, mode in _modes(home).items() if name not in links} == {
        ".": 0o700,
        "lake": 0o700,
        "lake/shop": 0o700,
        "lake/shop/rows.parquet": 0o600,
        "run": 0o700,
        "run/tool": 0o700,
    }
    assert outside.stat().st_mode & 0o777 == 0o644
    # Closed, it is not walked again; a folder that a process with another umask made since is.
    (home / "lake" / "shop" / "rows.parquet").chmod(0o644)
    (home / "store").mkdir()
    open_home(home)
    assert _modes(home)["store"] == 0o700
    assert _modes(home)["lake/shop/rows.parquet"] == 0o644


def test_a_home_behind_a_link_is_closed(tmp_path: Path) -> None:
    (tmp_path / "disk" / "lake").mkdir(parents=True)
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    open_home(tmp_path / "home")
    assert _modes(tmp_path / "disk") == {".": 0o700, "lake": 0o700}


def test_a_folder_that_holds_other_things_stays_open(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "my_project.py").touch()
    tmp_path.chmod(0o755)
    open_home(tmp_path)
    assert _modes(tmp_path) == {".": 0o755, "lake": 0o700, "my_project.py": 0o644}


def test_processes_write_for_their_owner(tmp_path: Path) -> None:
    owner_only()
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    assert _modes(tmp_path) | {".": 0} == {".": 0, "file": 0o600, "folder": 0o700}


def test_every_folder_that_is_written_is_known() -> None:
    """What the sources name below a home is in FOLDERS."""
    sources = [path for room in ("src/headrace", "flows") for path in (ROOT / room).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r'\broot / "([a-z_]+)"', path.read_text())}
    assert named <= set(FOLDERS)
    assert len(named) > 10


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no folder: /proc")
def test_a_file_system_that_takes_no_folder_is_named() -> None:
    with pytest.raises(UnavailableError, match="cannot be created here"):
        open_home(Path("/proc/nothing/home"))
