"""The prediction log over SQLite and PostgreSQL: one suite; and what a database that is away means for answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.core.clock import DAY
from headrace.core.errors import CorruptError, UnavailableError
from headrace.prediction_log.journal import PredictionJournal
from headrace.prediction_log.journal_segments import segments
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.prediction_log.packed_features import FeatureNames, PackedFeatures
from tests.database.test_migrations import connected, previous_home

NAMES = FeatureNames(names=("mean", "city"), texts=("city",))
PACKED = PackedFeatures(NAMES, bytes(8), ["Bern"])
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
    probability=0.1 + 0.2,
    source="api",
    row_key=["2013"],
)


@pytest.fixture
def log(tmp_path: Path, database_url: str) -> Iterator[PredictionLog]:
    with PredictionLog(tmp_path, "p", database_url=database_url) as opened:
        yield opened


def test_rows_come_back_equal_and_once(log: PredictionLog) -> None:
    abstained, packed = replace(ONE, id="two", made_us=20, probability=None, row_key=[]), replace(ONE, id="z")
    assert log.append([ONE, abstained, replace(packed, features=PACKED)]) == 3
    assert log.append([ONE]) == 0
    assert log.append([ONE, replace(ONE, id="new", made_us=30)]) == 1
    assert log.append([]) == 0
    read = [replace(row, features=dict(row.features)) for row in log.read()]
    assert read == [ONE, replace(packed, features=dict(PACKED)), abstained, replace(ONE, id="new", made_us=30)]
    assert [row.id for row in log.read(12, 20)] == ["one", "z"]
    assert len(log) == 4


def test_names_of_packed_features_are_read_by_another_process(
    log: PredictionLog, tmp_path: Path, database_url: str
) -> None:
    log.append([replace(ONE, features=PACKED)])
    with PredictionLog(tmp_path, "p", database_url=database_url) as other:
        assert [dict(row.features) for row in other.read()] == [{"mean": 0.0, "city": "Bern"}]


def test_pages_follow_each_other_without_gaps(log: PredictionLog) -> None:
    rows = [replace(ONE, id=f"{number:02}", made_us=number // 3) for number in range(10)]
    log.append(rows)
    assert [[row.id for row in page] for page in log.pages(size=4)] == [
        ["00", "01", "02", "03"],
        ["04", "05", "06", "07"],
        ["08", "09"],
    ]


def test_answers_scores_and_shadows_of_a_version(log: PredictionLog) -> None:
    score, shadow = replace(ONE, id="score", source="score", row_key=["s"]), replace(ONE, id="sh", source="shadow")
    log.append([ONE, score, shadow, replace(ONE, id="4", model_version="4"), replace(ONE, id="n", probability=None)])
    assert [row.id for row in log.read_by_cutoff(10, 11, version="3")] == ["one", "score"]
    assert log.shadows(10, 11, version="3") == [shadow]
    assert log.probabilities(10, 11, version="3") == {("s",): 0.1 + 0.2}
    assert log.scored() == 1


def test_a_prediction_is_found_by_the_first_letters_of_its_id(log: PredictionLog) -> None:
    log.append([ONE, replace(ONE, id="onto"), replace(ONE, id="%")])
    assert [row.id for row in log.find("on")] == ["one", "onto"]
    assert [row.id for row in log.find("one")] == ["one"]
    assert log.find("") == []
    assert [row.id for row in log.find("%")] == ["%"]


def test_threads_share_a_log(log: PredictionLog) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: log.append([replace(ONE, id=str(number), features=PACKED)]), range(40)))
    assert len(log) == 40


def test_a_check_leaves_no_row(log: PredictionLog) -> None:
    log.check_writable()
    assert len(log) == 0


def test_rows_of_a_journal_reach_the_log_once(log: PredictionLog, tmp_path: Path) -> None:
    with PredictionJournal(tmp_path, "p") as journal:
        journal.append([ONE, replace(ONE, id="two", features=PACKED)])
        assert [row.id for row in log.read()] == ["one", "two"]
    assert len(log) == 2
    assert segments(journal.folder) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from headrace.prediction_log.journal import PredictionJournal
from headrace.prediction_log.log import Prediction, PredictionLog
root, database_url, target = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
log = PredictionLog(root, "p", database_url=database_url) if target == "log" else PredictionJournal(root, "p")
for number in range(10_000):
    log.append([Prediction(id=f"{number:05}", cutoff_us=0, made_us=number, model_version="1", join_keys={},
                           probability=0.5, source="api")])
    print(number, flush=True)
"""


@pytest.mark.parametrize("target", ["log", "journal"])
def test_a_kill_under_load_loses_no_acknowledged_prediction(tmp_path: Path, database_url: str, target: str) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), database_url, target]
    log = PredictionLog(tmp_path, "p", database_url=database_url)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer, log as reader:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(50)]
        reader.take_in()  # while it is written
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split()]
        writer.wait()
        ids = [row.id for row in reader.read()]
    assert ids[: len(acknowledged)] == [f"{number:05}" for number in acknowledged]
    assert len(ids) <= len(acknowledged) + 1


def test_answers_wait_in_the_journal_while_the_database_is_away(tmp_path: Path, postgresql_url: str) -> None:
    with PredictionJournal(tmp_path, "p") as journal:
        journal.append([ONE])
        with pytest.raises(UnavailableError, match="the database cannot be used"):
            PredictionLog(tmp_path, "p", database_url="postgresql://headrace@127.0.0.1:1/none").read()
        journal.append([replace(ONE, id="two")])
    assert [row.id for row in PredictionLog(tmp_path, "p", database_url=postgresql_url).read()] == ["one", "two"]


def test_a_row_that_changed_in_the_database_is_told(tmp_path: Path, postgresql_url: str) -> None:
    log = PredictionLog(tmp_path, "p", database_url=postgresql_url)
    log.append([ONE])
    with connected(postgresql_url) as connection:
        assert connection.exec_driver_sql("UPDATE headrace_p.predictions SET probability = .5").rowcount == 1
    with pytest.raises(CorruptError, match="'one' is damaged"):
        log.read()


def test_a_log_of_the_previous_release_is_read_and_written(tmp_path: Path) -> None:
    with PredictionLog(previous_home(tmp_path), "shop", database_url="") as log:
        rows = log.read()
        assert [row.id for row in rows] == ["p0", "p1", "p2"]
        assert [dict(row.features) for row in rows] == [
            {"mean": 1.5 + number, "city": "Bern", "gone": None} for number in range(3)
        ]
        assert (log.scored(), rows[2].made_us, rows[0].request_id) == (1, 2 * DAY + 1, None)
        log.append([replace(rows[0], id="p3", request_id="r")])
        assert [row.request_id for row in log.find("p3")] == ["r"]
