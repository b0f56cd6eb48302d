"""The prediction journal: what was written is in the prediction log for whoever reads it, once, after any end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import HeadraceError, UnavailableError
from headrace.prediction_log import journal as journal_module
from headrace.prediction_log.journal import PredictionJournal, Sync
from headrace.prediction_log.journal_drain import draining
from headrace.prediction_log.journal_records import encode_record, names_of_rows, read_records
from headrace.prediction_log.journal_segments import segments
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.prediction_log.packed_features import FeatureNames, PackedFeatures
from headrace.prediction_log.rows import to_row
from tests.full_disk import full_disk
from tests.prediction_log.test_prediction_log import ONE

BOTH: Sequence[Sync] = ("always", "interval")
NAMES = FeatureNames(names=("mean", "city"), texts=("city",))
TEXTS = st.one_of(st.none(), st.text(max_size=5))
ROWS = st.builds(
    Prediction,
    id=st.uuids().map(str),
    cutoff_us=st.integers(-(2**63), 2**63 - 1),
    made_us=st.integers(0, 2**62),
    model_version=st.text(st.characters(codec="utf-8"), max_size=3),
    join_keys=st.dictionaries(st.text(max_size=3), st.one_of(TEXTS, st.integers()), max_size=2),
    probability=st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    source=st.just("api"),
    request=st.dictionaries(st.text(max_size=3), st.one_of(TEXTS, st.floats(), st.booleans()), max_size=2),
    features=st.one_of(
        st.dictionaries(st.text(max_size=3), st.one_of(TEXTS, st.floats()), max_size=2),
        st.builds(PackedFeatures, st.just(NAMES), st.binary(min_size=8, max_size=8), st.tuples(TEXTS)),
    ),
    row_key=st.lists(st.integers(), max_size=2),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(ROWS, min_size=1, max_size=3), max_size=4), st.integers(1, 40))
def test_records_are_read_as_the_log_would_have_written_them(writes: list[list[Prediction]], cut: int) -> None:
    known: dict[bytes, FeatureNames] = {}
    data = b""
    for rows in writes:
        new = names_of_rows(rows, known)
        known.update((names.digest, names) for names in new)
        data += encode_record(rows, new)
    expected = [[to_row(row) for row in rows] for rows in writes]
    assert [record.rows for record in read_records(data + bytes(64))] == expected
    assert {names for record in read_records(data) for names in record.names} == set(known.values())
    assert [record.rows for record in read_records(data[:-cut])] == expected[: len(list(read_records(data[:-cut])))]
    assert len(list(read_records(data[:-cut]))) < max(len(writes), 1)


@pytest.mark.parametrize("sync", BOTH)
def test_reads_back_equal_and_once(tmp_path: Path, sync: Sync) -> None:
    packed = replace(ONE, id="two", made_us=20, features=PackedFeatures(NAMES, bytes(8), ["Bern"]))
    with PredictionJournal(tmp_path, "p", sync=sync) as journal, PredictionLog(tmp_path, "p") as log:
        assert journal.append([ONE]) == 1
        assert log.read() == [ONE]
        journal.append([packed, ONE])
        assert log.read() == [ONE, packed]
        assert len(segments(journal.folder)) == 1
    with PredictionLog(tmp_path, "p") as log:
        assert len(log) == 2
        assert segments(journal.folder) == []
        assert log.find("two") == [packed]


def test_every_reader_sees_what_is_in_the_journal(tmp_path: Path) -> None:
    reads: list[Any] = [
        lambda log: log.read(),
        lambda log: next(log.pages()),
        lambda log: log.find("one"),
        lambda log: log.read_by_cutoff(0, 99, version="3"),
        lambda log: log.probabilities(0, 99, version="3"),
        lambda log: log.scored(),
        lambda log: len(log),
    ]
    for number, read in enumerate(reads):
        with PredictionJournal(tmp_path, str(number)) as journal, PredictionLog(tmp_path, str(number)) as log:
            journal.append([replace(ONE, source="score")])
            assert read(log)


def test_full_segments_are_followed_by_others(tmp_path: Path) -> None:
    rows = [replace(ONE, id=f"{number:03}") for number in range(60)]
    with PredictionJournal(tmp_path, "p", segment_bytes=4096) as journal:
        for row in rows:
            journal.append([row])
        assert len(segments(journal.folder)) > 3
        with PredictionLog(tmp_path, "p") as log:
            assert [row.id for row in log.read()] == [row.id for row in rows]
        assert len(segments(journal.folder)) <= 2  # the present one, and perhaps the next


def test_threads_share_a_journal(tmp_path: Path) -> None:
    with PredictionJournal(tmp_path, "p", segment_bytes=8192) as journal, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: journal.append([replace(ONE, id=str(number))]), range(80)))
        assert len(PredictionLog(tmp_path, "p")) == 80


KILLED = """
import os, signal, sys
from pathlib import Path
from headrace.prediction_log.journal import PredictionJournal
from headrace.prediction_log.log import Prediction
journal = PredictionJournal(Path(sys.argv[1]), "p", sync=sys.argv[2], interval_s=3600)
for number in range(3):
    journal.append([Prediction(id=str(number), cutoff_us=0, made_us=number, model_version="1", join_keys={},
                               probability=0.5, source="api")])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("sync", BOTH)
def test_written_rows_survive_a_kill(tmp_path: Path, sync: Sync) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), sync], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    with PredictionLog(tmp_path, "p") as log:
        assert [row.id for row in log.read()] == ["0", "1", "2"]
        assert [row.id for row in log.read()] == ["0", "1", "2"]


@pytest.mark.parametrize("sync", BOTH)
def test_a_full_disk_is_one_clear_error_until_it_has_room(tmp_path: Path, sync: Sync) -> None:
    with PredictionJournal(tmp_path, "p", sync=sync, segment_bytes=4096) as journal:
        journal.append([ONE])
        with full_disk():
            with pytest.raises(UnavailableError, match=r"cannot be used.*see that its disk"):
                journal.check_writable()
            with pytest.raises(UnavailableError, match="cannot be used"):
                journal.append([replace(ONE, id="two")])
        journal.check_writable()
        journal.append([replace(ONE, id="three")])
        with PredictionLog(tmp_path, "p") as log:
            assert [row.id for row in log.read()] == ["one", "three"]


def test_an_answer_that_waits_for_the_disk_is_refused_where_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[HeadraceError | None] = []
    with PredictionJournal(tmp_path, "p") as journal:
        journal.append([ONE])
        with monkeypatch.context() as patched:
            patched.setattr(journal_module.os, "fdatasync", lambda descriptor: (_ for _ in ()).throw(OSError(5, "EIO")))
            with pytest.raises(UnavailableError, match="EIO"):
                journal.append([replace(ONE, id="two")])
        before = {segment.path for segment in segments(journal.folder)}
        journal.append([replace(ONE, id="three")])
        assert {segment.path for segment in segments(journal.folder)} - before, "the segment that failed is not used on"
    assert synced == []


def test_an_interval_is_synced_without_anybody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, sync_file = threading.Event(), os.fdatasync
    monkeypatch.setattr(journal_module.os, "fdatasync", lambda descriptor: (sync_file(descriptor), done.set()))
    with PredictionJournal(tmp_path, "p", sync="interval", interval_s=0.01) as journal:
        journal.append([ONE])
        assert done.wait(30)


def test_what_is_torn_at_the_end_is_no_row_and_what_is_damaged_before_is_kept_aside(tmp_path: Path) -> None:
    with PredictionJournal(tmp_path, "p", segment_bytes=65536) as journal:
        for number in range(3):
            journal.append([replace(ONE, id=str(number))])
    (segment,) = segments(journal.folder)
    data = segment.path.read_bytes()
    ends = [record.end for record in read_records(data)]
    torn = data[: ends[2] - 5] + bytes(64)
    segment.path.write_bytes(torn[: ends[0] + 20] + b"\xff" + torn[ends[0] + 21 :])
    with PredictionLog(tmp_path, "p") as log:
        assert [row.id for row in log.read()] == ["0"]
    assert list(journal.folder.glob("*.damaged")) == []
    segment.path.write_bytes(data[: ends[0] + 20] + b"\xff" + data[ends[0] + 21 :])
    with PredictionLog(tmp_path, "p") as log:
        assert [row.id for row in log.read()] == ["0", "2"]
    assert len(list(journal.folder.glob("*.damaged"))) == 1


def test_a_process_of_its_own_moves_the_rows_and_ends_with_its_server(tmp_path: Path) -> None:
    with PredictionJournal(tmp_path, "p", sync="interval") as journal:
        journal.append([ONE])
        with draining(tmp_path, ["p"]) as process:
            pass
        assert process.wait(120) == 0
        (segment,) = segments(journal.folder)
        assert segment.position > 0
        assert segment.unread() == []


def journal_is_full(journal: PredictionJournal) -> bool:
    try:
        journal.check_writable()
    except UnavailableError:
        return True
    return False


@pytest.mark.parametrize("sync", BOTH)
def test_a_journal_at_its_limit_refuses_rows_and_keeps_those_that_it_has(tmp_path: Path, sync: Sync) -> None:
    """PostgreSQL is away: nothing is moved. Once it is back, rows are moved, and new ones are taken."""
    limit, written = 5 * 4096, list[str]()
    away = PredictionLog(tmp_path, "p", database_url="postgresql://nobody@127.0.0.1:1/none")
    with PredictionJournal(tmp_path, "p", sync=sync, segment_bytes=4096, limit_bytes=limit) as journal:
        while not journal_is_full(journal):
            written.append(f"{len(written):04}")
            journal.append([replace(ONE, id=written[-1])])
        assert len(written) > 20
        with pytest.raises(UnavailableError, match=r"journal is full.*is PostgreSQL reachable.*HEADRACE_JOURNAL_LIMIT"):
            journal.append([replace(ONE, id="refused")])
        with pytest.raises(UnavailableError, match="database"):
            away.take_in()
        assert limit - 4096 < journal.used_bytes <= limit + 4096
        closed = threading.Event()
        journal.when_synced(lambda error: closed.set())
        assert closed.wait(30)
        with PredictionLog(tmp_path, "p") as log:
            assert [row.id for row in log.read()] == written
            journal.append([replace(ONE, id="later")])
            assert len(log) == len(written) + 1
    assert journal.used_bytes <= 2 * 4096


def test_another_process_is_counted_in_the_limit(tmp_path: Path) -> None:
    with (
        PredictionJournal(tmp_path, "p", segment_bytes=4096, limit_bytes=8192) as first,
        PredictionJournal(tmp_path, "p", segment_bytes=4096, limit_bytes=8192) as second,
        PredictionJournal(tmp_path, "p", segment_bytes=4096, limit_bytes=8192) as third,
    ):
        first.append([ONE])
        second.append([replace(ONE, id="two")])
        with pytest.raises(UnavailableError, match="journal is full"):
            third.append([replace(ONE, id="three")])
