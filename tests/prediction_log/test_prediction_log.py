"""The prediction log: what was appended is there, once, whoever wrote it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.core.errors import CorruptError, UnavailableError
from headrace.prediction_log.log import Prediction, PredictionLog
from tests.full_disk import full_disk

ONE = Prediction(
    id="one",
    cutoff_us=10,
    made_us=12,
    model_version="3",
    join_keys={"carrier": "UA", "flight": 1545},
    request={"distance": 1400},
    features={"mean": 1.5, "city": "Bern", "gone": None},
    ticks={"p__carrier": 9},
    statuses={"p__carrier": "FRESH"},
    probability=0.25,
    source="api",
    row_key=["2013"],
)


def test_reads_back_equal_and_once(tmp_path: Path) -> None:
    abstained = replace(ONE, id="two", made_us=20, probability=None, row_key=[])
    with PredictionLog(tmp_path, "p") as log:
        assert log.append([ONE, abstained]) == 2
        assert log.append([ONE]) == 0
        assert log.append([]) == 0
    with PredictionLog(tmp_path, "p") as log:
        assert len(log) == 2
        assert log.read() == [ONE, abstained]
        assert log.read(12, 20) == [ONE]


def test_one_versions_answers_are_read_by_their_cutoffs(tmp_path: Path) -> None:
    later, other = replace(ONE, id="later", cutoff_us=20, made_us=11), replace(ONE, id="other", model_version="4")
    abstained = replace(ONE, id="abstained", probability=None)
    with PredictionLog(tmp_path, "p") as log:
        log.append([ONE, later, other, abstained])
        assert log.read_by_cutoff(10, 20, version="3") == [ONE]
        assert log.read_by_cutoff(10, 21, version="3") == [later, ONE]
        assert log.read_by_cutoff(11, 20, version="3") == []


def test_threads_share_a_log(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, "p") as log, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: log.append([replace(ONE, id=str(number))]), range(40)))
        assert len(log) == 40


KILLED = """
import os, signal, sys
from pathlib import Path
from headrace.prediction_log.log import Prediction, PredictionLog
log = PredictionLog(Path(sys.argv[1]), "p")
for number in range(3):
    log.append([Prediction(id=str(number), cutoff_us=0, made_us=number, model_version="1", join_keys={},
                           probability=0.5, source="score")])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_acknowledged_rows_survive_a_kill(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    with PredictionLog(tmp_path, "p") as log:
        assert [row.id for row in log.read()] == ["0", "1", "2"]


def test_what_is_no_number_is_logged_as_null(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, "p") as log:
        log.append([replace(ONE, features={"mean": float("nan"), "other": float("-inf"), "city": "Bern"})])
        assert log.read()[0].features == {"mean": None, "other": None, "city": "Bern"}


def test_a_check_writes_what_an_append_would_and_leaves_no_row(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, "p") as log:
        log.append([ONE])
        journal = log.path.with_name("p.db-wal")
        before = journal.stat().st_size
        log.check_writable()
        assert journal.stat().st_size > before
        assert log.read() == [ONE]


def test_a_full_disk_is_one_clear_error_until_it_has_room(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, "p") as log:
        log.append([ONE])
        with full_disk():
            with pytest.raises(UnavailableError, match=r"cannot be used.*see that its disk"):
                log.check_writable()
            with pytest.raises(UnavailableError, match="cannot be used"):
                log.append([replace(ONE, id="two")])
        log.check_writable()
        assert log.append([replace(ONE, id="two")]) == 1


@pytest.mark.parametrize("damage", [b"no database at all" * 300, b""])
def test_a_damaged_log_is_one_clear_error_that_says_what_to_do(tmp_path: Path, damage: bytes) -> None:
    log = PredictionLog(tmp_path, "p")
    log.append([ONE])
    log.close()
    header = log.path.read_bytes()[: 4096 if not damage else 0]
    log.path.write_bytes(damage or header + b"\xff" * 8192)
    for use in (log.check_writable, log.read, lambda: log.append([ONE])):
        with pytest.raises(CorruptError, match="move it and its -wal and -shm away"):
            use()
    log.path.unlink()
    assert log.append([ONE]) == 1
    log.close()


def test_a_log_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, "p") as log:
        log.append([ONE])
        for file in log.path.parent.iterdir():
            file.unlink()
        log.append([replace(ONE, id="two")])
        with PredictionLog(tmp_path, "p") as other:
            assert [row.id for row in other.read()] == ["two"]


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "predictions").write_text("a file where the folder should be")
    with pytest.raises(UnavailableError, match="cannot be used: File exists"):
        PredictionLog(tmp_path, "p").check_writable()


@pytest.mark.parametrize("column", ["probability", "features", "row_key"])
def test_a_value_that_changed_on_disk_is_told(tmp_path: Path, column: str) -> None:
    with PredictionLog(tmp_path, "p") as log:
        log.append([replace(ONE, source="score"), replace(ONE, id="two", cutoff_us=90)])
        path = log.path
    changed = {"probability": 0.5, "features": '{"mean":1.25}', "row_key": '["2012"]'}[column]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE predictions SET {column} = ? WHERE id = 'one'", (changed,))
    with PredictionLog(tmp_path, "p") as log:
        for read in (
            log.read,
            lambda: log.read_by_cutoff(0, 50, version="3"),
            lambda: log.probabilities(0, 50, version="3"),
        ):
            with pytest.raises(CorruptError, match=r"'one' is damaged.*backup"):
                read()
        assert [row.id for row in log.read_by_cutoff(50, 99, version="3")] == ["two"]


def test_a_log_of_before_is_read_and_written(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, "p") as log:
        log.append([ONE])
        path = log.path
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE predictions DROP COLUMN row_sum")
        database.execute("DROP TABLE predictions_schema_version")
    with PredictionLog(tmp_path, "p") as log:
        assert log.read() == [ONE]
        log.append([replace(ONE, id="two", probability=1)])
        assert [row.probability for row in log.read()] == [0.25, 1.0]
        assert log.scored() == 0
