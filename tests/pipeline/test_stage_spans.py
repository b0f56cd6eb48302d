"""The trace of a run: the flow, its stages below it, the trials of the search in summary; and what remains of a run."""

from __future__ import annotations

import shutil

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from headrace.app.observed import observed_run
from headrace.core.errors import DataError
from headrace.core.settings import Settings
from headrace.pipeline.catalogue import STAGES
from headrace.telemetry.flow_runs import last_runs
from tests.pipeline.shop import Shop
from tests.telemetry.collected import Collected, collected

__all__ = ["collected"]

pytestmark = pytest.mark.slow


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def test_stages_are_below_the_run_and_the_search_tells_its_trials(copy: Shop, collected: Collected) -> None:
    shutil.rmtree(copy.home / "stages" / "shop" / "search")
    run = copy.run()
    with observed_run("pipeline", "shop", Settings(home=copy.home), "run-1"):
        run.complete()
    flow = collected.one("flow pipeline")
    assert attributes(flow) == {"headrace.flow": "pipeline", "headrace.problem": "shop", "headrace.run.id": "run-1"}
    assert collected.children(flow) == [f"stage {stage.name}" for stage in STAGES]
    search = collected.one("stage search")
    assert attributes(search)["headrace.stage.state"] == "run"
    assert attributes(search)["headrace.search.trials"] == len(search.events) == 2
    assert [dict(event.attributes or {})["headrace.trial.number"] for event in search.events] == [0, 1]
    assert attributes(collected.one("stage ingest"))["headrace.stage.state"] == "cached"
    assert {f"{span.context.trace_id:x}" for span in (flow, search)} == {f"{flow.context.trace_id:x}"}
    assert last_runs(copy.home, "shop")["pipeline"].outcome == "completed"


def test_a_run_that_fails_is_an_error_without_its_secrets(copy: Shop, collected: Collected) -> None:
    with (
        pytest.raises(DataError),
        observed_run("monitor", "shop", Settings(home=copy.home), "run-2"),
    ):
        raise DataError("cannot read postgresql://user:secret@host/db", where="orders")
    flow = collected.one("flow monitor")
    assert flow.status.status_code is StatusCode.ERROR
    assert attributes(flow)["error.type"] == "DataError"
    assert "secret" not in str(flow.status.description)
    assert flow.events == ()
    assert last_runs(copy.home, "shop")["monitor"].outcome == "failed"
    assert last_runs(copy.home, "shop")["monitor"].success_us is None
