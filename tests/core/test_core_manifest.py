"""Sums of files: written beside them, compared before they are read, computed once where nothing changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.core import manifest
from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.manifest import check_manifest, file_checksum, link_file, read_manifest, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    (tmp_path / "one.txt").write_text("one")
    (tmp_path / "below" / "two.txt").write_text("two")
    (tmp_path / "below" / "manifest.json").write_text("{}")  # of somebody else: a file like any other
    write_manifest(tmp_path)
    return tmp_path


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose sums are really computed; all files count as left alone for long."""
    seen: list[Path] = []

    def digest(path: Path) -> str:
        seen.append(path)
        return path.read_text()

    monkeypatch.setattr(manifest, "file_digest", digest)
    monkeypatch.setattr(manifest, "_SETTLED_NS", -(10**15))
    return seen


def test_a_whole_folder_passes(folder: Path) -> None:
    check_manifest(folder)
    assert set(read_manifest(folder).sums) == {"one.txt", "below/two.txt", "below/manifest.json"}
    assert read_manifest(folder).path("below") == folder / "below"


@pytest.mark.parametrize("name", ["one.txt", "below/two.txt", "below/manifest.json"])
@pytest.mark.parametrize("fault", ["flipped", "truncated", "gone"])
def test_a_damaged_file_is_named(folder: Path, name: str, fault: str) -> None:
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if fault == "flipped":
        path.write_bytes(bytes([data[0] ^ 1, *data[1:]]))
    elif fault == "truncated":
        path.write_bytes(data[:-1])
    with pytest.raises(CorruptError, match=path.name if fault != "gone" else rf"{path.name}|differ from"):
        check_manifest(folder)
    with pytest.raises(CorruptError, match=rf"{path.name}: "):
        read_manifest(folder).path(name)
    if name.startswith("below/"):
        read_manifest(folder).path("one.txt")
        with pytest.raises(CorruptError, match=rf"{path.name}: "):
            read_manifest(folder).path("below")


def test_a_file_too_many_is_a_fault_and_none_without_a_sum_is_read(folder: Path) -> None:
    (folder / "three.txt").write_text("three")
    with pytest.raises(CorruptError, match=r"found: three.txt"):
        check_manifest(folder)
    with pytest.raises(CorruptError, match=r"three.txt: the manifest does not name it"):
        read_manifest(folder).path("three.txt")


@pytest.mark.parametrize("text", ["", "[]", "null", '{"one.txt": 1}', '{"one.txt"'])
def test_what_is_no_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(CorruptError, match=r"manifest\.json"):
        read_manifest(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(NotFoundError, match=r"manifest\.json"):
        read_manifest(folder)


def test_a_file_is_summed_once_until_it_changes(tmp_path: Path, summed: list[Path]) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_text("a")
    assert [file_checksum(path), file_checksum(path)] == ["a", "a"]
    link_file(path, other)
    assert (file_checksum(other), file_checksum(path)) == ("a", "a")
    assert summed == [path]


def test_a_change_that_hides_its_time_and_size_is_seen(tmp_path: Path, summed: list[Path]) -> None:
    path = tmp_path / "a"
    path.write_text("a")
    file_checksum(path)
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # until the file system's clock has ticked
        path.write_text("b")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_checksum(path) == "b"


def test_a_young_file_is_summed_again(tmp_path: Path, summed: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_SETTLED_NS", 10**15)
    path = tmp_path / "a"
    path.write_text("a")
    file_checksum(path)
    file_checksum(path)
    assert summed == [path, path]
