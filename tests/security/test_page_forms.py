"""Forms of the prediction API's page, posted by pages of a foreign origin and of another port."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from headrace.services.processes import wait_until
from tests.security.browser import hostile_site
from tests.security.talking import prefect
from tests.security.target import Target

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

#: A form as our page's own, into a hidden frame, with a token that the attacker has from a page of its own.
_FORM = """
const [url, token, done] = arguments;
const frame = document.body.appendChild(Object.assign(document.createElement("iframe"), {name: "answer"}));
const form = document.body.appendChild(Object.assign(document.createElement("form"), {
    method: "post", action: url, target: "answer"}));
for (const [name, value] of [["token", token], ["who", "Mallory"]])
    form.append(Object.assign(document.createElement("input"), {name, value}));
frame.onload = () => done("posted");
form.submit();
"""


def _token(target: Target) -> str:
    body = httpx.get(target.url("api", "/"), trust_env=False).text
    found = re.search(r'name="token" value="([0-9a-f]+)"', body)
    assert found is not None
    return found.group(1)


def _runs(target: Target) -> int:
    """Runs of a deployment that no schedule made."""
    chosen = {"deployments": {"name": {"any_": ["shop-score"]}}, "limit": 200}
    found = prefect(target, "POST", "/flow_runs/filter", chosen).json()
    return sum("auto-scheduled" not in run["tags"] for run in found)


@pytest.mark.parametrize("origin", ["evil.test", "127.0.0.1"], ids=["a foreign origin", "another port"])
@pytest.mark.attack("a form of {origin} starts a deployment by the page's button", target="api")
def test_a_form_of_another_page_starts_nothing(target: Target, browser: Any, origin: str) -> None:
    browser.get(target.url("api", "/"))  # the victim's browser has the page's cookie
    before = _runs(target)
    with hostile_site() as port:
        browser.get(f"http://{origin}:{port}/")
        url = target.url("api", "/deployments/shop-score/run")
        assert browser.execute_async_script(_FORM, url, _token(target)) == "posted"
    assert _runs(target) == before


@pytest.mark.attack("a form of a program without the browser's cookie starts a deployment", target="api")
def test_a_token_without_its_cookie_starts_nothing(target: Target) -> None:
    before = _runs(target)
    url, fields = target.url("api", "/deployments/shop-score/run"), {"token": _token(target)}
    assert httpx.post(url, data=fields, trust_env=False).status_code == 403
    assert _runs(target) == before


def test_the_pages_own_button_starts_a_run(target: Target, browser: Any) -> None:
    """No attack: what the tests above refuse works from the page."""
    before = _runs(target)
    browser.get(target.url("api", "/"))
    browser.find_element("xpath", "//button[contains(., 'Start score')]").click()

    def shown() -> str:
        return str(browser.execute_script("return document.body.innerText"))

    wait_until(lambda: "The run is started." in shown(), timeout_s=60)  # comes when Prefect has answered
    assert "The run is started." in shown()
    assert _runs(target) == before + 1
