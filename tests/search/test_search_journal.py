"""The journal survives what a kill can do to it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import ConflictError, CorruptError
from headrace.search.journal import Journal
from headrace.search.trial import Trial


def _trial(number: int) -> Trial:
    return Trial(number=number, config={"x": 0.1 * number, "name": "é"}, status="ok", loss=float(number), seconds=0.5)


def _written(path: Path, n: int) -> bytes:
    with Journal(path, "k") as journal:
        for number in range(n):
            journal.append(_trial(number))
    return path.read_bytes()


def test_reads_back_what_was_appended(tmp_path: Path) -> None:
    _written(tmp_path / "j.jsonl", 3)
    with Journal(tmp_path / "j.jsonl", "k") as journal:
        assert journal.trials == tuple(_trial(number) for number in range(3))


def test_a_journal_from_before_cpu_was_told_is_read(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    older = _written(path, 2).replace(b', "cpu_seconds": null', b"")
    assert b"cpu" not in older
    path.write_bytes(older)
    with Journal(path, "k") as journal:
        assert journal.trials == (_trial(0), _trial(1))


def test_torn_anywhere_it_keeps_every_whole_line(tmp_path: Path) -> None:
    """Cut the file at every byte: whole trials survive, and appending after it gives a readable file."""
    path = tmp_path / "j.jsonl"
    whole = _written(path, 2)
    ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        kept = max(sum(end < cut for end in ends) - 1, 0)
        with Journal(path, "k") as journal:
            assert journal.trials == tuple(_trial(number) for number in range(kept))
            journal.append(_trial(kept))
        with Journal(path, "k") as journal:
            assert len(journal.trials) == kept + 1


def test_another_studys_journal_is_refused(tmp_path: Path) -> None:
    before = _written(tmp_path / "j.jsonl", 1)
    with pytest.raises(ConflictError, match="belongs to another study"):
        Journal(tmp_path / "j.jsonl", "other")
    assert (tmp_path / "j.jsonl").read_bytes() == before


def test_damage_before_the_last_line_is_not_forgiven(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    lines = _written(path, 3).splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1][:10] + b"\n", *lines[2:]]))
    with pytest.raises(CorruptError, match="line 2 is not JSON"):
        Journal(path, "k")


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "j.jsonl", "k"),
        pytest.raises(ConflictError, match="another process is running this study"),
    ):
        Journal(tmp_path / "j.jsonl", "k")
