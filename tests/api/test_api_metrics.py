"""The metrics for Prometheus, read as Prometheus does."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.api.served import Served, served
from tests.serving_fixtures import NOW, ROW, VIEW

__all__ = ["served"]


def samples(served: Served) -> dict[tuple[str, ...], float]:
    """(name, values of the labels but `problem` ...) -> value."""
    answer = served.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "problem")): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_errors_and_flags_are_counted(served: Served) -> None:
    served.client.post("/predict", json=dict(ROW))
    served.client.post("/predict", json={**ROW, "channel": "fax"})
    served.client.post("/predict", json={})
    served.client.get("/no/such/page")
    found = samples(served)
    assert found["headrace_requests_total", "/predict", "200"] == 2
    assert found["headrace_errors_total", "/predict", "422"] == 1
    assert found["headrace_errors_total", "(other)", "404"] == 1
    assert found["headrace_predictions_total", "1"] == 2
    assert found["headrace_flags_total", "channel", "unseen_category"] == 1
    assert found["headrace_request_seconds_count", "/predict"] == 3
    assert found["headrace_request_seconds_bucket", "+Inf", "/predict"] == 3


def test_champion_and_freshness_are_those_of_now(served: Served) -> None:
    found = samples(served)
    assert found["headrace_champion", "1"] == 1
    assert found["headrace_feature_age_seconds", VIEW] == 0
    assert found["headrace_feature_fresh", VIEW] == 1
    assert found[("headrace_production_clock_seconds",)] == NOW / 1e6
    served.ledger.promote("2", "1", "better", {}, NOW)
    served.service.follower.refresh()
    assert ("headrace_champion", "1") not in samples(served)
    assert samples(served)["headrace_champion", "2"] == 1


def test_without_a_model_the_metrics_say_so(served: Served) -> None:
    served.service.follower.stop()  # which would load it again
    served.service.follower._loaded = None
    found = samples(served)
    assert found[("headrace_ready",)] == 0
    assert ("headrace_feature_fresh", VIEW) not in found


def test_a_batch_is_measured_by_step(served: Served) -> None:
    served.client.post("/predict/batch", json={"rows": [dict(ROW)] * 3})
    found = samples(served)
    assert found[("headrace_batch_rows_sum",)] == 3
    assert {found["headrace_batch_seconds_count", step] for step in ("read", "score", "log")} == {1}
    assert found[("headrace_queue_rows",)] == 0
