"""DNS rebinding: the page's own name leads to this machine, so that the browser takes the service for its origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import WebDriverException

from tests.security.requests_of_pages import REQUESTS
from tests.security.state import state
from tests.security.talking import SOCKET, asked, fetched
from tests.security.target import Target

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

SERVICES = ("prefect", "mlflow", "evidently", "api")
#: The first looks like a private address to a pattern such as `10.*`.
NAMES = ("10.evil.test", *(pytest.param(name, marks=pytest.mark.long) for name in ("evil.test", "localhost.evil.test")))
SENT = {
    "prefect": "a flow run with a command",
    "mlflow": "an experiment",
    "evidently": "a project",
    "api": "a prediction in the log",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.attack("a page at {name} asks as its own origin", target="{service}")
def test_a_rebound_name_is_refused(
    target: Target, browser: Any, tmp_path: Path, service: str, name: str, record_property: Any
) -> None:
    before, hostile = state(target, service), REQUESTS[SENT[service]]
    shown = _opened(browser, target.url(service, "/", host=name))
    path, body = hostile.filled(target, tmp_path / "canary")
    headers = {"content-type": "application/json"}
    seen = fetched(browser, path, method=hostile.method, body=body, headers=headers)
    record_property("observed", f"{shown} / {seen}")
    assert any(f" {status} " in f" {seen} " for status in (400, 403, 421)), seen
    assert state(target, service) == before


@pytest.mark.attack("a page at evil.test opens the WebSocket of events as its own origin", target="Prefect")
def test_a_rebound_web_socket_is_refused(target: Target, browser: Any) -> None:
    _opened(browser, target.url("prefect", "/", host="evil.test"))
    url = target.url("prefect", "/api/events/in", host="evil.test").replace("http:", "ws:")
    assert browser.execute_async_script(SOCKET, url, "prefect", "{}") == "refused"


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.attack("a program asks with the Host header of another machine", target="{service}")
def test_a_foreign_host_header_is_refused(target: Target, service: str, record_property: Any) -> None:
    paths = {"prefect": "/api/admin/version", "mlflow": "/", "evidently": "/api/version", "api": "/model"}
    status = asked(service, target, path=paths[service], headers={"host": "evil.test"}).status_code
    record_property("observed", str(status))
    assert status in (400, 403, 421)


def _opened(browser: Any, url: str) -> str:
    """What the browser shows at an address; its scripts run in that origin from here on."""
    try:
        browser.get(url)
    except WebDriverException as error:
        return str(error.msg)
    return str(browser.execute_script("return document.body.innerText"))[:60]
