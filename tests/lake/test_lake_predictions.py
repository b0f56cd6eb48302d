"""The prediction log: what was appended is there, once, whoever wrote it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from headrace.lake.predictions import Prediction, PredictionLog

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
        assert log.answered(10, 20, version="3") == [ONE]
        assert log.answered(10, 21, version="3") == [later, ONE]
        assert log.answered(11, 20, version="3") == []


def test_threads_share_a_log(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, "p") as log, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: log.append([replace(ONE, id=str(number))]), range(40)))
        assert len(log) == 40


KILLED = """
import os, signal, sys
from pathlib import Path
from headrace.lake.predictions import Prediction, PredictionLog
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
