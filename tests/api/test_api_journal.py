"""A prediction journal at its limit: refused with the reason, no answered prediction is lost, answered again later."""

from __future__ import annotations

import re
from pathlib import Path

from headrace.api.app import build_app
from headrace.prediction_log.journal import PredictionJournal
from headrace.prediction_log.log import PredictionLog
from tests.api.served import TestClient, error_of, serving
from tests.serving_fixtures import NOW, ROW, write_store


def test_a_full_journal_is_refused_with_the_reason_until_its_rows_are_moved(tmp_path: Path) -> None:
    write_store(tmp_path)
    journal = PredictionJournal(tmp_path, "shop", segment_bytes=4096, limit_bytes=3 * 4096)
    service = serving(tmp_path, log=journal)
    service.ledger.promote("1", None, "first", {"auc": 0.7}, NOW)
    service.follower.refresh()
    answered: list[str] = []
    with TestClient(build_app(service), raise_server_exceptions=False, base_url="http://localhost") as client:
        for _ in range(200):
            answer = client.post("/predict", json=dict(ROW))
            if answer.status_code != 200:
                break
            answered.append(answer.json()["id"])
        error = error_of(answer, 503)
        assert "the prediction could not be logged" in error["what"]
        assert "the prediction journal is full" in str(error["found"])
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "the prediction journal is full" in str(ready.json()["obstacles"])
        metrics = client.get("/metrics").text
        assert 'headrace_journal_limit_bytes{problem="shop"} 12288.0' in metrics
        used = re.search(r'headrace_journal_bytes{problem="shop"} (\S+)', metrics)
        assert used is not None
        assert float(used[1]) > 2 * 4096
        with PredictionLog(tmp_path, "shop") as log:
            assert {row.id for row in log.read()} == set(answered)
        assert client.post("/predict", json=dict(ROW)).status_code == 200
