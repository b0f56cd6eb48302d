"""A home at another place is whole there, and what runs in it touches nothing of where it came from."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from headrace.app.addresses import tracking_uri
from headrace.cli.backup import back_up, restore_home
from headrace.core.clock import to_us
from headrace.core.errors import ConflictError
from headrace.core.fingerprint import file_digest
from headrace.core.settings import Settings
from headrace.lake.store import Lake
from headrace.pipeline.operations.advance import advance
from headrace.problems.catalogue import load_problem
from headrace.services import lifecycle, processes
from headrace.serving.service import open_service
from headrace.store.online import Age
from tests.infra.test_lifecycle import web
from tests.pipeline.shop import Shop, worked
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow

ROW = {"order_id": "new", "customer_id": "c03", "placed": "2024-03-02T21:40:00Z", "amount": 42.5, "channel": "web"}


def _digests(home: Path) -> dict[str, str]:
    """Every file but the logs that SQLite makes and removes when it looks at a database."""
    files = [path for path in home.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return {path.relative_to(home).as_posix(): file_digest(path) for path in files}


def _answer(shop: Shop) -> tuple[str, float | None, dict[str, Age]]:
    """What the API of a home answers: version, probability and how fresh each view was."""
    now = to_us("2024-03-02T21:40")
    service = open_service(shop.home, load_problem(str(shop.path)), shop.tracking_uri, lambda: now)
    assert service.follower.refresh()
    (answer,) = service.predictor.predict([ROW], now_us=now)
    return answer.model_version, answer.value, dict(answer.features)


def test_a_restored_home_is_the_same_and_apart(ran: Shop, copy: Shop, tmp_path: Path) -> None:
    before = _digests(ran.home)
    back_up(tmp_path / "backup.tar.gz", ran.home, without_caches=False)
    assert _digests(ran.home) == before
    restored = Shop(path=ran.path, home=tmp_path / "another place" / "home")
    restore_home(tmp_path / "backup.tar.gz", restored.home)
    assert worked(restored.finish()) == []
    assert _answer(restored) == _answer(copy)
    # A run with something to do writes all of it here: studies, a model, a version.
    assert "register" in worked(restored.finish(seed=1))
    assert restored.versions() == ["1", "2"]
    assert _digests(ran.home) == before
    with pytest.raises(ConflictError, match="is not empty"):
        restore_home(tmp_path / "backup.tar.gz", restored.home)


@pytest.mark.chaos
def test_without_caches_the_stages_are_made_again_to_the_same(ran: Shop, tmp_path: Path) -> None:
    back_up(tmp_path / "backup.tar.gz", ran.home, without_caches=True)
    restored = Shop(path=ran.path, home=tmp_path / "home")
    restore_home(tmp_path / "backup.tar.gz", restored.home)
    assert not (restored.home / "stages").exists()
    report = restored.finish()
    assert (report.champion["version"], restored.versions()) == ("1", ["1"])  # the same bits: the same bundle
    assert worked(restored.finish()) == []


@pytest.mark.chaos
def test_a_backup_while_production_goes_on_is_a_home_that_runs(tmp_path: Path) -> None:
    shop = Shop(path=write_tiny_problem(tmp_path / "problem", replayed_days=2), home=tmp_path / "home")
    shop.finish()
    context, ended = shop.run().context, threading.Event()

    def live() -> None:
        try:
            for _ in range(12):
                advance(context)
        finally:
            ended.set()

    production = threading.Thread(target=live)
    production.start()
    made = []
    while not ended.is_set() or not made:
        made.append(tmp_path / f"{len(made)}.tar.gz")
        back_up(made[-1], shop.home, without_caches=False)
    production.join()
    for archive in made:
        restored = Shop(path=shop.path, home=tmp_path / archive.stem)
        restore_home(archive, restored.home)
        assert set(worked(restored.finish())) <= {"materialise"}
        advance(restored.run().context)
        clock = Lake(restored.home, "shop").clock()
        assert clock is not None
        assert clock > to_us("2024-02-12")


def test_a_copy_does_not_use_the_services_of_the_home_that_was_copied(tmp_path: Path) -> None:
    """Its record of them came along; a run in the copy would have written to that home's MLflow, `down` stopped it."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    home.mkdir()
    lifecycle.start_services(home, [web("MLflow")])
    try:
        (started,) = lifecycle.read_record(home)
        shutil.copytree(home, copy)
        assert lifecycle.running_services(copy) == {}
        assert tracking_uri(Settings(home=copy, MLFLOW_TRACKING_URI=None)).startswith("sqlite:")  # type: ignore[call-arg]
        assert lifecycle.stop_services(copy) == []
        assert processes.is_alive(started)
        assert lifecycle.running_services(home) == {"MLflow": started.url}
    finally:
        lifecycle.stop_services(home)
