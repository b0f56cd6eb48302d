"""A page of a foreign origin, in a browser that can reach the services.

Such a page can read neither files nor answers, but it can make its browser send requests to any port of the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.security.browser import hostile_site
from tests.security.requests_of_pages import REQUESTS
from tests.security.state import state
from tests.security.talking import BEACON, FORM, FRAME, SOCKET, XHR, fetched
from tests.security.target import Target

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

RECORDED = next(iter(REQUESTS))
#: The first request of each service.
FIRST = tuple({one.service: name for name, one in reversed(REQUESTS.items())}.values())
PLAIN = "text/plain"
PLAIN_SENDERS = {"a form": FORM, "XMLHttpRequest": XHR, "a beacon": BEACON}
READABLE = {
    "prefect": "/api/admin/settings",
    "mlflow": "/api/2.0/mlflow/experiments/get?experiment_id=0",
    "evidently": "/api/projects",
    "api": "/model",
}
SOCKETS = {"events": "/api/events/in", "the log": "/api/logs/out"}
EVENT = (
    '{"occurred": "2026-01-01T00:00:00Z", "event": "headrace.retrain", "id": "9c2ad3ce-1f2c-4f0c-8bb3-6c2fb6a3a4a1",'
    ' "resource": {"prefect.resource.id": "headrace.shop"}}'
)


def chosen(*methods: str) -> list[Any]:
    """What is asked for by these methods; one request a service is tried by QUICK=1."""
    found = {name: one for name, one in REQUESTS.items() if one.method in methods}
    return [pytest.param(name, marks=[] if name in FIRST else pytest.mark.long) for name in found]


@pytest.mark.parametrize("asks_for", chosen("POST", "PATCH", "DELETE"))
@pytest.mark.attack("fetch() of JSON asks for {asks_for}", target="all")
def test_what_needs_a_preflight_is_not_sent(
    target: Target, foreign_page: Any, tmp_path: Path, asks_for: str, record_property: Any
) -> None:
    hostile = REQUESTS[asks_for]
    before = state(target, hostile.service)
    path, body = hostile.filled(target, tmp_path / "canary")
    json_body = {"content-type": "application/json"}
    seen = fetched(foreign_page, target.url(hostile.service, path), method=hostile.method, body=body, headers=json_body)
    record_property("observed", f"{hostile.service}: {seen}")
    assert "Failed to fetch" in seen  # a server that is too busy to answer has not refused
    assert state(target, hostile.service) == before


@pytest.mark.parametrize("asks_for", chosen("POST"))
@pytest.mark.parametrize("kind", ["text", "bytes of no type"])
@pytest.mark.attack("fetch() of {kind}, which needs no preflight, asks for {asks_for}", target="all")
def test_what_needs_no_preflight_is_refused(
    target: Target, foreign_page: Any, tmp_path: Path, asks_for: str, kind: str, record_property: Any
) -> None:
    """Prefect takes a body without a content type for JSON."""
    hostile = REQUESTS[asks_for]
    before = state(target, hostile.service)
    path, body = hostile.filled(target, tmp_path / "canary")
    url = target.url(hostile.service, path)
    seen = fetched(foreign_page, url, method="POST", body=body, mode="no-cors", as_bytes=kind != "text")
    record_property("observed", f"{hostile.service}: {seen}")
    assert state(target, hostile.service) == before


@pytest.mark.parametrize("asks_for", FIRST)
@pytest.mark.attack("a page at another port of localhost asks for {asks_for}", target="all")
def test_another_port_is_another_origin(
    target: Target, browser: Any, tmp_path: Path, asks_for: str, record_property: Any
) -> None:
    """Such as a page that shows hostile data: it is of the same site, and may send what needs no preflight."""
    hostile = REQUESTS[asks_for]
    before = state(target, hostile.service)
    path, body = hostile.filled(target, tmp_path / "canary")
    url = target.url(hostile.service, path, host="localhost")
    with hostile_site() as port:
        browser.get(f"http://localhost:{port}/")
        json_body = {"content-type": "application/json"}
        seen = [
            fetched(browser, url, method=hostile.method, body=body, mode="no-cors", as_bytes=True),
            fetched(browser, url, method=hostile.method, body=body, headers=json_body),
        ]
    record_property("observed", f"{hostile.service}: {' / '.join(seen)}")
    assert state(target, hostile.service) == before


@pytest.mark.parametrize("sender", PLAIN_SENDERS)
@pytest.mark.attack(f"{{sender}} asks for {RECORDED}", target="Prefect")
def test_other_ways_to_send_text(
    target: Target, foreign_page: Any, tmp_path: Path, sender: str, record_property: Any
) -> None:
    hostile = REQUESTS[RECORDED]
    before = state(target, hostile.service)
    path, body = hostile.filled(target, tmp_path / "canary")
    url = target.url(hostile.service, path)
    record_property("observed", foreign_page.execute_async_script(PLAIN_SENDERS[sender], url, body, PLAIN))
    assert state(target, hostile.service) == before


@pytest.mark.parametrize("service", READABLE)
@pytest.mark.attack("the page reads an answer of {service}", target="{service}")
def test_answers_are_not_readable(target: Target, foreign_page: Any, service: str, record_property: Any) -> None:
    seen = fetched(foreign_page, target.url(service, READABLE[service]))
    record_property("observed", seen)
    assert "Failed to fetch" in seen


@pytest.mark.parametrize("which", SOCKETS)
@pytest.mark.attack("the page opens the WebSocket of {which}", target="Prefect")
def test_web_sockets_stay_closed(target: Target, foreign_page: Any, which: str, record_property: Any) -> None:
    """No preflight guards a WebSocket, and an event that comes in starts a retrain."""
    url = target.url("prefect", SOCKETS[which]).replace("http:", "ws:")
    seen = foreign_page.execute_async_script(SOCKET, url, "prefect", EVENT)
    record_property("observed", seen)
    assert seen == "refused"


@pytest.mark.parametrize("service", ["prefect", "mlflow", "evidently"])
@pytest.mark.attack("the page lays a frame of {service} below a click", target="{service}")
def test_no_page_is_framed(target: Target, foreign_page: Any, service: str, record_property: Any) -> None:
    frame = foreign_page.execute_async_script(FRAME, target.url(service, "/"))
    foreign_page.switch_to.frame(frame)
    seen = foreign_page.execute_script("return document.URL")
    foreign_page.switch_to.default_content()
    record_property("observed", seen)
    assert seen.startswith("chrome-error:")
