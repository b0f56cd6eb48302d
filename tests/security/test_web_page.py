"""A page of a foreign origin in a browser that can reach the services.

The page cannot read cookies or files, but it can send requests to any port of the machine that the browser runs on.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.security.target import Target

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

SEND = """
const [url, options, done] = arguments;
fetch(url, options).then(answer => done("sent, " + answer.type + " " + answer.status), error => done(String(error)));
"""


def flow_runs(target: Target) -> int:
    """How many flow runs the server knows, whoever asked for them."""
    return int(prefect(target, "POST", "/flow_runs/count", {}))


def prefect(target: Target, method: str, path: str, body: object = None) -> Any:
    """Ask Prefect's API as a client on this machine does."""
    with httpx.Client(trust_env=False, base_url=target.url("prefect", "/api")) as client:
        token = client.get("/csrf-token", params={"client": "tests"}).json().get("token", "")
        headers = {"prefect-csrf-client": "tests", "prefect-csrf-token": token}
        answer = client.request(method, path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@pytest.mark.attack("fetch() with a JSON body starts a flow run with a command of the page's", target="Prefect")
def test_a_foreign_page_starts_no_flow_run(target: Target, foreign_page: Any, record_property: Any) -> None:
    deployment = prefect(target, "GET", "/deployments/name/score/shop-score")["id"]
    before = flow_runs(target)
    body = '{"state": {"type": "SCHEDULED"}, "job_variables": {"command": "touch /tmp/headrace-attacked"}}'
    options = {"method": "POST", "headers": {"content-type": "application/json"}, "body": body}
    url = target.url("prefect", f"/api/deployments/{deployment}/create_flow_run")
    observed = foreign_page.execute_async_script(SEND, url, options)
    record_property("observed", observed)
    assert "Failed to fetch" in observed  # a server that is too busy to answer has not refused
    assert flow_runs(target) == before
