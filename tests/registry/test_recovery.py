"""A lost or restored ledger is completed from MLflow; one that contradicts it is refused."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from headrace.core.errors import ConflictError
from headrace.registry.aliases import is_mirrored, mirror
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from headrace.registry.recovery import CHANGE, recover


@pytest.fixture
def ledger(tracking_uri: str, problem_name: str, tmp_path: Path) -> Ledger:
    """Versions 1 to 4: 1 and 2 were promoted, 3 was promoted and rolled back, 4 was refused and is challenger."""
    client = connect(tracking_uri)
    client.create_registered_model(problem_name)
    for _ in range(4):
        client.create_model_version(problem_name, source=tmp_path.as_uri())
    ledger = Ledger(tmp_path, problem_name)
    ledger.promote("1", None, "first champion", {"auc": 0.7000000001}, 1)
    ledger.promote("2", "1", "better", {"auc": 0.75}, 2)
    ledger.promote("3", "2", "better", {"auc": 0.76}, 3)
    ledger.rollback(4, "worse in production")
    ledger.record_metrics("4", {"auc": 0.6})
    mirror(tmp_path, problem_name, tracking_uri, challenger="4")
    return ledger


def _state(ledger: Ledger) -> tuple[object, ...]:
    return (
        ledger.history(),
        ledger.identity(),
        ledger.barred(),
        ledger.versions(),
        ledger.previous(),
        ledger.challenger(),
    )


def test_a_lost_ledger_is_made_again_as_it_was(
    ledger: Ledger, tracking_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = _state(ledger)
    shutil.rmtree(tmp_path / "ledger")
    with caplog.at_level(logging.WARNING):
        recover(tmp_path, ledger.problem, tracking_uri)
    assert caplog.messages == [
        f"the ledger of {ledger.problem} was lost and was made again from MLflow: version 2 is champion"
    ]
    assert _state(ledger) == before
    with pytest.raises(ConflictError, match="rolled back and does not come back by itself"):
        ledger.promote("3", "2", "the gate says yes", {}, 5)
    assert mirror(tmp_path, ledger.problem, tracking_uri) == ()
    assert ledger.rollback(6).version == "1"


def test_what_is_there_is_left_alone(ledger: Ledger, tracking_uri: str, tmp_path: Path) -> None:
    before = _state(ledger)
    recover(tmp_path, ledger.problem, tracking_uri)
    assert _state(ledger) == before
    # A crash between the ledger and its copy: the copy is behind, and is written by the next mirroring.
    ledger.promote("4", "2", "by hand", {}, 7, force=True)
    recover(tmp_path, ledger.problem, tracking_uri)
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == "4"


def test_an_older_ledger_is_brought_up_to_date(ledger: Ledger, tracking_uri: str, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    shutil.copy(ledger.path, backup)
    ledger.promote("4", "2", "by hand", {"auc": 0.6}, 7, force=True)
    mirror(tmp_path, ledger.problem, tracking_uri)
    before = _state(ledger)
    for leftover in ledger.path.parent.iterdir():
        leftover.unlink()
    shutil.copy(backup, ledger.path)
    recover(tmp_path, ledger.problem, tracking_uri)
    assert _state(ledger) == before


def test_an_older_ledger_that_went_its_own_way_is_refused(ledger: Ledger, tracking_uri: str, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    shutil.copy(ledger.path, backup)
    ledger.promote("4", "2", "by hand", {}, 7, force=True)
    mirror(tmp_path, ledger.problem, tracking_uri)
    for leftover in ledger.path.parent.iterdir():
        leftover.unlink()
    shutil.copy(backup, ledger.path)
    ledger.promote("1", "2", "something else", {}, 8)
    with pytest.raises(ConflictError, match=r"tell different histories, from change 5 on.*champion here: 1.*MLflow: 4"):
        recover(tmp_path, ledger.problem, tracking_uri)
    ledger.path.unlink()  # as the message says: MLflow is followed
    recover(tmp_path, ledger.problem, tracking_uri)
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == "4"


def test_the_ledger_of_another_installation_is_refused(ledger: Ledger, tracking_uri: str, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "other", ledger.problem)
    for record in ledger.history()[:2]:  # the same steps, but not the same ledger
        other.promote(record.version, record.previous, record.reason, {}, record.at_us)
    with pytest.raises(ConflictError, match="another installation uses this MLflow"):
        recover(tmp_path / "other", ledger.problem, tracking_uri)


def test_a_deleted_version_takes_no_history_with_it(ledger: Ledger, tracking_uri: str, tmp_path: Path) -> None:
    history, barred = ledger.history(), ledger.barred()
    connect(tracking_uri).delete_model_version(ledger.problem, "3")
    shutil.rmtree(tmp_path / "ledger")
    recover(tmp_path, ledger.problem, tracking_uri)
    assert [record.version for record in ledger.history()] == [record.version for record in history]
    assert ledger.barred() == barred


def test_an_emptied_mlflow_takes_nothing_away(ledger: Ledger, tracking_uri: str, tmp_path: Path) -> None:
    before = _state(ledger)
    client = connect(tracking_uri)
    client.delete_registered_model(ledger.problem)
    recover(tmp_path, ledger.problem, tracking_uri)
    assert _state(ledger) == before
    client.create_registered_model(ledger.problem)
    mirror(tmp_path, ledger.problem, tracking_uri)
    shutil.rmtree(tmp_path / "ledger")
    recover(tmp_path, ledger.problem, tracking_uri)  # the copy was written anew
    assert ledger.history()[-1].version == "2"


def test_without_a_copy_a_champion_is_not_forgotten(tracking_uri: str, problem_name: str, tmp_path: Path) -> None:
    """MLflow as an earlier Headrace left it: aliases, but no copy of the ledger."""
    client = connect(tracking_uri)
    client.create_registered_model(problem_name)
    client.create_model_version(problem_name, source=tmp_path.as_uri())
    recover(tmp_path, problem_name, tracking_uri)  # a registration that was killed before its promotion
    client.set_registered_model_alias(problem_name, "champion", "1")
    with pytest.raises(ConflictError, match=r"there is no ledger.*@champion is version 1.*headrace promote"):
        recover(tmp_path, problem_name, tracking_uri)
    recover(tmp_path, problem_name, tracking_uri, manual=True)
    client.delete_registered_model_alias(problem_name, "champion")
    client.set_model_version_tag(problem_name, "1", "validation_status", "rolled_back")
    with pytest.raises(ConflictError, match="there is no ledger"):
        recover(tmp_path, problem_name, tracking_uri)


@pytest.mark.parametrize("value", ["", "{}", '{"action": "promote"}', "[1]"])
def test_a_change_that_somebody_edited_is_refused(
    ledger: Ledger, tracking_uri: str, tmp_path: Path, value: str
) -> None:
    connect(tracking_uri).set_registered_model_tag(ledger.problem, f"{CHANGE}000002", value)
    shutil.rmtree(tmp_path / "ledger")
    with pytest.raises(ConflictError, match="not a change of champion"):
        recover(tmp_path, ledger.problem, tracking_uri)


def test_nothing_registered_is_nothing_to_recover(tracking_uri: str, tmp_path: Path) -> None:
    recover(tmp_path, "nothing", tracking_uri)
    assert not (tmp_path / "ledger").exists()
    assert not is_mirrored(tmp_path, "nothing", tracking_uri)
