"""With the ledger gone, a version that the gate refused does not become the first champion."""

from __future__ import annotations

import shutil

import pytest

from headrace.cli.release import promote_version, roll_back_champion
from headrace.core.errors import ConflictError, NotFoundError
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from tests.pipeline.shop import Shop, worked

pytestmark = pytest.mark.slow


def test_a_refused_version_stays_refused_and_a_barred_one_barred(
    copy: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = copy.finish(seed=3)  # worse than the champion by its estimate, too
    assert "version 2 was not promoted" in refused.decision
    ledger = Ledger(copy.home, "shop")
    before = (ledger.history(), ledger.identity(), ledger.versions(), ledger.challenger())
    shutil.rmtree(copy.home / "ledger")
    again = copy.finish(seed=3)
    assert (again.champion["version"], worked(again)) == ("1", [])
    assert "the ledger of shop was lost and was made again from MLflow" in caplog.text
    assert (ledger.history(), ledger.identity(), ledger.versions(), ledger.challenger()) == before

    # Rolled back, then the ledger lost and its version deleted: registered anew, the very bundle stays barred.
    ledger.promote("2", "1", "by hand", {}, 9, force=True)
    monkeypatch.setenv("HEADRACE_HOME", str(copy.home))
    roll_back_champion(str(copy.path), copy.home)
    shutil.rmtree(copy.home / "ledger")
    connect(copy.tracking_uri).delete_model_version("shop", "2")
    report = copy.finish(seed=3)
    assert report.champion["version"] == "1"
    assert "version 2 was rolled back" in report.decision


def test_no_ledger_and_no_copy_of_it_is_one_clear_line(copy: Shop) -> None:
    shutil.rmtree(copy.home / "ledger")
    client = connect(copy.tracking_uri)
    for name in client.get_registered_model("shop").tags:
        client.delete_registered_model_tag("shop", name)
    with pytest.raises(ConflictError, match=r"there is no ledger.*@champion is version 1"):
        copy.finish()
    assert not Ledger(copy.home, "shop").path.exists()


@pytest.mark.chaos
def test_mlflow_lost_with_every_copy_of_the_champion(copy: Shop) -> None:
    """Its number is not given to another bundle, and the line says what to do."""
    shutil.rmtree(copy.home / "mlflow")
    shutil.rmtree(copy.home / "registry")
    with pytest.raises(NotFoundError, match=r"version 1, is neither in MLflow nor in registry/shop/.*headrace promote"):
        copy.finish()
    assert copy.versions() == ["2"]
    promote_version(str(copy.path), "2", "after a loss", copy.home)
    assert worked(copy.finish()) == ["promote", "replay", "materialise"]
    assert copy.finish().champion["version"] == "2"
