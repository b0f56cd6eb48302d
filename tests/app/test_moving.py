"""Ledger, outbox and prediction log move between files and PostgreSQL without losing a row; backups hold both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.app.moving import export, import_files
from headrace.cli.backup import back_up, restore_home
from headrace.core.errors import ConflictError
from headrace.core.settings import settings
from headrace.monitor.alerts.delivery import queued_alerts
from headrace.monitor.outbox.outbox import Outbox
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from tests.database.make_home import fill, prediction


def content(root: Path, url: str) -> tuple[object, ...]:
    """What the three say."""
    ledger, outbox = Ledger(root, "shop", database_url=url), Outbox(root, "shop", database_url=url)
    with PredictionLog(root, "shop", database_url=url) as log:
        rows = [(row.id, row.probability, dict(row.features)) for row in log.read()]
    return (
        ledger.history(), ledger.barred(), ledger.challenger(), ledger.identity(), ledger.alias_state("champion"),
        outbox.history(), queued_alerts(outbox), rows,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "home")
    return tmp_path / "home"


def test_files_move_to_postgresql_and_back(home: Path, tmp_path: Path, postgresql_url: str) -> None:
    before = content(home, "")
    assert import_files(home, postgresql_url) > 10
    assert content(home, postgresql_url) == before
    assert not list(home.glob("*/shop.db"))
    assert len(list(home.glob("*/shop.db.moved"))) == 3
    (home / "lake" / "shop").mkdir(parents=True)
    assert set(export(home, postgresql_url, tmp_path / "files")) == {
        "ledger/shop.db", "outbox/shop.db", "predictions/shop.db"
    }  # fmt: skip
    assert content(tmp_path / "files", "") == before


def test_rows_of_two_installations_are_never_mixed(home: Path, postgresql_url: str) -> None:
    Ledger(home, "shop", database_url=postgresql_url).promote("9", None, "another installation", {}, 1)
    with pytest.raises(ConflictError, match=r"table change has rows already.*empty database"):
        import_files(home, postgresql_url)
    assert (home / "ledger" / "shop.db").exists()


def test_a_backup_of_postgresql_is_restored_to_files_and_to_an_empty_database(
    home: Path, tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(home, "")
    first, second = new_database(), new_database()
    import_files(home, first)
    (home / "lake" / "shop").mkdir(parents=True)
    monkeypatch.setenv("HEADRACE_DATABASE_URL", first)
    settings.cache_clear()
    back_up(tmp_path / "backup.tar.gz", home, without_caches=False)
    # what came later is not in it
    PredictionLog(home, "shop", database_url=first).append([prediction(9)])
    monkeypatch.delenv("HEADRACE_DATABASE_URL")
    settings.cache_clear()
    restore_home(tmp_path / "backup.tar.gz", tmp_path / "files")
    assert content(tmp_path / "files", "") == before
    monkeypatch.setenv("HEADRACE_DATABASE_URL", second)
    settings.cache_clear()
    restore_home(tmp_path / "backup.tar.gz", tmp_path / "database")
    assert content(tmp_path / "database", second) == before
    monkeypatch.delenv("HEADRACE_DATABASE_URL")
    settings.cache_clear()
