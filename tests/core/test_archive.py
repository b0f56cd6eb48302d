"""A folder as one file: consistent while it is written in, checked when it is unpacked."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headrace.core import archive
from headrace.core.archive import MANIFEST, pack, unpack
from headrace.core.errors import ConflictError, CorruptError, HeadraceError, NotFoundError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Plain files, an empty one, two names of one file, a database in WAL mode, and what is left out."""
    home = tmp_path / "home"
    (home / "lake" / "shop" / "tables").mkdir(parents=True)
    (home / "lake" / "shop" / "clock.json").write_text("{}")
    (home / "lake" / "shop" / ".clock.json.copy").write_text("{}")
    (home / "lake" / "shop" / "tables" / "rows with ümlaut.parquet").write_bytes(bytes(range(256)) * 999)
    os.link(home / "lake" / "shop" / "clock.json", home / "lake" / "same.json")
    (home / "empty").touch()
    for name in ("lake/.lock", "lake/.x.123.tmp", "run/services.json"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("not this")
    with closing(sqlite3.connect(home / "some.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (n INTEGER)")
        database.execute("PRAGMA user_version = 7")
    return home


def _pack(folder: Path, name: str = "backup.tar.gz") -> Path:
    pack(folder, folder.parent / name, order=("lake",), exclude=("run",))
    return folder.parent / name


def _plain(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith((".lock", ".tmp", "-wal", "-shm")) and path.suffix != ".db"
    }


def test_what_was_packed_is_unpacked(folder: Path, tmp_path: Path) -> None:
    summary = unpack(_pack(folder), tmp_path / "restored")
    kept = {name: data for name, data in _plain(folder).items() if not name.startswith("run/")}
    assert _plain(tmp_path / "restored") == kept
    assert summary.files == len(kept) - 1 + 1  # one is a second name of another; the database
    assert (tmp_path / "restored/lake/same.json").samefile(tmp_path / "restored/lake/shop/clock.json")
    with closing(sqlite3.connect(tmp_path / "restored" / "some.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (7,)
    modes = {
        path.stat().st_mode & 0o077 for path in [tmp_path / "backup.tar.gz", *(tmp_path / "restored").rglob("*.*")]
    }
    assert modes == {0}


def test_what_is_left_out_is_left_out_wherever_it_is_ordered(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "some.tar.gz", order=("lake/shop", "lake"), exclude=("lake", "run"))
    unpack(tmp_path / "some.tar.gz", tmp_path / "restored")
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["empty", "some.db"]


def test_a_database_is_of_one_instant_while_it_is_written(folder: Path, tmp_path: Path) -> None:
    """Two rows in each transaction: an archive never holds an odd number of them."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(folder / "some.db", isolation_level=None, timeout=30)) as database:
            while not stop.is_set():
                database.execute("BEGIN IMMEDIATE")
                database.execute("INSERT INTO t VALUES (1)")
                database.execute("INSERT INTO t VALUES (2)")
                database.execute("COMMIT")
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(30)
        for number in range(5):
            unpack(_pack(folder, f"{number}.tar.gz"), tmp_path / f"restored {number}")
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        with closing(sqlite3.connect(tmp_path / f"restored {number}" / "some.db")) as database:
            (rows,) = database.execute("SELECT count(*) FROM t").fetchone()
        assert rows > 0
        assert rows % 2 == 0


def test_what_refers_is_copied_before_what_it_refers_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch and then the clock that names it, written between any two files: no archive has the clock alone."""
    copied: list[str] = []
    real = archive._add

    def written_between(tar: tarfile.TarFile, home: Path, path: Path, packed: object, **more: Path) -> None:
        number = len(copied)
        (folder / "lake" / "shop" / "tables" / f"batch{number}").touch()
        (folder / "lake" / "shop" / "clock.json").unlink(missing_ok=True)
        (folder / "lake" / "shop" / "clock.json").write_text(json.dumps({"batch": number}))
        copied.append(path.name)
        real(tar, home, path, packed, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(archive, "_add", written_between)
    unpack(_pack(folder), folder.parent / "restored")
    clock = json.loads((folder.parent / "restored/lake/shop/clock.json").read_text())
    assert (folder.parent / f"restored/lake/shop/tables/batch{clock['batch']}").exists()
    assert copied.index("clock.json") < copied.index("rows with ümlaut.parquet")


def _members(path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as tar:
        for member in tar:
            found = tar.extractfile(member)
            yield member, found.read() if found else b""


def _rewritten(path: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> Path:
    """An archive with its members changed, in an order of its own."""
    other = path.with_name("changed.tar.gz")
    with tarfile.open(other, "w:gz") as tar:
        for member, data in _members(path):
            if (changed := change(member, data)) is not None:
                changed[0].size = len(changed[1])
                tar.addfile(changed[0], io.BytesIO(changed[1]))
    return other


def _extra(name: str, kind: bytes, target: str = "") -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        other = path.with_name("extra.tar.gz")
        with tarfile.open(other, "w:gz") as tar:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member, io.BytesIO())
            for one, data in _members(path):
                tar.addfile(one, io.BytesIO(data))
        return other

    return make


DAMAGES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "cut": (lambda path: _bytes(path, path.read_bytes()[: path.stat().st_size // 2]), "no whole archive"),
    "empty": (lambda path: _bytes(path, b""), "no whole archive"),
    "text": (lambda path: _bytes(path, b"{}"), "no whole archive"),
    "flipped": (
        lambda path: _bytes(path, _flipped(path.read_bytes())), "no whole archive|differ from its|has no manifest"
    ),
    "other contents": (
        lambda path: _rewritten(path, lambda m, d: (m, d if m.name != "empty" else b"[]")),
        "differ from its manifest.*empty",
    ),
    "a file less": (
        lambda path: _rewritten(path, lambda m, d: None if m.name == "empty" else (m, d)),
        "differ from its manifest.*empty",
    ),
    "no manifest": (
        lambda path: _rewritten(path, lambda m, d: None if m.name == MANIFEST else (m, d)), "has no manifest"
    ),
    "odd manifest": (
        lambda path: _rewritten(path, lambda m, d: (m, b"[1]" if m.name == MANIFEST else d)), "no whole archive"
    ),
    "later format": (
        lambda path: _rewritten(path, lambda m, d: (m, b'{"format": 9}' if m.name == MANIFEST else d)), "is of format 9"
    ),
    "up and out": (_extra("../outside", tarfile.REGTYPE), "names what no backup holds.*outside"),
    "from the root": (_extra("/tmp/outside", tarfile.REGTYPE), "names what no backup holds"),
    "a link out": (_extra("link", tarfile.SYMTYPE, "/etc"), "names what no backup holds"),
    "a hard link": (_extra("link", tarfile.LNKTYPE, "../../etc/passwd"), "names what no backup holds"),
    "a device": (_extra("device", tarfile.CHRTYPE), "names what no backup holds"),
    "twice": (_extra("empty", tarfile.REGTYPE), "cannot be restored|no whole archive|differ"),
}  # fmt: skip


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _flipped(data: bytes) -> bytes:
    """Eight bytes in the middle inverted: a single bit may be one that gzip does not use."""
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0xFF for byte in data[middle : middle + 8]) + data[middle + 8 :]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_hostile_archive_is_refused_and_leaves_nothing(folder: Path, tmp_path: Path, damage: str) -> None:
    make, message = DAMAGES[damage]
    path = make(_pack(folder))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(HeadraceError, match=message):
        unpack(path, tmp_path / "restored")
    assert sorted(tmp_path.iterdir()) == before
    assert not (tmp_path.parent / "outside").exists()


def test_refusals(folder: Path, tmp_path: Path) -> None:
    path = _pack(folder)
    with pytest.raises(ConflictError, match="such a file already"):
        _pack(folder)
    with pytest.raises(ConflictError, match="lies in what is archived"):
        pack(folder, folder / "inside.tar.gz", order=())
    with pytest.raises(ConflictError, match="is not empty"):
        unpack(path, folder)
    with pytest.raises(NotFoundError, match="no such file"):
        unpack(tmp_path / "none.tar.gz", tmp_path / "restored")
    (tmp_path / "empty").mkdir()
    unpack(path, tmp_path / "empty")


def test_a_damaged_database_is_not_archived(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "some.db").read_bytes())
    data[4096:4200] = b"\xff" * 104
    (folder / "some.db").write_bytes(bytes(data))
    with pytest.raises(CorruptError, match=r"some\.db: (is damaged|cannot be copied)"):
        _pack(folder)
    assert not list(tmp_path.glob("*backup*"))
