"""`headrace replay` on a tiny shop, from its files to the report and the run in MLflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.app.context import context_of
from headrace.core.clock import DAY, to_us
from headrace.core.errors import DeclarationError
from headrace.problems.catalogue import load_problem
from headrace.replay.plan import WARM_UP, ReplayOptions
from headrace.replay.run import plan_of
from tests.cli.command import headrace
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow

FEED_START = "2024-02-10"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A problem file whose feed starts on 10 February, with orders from 1 January to 29 February."""
    return write_tiny_problem(tmp_path_factory.mktemp("shop"), orders=1_500, replayed_days=1)


def test_the_history_before_the_feed_is_replayed_from_where_the_warm_up_has_rows(shop: Path) -> None:
    """The replay that the summary of a run proposes."""
    plan = plan_of(load_problem(str(shop)), ReplayOptions(until=FEED_START, every="3d"))
    assert plan.end_us <= plan.known_us <= to_us(FEED_START)
    first_refit = int(plan.instants_us[0])
    assert to_us("2024-01-01") + 3 * DAY <= first_refit == plan.start_us - WARM_UP * plan.every_us


def test_a_replay_starts_with_the_feed(shop: Path) -> None:
    assert plan_of(load_problem(str(shop)), ReplayOptions(every="3d")).start_us == to_us(FEED_START)


def test_a_history_too_short_for_two_periods_is_refused(shop: Path) -> None:
    with pytest.raises(DeclarationError, match="not two periods of 7d"):
        plan_of(load_problem(str(shop)), ReplayOptions(until="2024-01-30"))


def test_the_command_prints_a_recommendation_and_logs_it(shop: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    told = headrace("replay", str(shop), "--every", "3d", home=tmp_path)
    assert told.code == 0, told.err
    assert "Recommended: " in told.out
    assert "every 6d" in told.out
    found = json.loads((tmp_path / "replays" / "shop" / "result.json").read_text())
    client = MlflowClient(context_of(str(shop), tmp_path).tracking_uri)
    (run,) = client.search_runs([one.experiment_id for one in client.search_experiments(filter_string="name = 'shop'")])
    assert run.data.tags["headrace.recommended"] == found["recommendation"]["name"]
    assert {"never/loss", "worth_confidence_.5/loss", "new_rows_25_percent/auc"} <= set(run.data.metrics)
    assert {Path(one.path).suffix for one in client.list_artifacts(run.info.run_id)} >= {".html", ".png", ".json"}
    explained = headrace("policy", "explain", str(shop), home=tmp_path)
    assert "replay of 2024-02-10 to " in explained.out
