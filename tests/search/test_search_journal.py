"""The journal survives what a kill can do to it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.core.errors import ConflictError
from headrace.search.study.journal import Journal
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


def test_a_trial_from_before_cpu_was_told_is_read() -> None:
    older = {name: value for name, value in _trial(0).to_json().items() if name != "cpu_seconds"}
    assert Trial.from_json(older) == _trial(0)


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


def test_any_flipped_bit_is_found_and_costs_the_lines_that_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    data = _written(path, 3)
    lines = data.splitlines(keepends=True)
    edges = {8 * place + 3 for place, byte in enumerate(data) if byte in b"\n{}"}
    drawn = np.random.default_rng(0).integers(8 * len(data), size=60)
    for place in sorted({*edges, *drawn.tolist()}):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        left = set(bytes(changed).splitlines(keepends=True))
        with Journal(path, "k") as journal:
            kept = [number for number in range(3) if lines[number + 1] in left]
            assert journal.trials == tuple(_trial(number) for number in kept)
            assert len(kept) >= 1
            assert journal.damaged > 0 or kept == [0, 1]  # without its end, the last line is one that a kill tore
        with Journal(path, "k") as again:
            assert again.trials == journal.trials
            assert again.damaged == 0


def test_lines_of_another_study_are_no_trials_of_this_one(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    theirs = _written(path, 2).splitlines(keepends=True)
    path.unlink()
    with Journal(path, "other"):
        pass
    path.write_bytes(path.read_bytes() + theirs[1])
    with Journal(path, "other") as journal:
        assert (journal.trials, journal.damaged) == ((), 1)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "j.jsonl", "k"),
        pytest.raises(ConflictError, match="another process is running this study"),
    ):
        Journal(tmp_path / "j.jsonl", "k")
