"""A run that was taken for dead and replaced while it lived: whatever it does next, the newer run's results stay."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from headrace.access.audit_log import AuditLog
from headrace.core.errors import ConflictError
from headrace.pipeline import stage as stage_module
from headrace.pipeline.fence import PIPELINE, fenced
from headrace.pipeline.stages import promote, publish, refit
from headrace.pipeline.walker import PipelineRun
from headrace.registry.fencing import FencingToken, require_current, take_token
from headrace.registry.ledger import Ledger
from headrace.store.published import read_published
from tests.pipeline.shop import Shop
from tests.tiny_problem import write_tiny_problem


def test_the_ledger_refuses_what_a_replaced_run_writes(tmp_path: Path, database_url: str) -> None:
    plain = Ledger(tmp_path, "shop", database_url=database_url)
    slow, other = take_token(plain, "pipeline", "slow"), take_token(plain, "retrain 1", "another work")
    Ledger(tmp_path, "shop", database_url=database_url, token=slow).promote("1", None, "first", {}, 1)
    newer = take_token(plain, "pipeline", "newer")
    replaced = Ledger(tmp_path, "shop", database_url=database_url, token=slow)
    for change in (
        lambda: replaced.promote("2", "1", "late", {}, 2),
        lambda: replaced.rollback(2),
        lambda: replaced.set_challenger("2"),
        lambda: replaced.record_metrics("1", {"auc": 0.1}),
        lambda: replaced.begin_alias_write("champion", "2"),
    ):
        with pytest.raises(ConflictError, match=r"pipeline: this run \(slow\) was taken for dead.*found: newer"):
            change()
    for token in (newer, other, None):
        with plain.read() as connection:
            require_current(connection, token)
    assert [record.version for record in plain.history()] == ["1"]


def test_the_claim_of_a_retrain_counts_its_runs(tmp_path: Path, database_url: str) -> None:
    ledger = Ledger(tmp_path, "shop", database_url=database_url)
    assert take_token(ledger, "retrain 1", "second", number=2).number == 2
    with pytest.raises(ConflictError, match="found: second"):  # it claimed first, and was too slow to begin
        take_token(ledger, "retrain 1", "first", number=1)
    assert take_token(ledger, "retrain 1", "second again", number=2) == FencingToken(
        work="retrain 1", number=2, holder="second again"
    )


def _contents(home: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file that a run could write over."""
    folders = ("stages", "registry", "lake", "store")
    files = (path for name in folders for path in (home / name).rglob("*") if path.is_file())
    return {
        str(path.relative_to(home)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in files
        if not path.name.endswith(".lock") and path.name != ".code.json"
    }


@pytest.mark.slow
@pytest.mark.parametrize("place", ["refit", "publish", "promote"])
def test_a_slow_run_writes_nothing_over_the_one_that_replaced_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The slow run stands still inside a stage, before it commits. Locks do not hold, as between two machines."""
    shop = Shop(path=write_tiny_problem(tmp_path / "problem"), home=tmp_path / "home")
    slow = fenced(shop.run().context, PIPELINE, "slow")
    before: dict[str, tuple[int, int]] = {}

    def replaced_meanwhile() -> None:
        if not before:
            before["begun"] = (0, 0)
            PipelineRun(fenced(shop.run().context, PIPELINE, "newer")).complete()
            before.update(_contents(shop.home))

    _stand_still(monkeypatch, place, replaced_meanwhile)
    monkeypatch.setattr(stage_module, "FileLock", lambda path: nullcontext())
    with pytest.raises(ConflictError, match=r"this run \(slow\) was taken for dead"):
        PipelineRun(slow).complete()
    before.pop("begun")
    assert before
    assert _contents(shop.home) == before
    assert [record.version for record in Ledger(shop.home, "shop").history()] == ["1"]
    assert shop.versions() == ["1"]
    assert len(read_published(shop.home, "shop").services) == 1
    assert len([entry for entry in AuditLog(shop.home).entries() if entry.action == "champion.promote"]) == 1


def _stand_still(monkeypatch: pytest.MonkeyPatch, place: str, meanwhile: Callable[[], None]) -> None:
    """Let something happen in a stage at the last moment at which nothing of it is written yet."""
    module, name = {
        "refit": (refit, "fit_recipe"),
        "publish": (publish, "read_definitions"),
        "promote": (promote, "ledger_of"),
    }[place]
    function = getattr(module, name)

    def later(*arguments: Any, **named: Any) -> Any:
        meanwhile()
        return function(*arguments, **named)

    monkeypatch.setattr(module, name, later)
