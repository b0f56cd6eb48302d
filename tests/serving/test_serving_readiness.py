"""Readiness: not ready exactly while predictions are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import HeadraceError, UnavailableError
from headrace.serving.readiness import ReadinessCheck
from headrace.store.materialise import online_rows
from tests.api.served import Served, error_of, serve, served, serving
from tests.full_disk import full_disk
from tests.serving_fixtures import NOW, ROW, TICK, VIEW, write_store

__all__ = ["served"]


def refused(app: Served) -> str:
    """Why a prediction is refused, in the server's words; empty where it is given."""
    answer = app.client.post("/predict", json=dict(ROW))
    return "" if answer.status_code == 200 else str(error_of(answer, 503)["what"])


def damage_log(app: Served) -> None:
    for file in app.log.path.parent.iterdir():
        file.write_bytes(b"no database at all" * 300)


def damage_store(app: Served) -> None:
    online_rows(app.log.path.parents[1]).path.write_bytes(b"no database at all" * 300)


def replace_store(app: Served) -> None:
    path = online_rows(app.log.path.parents[1]).path
    path.unlink()
    path.mkdir()


def remove_folder(app: Served) -> None:
    folder = app.log.path.parent
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("a file where the folder should be")


@pytest.mark.parametrize(
    ("fault", "obstacle"),
    [
        (damage_log, "the prediction log is damaged"),
        (remove_folder, "the prediction log cannot be used: "),
        (damage_store, "the online store is damaged"),
        (replace_store, "the online store cannot be read: "),
    ],
)
def test_not_ready_while_predictions_are_refused(tmp_path: Path, fault: object, obstacle: str) -> None:
    with serve(tmp_path) as app:
        assert (app.client.get("/readyz").status_code, refused(app)) == (200, "")
        fault(app)  # type: ignore[operator]
        assert refused(app)
        assert str(tmp_path) not in app.client.post("/predict", json=dict(ROW)).text
        answer = app.client.get("/readyz")
        assert answer.status_code == 503
        found = answer.json()
        assert found["ready"] is False
        assert any(obstacle in one for one in found["obstacles"])
        assert str(tmp_path) not in answer.text


def test_not_ready_while_the_disk_is_full_and_ready_again_after(tmp_path: Path) -> None:
    write_store(tmp_path)
    service = serving(tmp_path)
    service.ledger.promote("1", None, "first", {}, NOW)
    service.follower.refresh()
    now_s = [0.0]
    check = ReadinessCheck(service, clock=lambda: now_s[0])
    assert check.obstacles() == []
    with full_disk():
        assert check.obstacles() == []  # as found a moment ago
        now_s[0] += 1
        (obstacle,) = check.obstacles()
        assert obstacle.startswith("the prediction log cannot be used: ")
        with pytest.raises(UnavailableError, match="could not be logged"):
            service.predictor.predict([ROW], now_us=NOW)
    now_s[0] += 1
    service.predictor.predict([ROW], now_us=NOW)
    assert check.obstacles() == []
    service.log.close()


def test_a_refusal_is_remembered_until_a_call_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_store(tmp_path)
    service = serving(tmp_path)
    service.ledger.promote("1", None, "first", {}, NOW)
    service.follower.refresh()
    failed_s = service.predictor._clock()
    now_s = [failed_s]
    check = ReadinessCheck(service, clock=lambda: now_s[0])

    def full(rows: object) -> int:
        raise UnavailableError("the prediction log cannot be used: disk full", where="/secret")

    with monkeypatch.context() as patched:
        patched.setattr(service.log, "append", full)
        with pytest.raises(HeadraceError):
            service.predictor.predict([ROW], now_us=NOW)
    (obstacle,) = check.obstacles()
    assert obstacle == (
        "the prediction could not be logged, so it is not given: the prediction log cannot be used: disk full"
    )
    service.predictor.predict([ROW], now_us=NOW)
    assert check.obstacles() == []
    with monkeypatch.context() as patched:
        patched.setattr(service.log, "append", full)
        with pytest.raises(HeadraceError):
            service.predictor.predict([ROW], now_us=NOW)
    now_s[0] = service.predictor._clock() + 11
    assert check.obstacles() == []  # nobody asks where nothing is sent to: the check itself decides again
    service.log.close()


def test_stale_features_stand_in_the_way_only_where_the_policy_is_to_fail(tmp_path: Path) -> None:
    write_store(tmp_path, tick_us=NOW - 10 * TICK)
    for policy, expected in (("default", []), ("abstain", []), ("fail", [f"{VIEW} is STALE"])):
        service = serving(tmp_path, policy=policy)  # type: ignore[arg-type]
        if service.ledger.champion() is None:
            service.ledger.promote("1", None, "first", {}, NOW)
        service.follower.refresh()
        assert ReadinessCheck(service).obstacles() == expected
        service.log.close()


def test_a_clock_or_ledger_that_cannot_be_read_is_no_error_of_readiness(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.service.ledger.path.write_bytes(b"no database at all" * 300)
    found = served.client.get("/readyz").json()
    assert (found["champion"], found["serving"], found["ready"]) == (None, "1", True)
    assert refused(served) == ""

    def broken() -> int:
        raise ValueError("/secret/clock.json")

    object.__setattr__(served.service, "now", broken)
    answer = served.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["obstacles"] == ["ValueError on the way to a prediction"]
    assert answer.json()["clock"] is None
