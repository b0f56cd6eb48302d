"""An online store that is ahead of the production clock: never served, and told from one that moved on meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from headrace.api.app import build_app
from headrace.serving.answers import Policy
from headrace.serving.service import Service
from tests.api.served import Served, TestClient, error_of, served, serving
from tests.serving_fixtures import NOW, ROW, TICK, VIEW, write_store

__all__ = ["served"]


def client_of(service: Service) -> TestClient:
    return TestClient(build_app(service), raise_server_exceptions=False, base_url="http://localhost")


def ahead(folder: Path, policy: Policy = "default") -> Service:
    """Serving at NOW over a store that was refreshed a tick later."""
    service = serving(folder, policy=policy)
    write_store(folder, tick_us=NOW + TICK)
    service.ledger.promote("1", None, "beats the baseline", {"auc": 0.78}, NOW)
    service.follower.refresh()
    return service


@pytest.mark.parametrize("policy", get_args(Policy))
def test_nothing_is_predicted_from_what_is_ahead(tmp_path: Path, policy: Policy) -> None:
    with client_of(ahead(tmp_path, policy)) as client:
        for path, body in (("/predict", dict(ROW)), ("/predict/batch", {"rows": [dict(ROW)]})):
            error = error_of(client.post(path, json=body), 503)
            assert "ahead of the production clock, which is at 2024-03-01T12:00:00Z" in error["what"]
            assert "run `headrace run shop`" in error["fix"]
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert any("ahead of the production clock" in reason for reason in ready.json()["obstacles"])
        age = ready.json()["features"][VIEW]
        assert (age["status"], age["age_s"]) == ("AHEAD", -TICK / 1_000_000)


def test_a_call_that_waited_while_the_store_moved_on_is_answered_as_of_later(tmp_path: Path) -> None:
    times = iter([NOW])
    service = replace(ahead(tmp_path), now=lambda: next(times, NOW + TICK))
    with client_of(service) as client:
        answer = client.post("/predict", json=dict(ROW))
    assert answer.status_code == 200
    assert answer.json()["features"][VIEW]["status"] == "FRESH"
    assert answer.json()["made_at"] == answer.json()["features"][VIEW]["tick"]


def test_the_next_refresh_at_the_clock_is_served(served: Served, tmp_path: Path) -> None:
    before = served.client.post("/predict", json=dict(ROW)).json()["probability"]
    write_store(tmp_path, tick_us=NOW + TICK)
    assert served.client.post("/predict", json=dict(ROW)).status_code == 503
    write_store(tmp_path)
    assert served.client.post("/predict", json=dict(ROW)).json()["probability"] == before
    assert served.client.get("/readyz").status_code == 200
