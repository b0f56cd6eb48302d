"""Files of state that are kept twice: what damage to one of the two comes to."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import write_json
from headrace.core.replicas import read_replicas, remove_replicas, replica_path, write_replicas


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clock.json"


def flip_a_digit(path: Path) -> None:
    """5 becomes 4: JSON as before."""
    path.write_bytes(path.read_bytes().replace(b"5", b"4", 1))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip_a_digit,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "empty": lambda path: path.write_bytes(b""),
    "braces": lambda path: path.write_bytes(b"{}"),
    "a list": lambda path: path.write_bytes(b"[1]"),
    "not text": lambda path: path.write_bytes(b"\xff\x00"),
    "without seal": lambda path: write_json(path, {"now_us": 6}),
    "removed": Path.unlink,
}


@pytest.mark.parametrize("which", ["file", "copy"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_one_of_the_two_is_mended_and_logged(
    path: Path, damage: str, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_replicas(path, {"now_us": 55, "tables": ("a", "b")})
    whole = path.read_bytes()
    victim = path if which == "file" else replica_path(path)
    if (damage, which) == ("without seal", "copy"):
        pytest.skip("Headrace never wrote such a copy")
    DAMAGES[damage](victim)
    with caplog.at_level(logging.WARNING):
        assert read_replicas(path) == {"now_us": 55, "tables": ["a", "b"]}
    assert str(victim) in caplog.text
    assert path.read_bytes() == replica_path(path).read_bytes() == whole
    caplog.clear()
    read_replicas(path)
    assert not caplog.text


def test_damage_to_both_is_refused(path: Path) -> None:
    write_replicas(path, {"now_us": 55})
    flip_a_digit(path)
    replica_path(path).write_bytes(b"")
    with pytest.raises(CorruptError, match=r"clock\.json: is damaged .* and so is its copy.*backup"):
        read_replicas(path)
    write_replicas(path, {"now_us": 56})
    assert read_replicas(path) == {"now_us": 56}


def test_an_older_version_gives_way_to_the_copy(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_replicas(path, {"now_us": 1})
    old = path.read_bytes()
    write_replicas(path, {"now_us": 2})
    path.write_bytes(old)
    assert read_replicas(path) == {"now_us": 2}
    assert "older version" in caplog.text


def test_a_write_that_was_cut_short_is_no_damage(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_replicas(path, {"now_us": 1})
    old = path.read_bytes()
    write_replicas(path, {"now_us": 2})
    replica_path(path).write_bytes(old)  # killed after the file, before its copy
    assert read_replicas(path) == {"now_us": 2}
    assert not caplog.text
    write_replicas(path, {"now_us": 3})
    assert path.read_bytes() == replica_path(path).read_bytes()


def test_a_file_of_another_home_is_refused(path: Path, tmp_path: Path) -> None:
    write_replicas(path, {"now_us": 1})
    other = tmp_path / "other" / "clock.json"
    for now in (7, 8):
        write_replicas(other, {"now_us": now})
    path.write_bytes(other.read_bytes())
    with pytest.raises(CorruptError, match="of another home or problem"):
        read_replicas(path)


def test_a_file_of_an_earlier_version_of_headrace_is_taken_as_it_is(path: Path) -> None:
    write_json(path, {"now_us": 1})
    assert read_replicas(path) == {"now_us": 1}
    write_replicas(path, {"now_us": 2})
    assert "seal" in json.loads(path.read_bytes())
    assert read_replicas(path) == {"now_us": 2}


def test_what_was_never_written_or_is_forgotten_is_not_found(path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_replicas(path)
    write_replicas(path, {"now_us": 1})
    remove_replicas(path)
    with pytest.raises(NotFoundError):
        read_replicas(path)
