"""What must go on working: the services' own pages, by each of their names, send what they always sent."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from headrace.pipeline.monitoring.monitor_window import RETRAIN_EVENT, resource_of
from headrace.services.processes import wait_until
from tests.security.talking import deployment, prefect
from tests.security.target import Target

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

PAGES = {
    "prefect": ("/deployments", "shop-score"),
    "mlflow": ("/#/models/shop", "champion"),
    "api": ("/docs", "predict"),
}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_it_asks_its_server_for(target: Target, browser: Any, page: str, host: str) -> None:
    """Prefect's page of deployments is the answer to a POST: its pages send the token that the server asks for."""
    path, text = PAGES[page]
    browser.get(target.url(page.partition(",")[0], path, host=host))
    shown = "return document.body.innerText"
    assert wait_until(lambda: text in browser.execute_script(shown), timeout_s=90), browser.execute_script(shown)[:500]


@pytest.mark.long
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_prefects_page_pauses_a_schedule(target: Target, browser: Any, host: str) -> None:
    """What a page of Prefect's sends when its switch is clicked is let in."""
    switch = "document.querySelector('[role=switch]')"
    page = target.url("prefect", f"/deployments/deployment/{deployment(target)}", host=host)
    before = schedules(target)
    for _ in range(
        3
    ):  # a server that is too busy refuses (503): then the page shows what is not so, until it is read again
        browser.get(page)
        assert wait_until(lambda: browser.execute_script(f"return {switch} !== null"), timeout_s=90)
        browser.execute_script(f"{switch}.click()")
        if wait_until(lambda: schedules(target) != before, timeout_s=20):
            return
    pytest.fail("the schedule is as it was")


def schedules(target: Target) -> list[bool]:
    """Whether each schedule of a deployment is active."""
    found = prefect(target, "GET", f"/deployments/{deployment(target)}").json()
    return [schedule["active"] for schedule in found["schedules"]]


@pytest.mark.long
def test_an_event_of_a_programs_starts_a_retrain(target: Target) -> None:
    """By Prefect's client, over the WebSocket that pages cannot open; its automation creates the run."""
    event = {
        "event": RETRAIN_EVENT,
        "resource": {"prefect.resource.id": resource_of("shop")},
        "payload": {"decision": "none-such"},
    }
    before = retrains(target)
    code = f"from prefect.events import emit_event; emit_event(**{event!r})"
    env = {**target.env, "PREFECT_API_URL": target.url("prefect", "/api"), "PREFECT_HOME": str(target.home / "prefect")}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=120)
    assert wait_until(lambda: retrains(target) > before, timeout_s=60, pause_s=1)


def retrains(target: Target) -> int:
    """Runs of the retrain's deployment."""
    chosen = {"deployments": {"name": {"any_": ["shop-retrain"]}}}
    return int(prefect(target, "POST", "/flow_runs/count", chosen).json())
