"""A store beyond the production clock, with every part real: Feast's command, the API, `headrace run`."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from headrace.api.app import create_app
from headrace.api.server import production_clock
from headrace.cli.status import gather
from headrace.core.clock import from_us
from headrace.lake.store import Lake
from headrace.services.processes import wait_until
from headrace.store import offline
from headrace.store.materialise import watermarks
from headrace.store.repo import open_store
from tests.pipeline.shop import Shop
from tests.tiny_problem import write_tiny_problem

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient
if TYPE_CHECKING:
    from httpx import Response

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

FEAST = "from feast.cli.cli import cli; cli()"
REPO = Path(__file__).parents[2] / "feature_repo"
ROW = {"customer_id": "c03", "placed": "2024-02-28T21:40:00Z", "amount": 425.0, "channel": "web"}
TODAY = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("beyond")
    made = Shop(path=write_tiny_problem(folder / "problem"), home=folder / "home")
    made.finish()
    return made


@pytest.fixture
def client(shop: Shop) -> Iterator[TestClient]:
    problem = shop.run().context.problem
    app = create_app(shop.home, problem, shop.tracking_uri, production_clock(shop.home, problem), poll_s=0.01)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as found:
        assert wait_until(lambda: serving(found), timeout_s=60)
        yield found


def serving(client: TestClient) -> bool:
    """Whether a model was loaded; with a torn or poisoned store it is not ready all the same."""
    return client.get("/readyz").json()["serving"] is not None


def environment(shop: Shop) -> dict[str, str]:
    """Of the test's own processes. As many workers as in `Shop`: another number is another search."""
    own = {"HEADRACE_HOME": str(shop.home), "HEADRACE_WORKERS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return os.environ | own


def command(shop: Shop, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment(shop), capture_output=True, text=True, check=False
    )


def feast(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(shop, "-W", "ignore", "-c", FEAST, "-f", "home.yaml", *arguments, folder=REPO)


def run(shop: Shop) -> str:
    """`headrace run`, and what it printed."""
    done = command(shop, "-m", "headrace.cli", "run", str(shop.path), "--trials", "2", "--home", str(shop.home))
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def materialise_was_cached(shop: Shop) -> bool:
    return {stage["name"]: bool(stage["cached"]) for stage in shop.last_run()["stages"]}["materialise"]


def ticks(shop: Shop) -> set[int]:
    return {mark.tick_us for mark in watermarks(shop.home, shop.run().context.problem).values()}


def views(response: Response, name: str = "features") -> Any:
    return {view["status"] for view in response.json()[name].values()}


def test_feast_is_refused_and_nothing_changes(shop: Shop, client: TestClient) -> None:
    before, served = ticks(shop), client.post("/predict", json=ROW)
    assert (served.status_code, views(served)) == (200, {"FRESH"})
    outcome = feast(shop, "materialize-incremental", TODAY.isoformat())
    assert outcome.returncode == 1
    (error,) = [line for line in outcome.stderr.splitlines() if line.startswith("Error")]
    assert "is beyond the production clock" in error
    assert "Traceback" not in outcome.stderr
    after = client.post("/predict", json=ROW)
    assert (ticks(shop), after.json()["probability"]) == (before, served.json()["probability"])
    assert "beyond the production clock" not in run(shop)
    assert materialise_was_cached(shop)


def test_a_poisoned_store_is_not_served_and_the_next_run_mends_it(
    shop: Shop, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, before = client.post("/predict", json=ROW), ticks(shop)
    with monkeypatch.context() as patch:  # an earlier version of Headrace refused nothing
        patch.setattr(offline, "require_reached", lambda *_: None)
        open_store(shop.home).materialize_incremental(TODAY)
    refused = client.post("/predict", json=ROW)
    assert refused.status_code == 503
    assert "ahead of the production clock" in refused.json()["error"]["what"]
    assert client.post("/predict/batch", json={"rows": [ROW]}).status_code == 503
    assert "beyond the production clock, not served" in str(gather(str(shop.path), shop.home)["fault"])
    ready = client.get("/readyz")
    assert (ready.status_code, views(ready)) == (503, {"AHEAD"})
    assert "note the online store was beyond the production clock (shop__" in run(shop)
    again = client.post("/predict", json=ROW)
    assert (again.status_code, views(again), again.json()["probability"]) == (
        200,
        {"FRESH"},
        served.json()["probability"],
    )
    assert client.get("/readyz").status_code == 200
    assert ticks(shop) == before
    clock = Lake(shop.home, "shop").clock()
    assert clock is not None
    ends = [view.most_recent_end_time for view in open_store(shop.home).list_feature_views()]
    assert max(end for end in ends if end is not None) <= from_us(clock)
    assert "beyond the production clock" not in run(shop)


def test_a_store_that_was_torn_down_is_made_again(shop: Shop, client: TestClient) -> None:
    served = client.post("/predict", json=ROW).json()["probability"]
    assert feast(shop, "teardown").returncode == 0
    assert views(client.post("/predict", json=ROW)) == {"MISSING"}
    run(shop)
    again = client.post("/predict", json=ROW)
    assert (views(again), again.json()["probability"]) == ({"FRESH"}, served)
    assert open_store(shop.home).list_feature_services(tags={"problem": "shop"})


def test_two_processes_that_materialise_at_once_leave_one_whole_store(shop: Shop, client: TestClient) -> None:
    clock = Lake(shop.home, "shop").clock()
    assert clock is not None
    end = from_us(clock).isoformat(timespec="seconds")
    call = ["-W", "ignore", "-c", FEAST, "-f", "home.yaml", "materialize-incremental", end]
    started = [
        subprocess.Popen([sys.executable, *call], cwd=REPO, env=environment(shop), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
    assert len(ticks(shop)) == 1
    assert views(client.post("/predict", json=ROW)) == {"FRESH"}
    run(shop)
    assert materialise_was_cached(shop)
