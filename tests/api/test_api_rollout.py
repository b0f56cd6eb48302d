"""A rollout over HTTP: which version answers, what /metrics and the page show, and explanations by the version."""

from __future__ import annotations

from pathlib import Path

from headrace.api.page.facts import FactReader
from headrace.api.page.links import Links
from headrace.api.page.render import rollout_words
from headrace.registry.rollouts import Rollouts
from tests.api.served import Served, served
from tests.api.test_api_metrics import samples
from tests.serving_fixtures import NOW, PROBLEM, ROW

__all__ = ["served"]

ROWS = [{**ROW, "customer_id": f"c{number}"} for number in range(30)]


def begin(served: Served, share: float) -> Rollouts:
    rollouts = Rollouts(served.ledger)
    step = rollouts.begin("2", champion="1", reason="passed the gate", at_us=NOW)
    if share:
        rollouts.advance(step, "canary", reason="a day in shadow", at_us=NOW, share=share)
    assert served.service.rollout is not None
    served.service.rollout.refresh()
    return rollouts


def test_a_batch_of_several_entities_is_shared_and_each_answer_names_its_version(served: Served) -> None:
    begin(served, 0.5)
    answered = served.client.post("/predict/batch", json={"rows": ROWS}).json()["predictions"]
    by_version = {one["model_version"]: one["probability"] for one in answered}
    assert set(by_version) == {"1", "2"}
    alone = [served.client.post("/predict", json=row).json()["model_version"] for row in ROWS]
    assert alone == [one["model_version"] for one in answered]
    logged = {row.id: row.model_version for row in served.log.read()}
    assert all(logged[one["id"]] == one["model_version"] for one in answered)


def test_metrics_have_both_versions_and_none_without_a_rollout(served: Served) -> None:
    assert not [name for name, *_ in samples(served) if name.startswith("headrace_rollout")]
    begin(served, 0.25)
    served.client.post("/predict/batch", json={"rows": ROWS})
    found = samples(served)
    assert found["headrace_rollout_share", "1"] == 0.75
    assert found["headrace_rollout_share", "2"] == 0.25
    answered = found["headrace_predictions_total", "2"]
    assert 0 < answered < 30
    assert found["headrace_rollout_answered", "2"] == answered
    assert found["headrace_rollout_errors", "2"] == 0


def test_the_page_shows_the_rollout(served: Served, tmp_path: Path) -> None:
    def shown() -> tuple[str, ...]:
        return rollout_words(PROBLEM, FactReader(served.service, tmp_path, Links()).read("localhost"))

    assert shown() == ("None: a version that passes the gate is promoted at once.",)
    rollouts = begin(served, 0.25)
    served.client.post("/predict/batch", json={"rows": ROWS})
    state, counts = shown()
    assert state.startswith("Version 2: canary, 25% of the entities, since ")
    assert state.endswith("a day in shadow.")
    assert counts.startswith("Here it scored ")
    rollouts.advance(rollouts.require_current(), "rolled back", reason="3 of 3 requests failed", at_us=NOW)
    assert served.service.rollout is not None
    served.service.rollout.refresh()
    (state,) = shown()
    assert state.startswith("Version 2: rolled back, since ")
    assert state.endswith(": 3 of 3 requests failed.")
