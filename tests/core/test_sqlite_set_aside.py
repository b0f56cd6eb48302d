"""A damaged database is kept under another name, with its log, and hides no earlier one."""

from __future__ import annotations

from pathlib import Path

from headrace.core.sqlite_files import set_aside


def test_each_damaged_file_is_kept_with_its_log(tmp_path: Path) -> None:
    path, kept = tmp_path / "x.db", []
    for number in range(3):
        path.write_bytes(b"damaged %d" % number)
        path.with_name("x.db-wal").write_bytes(b"log %d" % number)
        path.with_name("x.db-shm").touch()
        kept.append(set_aside(path))
    assert [one.name for one in kept] == ["x.db.damaged", "x.db.damaged-2", "x.db.damaged-3"]
    assert [one.read_bytes() for one in kept] == [b"damaged 0", b"damaged 1", b"damaged 2"]
    assert [one.with_name(f"{one.name}-wal").read_bytes() for one in kept] == [b"log 0", b"log 1", b"log 2"]
    assert len(list(tmp_path.iterdir())) == 6


def test_a_database_without_a_log_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.touch()
    assert set_aside(path).exists()
    assert not path.exists()
